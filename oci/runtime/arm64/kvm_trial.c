// SPDX-License-Identifier: Apache-2.0
/*
 * A few instructions at EL1, the last of which stores a number where there is no memory; that number is the
 * proof.
 */
#include "oci/runtime/kvm_probe.h"

#include "base/cleanup.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define MEMORY_BYTES (2u << 20)
#define MEMORY_GPA 0x40000000
#define PROOF_GPA 0x10000
#define PROOF 0x42

static const uint32_t code[] = {
	0x52800841, /* mov w1, #0x42 */
	0xd2a00020, /* mov x0, #0x10000 */
	0xb9000001, /* str w1, [x0] */
	0x14000000, /* b . */
};

struct tiny_machine {
	int vm_fd;
	int vcpu_fd;
	void *memory;
	struct kvm_run *run;
	size_t run_bytes;
};

static int memory_init(struct tiny_machine *m)
{
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = MEMORY_GPA, .memory_size = MEMORY_BYTES};

	m->memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->memory == MAP_FAILED)
		return -errno;
	memcpy(m->memory, code, sizeof(code));
	/* The guest runs without caches: it has to find the code in memory. */
	__builtin___clear_cache((char *)m->memory, (char *)m->memory + sizeof(code));
	region.userspace_addr = (uint64_t)(uintptr_t)m->memory;
	return ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

static int vcpu_init(struct tiny_machine *m)
{
	struct kvm_vcpu_init init;
	uint64_t pc = MEMORY_GPA;
	struct kvm_one_reg reg = {
		.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.pc),
		.addr = (uint64_t)(uintptr_t)&pc,
	};

	m->vcpu_fd = ioctl(m->vm_fd, KVM_CREATE_VCPU, 0);
	if (m->vcpu_fd < 0 || ioctl(m->vm_fd, KVM_ARM_PREFERRED_TARGET, &init) < 0 ||
		ioctl(m->vcpu_fd, KVM_ARM_VCPU_INIT, &init) < 0 ||
		ioctl(m->vcpu_fd, KVM_SET_ONE_REG, &reg) < 0)
		return -errno;
	return 0;
}

static int machine_init(struct tiny_machine *m, int kvm_fd)
{
	int run_bytes = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0), ret;
	void *run;

	m->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (run_bytes <= 0 || m->vm_fd < 0)
		return -errno;
	ret = memory_init(m);
	ret = ret ? ret : vcpu_init(m);
	if (ret)
		return ret;
	run = mmap(NULL, (size_t)run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu_fd, 0);
	if (run == MAP_FAILED)
		return -errno;
	m->run = run;
	m->run_bytes = (size_t)run_bytes;
	return 0;
}

static void machine_done(struct tiny_machine *m)
{
	if (m->run)
		munmap(m->run, m->run_bytes);
	fd_release(&m->vcpu_fd);
	fd_release(&m->vm_fd);
	if (m->memory && m->memory != MAP_FAILED)
		munmap(m->memory, MEMORY_BYTES);
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
	struct tiny_machine m = {.vm_fd = -1, .vcpu_fd = -1};
	int ret;

	if (i > 0)
		return false;
	*trial = (struct kvm_trial){0};
	snprintf(trial->name, sizeof(trial->name), "64-bit mode");
	ret = machine_init(&m, kvm_fd);
	if (ret || !m.run)
		kvm_trial_failed(trial, "create a machine", -ret);
	else if (ioctl(m.vcpu_fd, KVM_RUN, 0) < 0)
		kvm_trial_failed(trial, "run the guest", errno);
	else
		proof_check(m.run, trial);
	machine_done(&m);
	return true;
}
