// SPDX-License-Identifier: Apache-2.0
/*
 * The built-in system call profile, as lists of R(name, rule): what every architecture has, what only the two
 * of x86 have, and what only one has. A table includes the lists of its architecture behind that
 * architecture's __NR_ constants; a name that it does not have does not compile, and the compiler warns of one
 * that is in two lists. Calls that are in no list are unknown (ENOSYS).
 */
#ifndef MVRUN_GUEST_INIT_SECCOMP_RULES_H
#define MVRUN_GUEST_INIT_SECCOMP_RULES_H

/* Newer than the headers that we are built with; the same numbers everywhere. */
#ifndef __NR_cachestat
#define __NR_cachestat 451
#endif
#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif
#ifndef __NR_map_shadow_stack
#define __NR_map_shadow_stack 453
#endif
#ifndef __NR_futex_wake
#define __NR_futex_wake 454
#endif
#ifndef __NR_futex_wait
#define __NR_futex_wait 455
#endif
#ifndef __NR_futex_requeue
#define __NR_futex_requeue 456
#endif
#ifndef __NR_statmount
#define __NR_statmount 457
#endif
#ifndef __NR_listmount
#define __NR_listmount 458
#endif
#ifndef __NR_mseal
#define __NR_mseal 462
#endif

/* clang-format off */
#define SECCOMP_RULES_COMMON(R) \
	R(accept4, ALLOW) R(adjtimex, ALLOW) R(bind, ALLOW) R(brk, ALLOW) \
	R(cachestat, ALLOW) R(capget, ALLOW) R(capset, ALLOW) R(chdir, ALLOW) \
	R(clock_adjtime, ALLOW) R(clock_getres, ALLOW) R(clock_gettime, ALLOW) \
	R(clock_nanosleep, ALLOW) R(close, ALLOW) R(close_range, ALLOW) R(connect, ALLOW) \
	R(copy_file_range, ALLOW) R(dup, ALLOW) R(dup3, ALLOW) R(epoll_create1, ALLOW) \
	R(epoll_ctl, ALLOW) R(epoll_pwait, ALLOW) R(epoll_pwait2, ALLOW) R(eventfd2, ALLOW) \
	R(execve, ALLOW) R(execveat, ALLOW) R(exit, ALLOW) R(exit_group, ALLOW) \
	R(faccessat, ALLOW) R(faccessat2, ALLOW) R(fadvise64, ALLOW) R(fallocate, ALLOW) \
	R(fanotify_mark, ALLOW) R(fchdir, ALLOW) R(fchmod, ALLOW) R(fchmodat, ALLOW) \
	R(fchmodat2, ALLOW) R(fchown, ALLOW) R(fchownat, ALLOW) R(fcntl, ALLOW) \
	R(fdatasync, ALLOW) R(fgetxattr, ALLOW) R(flistxattr, ALLOW) R(flock, ALLOW) \
	R(fremovexattr, ALLOW) R(fsetxattr, ALLOW) R(fstat, ALLOW) R(fstatfs, ALLOW) \
	R(fsync, ALLOW) R(ftruncate, ALLOW) R(futex, ALLOW) R(futex_requeue, ALLOW) \
	R(futex_wait, ALLOW) R(futex_waitv, ALLOW) R(futex_wake, ALLOW) \
	R(get_mempolicy, ALLOW) R(get_robust_list, ALLOW) R(getcpu, ALLOW) R(getcwd, ALLOW) \
	R(getdents64, ALLOW) R(getegid, ALLOW) R(geteuid, ALLOW) R(getgid, ALLOW) \
	R(getgroups, ALLOW) R(getitimer, ALLOW) R(getpeername, ALLOW) R(getpgid, ALLOW) \
	R(getpid, ALLOW) R(getppid, ALLOW) R(getpriority, ALLOW) R(getrandom, ALLOW) \
	R(getresgid, ALLOW) R(getresuid, ALLOW) R(getrlimit, ALLOW) R(getrusage, ALLOW) \
	R(getsid, ALLOW) R(getsockname, ALLOW) R(getsockopt, ALLOW) R(gettid, ALLOW) \
	R(gettimeofday, ALLOW) R(getuid, ALLOW) R(getxattr, ALLOW) \
	R(inotify_add_watch, ALLOW) R(inotify_init1, ALLOW) R(inotify_rm_watch, ALLOW) \
	R(io_cancel, ALLOW) R(io_destroy, ALLOW) R(io_getevents, ALLOW) \
	R(io_pgetevents, ALLOW) R(io_setup, ALLOW) R(io_submit, ALLOW) R(ioctl, ALLOW) \
	R(ioprio_get, ALLOW) R(ioprio_set, ALLOW) R(kill, ALLOW) \
	R(landlock_add_rule, ALLOW) R(landlock_create_ruleset, ALLOW) \
	R(landlock_restrict_self, ALLOW) R(lgetxattr, ALLOW) R(linkat, ALLOW) \
	R(listen, ALLOW) R(listxattr, ALLOW) R(llistxattr, ALLOW) R(lremovexattr, ALLOW) \
	R(lseek, ALLOW) R(lsetxattr, ALLOW) R(madvise, ALLOW) R(map_shadow_stack, ALLOW) \
	R(mbind, ALLOW) R(membarrier, ALLOW) R(memfd_create, ALLOW) R(memfd_secret, ALLOW) \
	R(mincore, ALLOW) R(mkdirat, ALLOW) R(mknodat, ALLOW) R(mlock, ALLOW) \
	R(mlock2, ALLOW) R(mlockall, ALLOW) R(mmap, ALLOW) R(mprotect, ALLOW) \
	R(mq_getsetattr, ALLOW) R(mq_notify, ALLOW) R(mq_open, ALLOW) \
	R(mq_timedreceive, ALLOW) R(mq_timedsend, ALLOW) R(mq_unlink, ALLOW) \
	R(mremap, ALLOW) R(mseal, ALLOW) R(msgctl, ALLOW) R(msgget, ALLOW) R(msgrcv, ALLOW) \
	R(msgsnd, ALLOW) R(msync, ALLOW) R(munlock, ALLOW) R(munlockall, ALLOW) \
	R(munmap, ALLOW) R(name_to_handle_at, ALLOW) R(nanosleep, ALLOW) R(openat, ALLOW) \
	R(openat2, ALLOW) R(pidfd_open, ALLOW) R(pidfd_send_signal, ALLOW) R(pipe2, ALLOW) \
	R(pkey_alloc, ALLOW) R(pkey_free, ALLOW) R(pkey_mprotect, ALLOW) R(ppoll, ALLOW) \
	R(prctl, ALLOW) R(pread64, ALLOW) R(preadv, ALLOW) R(preadv2, ALLOW) \
	R(prlimit64, ALLOW) R(process_mrelease, ALLOW) R(process_vm_readv, ALLOW) \
	R(process_vm_writev, ALLOW) R(pselect6, ALLOW) R(ptrace, ALLOW) R(pwrite64, ALLOW) \
	R(pwritev, ALLOW) R(pwritev2, ALLOW) R(read, ALLOW) R(readahead, ALLOW) \
	R(readlinkat, ALLOW) R(readv, ALLOW) R(recvfrom, ALLOW) R(recvmmsg, ALLOW) \
	R(recvmsg, ALLOW) R(remap_file_pages, ALLOW) R(removexattr, ALLOW) \
	R(renameat, ALLOW) R(renameat2, ALLOW) R(restart_syscall, ALLOW) R(rseq, ALLOW) \
	R(rt_sigaction, ALLOW) R(rt_sigpending, ALLOW) R(rt_sigprocmask, ALLOW) \
	R(rt_sigqueueinfo, ALLOW) R(rt_sigreturn, ALLOW) R(rt_sigsuspend, ALLOW) \
	R(rt_sigtimedwait, ALLOW) R(rt_tgsigqueueinfo, ALLOW) \
	R(sched_get_priority_max, ALLOW) R(sched_get_priority_min, ALLOW) \
	R(sched_getaffinity, ALLOW) R(sched_getattr, ALLOW) R(sched_getparam, ALLOW) \
	R(sched_getscheduler, ALLOW) R(sched_rr_get_interval, ALLOW) \
	R(sched_setaffinity, ALLOW) R(sched_setattr, ALLOW) R(sched_setparam, ALLOW) \
	R(sched_setscheduler, ALLOW) R(sched_yield, ALLOW) R(seccomp, ALLOW) \
	R(semctl, ALLOW) R(semget, ALLOW) R(sendfile, ALLOW) R(sendmmsg, ALLOW) \
	R(sendmsg, ALLOW) R(sendto, ALLOW) R(set_mempolicy, ALLOW) \
	R(set_mempolicy_home_node, ALLOW) R(set_robust_list, ALLOW) \
	R(set_tid_address, ALLOW) R(setfsgid, ALLOW) R(setfsuid, ALLOW) R(setgid, ALLOW) \
	R(setgroups, ALLOW) R(setitimer, ALLOW) R(setpgid, ALLOW) R(setpriority, ALLOW) \
	R(setregid, ALLOW) R(setresgid, ALLOW) R(setresuid, ALLOW) R(setreuid, ALLOW) \
	R(setrlimit, ALLOW) R(setsid, ALLOW) R(setsockopt, ALLOW) R(setuid, ALLOW) \
	R(setxattr, ALLOW) R(shmat, ALLOW) R(shmctl, ALLOW) R(shmdt, ALLOW) \
	R(shmget, ALLOW) R(shutdown, ALLOW) R(sigaltstack, ALLOW) R(signalfd4, ALLOW) \
	R(socketpair, ALLOW) R(splice, ALLOW) R(statfs, ALLOW) R(statx, ALLOW) \
	R(symlinkat, ALLOW) R(sync, ALLOW) R(sync_file_range, ALLOW) R(syncfs, ALLOW) \
	R(sysinfo, ALLOW) R(tee, ALLOW) R(tgkill, ALLOW) R(timer_create, ALLOW) \
	R(timer_delete, ALLOW) R(timer_getoverrun, ALLOW) R(timer_gettime, ALLOW) \
	R(timer_settime, ALLOW) R(timerfd_create, ALLOW) R(timerfd_gettime, ALLOW) \
	R(timerfd_settime, ALLOW) R(times, ALLOW) R(tkill, ALLOW) R(truncate, ALLOW) \
	R(umask, ALLOW) R(uname, ALLOW) R(unlinkat, ALLOW) R(utimensat, ALLOW) \
	R(vmsplice, ALLOW) R(wait4, ALLOW) R(waitid, ALLOW) R(write, ALLOW) \
	R(writev, ALLOW) \
	R(clone, CLONE) \
	R(clone3, CLONE3) \
	R(personality, PERSONALITY) \
	R(socket, SOCKET) \
	R(bpf, BPF) \
	R(open_by_handle_at, DAC_READ_SEARCH) \
	R(perf_event_open, PERFMON) \
	R(syslog, SYSLOG) \
	R(fanotify_init, SYS_ADMIN) R(fsconfig, SYS_ADMIN) R(fsmount, SYS_ADMIN) \
	R(fsopen, SYS_ADMIN) R(fspick, SYS_ADMIN) R(listmount, SYS_ADMIN) \
	R(mount, SYS_ADMIN) R(mount_setattr, SYS_ADMIN) R(move_mount, SYS_ADMIN) \
	R(open_tree, SYS_ADMIN) R(pivot_root, SYS_ADMIN) R(quotactl, SYS_ADMIN) \
	R(quotactl_fd, SYS_ADMIN) R(setdomainname, SYS_ADMIN) R(sethostname, SYS_ADMIN) \
	R(setns, SYS_ADMIN) R(statmount, SYS_ADMIN) R(umount2, SYS_ADMIN) \
	R(unshare, SYS_ADMIN) \
	R(reboot, SYS_BOOT) \
	R(chroot, SYS_CHROOT) \
	R(delete_module, SYS_MODULE) R(finit_module, SYS_MODULE) R(init_module, SYS_MODULE) \
	R(acct, SYS_PACCT) \
	R(kcmp, SYS_PTRACE) R(pidfd_getfd, SYS_PTRACE) R(process_madvise, SYS_PTRACE) \
	R(clock_settime, SYS_TIME) R(settimeofday, SYS_TIME) \
	R(vhangup, SYS_TTY_CONFIG) \
	R(add_key, REFUSE) R(io_uring_enter, REFUSE) R(io_uring_register, REFUSE) \
	R(io_uring_setup, REFUSE) R(kexec_load, REFUSE) R(keyctl, REFUSE) \
	R(migrate_pages, REFUSE) R(move_pages, REFUSE) R(request_key, REFUSE) \
	R(swapoff, REFUSE) R(swapon, REFUSE) R(userfaultfd, REFUSE)

