// SPDX-License-Identifier: Apache-2.0
/*
 * One KVM virtual machine: the descriptor it hangs on, what this host's KVM can do, and the ioctls that
 * concern the machine as a whole. What concerns one processor is in vcpu.h.
 *
 * Everything here is called by the main thread before the first vCPU runs, except where said.
 */
#ifndef MVRUN_VMM_KVM_H
#define MVRUN_VMM_KVM_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kvm {
	int sys_fd; /* /dev/kvm, borrowed */
	int vm_fd;
	size_t run_bytes; /* of the mapping that every vCPU has */

	/* Short cuts. Without one of them the same access ends in an exit, which serves it more slowly. */
	bool has_readonly_mem;
	bool has_ioeventfd;
	size_t coalesced_offset; /* of the ring inside a vCPU's mapping, 0: no ring */
};

/*
 * Check the API version and create the machine. plain leaves the short cuts unused, so that the slow ways are
 * tested too. sys_fd stays the caller's. Errors name what is missing and where to look.
 */
int kvm_open(struct kvm *kvm, int sys_fd, bool plain, struct err *err);

/* A capability's value, 0 if absent (KVM API 4.4). */
int kvm_cap(const struct kvm *kvm, int cap);

/* KVM_ENABLE_CAP on the machine. 0 or -errno. */
int kvm_enable(const struct kvm *kvm, uint32_t cap, uint64_t arg);

/* Show host memory to the guest (KVM_SET_USER_MEMORY_REGION). 0 or -errno. */
int kvm_map(const struct kvm *kvm, uint32_t slot, uint64_t gpa, void *host, uint64_t bytes, bool read_only);

/*
 * From now on a 32-bit write to gpa, whatever its value, signals event_fd without an exit (KVM_IOEVENTFD).
 * 0 or -errno.
 */
int kvm_notify(const struct kvm *kvm, uint64_t gpa, int event_fd);

/* From now on writes to [gpa, gpa + bytes) are queued instead of exiting. 0 or -errno. */
int kvm_coalesce(const struct kvm *kvm, uint64_t gpa, uint32_t bytes);

/* ioctl() that resumes after EINTR: the result, or -errno. Any thread. */
int kvm_call(int fd, unsigned long request, void *arg);

#endif
