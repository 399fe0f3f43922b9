// SPDX-License-Identifier: Apache-2.0
/* pax extended headers: "length key=value\n" records (POSIX.1-2017, pax, "pax Extended Header"). */
#include "oci/image/tar_parts.h"

#include <errno.h>
#include <string.h>

#define SCHILY_XATTR "SCHILY.xattr."
#define LIBARCHIVE_XATTR "LIBARCHIVE.xattr."
#define XATTR_NAME_MAX 255

struct record {
	const char *key;
	size_t key_len;
	const char *value;
	size_t len;
};

int tar_decimal(const char *text, size_t len, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (!len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
			return -ERANGE;
	}
	if (value > max)
		return -ERANGE;
	*out = value;
	return 0;
}

/* Seconds with an optional sign and fraction; more than nine digits of it are cut off. */
static int time_parse(const char *text, size_t len, int64_t *seconds, uint32_t *nsec)
{
	bool negative = len && text[0] == '-';
	size_t start = negative ? 1 : 0, whole = start;
	uint64_t value, fraction = 0;
	uint32_t scale = 100000000;

	while (whole < len && text[whole] != '.')
		whole++;
	if (tar_decimal(text + start, whole - start, INT64_MAX / 2, &value))
		return -EINVAL;
	for (size_t i = whole + 1; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		fraction += (uint64_t)(text[i] - '0') * scale;
		scale /= 10;
	}
	*seconds = negative ? -(int64_t)value : (int64_t)value;
	*nsec = (uint32_t)fraction;
	/* -1.25 is one and three quarters of a second before -1 is over. */
	if (negative && fraction) {
		*seconds -= 1;
		*nsec = 1000000000 - (uint32_t)fraction;
	}
	return 0;
}

static bool key_is(const struct record *record, const char *key)
{
	return record->key_len == strlen(key) && memcmp(record->key, key, record->key_len) == 0;
}

static bool key_begins(const struct record *record, const char *prefix)
{
	return record->key_len > strlen(prefix) && memcmp(record->key, prefix, strlen(prefix)) == 0;
}

/* ---- extended attributes ---- */

/* Drop an attribute that was given before: the last one counts. */
static void xattr_drop(struct buf *xattrs, const char *name)
{
	size_t at = 0;

	while (at < xattrs->len) {
		size_t name_len = strlen((char *)xattrs->data + at) + 1, whole;
		uint32_t value_len;

		memcpy(&value_len, xattrs->data + at + name_len, sizeof(value_len));
		whole = name_len + sizeof(value_len) + value_len;
		if (strcmp((char *)xattrs->data + at, name) != 0) {
			at += whole;
			continue;
		}
		memmove(xattrs->data + at, xattrs->data + at + whole, xattrs->len - at - whole);
		xattrs->len -= whole;
		return;
	}
}

static int xattr_add(struct tar *tar, const char *name, const void *value, size_t len, struct err *err)
{
	struct buf *xattrs = &tar->pending.xattrs;
	uint32_t value_len = (uint32_t)len;

	if (buf_error(xattrs))
		return 0;
	if (len > UINT16_MAX)
		return tar_bad(tar, err, "an extended attribute of more than 64 KiB");
	xattr_drop(xattrs, name);
	buf_append(xattrs, name, strlen(name) + 1);
	buf_append(xattrs, &value_len, sizeof(value_len));
	buf_append(xattrs, value, len);
	return 0;
}

