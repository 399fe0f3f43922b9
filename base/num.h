// SPDX-License-Identifier: Apache-2.0
/* Checked numbers: parsing what a user or a file wrote, and rounding that cannot wrap. Any thread. */
#ifndef MVRUN_BASE_NUM_H
#define MVRUN_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

/*
 * Parse the whole of text as an unsigned number in base 10 without sign, space or other decoration.
 * 0, or -EINVAL (no number) or -ERANGE (above max); *out is untouched on failure.
 */
int num_parse_u64(const char *text, uint64_t max, uint64_t *out);

/*
 * Parse a size as docker writes it: a decimal such as 512 or 1.5 and an optional suffix b, k, m, g, t (any
 * case, powers of 1024, an optional "b" or "ib" behind it); parts of a byte are dropped. 0, -EINVAL or -ERANGE
 * (does not fit 63 bits).
 */
int num_parse_size(const char *text, uint64_t *bytes);

/*
 * Parse a decimal such as 1.5, .5 or 1. into thousandths (1500); what is less is dropped. 0, -EINVAL, -ERANGE
 * (above max_milli).
 */
int num_parse_milli(const char *text, uint64_t max_milli, uint64_t *milli);

/* Round up to a multiple of align, a power of two. False if the result does not fit. */
bool num_align_up(uint64_t value, uint64_t align, uint64_t *out);

static inline bool num_is_pow2(uint64_t value)
{
	return value && !(value & (value - 1));
}

/* Parse exactly 2 * len lower-case hex digits into bytes. 0 or -EINVAL. */
int num_parse_hex(const char *text, uint8_t *bytes, size_t len);

/* Write 2 * len lower-case hex digits and a NUL to text. */
void num_format_hex(const uint8_t *bytes, size_t len, char *text);

#endif
