// SPDX-License-Identifier: Apache-2.0
/*
 * Why a container could not be started, in the form in which the host is told (struct proto_start_failed).
 *
 * One struct failure belongs to one attempt. The place where something went wrong fills it in; everybody
 * above returns. Texts name the step and, for what the image or the user can be blamed for, the object.
 *
 * Engines read these texts for "no such file or directory" and "permission denied" to tell 127 and 126 from
 * the rest, so a failure of set-up never uses those words: failure_set() has its own for them. Only exec.c,
 * which means them, writes them out.
 */
#ifndef MVRUN_GUEST_INIT_FAILURE_H
#define MVRUN_GUEST_INIT_FAILURE_H

#include "proto/frame.h"

#include <stdint.h>

#define FAILURE_SETUP 125
#define FAILURE_NOT_EXECUTABLE 126
#define FAILURE_NOT_FOUND 127

struct failure {
	uint32_t exit_status;
	int error; /* positive errno, 0 where there is none */
	char text[PROTO_TEXT_MAX];
};

/*
 * Join the NULL-terminated parts and, when error is not 0, ": " and what the error means. Cut at the end if
 * too long; control bytes become '?'. Returns -error, or -EINVAL when error is 0, so that callers can end
 * with it.
 */
int failure_set(struct failure *failure, uint32_t exit_status, int error, const char *const parts[]);

/* A step of the set-up failed with an errno value. */
#define setup_failed(failure, error, ...)                                                                    \
	failure_set(failure, FAILURE_SETUP, error, (const char *const[]){__VA_ARGS__, NULL})

/* Join the NULL-terminated parts into out, cut to its size. Returns the length. */
size_t text_join(char *out, size_t size, const char *const parts[]);

/* Decimal digits of value; the text lives in room. */
#define TEXT_U64_BYTES 21
const char *text_u64(uint64_t value, char room[TEXT_U64_BYTES]);

#endif