/* Calls that newer architectures left out, and those of the x86 processor. */
#define SECCOMP_RULES_X86(R) \
	R(access, ALLOW) R(alarm, ALLOW) R(arch_prctl, ALLOW) R(chmod, ALLOW) \
	R(chown, ALLOW) R(creat, ALLOW) R(dup2, ALLOW) R(epoll_create, ALLOW) \
	R(epoll_wait, ALLOW) R(eventfd, ALLOW) R(fork, ALLOW) R(futimesat, ALLOW) \
	R(get_thread_area, ALLOW) R(getdents, ALLOW) R(getpgrp, ALLOW) \
	R(inotify_init, ALLOW) R(lchown, ALLOW) R(link, ALLOW) R(lstat, ALLOW) \
	R(mkdir, ALLOW) R(mknod, ALLOW) R(modify_ldt, ALLOW) R(open, ALLOW) R(pause, ALLOW) \
	R(pipe, ALLOW) R(poll, ALLOW) R(readlink, ALLOW) R(rename, ALLOW) R(rmdir, ALLOW) \
	R(select, ALLOW) R(set_thread_area, ALLOW) R(signalfd, ALLOW) R(stat, ALLOW) \
	R(symlink, ALLOW) R(time, ALLOW) R(unlink, ALLOW) R(utime, ALLOW) R(utimes, ALLOW) \
	R(vfork, ALLOW) \
	R(ioperm, SYS_RAWIO) R(iopl, SYS_RAWIO) \
	R(sysfs, REFUSE) R(uselib, REFUSE) R(ustat, REFUSE)

