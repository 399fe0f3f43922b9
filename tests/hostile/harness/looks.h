// SPDX-License-Identifier: Apache-2.0
/*
 * Q10 without luck: memory that changes exactly when it is looked at.
 *
 * Two threads seldom meet in the few nanoseconds between two looks at the same word. Where the compiler can
 * be told to call a function before each load (-fsanitize-coverage=trace-loads), that function changes the
 * word that is about to be loaded: code that looks twice sees two different things, every time.
 */
#ifndef MVRUN_TESTS_HOSTILE_HARNESS_LOOKS_H
#define MVRUN_TESTS_HOSTILE_HARNESS_LOOKS_H

#include <stdbool.h>
#include <stdint.h>

/* From now on, words of rings and headers in memory change when they are looked at; NULL: no more. */
void looks_watch(uint8_t *memory);

/* Is it the devices that look? Kept by machine.c around all that they do. */
extern bool looks_inside;

/* Words that were changed, ever. 0 where the compiler was not told. */
uint64_t looks_changed(void);

#endif
