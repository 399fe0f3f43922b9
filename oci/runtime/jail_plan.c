// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/jail_plan.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

/*
 * Every process has a pid, and none that lives has another's: so the pid makes a user id that no other monitor has, with
 * nothing to be allocated and nothing to be given back. The range starts above those that distributions, systemd and
 * container engines hand out (systemd.io/UIDS-GIDS), and pids are less than 2^22.
 */
#define UID_BASE 2000000000u

/* In the namespace where all user ids are: only there can any of them be taken. */
static bool ids_all_there(void)
{
	static const char all[] = "         0          0 4294967295\n"; /* user_namespaces(7) */
	char text[sizeof(all)];
	int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (fd >= 0)
		close(fd);
	return n == sizeof(all) - 1 && memcmp(text, all, sizeof(all) - 1) == 0;
}

void jail_plan_make(struct jail_plan *plan, bool degraded)
{
	*plan = (struct jail_plan){.namespaces = NAMESPACES};
	plan->jail.wanted = JAIL_NAMESPACES | JAIL_LANDLOCK;
	if (geteuid() == 0 && ids_all_there()) {
		plan->jail.wanted |= JAIL_UID;
		plan->jail.uid = plan->jail.gid = UID_BASE + (uint32_t)getpid();
	} else {
		plan->jail.wanted |= JAIL_USER;
		plan->namespaces |= CLONE_NEWUSER;
	}
	if (degraded)
		plan->jail.optional = plan->jail.wanted;
}

bool jail_plan_lower(struct jail_plan *plan)
{
	struct vmm_jail *jail = &plan->jail;

	/* Root that may not make namespaces (in somebody's container) is like any other user. */
	if (plan->namespaces && !(plan->namespaces & CLONE_NEWUSER)) {
		bool degraded = jail->optional;

		plan->namespaces |= CLONE_NEWUSER;
		*jail = (struct vmm_jail){.wanted = JAIL_NAMESPACES | JAIL_USER | JAIL_LANDLOCK};
		jail->optional = degraded ? jail->wanted : 0;
		return true;
	}
	if (!plan->namespaces || !(jail->optional & JAIL_NAMESPACES))
		return false;
	plan->namespaces = 0;
	jail->wanted &= ~(uint32_t)(JAIL_NAMESPACES | JAIL_USER);
	jail->optional &= jail->wanted;
	return true;
}

void jail_parts_text(uint32_t parts, char *out, size_t cap)
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < JAIL_PARTS && len < cap; i++) {
		if (parts & 1u << i)
			len += (size_t)snprintf(
				out + len, cap - len, "%s%s", len ? ", " : "", jail_part_name(1u << i));
	}
}