static int xattr_schily(struct tar *tar, const struct record *record, struct err *err)
{
	size_t prefix = strlen(SCHILY_XATTR), len = record->key_len - prefix;
	char name[XATTR_NAME_MAX + 1];

	if (len > XATTR_NAME_MAX || memchr(record->key, '\0', record->key_len))
		return tar_bad(tar, err, "bad name of an extended attribute");
	memcpy(name, record->key + prefix, len);
	name[len] = '\0';
	return xattr_add(tar, name, record->value, record->len, err);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Names in LIBARCHIVE.xattr are URL-encoded. */
static int name_decode(const char *in, size_t len, char out[static XATTR_NAME_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = in[i];

		if (c == '%') {
			int high = i + 2 < len ? hex_digit(in[i + 1]) : -1;
			int low = high >= 0 ? hex_digit(in[i + 2]) : -1;

			if (low < 0)
				return -EINVAL;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (!c || n == XATTR_NAME_MAX)
			return -EINVAL;
		out[n++] = c;
	}
	out[n] = '\0';
	return n ? 0 : -EINVAL;
}

static int base64_digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Base 64 with or without '=' at the end. The number of bytes, or -EINVAL. */
static ssize_t base64_decode(const char *in, size_t len, struct buf *out)
{
	uint32_t bits = 0, count = 0;

	while (len && in[len - 1] == '=')
		len--;
	for (size_t i = 0; i < len; i++) {
		int digit = base64_digit(in[i]);

		if (digit < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)digit;
		count += 6;
		if (count >= 8) {
			uint8_t byte = (uint8_t)(bits >> (count - 8));

			buf_append(out, &byte, 1);
			count -= 8;
		}
	}
	return buf_error(out) ? -EINVAL : (ssize_t)out->len;
}

static int xattr_libarchive(struct tar *tar, const struct record *record, struct err *err)
{
	size_t prefix = strlen(LIBARCHIVE_XATTR);
	char name[XATTR_NAME_MAX + 1];
	struct buf value;
	int ret;

	buf_init(&value, UINT16_MAX);
	if (name_decode(record->key + prefix, record->key_len - prefix, name) ||
		base64_decode(record->value, record->len, &value) < 0)
		ret = tar_bad(tar, err, "bad extended attribute");
	else
		ret = xattr_add(tar, name, value.data, value.len, err);
	buf_done(&value);
	return ret;
}

/* ---- records ---- */

static int text_store(
	struct tar *tar, const struct record *record, struct buf *to, bool *has, struct err *err)
{
	if (memchr(record->value, '\0', record->len))
		return tar_bad(tar, err, "a name with a NUL byte");
	to->len = 0;
	buf_append(to, record->value, record->len);
	/* An empty value takes back what was said before. */
	*has = record->len != 0;
	return 0;
}

static int number_store(
	struct tar *tar, const struct record *record, uint64_t max, uint64_t *to, bool *has, struct err *err)
{
	*has = record->len != 0;
	if (record->len && tar_decimal(record->value, record->len, max, to))
		return tar_bad(tar, err, "a pax header with a number that is none or does not fit");
	return 0;
}

/* GNU.sparse.map (0.1): "offset,size,offset,size". */
static int map_store(struct tar *tar, const struct record *record, struct err *err)
{
	const char *at = record->value, *end = at + record->len;
	uint64_t pair[2];
	unsigned int n = 0;

	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		size_t len = (size_t)((comma ? comma : end) - at);

		if (tar_decimal(at, len, TAR_SIZE_MAX, &pair[n & 1]))
			return tar_bad(tar, err, "bad map of a sparse file");
		if (n++ & 1) {
			int ret = tar_piece_add(tar, pair[0], pair[1], err);

			if (ret)
				return ret;
		}
		at += len + 1;
	}
	return n & 1 ? tar_bad(tar, err, "bad map of a sparse file") : 0;
}

/* GNU.sparse.offset and .numbytes (0.0) come in pairs, again and again: here alone the order counts. */
static int piece_store(struct tar *tar, const struct record *record, bool offset, struct err *err)
{
	struct tar_pending *pending = &tar->pending;
	struct tar_piece *last;
	uint64_t value;

	if (offset == pending->piece_open || tar_decimal(record->value, record->len, TAR_SIZE_MAX, &value))
		return tar_bad(tar, err, "bad map of a sparse file");
	pending->piece_open = offset;
	if (offset)
		return tar_piece_add(tar, value, 0, err);
	last = (struct tar_piece *)(void *)(pending->pieces.data + pending->pieces.len) - 1;
	last->bytes = value;
	return 0;
}

static int sparse_record(struct tar *tar, const struct record *record, struct err *err)
{
	struct tar_pending *pending = &tar->pending;
	uint64_t value = 0;
	bool has = false;
	int ret = 0;

	if (key_is(record, "GNU.sparse.name")) {
		/* It is the true name wherever it stands, and "path" a made-up one. */
		ret = text_store(tar, record, &pending->path, &has, err);
		pending->has_path = pending->has_sparse_name = has;
	} else if (key_is(record, "GNU.sparse.realsize") || key_is(record, "GNU.sparse.size")) {
		ret = number_store(
			tar, record, TAR_SIZE_MAX, &pending->realsize, &pending->has_realsize, err);
	} else if (key_is(record, "GNU.sparse.map")) {
		pending->has_sparse_map = true;
		ret = map_store(tar, record, err);
	} else if (key_is(record, "GNU.sparse.offset") || key_is(record, "GNU.sparse.numbytes")) {
		pending->has_sparse_map = true;
		ret = piece_store(tar, record, key_is(record, "GNU.sparse.offset"), err);
	} else if (key_is(record, "GNU.sparse.major") || key_is(record, "GNU.sparse.minor")) {
		ret = number_store(tar, record, 1, &value, &has, err);
		pending->has_sparse_version = true;
		if (key_is(record, "GNU.sparse.major"))
			pending->sparse_major = (unsigned int)value;
		else
			pending->sparse_minor = (unsigned int)value;
	} else if (key_is(record, "GNU.sparse.numblocks")) {
		pending->has_sparse_map = true;
	}
	return ret;
}

static int record_apply(struct tar *tar, const struct record *record, struct err *err)
{
	struct tar_pending *pending = &tar->pending;

	if (key_is(record, "path"))
		return pending->has_sparse_name
			       ? 0
			       : text_store(tar, record, &pending->path, &pending->has_path, err);
	if (key_is(record, "linkpath"))
		return text_store(tar, record, &pending->link, &pending->has_link, err);
	if (key_is(record, "size"))
		return number_store(tar, record, TAR_SIZE_MAX, &pending->size, &pending->has_size, err);
	if (key_is(record, "uid"))
		return number_store(tar, record, UINT32_MAX - 1, &pending->uid, &pending->has_uid, err);
	if (key_is(record, "gid"))
		return number_store(tar, record, UINT32_MAX - 1, &pending->gid, &pending->has_gid, err);
	if (key_is(record, "mtime")) {
		pending->has_mtime = record->len != 0;
		if (record->len &&
			time_parse(record->value, record->len, &pending->mtime, &pending->mtime_nsec))
			return tar_bad(tar, err, "bad time in a pax header");
		return 0;
	}
	if (key_begins(record, SCHILY_XATTR))
		return xattr_schily(tar, record, err);
	if (key_begins(record, LIBARCHIVE_XATTR))
		return xattr_libarchive(tar, record, err);
	if (key_begins(record, "GNU.sparse."))
		return sparse_record(tar, record, err);
	/* atime, ctime, uname, gname, comment, charset and what others invent mean nothing for an image. */
	return 0;
}

/* Programs do not agree on what a header for all following entries changes: it may only be a comment. */
static bool record_harmless(const struct record *record)
{
	static const char *const keys[] = {"path", "linkpath", "size", "uid", "gid", "mtime"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (key_is(record, keys[i]))
			return false;
	}
	return !key_begins(record, SCHILY_XATTR) && !key_begins(record, LIBARCHIVE_XATTR) &&
	       !key_begins(record, "GNU.sparse.");
}

/* Split one record off text. Its length, or 0 if it is malformed. */
static size_t record_split(const char *text, size_t len, struct record *record)
{
	const char *space = memchr(text, ' ', len < 20 ? len : 20);
	const char *equals, *end;
	uint64_t whole;

	if (!space || tar_decimal(text, (size_t)(space - text), len, &whole))
		return 0;
	end = text + whole;
	/* The shortest is "6 a=\n" with one more digit or letter. */
	if (end - space < 4 || end[-1] != '\n')
		return 0;
	equals = memchr(space + 1, '=', (size_t)(end - space - 1));
	if (!equals || equals == space + 1)
		return 0;
	*record = (struct record){.key = space + 1,
		.key_len = (size_t)(equals - space - 1),
		.value = equals + 1,
		.len = (size_t)(end - 1 - (equals + 1))};
	return (size_t)whole;
}

int tar_pax_parse(struct tar *tar, const char *text, size_t len, bool global, struct err *err)
{
	while (len) {
		struct record record;
		size_t used = record_split(text, len, &record);
		int ret = 0;

		if (!used)
			return tar_bad(tar, err, "malformed pax header");
		if (!global)
			ret = record_apply(tar, &record, err);
		else if (!record_harmless(&record))
			ret = tar_bad(tar, err, "a global pax header that changes the entries");
		if (ret)
			return ret;
		text += used;
		len -= used;
	}
	if (tar->pending.piece_open)
		return tar_bad(tar, err, "bad map of a sparse file");
	return 0;
}
