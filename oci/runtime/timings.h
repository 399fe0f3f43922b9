// SPDX-License-Identifier: Apache-2.0
/* When a run reached each of its phases, for --timings. */
#ifndef MVRUN_OCI_RUNTIME_TIMINGS_H
#define MVRUN_OCI_RUNTIME_TIMINGS_H

#include "proto/frame.h"
#include "vmm/machine.h"

#include <stdint.h>

enum timing {
	TIMING_SPAWNED, /* the monitor's process exists */
	TIMING_GUEST_UP, /* guest-init has said HELLO */
	TIMING_STARTED, /* the container's process was started */
	TIMING_EXITED,
	TIMING_DONE, /* nothing is left */
	TIMINGS,
};

struct timings {
	uint64_t start_us; /* CLOCK_MONOTONIC */
	uint64_t at_us[TIMINGS]; /* 0: not reached */
};

void timings_init(struct timings *timings, uint64_t start_us);
void timings_stamp(struct timings *timings, enum timing timing);

/* One line per phase to standard error: milliseconds since the start and since the phase before, name. */
void timings_print(
	const struct timings *timings, const struct vmm_exit *exit, const struct proto_hello *hello);

#endif
