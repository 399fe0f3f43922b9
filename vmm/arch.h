// SPDX-License-Identifier: Apache-2.0
/*
 * What differs by architecture, as functions that vmm/x86_64/ and vmm/arm64/ each have once. Main thread and
 * before the gate opens, except where said.
 */
#ifndef MVRUN_VMM_ARCH_H
#define MVRUN_VMM_ARCH_H

#include "base/err.h"
#include "vmm/ram.h"

#include <stdbool.h>
#include <stdint.h>

struct vm;
struct vcpu;

/* Make what must exist before the vCPUs: vm->arch, the interrupt controller, the answers to CPUID. */
int arch_init(struct vm *vm, struct err *err);

/* Where RAM goes. How many parts, at most RAM_PARTS_MAX. */
unsigned arch_ram_parts(uint64_t ram_bytes, struct ram_part *parts);

/* The address of the register pages of virtio devices, one page each, in the order of their slots. */
uint64_t arch_virtio_gpa(void);

/* From now on a write of 1 to irq_fd raises the interrupt of the device in slot. 0 or -errno. */
int arch_irq_wire(struct vm *vm, unsigned slot, int irq_fd);

/* Read kernel and initramfs into RAM, write the tables that tell the kernel what there is. After the devices. */
int arch_load(struct vm *vm, struct err *err);

/* Prepare a new vCPU: features, model-specific registers. On the vCPU's thread, before RAM is complete. */
int arch_vcpu_prepare(struct vcpu *vcpu, struct err *err);

/*
 * Set the registers the kernel expects at its entry; nothing to do for processors that it starts later.
 * After arch_load(), on the vCPU's thread.
 */
int arch_vcpu_enter(struct vcpu *vcpu, struct err *err);

/* Serve an exit that only this architecture has. False: it is none of those. On the vCPU's thread. */
bool arch_vcpu_exit(struct vcpu *vcpu);

/* Where the vCPU is executing, for a message; 0 if KVM does not say. On the vCPU's thread. */
uint64_t arch_vcpu_position(const struct vcpu *vcpu);

#endif
