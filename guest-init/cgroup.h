// SPDX-License-Identifier: Apache-2.0
/*
 * The container's control group (cgroup v2): its limits, its device rules, and what it used.
 *
 * The hierarchy is mounted where only guest-init sees it; the container sees its own group as the root of a
 * cgroup namespace.
 */
#ifndef MVRUN_GUEST_INIT_CGROUP_H
#define MVRUN_GUEST_INIT_CGROUP_H

#include "guest-init/failure.h"
#include "proto/spec.h"

#include <stdint.h>

struct cgroup {
	int fd; /* of the container's group; -1: none */
};

#define CGROUP_INIT ((struct cgroup){.fd = -1})

/*
 * Mount the hierarchy, attach the device rules, and make the container's group with the limits of the spec. From here
 * on guest-init may open no disk either. A controller that the kernel lacks is a failure only if a limit needs it. The
 * group stays until power-off.
 */
int cgroup_make(struct cgroup *cgroup, const struct spec *spec, struct failure *failure);

struct cgroup_usage {
	uint32_t oom_kills;
	uint64_t memory_peak_bytes;
};

/* What the kernel counted; zeros where it did not. */
struct cgroup_usage cgroup_usage(const struct cgroup *cgroup);

/* Kill whatever is left in the group. */
void cgroup_kill(const struct cgroup *cgroup);

#endif
