// SPDX-License-Identifier: Apache-2.0
/*
 * A cgroup (version 2) for one machine monitor, where this host lets us have one: so that whatever a guest does, its
 * machine takes no more of the host than was agreed.
 *
 * It is made beside our own cgroup, below the same limits, under the name mvrun-ID: as root below systemd's slices or the
 * root of the hierarchy, as a user where systemd delegated the slice above us. Where there is no such place (version 1, a
 * login without delegation) the machine runs without: its memory is bounded by the guest's RAM all the same.
 *
 * Its directory is locked (flock) as long as we live. One whose lock is free was left behind by a process that was
 * killed, and is removed at the end of whoever comes next.
 */
#ifndef MVRUN_OCI_RUNTIME_CGROUP_H
#define MVRUN_OCI_RUNTIME_CGROUP_H

#include <stdint.h>

struct cgroup {
	int parent_fd;
	int fd; /* -1: there is none */
	char name[32];
};

#define CGROUP_INIT ((struct cgroup){.parent_fd = -1, .fd = -1})

/* All in units of the kernel's files (Documentation/admin-guide/cgroup-v2.rst). */
struct cgroup_limits {
	uint64_t memory_bytes;
	uint32_t pids;
	uint32_t cpus; /* so many processors' time */
};

/*
 * Make one for the container id and set its limits. 0, or -errno when it cannot be had, in which case nothing is left
 * of it. One thread.
 */
int cgroup_make(struct cgroup *cgroup, const char *id, const struct cgroup_limits *limits);

/* Take it away again, at once or a little later. Its processes must be gone. Harmless when there is none. */
void cgroup_remove(struct cgroup *cgroup);

#endif
