// SPDX-License-Identifier: Apache-2.0
#include "vmm/kvm.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int kvm_call(int fd, unsigned long request, void *arg)
{
	int ret;

	do
		ret = ioctl(fd, request, arg);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

/* Some arguments are numbers in a pointer's place. */
static int call_value(int fd, unsigned long request, unsigned long value)
{
	int ret;

	do
		ret = ioctl(fd, request, value);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

int kvm_cap(const struct kvm *kvm, int cap)
{
	int ret = call_value(
		kvm->vm_fd >= 0 ? kvm->vm_fd : kvm->sys_fd, KVM_CHECK_EXTENSION, (unsigned long)cap);

	return ret < 0 ? 0 : ret;
}

static void shortcuts_find(struct kvm *kvm)
{
	long page = sysconf(_SC_PAGESIZE);
	int ring_page = kvm_cap(kvm, KVM_CAP_COALESCED_MMIO);

	kvm->has_readonly_mem = kvm_cap(kvm, KVM_CAP_READONLY_MEM);
	kvm->has_ioeventfd = kvm_cap(kvm, KVM_CAP_IOEVENTFD);
	if (ring_page > 0 && (size_t)(ring_page + 1) * (size_t)page <= kvm->run_bytes)
		kvm->coalesced_offset = (size_t)ring_page * (size_t)page;
}

/*
 * Let the machine outlive its process. Whoever drops the last reference to a VM waits for grace periods of the host's
 * RCU (kvm_destroy_vm, kvm_mmu_uninit_tdp_mmu): milliseconds on hardware, a fifth of a short machine's life, in the
 * exit of a process that somebody waits for. The files of an io_uring are released by a kernel worker once their
 * process is gone; so one holds the VM, is never enabled, and stays open to the end. Guest memory is freed with the
 * process all the same. Where io_uring is refused the exit is slower and nothing else.
 */
static void vm_linger(int vm_fd)
{
	struct io_uring_params params = {.flags = IORING_SETUP_R_DISABLED};
	long ring_fd = syscall(SYS_io_uring_setup, 1, &params);

	if (ring_fd >= 0)
		(void)syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_FILES, &vm_fd, 1);
}

int kvm_open(struct kvm *kvm, int sys_fd, bool plain, struct err *err)
{
	int ret;

	*kvm = (struct kvm){.sys_fd = sys_fd, .vm_fd = -1};
	ret = call_value(sys_fd, KVM_GET_API_VERSION, 0);
	if (ret == -ENOTTY)
		return err_set(err, EINVAL, "the KVM descriptor is not /dev/kvm");
	if (ret != KVM_API_VERSION)
		return err_set(err, ENODEV, "KVM has API version %d, not %d: see mvrun doctor", ret,
			KVM_API_VERSION);
	ret = call_value(sys_fd, KVM_CREATE_VM, 0);
	if (ret < 0)
		return err_sys(err, ret, "KVM refuses a virtual machine (see mvrun doctor)");
	kvm->vm_fd = ret;
	vm_linger(ret);
	ret = call_value(sys_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (ret <= 0)
		return err_sys(err, ret, "KVM does not say how large a vCPU's state is");
	kvm->run_bytes = (size_t)ret;
	if (!kvm_cap(kvm, KVM_CAP_USER_MEMORY))
		return err_set(err, ENODEV, "this KVM cannot map user memory: see mvrun doctor");
	if (!plain)
		shortcuts_find(kvm);
	return 0;
}

int kvm_enable(const struct kvm *kvm, uint32_t cap, uint64_t arg)
{
	struct kvm_enable_cap enable = {.cap = cap, .args = {arg}};

	return kvm_call(kvm->vm_fd, KVM_ENABLE_CAP, &enable);
}

int kvm_map(const struct kvm *kvm, uint32_t slot, uint64_t gpa, void *host, uint64_t bytes, bool read_only)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = read_only ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = gpa,
		.memory_size = bytes,
		.userspace_addr = (uintptr_t)host,
	};

	return kvm_call(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

int kvm_notify(const struct kvm *kvm, uint64_t gpa, int event_fd)
{
	struct kvm_ioeventfd notify = {.addr = gpa, .len = sizeof(uint32_t), .fd = event_fd};

	return kvm_call(kvm->vm_fd, KVM_IOEVENTFD, &notify);
}

int kvm_coalesce(const struct kvm *kvm, uint64_t gpa, uint32_t bytes)
{
	struct kvm_coalesced_mmio_zone zone = {.addr = gpa, .size = bytes};

	return kvm_call(kvm->vm_fd, KVM_REGISTER_COALESCED_MMIO, &zone);
}
