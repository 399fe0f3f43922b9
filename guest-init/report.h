// SPDX-License-Identifier: Apache-2.0
/*
 * What the container's process tells guest-init on its way to exec: one report "about to exec" (with the
 * terminal's master, if there is one), and one "failed" if something went wrong before or in exec. They
 * travel over a SOCK_SEQPACKET pair whose end, by close-on-exec, means that the program runs.
 */
#ifndef MVRUN_GUEST_INIT_REPORT_H
#define MVRUN_GUEST_INIT_REPORT_H

#include "guest-init/failure.h"

#include <stdbool.h>
#include <stdint.h>

struct report {
	bool failed;
	uint64_t uptime_ns; /* when this was sent */
	struct failure failure;
};

/* passed_fd goes along unless it is -1; it stays the caller's. An error has nobody to be told to. */
void report_send(int fd, const struct report *report, int passed_fd);

/*
 * In the parent, which must have closed its copy of the child's end: wait for the outcome. *passed_fd is the
 * caller's, or -1. A child that died on the way is a failure as well.
 */
void report_await(int fd, struct report *outcome, int *passed_fd);

#endif
