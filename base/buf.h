// SPDX-License-Identifier: Apache-2.0
/*
 * A byte buffer that grows up to a limit its owner sets, and remembers having failed.
 *
 * Appending to a failed buffer does nothing, so a writer can append a whole message and look at buf_error()
 * once.
 */
#ifndef MVRUN_BASE_BUF_H
#define MVRUN_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	size_t max;
	int error; /* 0, -ENOMEM, or -EMSGSIZE when max was reached */
};

/* Caller's storage; holds at most max bytes. */
void buf_init(struct buf *buf, size_t max);
void buf_done(struct buf *buf);

void buf_append(struct buf *buf, const void *data, size_t len);
void buf_append_text(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Drop the first len bytes (at most buf->len). */
void buf_consume(struct buf *buf, size_t len);

/* The contents as a C string; valid until the next append. NULL if the buffer has failed. */
const char *buf_text(struct buf *buf);

static inline int buf_error(const struct buf *buf)
{
	return buf->error;
}

#endif
