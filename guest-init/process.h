// SPDX-License-Identifier: Apache-2.0
/*
 * The way from clone3() to the container's program: the new process makes its own root, mounts, identity and
 * limits, in the order of process.c, and tells its parent how it went (report.h).
 */
#ifndef MVRUN_GUEST_INIT_PROCESS_H
#define MVRUN_GUEST_INIT_PROCESS_H

#include "proto/spec.h"

#include <stdnoreturn.h>

struct process_start {
	const struct spec *spec;
	int report_fd; /* the child's end of a report's pair */
	int stdio[3]; /* what becomes 0, 1, 2; -1: /dev/null. Not used with a terminal. */
};

/* In the child; ends in exec or _exit(). */
noreturn void process_main(const struct process_start *start);

#endif
