// SPDX-License-Identifier: Apache-2.0
/*
 * Which jail the machine monitor gets on this host, and the half of it that only its parent can make: namespaces, a user
 * id, a cgroup. The other half is vmm/jail.h.
 */
#ifndef MVRUN_OCI_RUNTIME_JAIL_PLAN_H
#define MVRUN_OCI_RUNTIME_JAIL_PLAN_H

#include "jail/confine.h"
#include "vmm/machine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jail_plan {
	struct vmm_jail jail;
	uint64_t namespaces; /* CLONE_NEW* */
};

/*
 * The best jail for this process: root makes namespaces directly and gives the monitor a user id of its own, everybody
 * else makes them inside a user namespace. degraded: the user allows what this host cannot do to be missing.
 */
void jail_plan_make(struct jail_plan *plan, bool degraded);

/*
 * The host refused the namespaces: fall back to the next best plan. False when there is none that is allowed.
 */
bool jail_plan_lower(struct jail_plan *plan);

/* Names of the parts, separated by ", ", into out; "" for none. */
void jail_parts_text(uint32_t parts, char *out, size_t cap);

#endif
