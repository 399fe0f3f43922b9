// SPDX-License-Identifier: Apache-2.0
/* Starting another program with exactly the descriptors and signals it is to have. */
#ifndef MVRUN_OCI_RUNTIME_SPAWN_H
#define MVRUN_OCI_RUNTIME_SPAWN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SPAWN_FDS_MAX 4

struct spawn {
	const char *path;
	char *const *argv;
	char *const *env;
	int fds[SPAWN_FDS_MAX]; /* what the child finds at 0, 1, 2, 3; -1: as it is here */
	const sigset_t *mask; /* the child's signal mask; NULL: ours */
	int death_signal; /* sent to the child when this process dies */
	uint64_t namespaces; /* CLONE_NEW*; with CLONE_NEWUSER it is user 0 in there */
	const int *cgroup_fd; /* the directory of the cgroup it is born in; NULL: ours */
	bool session; /* in a session of its own: away from the terminal and its signals */
};

/*
 * Start it. All other descriptors must be close-on-exec. The pid, or -errno: also when the program cannot be
 * executed, in which case nothing is left to wait for. -EPERM, whatever the reason, where the host refuses the
 * namespaces. One thread.
 */
pid_t spawn_program(const struct spawn *spawn);

#endif
