// SPDX-License-Identifier: Apache-2.0
/* Starting a process in namespaces and a cgroup of its own, without a moment outside them. */
#ifndef MVRUN_JAIL_CHILD_H
#define MVRUN_JAIL_CHILD_H

#include <stdint.h>
#include <sys/types.h>

/*
 * vfork with namespaces: the child borrows our memory and our stack until it execs or ends, and we stand still
 * meanwhile. It runs run(ctx), which must not return: it makes system calls and execs or _exits. namespaces is a set of
 * CLONE_NEW*; cgroup_fd is the directory of a cgroup (version 2) that the child is born in, or -1.
 *
 * The child's pid, or -errno: EPERM, ENOSPC, EUSERS where this host does not let us (user_namespaces(7)), ENOSYS before
 * Linux 5.3. One thread.
 */
pid_t child_start(uint64_t namespaces, int cgroup_fd, void (*run)(void *ctx), void *ctx);

/*
 * To be called by the first process of a new user namespace: become its user and group 0, which are those we have
 * outside (uid, gid). Makes system calls only. 0 or -errno.
 */
int child_map_ids(uid_t uid, gid_t gid);

#endif
