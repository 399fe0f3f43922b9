// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/tiny_machine.h"

#include "base/cleanup.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

int tiny_machine_init(struct tiny_machine *m, int kvm_fd, uint64_t gpa)
{
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = gpa, .memory_size = TINY_MEMORY_BYTES};
	void *memory;

	*m = TINY_MACHINE_INIT;
	m->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (m->vm_fd < 0)
		return -errno;
	memory = mmap(NULL, TINY_MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	m->memory = memory;
	region.userspace_addr = (uint64_t)(uintptr_t)memory;
	return ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

int tiny_machine_add_cpu(struct tiny_machine *m, int kvm_fd)
{
	int run_bytes = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;

	if (run_bytes <= 0)
		return run_bytes < 0 ? -errno : -EINVAL;
	m->vcpu_fd = ioctl(m->vm_fd, KVM_CREATE_VCPU, 0);
	if (m->vcpu_fd < 0)
		return -errno;
	run = mmap(NULL, (size_t)run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu_fd, 0);
	if (run == MAP_FAILED)
		return -errno;
	m->run = run;
	m->run_bytes = (size_t)run_bytes;
	return 0;
}

void tiny_machine_done(struct tiny_machine *m)
{
	if (m->run)
		munmap(m->run, m->run_bytes);
	fd_release(&m->vcpu_fd);
	fd_release(&m->vm_fd);
	if (m->memory)
		munmap(m->memory, TINY_MEMORY_BYTES);
	*m = TINY_MACHINE_INIT;
}
