// SPDX-License-Identifier: Apache-2.0
/*
 * arm64: not there yet. Everything around it builds and the first step refuses, so that nobody waits for a
 * machine that cannot come.
 */
#include "vmm/arch.h"

#include "vmm/vm.h"

#include <errno.h>

int arch_init(struct vm *vm, struct err *err)
{
	(void)vm;
	return err_set(err, ENOTSUP, "arm64 hosts are not supported by this version");
}

unsigned arch_ram_parts(uint64_t ram_bytes, struct ram_part *parts)
{
	parts[0] = (struct ram_part){UINT64_C(1) << 30, ram_bytes};
	return 1;
}

uint64_t arch_virtio_gpa(void)
{
	return 0;
}

int arch_irq_wire(struct vm *vm, unsigned slot, int irq_fd)
{
	(void)vm, (void)slot, (void)irq_fd;
	return -ENOTSUP;
}

int arch_load(struct vm *vm, struct err *err)
{
	(void)vm;
	return err_sys(err, ENOTSUP, "load the kernel");
}

int arch_vcpu_prepare(struct vcpu *vcpu, struct err *err)
{
	(void)vcpu;
	return err_sys(err, ENOTSUP, "prepare a CPU");
}

int arch_vcpu_enter(struct vcpu *vcpu, struct err *err)
{
	(void)vcpu;
	return err_sys(err, ENOTSUP, "enter the guest");
}

bool arch_vcpu_exit(struct vcpu *vcpu)
{
	(void)vcpu;
	return false;
}

uint64_t arch_vcpu_position(const struct vcpu *vcpu)
{
	(void)vcpu;
	return 0;
}
