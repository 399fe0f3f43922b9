// SPDX-License-Identifier: Apache-2.0
/*
 * What one mvrun tells others about the container it runs: a line of JSON in the file by which the container's name is
 * claimed (claim.h). As true as its writer, so what matters is looked up in /proc again by whoever reads it.
 */
#ifndef MVRUN_OCI_RUNTIME_RUNNING_H
#define MVRUN_OCI_RUNTIME_RUNNING_H

#include "base/err.h"
#include "oci/runtime/claim.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct running {
	char id[65];
	pid_t pid; /* of mvrun */
	pid_t monitor_pid; /* of mvrun-vmm; 0: not yet */
	uint32_t jail_best; /* enum jail_part: what a host can do for us */
	uint32_t jail_reached;
};

/* What the kernel says of a monitor's confinement. */
struct confinement {
	unsigned uid;
	unsigned seccomp; /* 2: filtered */
	bool no_new_privs;
	uint64_t capabilities; /* of all sets together */
};

/* Write it down for the claimed name, in place of what was there. Harmless when nothing is claimed. */
void running_note(const struct claim *claim, const struct running *running);

/* What runs under a name. -ENOENT with err set when nothing does. */
int running_find(const char *name, struct running *running, struct err *err);

/* How the monitor is confined now. -ESRCH when there is no such process of that name any more. */
int running_confinement(const struct running *running, struct confinement *confinement);

#endif
