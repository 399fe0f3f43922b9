// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* Take decimal digits off *text. 0, -EINVAL where there is none, -ERANGE where they do not fit. */
static int digits_take(const char **text, uint64_t *out)
{
	const char *at = *text;
	uint64_t value = 0;

	if (*at < '0' || *at > '9')
		return -EINVAL;
	for (; *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return -ERANGE;
	}
	*text = at;
	*out = value;
	return 0;
}

int num_parse_u64(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t value;
	int ret = digits_take(&text, &value);

	if (ret)
		return ret;
	if (*text)
		return -EINVAL;
	if (value > max)
		return -ERANGE;
	*out = value;
	return 0;
}

/*
 * Take a decimal such as 1.5, .5 or 1. off *text and multiply it by unit (at most 2^40), rounding down. As
 * digits_take.
 */
static int decimal_take(const char **text, uint64_t unit, uint64_t *out)
{
	const char *at = *text, *point, *end;
	uint64_t whole = 0, part = 0;
	int ret = *at == '.' ? 0 : digits_take(&at, &whole);

	if (ret)
		return ret;
	point = end = at;
	if (*point == '.') {
		for (end++; *end >= '0' && *end <= '9'; end++)
			;
		if (end == *text + 1)
			return -EINVAL;
	}
	/* From the last digit to the first, so that no more than one is ever in flight, and the result exact. */
	for (at = end - 1; at > point; at--)
		part = ((uint64_t)(*at - '0') * unit + part) / 10;
	if (__builtin_mul_overflow(whole, unit, &whole) || __builtin_add_overflow(whole, part, &whole))
		return -ERANGE;
	*text = end;
	*out = whole;
	return 0;
}

/* The power of two a size suffix stands for, or -1. */
static int suffix_shift(const char *suffix)
{
	static const char units[] = "kmgt";

	if (!*suffix || !strcasecmp(suffix, "b"))
		return 0;
	for (int i = 0; units[i]; i++) {
		if ((suffix[0] | 0x20) != units[i])
			continue;
		if (!suffix[1] || !strcasecmp(suffix + 1, "b") || !strcasecmp(suffix + 1, "ib"))
			return 10 * (i + 1);
	}
	return -1;
}

int num_parse_size(const char *text, uint64_t *bytes)
{
	int ret, shift = suffix_shift(text + strspn(text, "0123456789."));
	uint64_t value;

	if (shift < 0)
		return -EINVAL;
	ret = decimal_take(&text, UINT64_C(1) << shift, &value);
	if (ret)
		return ret;
	/* What is left is the suffix, unless there was a second point. */
	if (*text == '.')
		return -EINVAL;
	if (value > INT64_MAX)
		return -ERANGE;
	*bytes = value;
	return 0;
}

int num_parse_milli(const char *text, uint64_t max_milli, uint64_t *milli)
{
	uint64_t value;
	int ret = decimal_take(&text, 1000, &value);

	if (ret)
		return ret;
	if (*text)
		return -EINVAL;
	if (value > max_milli)
		return -ERANGE;
	*milli = value;
	return 0;
}

bool num_align_up(uint64_t value, uint64_t align, uint64_t *out)
{
	uint64_t sum;

	if (__builtin_add_overflow(value, align - 1, &sum))
		return false;
	*out = sum & ~(align - 1);
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int num_parse_hex(const char *text, uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int high = hex_digit(text[2 * i]);
		int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return -EINVAL;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return text[2 * len] ? -EINVAL : 0;
}

void num_format_hex(const uint8_t *bytes, size_t len, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[2 * len] = '\0';
}
