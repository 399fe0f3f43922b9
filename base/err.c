// SPDX-License-Identifier: Apache-2.0
#include "base/err.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The character of UTF-8 that text begins with, in *out, and how many bytes it has; 0 if it begins with none. */
static size_t character_read(const char *text, uint32_t *out)
{
	static const struct {
		uint32_t lead, mask, least;
	} forms[] = {{0x00, 0x80, 0}, {0xc0, 0xe0, 0x80}, {0xe0, 0xf0, 0x800}, {0xf0, 0xf8, 0x10000}};
	const unsigned char *at = (const unsigned char *)text;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		uint32_t c = at[0] & ~forms[i].mask;

		if ((at[0] & forms[i].mask) != forms[i].lead)
			continue;
		for (size_t k = 1; k <= i; k++) {
			if ((at[k] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (at[k] & 0x3f);
		}
		*out = c;
		return c >= forms[i].least && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) ? i + 1 : 0;
	}
	return 0;
}

/* Controls of both kinds, which terminals act on; marks that end a line or turn the direction of writing around. */
static bool character_acts(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/*
 * Names from images and words of guests end up in error texts: keep them from writing a line or an escape of their own,
 * or from looking like something else.
 */
static void text_sanitise(char *text)
{
	char *to = text;

	while (*text) {
		uint32_t c = 0;
		size_t len = character_read(text, &c);

		if (!len || character_acts(c)) {
			*to++ = '?';
			text += len ? len : 1;
			continue;
		}
		memmove(to, text, len);
		to += len;
		text += len;
	}
	*to = '\0';
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	code = abs(code);
	if (!err)
		return -code;
	err->code = code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	text_sanitise(err->text);
	return -code;
}

int err_sys(struct err *err, int code, const char *fmt, ...)
{
	size_t used;
	va_list ap;

	code = abs(code);
	if (!err)
		return -code;
	err->code = code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(code));
	text_sanitise(err->text);
	return -code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char inner[ERR_TEXT_MAX];
	size_t used;
	va_list ap;

	if (!err)
		return -EINVAL;
	memcpy(inner, err->text, sizeof(inner));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", inner);
	text_sanitise(err->text);
	return -err->code;
}
