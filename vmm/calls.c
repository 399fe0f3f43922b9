// SPDX-License-Identifier: Apache-2.0
#include "vmm/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#include "vmm/x86_64/calls_arch.h"
#else
#include "vmm/arm64/calls_arch.h"
#endif

#define CALL(name, in, reason)                                                                               \
	{                                                                                                    \
		.nr = __NR_##name, .sets = (in), .why = (reason)                                             \
	}
#define CALL_1(name, in, reason, arg)                                                                        \
	{                                                                                                    \
		.nr = __NR_##name, .sets = (in), .args = {arg}, .why = (reason)                              \
	}
#define CALL_2(name, in, reason, a, b)                                                                       \
	{                                                                                                    \
		.nr = __NR_##name, .sets = (in), .args = {a, b}, .why = (reason)                             \
	}
#define IOCTL(request, in, reason) CALL_1(ioctl, in, reason, FILTER_IS(1, request))
#define MADVISE(advice, in, reason) CALL_1(madvise, in, reason, FILTER_IS(2, advice))

#define SIGNAL_OF_LIBC 33 /* by which it tells other threads to change their user (nptl(7)) */
#define THREAD_FLAGS                                                                                         \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |   \
		CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

const struct filter_rule vmm_calls[] = {
	/* What happens all the time comes first. */
	IOCTL(KVM_RUN, CALLS_VCPU, "run the guest"),
	CALL(futex, CALLS_LOOP | CALLS_VCPU, "locks of devices, and waiting for the gate"),
	CALL(write, CALLS_LOOP | CALLS_VCPU, "eventfds; the console; messages"),
	CALL(read, CALLS_LOOP, "eventfds and timers"),
#ifdef __NR_epoll_wait
	CALL(epoll_wait, CALLS_LOOP, "the loop"),
#else
	CALL(epoll_pwait, CALLS_LOOP, "the loop"),
#endif
	CALL(epoll_ctl, CALLS_LOOP, "sources come and go"),
	CALL(preadv2, CALLS_LOOP, "disks"),
	CALL(pwritev2, CALLS_LOOP, "disks"),
	CALL(io_uring_enter, CALLS_LOOP, "disks"),
	CALL(fdatasync, CALLS_LOOP, "disks: flush"),
	CALL(fallocate, CALLS_LOOP, "disks: discard and write zeroes"),
	CALL(recvmsg, CALLS_LOOP, "vsock, and requests of the starter"),
	CALL(sendmsg, CALLS_LOOP, "vsock, and the last words"),
	CALL(shutdown, CALLS_LOOP, "vsock: one direction has ended"),
	CALL(close, CALLS_LOOP, "vsock: a connection has ended"),
	MADVISE(MADV_DONTNEED, CALLS_LOOP, "vsock: a connection's memory goes back"),
	CALL(getrandom, CALLS_LOOP, "entropy for the guest"),
	CALL(timerfd_settime, CALLS_LOOP, "entropy is rationed"),
	CALL(clock_gettime, CALLS_LOOP | CALLS_VCPU, "where the vDSO cannot tell the time"),
	CALL(exit_group, CALLS_LOOP, "the end"),

	/* Building the machine. */
	CALL_1(seccomp, CALLS_BUILD, "the other two filters", FILTER_IS(0, SECCOMP_SET_MODE_FILTER)),
	CALL_1(clone, CALLS_BUILD, "threads of vCPUs", FILTER_IS(0, THREAD_FLAGS)),
	/* Its flags lie in memory, where no filter can see them; libc then asks clone. */
	{.nr = __NR_clone3, .sets = CALLS_BUILD, .refuse_errno = ENOSYS, .why = "threads of vCPUs"},
	CALL(set_robust_list, CALLS_BUILD, "libc, in a new thread"),
	CALL(rseq, CALLS_BUILD, "libc, in a new thread"),
	CALL(rt_sigprocmask, CALLS_BUILD, "libc, around a new thread"),
	CALL_1(rt_sigaction, CALLS_BUILD, "libc, before the first new thread", FILTER_IS(0, SIGNAL_OF_LIBC)),
	CALL_1(mmap, CALLS_BUILD, "guest memory, stacks, rings, vCPU states",
		FILTER_ONLY(2, PROT_READ | PROT_WRITE)),
	CALL_1(mprotect, CALLS_BUILD, "guest memory between guards", FILTER_ONLY(2, PROT_READ | PROT_WRITE)),
	CALL(munmap, CALLS_BUILD, "what failed halfway"),
	CALL(brk, CALLS_BUILD, "small memory"),
	MADVISE(MADV_DONTDUMP, CALLS_BUILD, "guest memory is in no core file"),
	MADVISE(MADV_HUGEPAGE, CALLS_BUILD, "the kernel is copied into huge pages"),
	MADVISE(MADV_NOHUGEPAGE, CALLS_BUILD, "unless memory is dear"),
	CALL(pread64, CALLS_BUILD, "the kernel and the initramfs"),
	CALL(fstat, CALLS_BUILD, "their sizes"),
	CALL_1(newfstatat, CALLS_BUILD, "their sizes, as some libcs ask", FILTER_IS(3, AT_EMPTY_PATH)),
	CALL(epoll_create1, CALLS_BUILD, "the loop"),
	CALL(eventfd2, CALLS_BUILD, "kicks and interrupts"),
	CALL(timerfd_create, CALLS_BUILD, "entropy is rationed"),
	CALL(io_uring_setup, CALLS_BUILD, "disks"),
	CALL(io_uring_register, CALLS_BUILD, "disks: limit the ring to what disks need"),
	IOCTL(KVM_GET_API_VERSION, CALLS_BUILD, "is it KVM?"),
	IOCTL(KVM_CREATE_VM, CALLS_BUILD, "the machine"),
	IOCTL(KVM_GET_VCPU_MMAP_SIZE, CALLS_BUILD, "how large a vCPU's state is"),
	IOCTL(KVM_CHECK_EXTENSION, CALLS_BUILD, "what KVM can do"),
	IOCTL(KVM_ENABLE_CAP, CALLS_BUILD, "what KVM shall do"),
	IOCTL(KVM_SET_USER_MEMORY_REGION, CALLS_BUILD, "guest memory"),
	IOCTL(KVM_IOEVENTFD, CALLS_BUILD, "kicks"),
	IOCTL(KVM_IRQFD, CALLS_BUILD, "interrupts"),
	IOCTL(KVM_REGISTER_COALESCED_MMIO, CALLS_BUILD, "writes that may wait"),
	IOCTL(KVM_CREATE_VCPU, CALLS_BUILD, "the processors"),
	CALLS_ARCH_ROWS,
};

const size_t n_vmm_calls = sizeof(vmm_calls) / sizeof(vmm_calls[0]);
