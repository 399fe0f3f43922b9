// SPDX-License-Identifier: Apache-2.0
/*
 * What needs more than one thread: memory that changes while it is looked at, and registers written at
 * once.
 */
#ifndef MVRUN_TESTS_HOSTILE_HARNESS_THREADS_H
#define MVRUN_TESTS_HOSTILE_HARNESS_THREADS_H

#include "tests/hostile/harness/machine.h"

/*
 * On every device for about seconds in all: Q10, memory changes when it is looked at (looks.h); Q10 again,
 * while one thread has the devices process random chains, another changes descriptors, rings and headers;
 * M6, one resets and works while another rings doorbells. Not for ThreadSanitizer in the first half: a
 * guest that changes its memory is a race, on purpose.
 */
void threads_run(struct machine *m, struct hostile *h, uint64_t seconds);

#endif
