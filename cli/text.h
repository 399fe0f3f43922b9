// SPDX-License-Identifier: Apache-2.0
/* How people read sizes, ages and names. Pure functions, any thread. */
#ifndef MVRUN_CLI_TEXT_H
#define MVRUN_CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* A size as docker prints it: three significant digits, powers of 1000 ("4.26MB"). */
void text_size(uint64_t bytes, char *out, size_t cap);

/* How long seconds are, in the largest whole unit ("3 weeks"), as docker prints it. */
void text_duration(uint64_t seconds, char *out, size_t cap);

/*
 * Seconds since 1970 of an RFC 3339 date and time (fraction ignored). 0, or -EINVAL if text is none, or one
 * before 1970.
 */
int text_parse_time(const char *text, uint64_t *seconds);

/* Seconds since 1970 as RFC 3339 in UTC ("2026-01-31T12:00:00Z"). */
void text_time(uint64_t seconds, char *out, size_t cap);

#endif
