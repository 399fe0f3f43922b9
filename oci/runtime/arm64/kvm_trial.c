// SPDX-License-Identifier: Apache-2.0
/*
 * A few instructions at EL1, the last of which stores a number where there is no memory; that number is the
 * proof.
 */
#include "oci/runtime/kvm_probe.h"
#include "oci/runtime/tiny_machine.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define MEMORY_GPA 0x40000000
#define PROOF_GPA 0x10000
#define PROOF 0x42

static const uint32_t code[] = {
	0x52800841, /* mov w1, #0x42 */
	0xd2a00020, /* mov x0, #0x10000 */
	0xb9000001, /* str w1, [x0] */
	0x14000000, /* b . */
};

/* The guest runs without caches: it has to find the code in memory. */
static void code_put(uint8_t *memory)
{
	memcpy(memory, code, sizeof(code));
	__builtin___clear_cache((char *)memory, (char *)memory + sizeof(code));
}

static int vcpu_init(struct tiny_machine *m)
{
	struct kvm_vcpu_init init;
	uint64_t pc = MEMORY_GPA;
	struct kvm_one_reg reg = {
		.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.pc),
		.addr = (uint64_t)(uintptr_t)&pc,
	};

	if (ioctl(m->vm_fd, KVM_ARM_PREFERRED_TARGET, &init) < 0 ||
		ioctl(m->vcpu_fd, KVM_ARM_VCPU_INIT, &init) < 0 ||
		ioctl(m->vcpu_fd, KVM_SET_ONE_REG, &reg) < 0)
		return -errno;
	return 0;
}

static int machine_init(struct tiny_machine *m, int kvm_fd)
{
	int ret = tiny_machine_init(m, kvm_fd, MEMORY_GPA);

	if (ret)
		return ret;
	code_put(m->memory);
	ret = tiny_machine_add_cpu(m, kvm_fd);
	return ret ? ret : vcpu_init(m);
}

static void proof_check(const struct kvm_run *run, struct kvm_trial *trial)
{
	char text[64];

	if (run->exit_reason == KVM_EXIT_MMIO && run->mmio.is_write && run->mmio.phys_addr == PROOF_GPA &&
		run->mmio.data[0] == PROOF) {
		trial->passed = true;
		return;
	}
	snprintf(text, sizeof(text), "unexpected exit %u", run->exit_reason);
	kvm_trial_failed(trial, text, 0);
}

bool kvm_trial_run(int kvm_fd, size_t i, struct kvm_trial *trial)
{
	struct tiny_machine m;
	int ret;

	if (i > 0)
		return false;
	*trial = (struct kvm_trial){0};
	snprintf(trial->name, sizeof(trial->name), "64-bit mode");
	ret = machine_init(&m, kvm_fd);
	if (ret)
		kvm_trial_failed(trial, "create a machine", -ret);
	else if (ioctl(m.vcpu_fd, KVM_RUN, 0) < 0)
		kvm_trial_failed(trial, "run the guest", errno);
	else
		proof_check(m.run, trial);
	tiny_machine_done(&m);
	return true;
}
