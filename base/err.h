// SPDX-License-Identifier: Apache-2.0
/*
 * The error a user will read.
 *
 * Leaf code returns 0 or -errno. Code that knows what it was doing for the user owns a struct err: the place
 * where things went wrong sets it once, every caller on the way up may wrap it with what it was about, and
 * the outermost one prints it once, on one line:
 *
 *	attach disk rootfs: open layers/ab/cd.data: No space left on device
 *
 * An err lives in its owner's storage (no heap, so it works when memory is short), starts as ERR_INIT, and is
 * written by one thread. Text longer than the buffer is cut at the end. What is no UTF-8, controls (of ASCII and of C1)
 * and marks that turn the direction of writing become '?', so that names taken from an image cannot forge a second line,
 * drive a terminal or look like another name.
 */
#ifndef MVRUN_BASE_ERR_H
#define MVRUN_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

#define ERR_TEXT_MAX 768

struct err {
	int code; /* a positive errno value, 0 while nothing has failed */
	char text[ERR_TEXT_MAX];
};

#define ERR_INIT ((struct err){0})

/*
 * Record a failure. code is a positive errno value (EINVAL where none fits); the text says what failed and,
 * where there is something, what to do. Overwrites an earlier failure. err may be NULL. Returns -code.
 */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * As err_set, with ": " and the system's text for code (positive or negative errno) appended. Returns
 * -|code|.
 */
int err_sys(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Put "context: " in front of a recorded failure. Returns -err->code, so a caller can end with it. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
