// SPDX-License-Identifier: Apache-2.0
/*
 * The steps by which a process gives up what it could do. Each is a function of its own, for good, and inherited by
 * every process and thread that comes after. They are called by a process that still has one thread.
 *
 * Theory of operation. A process that is to face hostile bytes is started in new namespaces (child.h), or unshares
 * them, and then walls itself in from the outside to the inside, since each step takes away what an earlier one needs:
 *
 *	confine_descriptors   nothing open but what was handed over
 *	confine_root          an empty, read-only file system
 *	confine_identity      another user, when root started us
 *	confine_capabilities  none, nor any way to get one
 *	confine_process       no new privileges, no core, no ptrace; dies with its parent
 *	confine_landlock      no file, no TCP port, no abstract socket, no signal to anyone else
 *	confine_limit         as few descriptors, processes and bytes of file as it needs
 *	filter_install        no system call but those of a table (filter.h)
 *
 * All return 0 or -errno and print nothing.
 */
#ifndef MVRUN_JAIL_CONFINE_H
#define MVRUN_JAIL_CONFINE_H

#include <stdint.h>
#include <sys/types.h>

/*
 * What a jail is made of and a host can lack. A set of these says what is wanted, what was reached, and what somebody
 * allowed to be missing. What no Linux we run on lacks is not listed, and never optional: no_new_privs, no
 * capabilities, seccomp, resource limits.
 */
enum jail_part {
	JAIL_NAMESPACES = 1 << 0, /* mount, pid, net, ipc, uts of its own; with them an empty root */
	JAIL_USER = 1 << 1, /* a user namespace in which to have them (rootless) */
	JAIL_UID = 1 << 2, /* a user id that nothing else has (root only) */
	JAIL_LANDLOCK = 1 << 3,
	JAIL_CGROUP = 1 << 4, /* limits of a cgroup of its own */
};

#define JAIL_PARTS 5

/* A word for one part: "namespaces", "landlock", ... NULL for what is none. */
const char *jail_part_name(unsigned part);

/* Close every descriptor from first on. */
int confine_descriptors(unsigned first);

/*
 * New namespaces for the calling process itself (CLONE_NEW*, not CLONE_NEWPID). With CLONE_NEWUSER among them it is
 * user and group 0 inside afterwards.
 */
int confine_namespaces(int namespaces);

/*
 * Leave the file system: / becomes an empty, read-only one, and nothing of the old one can be reached but through
 * descriptors that are open. In a mount namespace of its own, with CAP_SYS_ADMIN in it.
 */
int confine_root(void);

/*
 * Become user uid and group gid, without supplementary groups, but with the capabilities there are: give those up
 * next. Needs CAP_SETUID, CAP_SETGID and CAP_SETPCAP.
 */
int confine_identity(uid_t uid, gid_t gid);

/* Give up all capabilities in all sets, and lock the ways in which user 0 would get them back. */
int confine_capabilities(void);

/* no_new_privs, not dumpable, SIGKILL when the parent dies (0: no), no core file. After confine_identity(). */
int confine_process(int death_signal);

/*
 * Everything that this kernel's Landlock can forbid is forbidden. Its version (1 or more), or -errno: -EOPNOTSUPP or
 * -ENOSYS where it is off or not there. After confine_process().
 */
int confine_landlock(void);

/* Both limits of a resource (RLIMIT_*, getrlimit(2)) to value, or to what they are if that is less. */
int confine_limit(int resource, uint64_t value);

#endif
