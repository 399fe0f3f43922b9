// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){.max = max};
}

void buf_done(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){.max = buf->max};
}

/* Make room for len more bytes and a NUL. */
static int buf_reserve(struct buf *buf, size_t len)
{
	size_t need, cap = buf->cap ? buf->cap : 256;
	uint8_t *grown;

	if (buf->error)
		return buf->error;
	if (len > buf->max - buf->len)
		return buf->error = -EMSGSIZE;
	need = buf->len + len + 1;
	if (need <= buf->cap)
		return 0;
	while (cap < need)
		cap *= 2;
	grown = realloc(buf->data, cap);
	if (!grown)
		return buf->error = -ENOMEM;
	buf->data = grown;
	buf->cap = cap;
	return 0;
}

void buf_append(struct buf *buf, const void *data, size_t len)
{
	if (buf_reserve(buf, len))
		return;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
}

void buf_append_text(struct buf *buf, const char *text)
{
	buf_append(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0 || buf_reserve(buf, (size_t)len))
		return;
	va_start(ap, fmt);
	vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, fmt, ap);
	va_end(ap);
	buf->len += (size_t)len;
}

void buf_consume(struct buf *buf, size_t len)
{
	if (len > buf->len)
		len = buf->len;
	if (len)
		memmove(buf->data, buf->data + len, buf->len - len);
	buf->len -= len;
}

const char *buf_text(struct buf *buf)
{
	if (buf_reserve(buf, 0))
		return NULL;
	buf->data[buf->len] = '\0';
	return (const char *)buf->data;
}