#define SECCOMP_RULES_X86_64(R) \
	R(accept, ALLOW) R(epoll_ctl_old, ALLOW) R(epoll_wait_old, ALLOW) \
	R(newfstatat, ALLOW) R(semop, ALLOW) R(semtimedop, ALLOW) \
	R(kexec_file_load, REFUSE)

/* 32-bit programs: 16-bit ids, 64-bit offsets and times beside the old ones. */
#define SECCOMP_RULES_I386(R) \
	R(_llseek, ALLOW) R(_newselect, ALLOW) R(chown32, ALLOW) R(clock_adjtime64, ALLOW) \
	R(clock_getres_time64, ALLOW) R(clock_gettime64, ALLOW) \
	R(clock_nanosleep_time64, ALLOW) R(fadvise64_64, ALLOW) R(fchown32, ALLOW) \
	R(fcntl64, ALLOW) R(fstat64, ALLOW) R(fstatat64, ALLOW) R(fstatfs64, ALLOW) \
	R(ftruncate64, ALLOW) R(futex_time64, ALLOW) R(getegid32, ALLOW) \
	R(geteuid32, ALLOW) R(getgid32, ALLOW) R(getgroups32, ALLOW) R(getresgid32, ALLOW) \
	R(getresuid32, ALLOW) R(getuid32, ALLOW) R(io_pgetevents_time64, ALLOW) \
	R(ipc, ALLOW) R(lchown32, ALLOW) R(lstat64, ALLOW) R(mmap2, ALLOW) \
	R(mq_timedreceive_time64, ALLOW) R(mq_timedsend_time64, ALLOW) R(nice, ALLOW) \
	R(ppoll_time64, ALLOW) R(pselect6_time64, ALLOW) R(readdir, ALLOW) \
	R(recvmmsg_time64, ALLOW) R(rt_sigtimedwait_time64, ALLOW) \
	R(sched_rr_get_interval_time64, ALLOW) R(semtimedop_time64, ALLOW) \
	R(sendfile64, ALLOW) R(setfsgid32, ALLOW) R(setfsuid32, ALLOW) R(setgid32, ALLOW) \
	R(setgroups32, ALLOW) R(setregid32, ALLOW) R(setresgid32, ALLOW) \
	R(setresuid32, ALLOW) R(setreuid32, ALLOW) R(setuid32, ALLOW) R(sigaction, ALLOW) \
	R(signal, ALLOW) R(sigpending, ALLOW) R(sigprocmask, ALLOW) R(sigreturn, ALLOW) \
	R(sigsuspend, ALLOW) R(socketcall, ALLOW) R(stat64, ALLOW) R(statfs64, ALLOW) \
	R(timer_gettime64, ALLOW) R(timer_settime64, ALLOW) R(timerfd_gettime64, ALLOW) \
	R(timerfd_settime64, ALLOW) R(truncate64, ALLOW) R(ugetrlimit, ALLOW) \
	R(utimensat_time64, ALLOW) R(waitpid, ALLOW) \
	R(umount, SYS_ADMIN) \
	R(clock_settime64, SYS_TIME) R(stime, SYS_TIME) \
	R(bdflush, REFUSE) R(oldfstat, REFUSE) R(oldlstat, REFUSE) R(oldolduname, REFUSE) \
	R(oldstat, REFUSE) R(olduname, REFUSE) R(sgetmask, REFUSE) R(ssetmask, REFUSE) \
	R(vm86, REFUSE) R(vm86old, REFUSE)

#define SECCOMP_RULES_ARM64(R) \
	R(accept, ALLOW) R(newfstatat, ALLOW) R(semop, ALLOW) R(semtimedop, ALLOW) \
	R(kexec_file_load, REFUSE)
/* clang-format on */

/* An element of a table. */
#define SECCOMP_RULE(name, rule) [__NR_##name] = RULE_##rule,

#endif
