// SPDX-License-Identifier: Apache-2.0
/*
 * System calls that musl has no function for, and the constants that came with them.
 *
 * Each returns what the kernel returns through the C library's convention: -1 and errno.
 */
#ifndef MVRUN_GUEST_INIT_SYS_H
#define MVRUN_GUEST_INIT_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/openat2.h>

/* The numbers of these calls are the same on every architecture we build for. */
#define SYS_NR_OPEN_TREE 428
#define SYS_NR_MOVE_MOUNT 429
#define SYS_NR_CLONE3 435
#define SYS_NR_CLOSE_RANGE 436
#define SYS_NR_OPENAT2 437
#define SYS_NR_MOUNT_SETATTR 442

#define SYS_OPEN_TREE_CLONE 1u
#define SYS_MOVE_MOUNT_F_EMPTY_PATH 0x04u
#define SYS_MOVE_MOUNT_T_EMPTY_PATH 0x40u
#define SYS_MOUNT_ATTR_RDONLY 1u
#define SYS_CLOSE_RANGE_CLOEXEC 4u
#define SYS_AT_RECURSIVE 0x8000u

#define SYS_PIDFD_GET_MNT_NAMESPACE 0xff03 /* _IO(PIDFS_IOCTL_MAGIC, 3), Linux 6.11 */

#define SYS_CLONE_PIDFD 0x00001000ull
#define SYS_CLONE_INTO_CGROUP 0x200000000ull

/* struct clone_args of the kernel, up to its version 2 (88 bytes). */
struct sys_clone_args {
	uint64_t flags;
	uint64_t pidfd;
	uint64_t child_tid;
	uint64_t parent_tid;
	uint64_t exit_signal;
	uint64_t stack;
	uint64_t stack_size;
	uint64_t tls;
	uint64_t set_tid;
	uint64_t set_tid_size;
	uint64_t cgroup;
};

/* struct mount_attr of the kernel. */
struct sys_mount_attr {
	uint64_t set;
	uint64_t clear;
	uint64_t propagation;
	uint64_t userns_fd;
};

static inline int sys_openat2(int dir_fd, const char *path, struct open_how *how)
{
	return (int)syscall(SYS_NR_OPENAT2, dir_fd, path, how, sizeof(*how));
}

static inline int sys_clone3(struct sys_clone_args *args)
{
	return (int)syscall(SYS_NR_CLONE3, args, sizeof(*args));
}

static inline int sys_close_range(unsigned int first, unsigned int last, unsigned int flags)
{
	return (int)syscall(SYS_NR_CLOSE_RANGE, first, last, flags);
}

/* A detached copy of the mount (and of those below it, with SYS_AT_RECURSIVE) that fd lies on. */
static inline int sys_open_tree_clone(int fd, unsigned int flags)
{
	return (int)syscall(
		SYS_NR_OPEN_TREE, fd, "", SYS_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | flags);
}

/* Attach a detached mount over what target_fd refers to. */
static inline int sys_move_mount(int mount_fd, int target_fd)
{
	return (int)syscall(SYS_NR_MOVE_MOUNT, mount_fd, "", target_fd, "",
		SYS_MOVE_MOUNT_F_EMPTY_PATH | SYS_MOVE_MOUNT_T_EMPTY_PATH);
}

static inline int sys_mount_set_read_only(int mount_fd, unsigned int flags)
{
	struct sys_mount_attr attr = {.set = SYS_MOUNT_ATTR_RDONLY};

	return (int)syscall(SYS_NR_MOUNT_SETATTR, mount_fd, "", AT_EMPTY_PATH | flags, &attr, sizeof(attr));
}

/* Nanoseconds since the kernel started. */
static inline uint64_t sys_uptime_ns(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

#endif
