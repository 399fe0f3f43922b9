// SPDX-License-Identifier: Apache-2.0
/* Monotonic time, for durations and deadlines only: never moved by the wall clock. Any thread. */
#ifndef MVRUN_BASE_CLOCK_H
#define MVRUN_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static inline uint64_t clock_now_ms(void)
{
	return clock_now_us() / 1000;
}

#endif
