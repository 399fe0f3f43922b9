// SPDX-License-Identifier: Apache-2.0
/* Maps of sparse files: GNU tar manual, "Storing Sparse Files". */
#include "oci/image/tar_parts.h"

#include <errno.h>
#include <string.h>

/* In an old GNU header and in the blocks that extend it. */
#define OLD_PAIRS_AT 386
#define OLD_PAIRS 4
#define OLD_EXTENDED_AT 482
#define OLD_REALSIZE_AT 483
#define EXT_PAIRS 21
#define EXT_EXTENDED_AT 504
#define FIELD 12

int tar_piece_add(struct tar *tar, uint64_t offset, uint64_t bytes, struct err *err)
{
	struct tar_piece piece = {.offset = offset, .bytes = bytes};

	buf_append(&tar->pending.pieces, &piece, sizeof(piece));
	if (buf_error(&tar->pending.pieces) == -EMSGSIZE)
		return err_set(err, EFBIG, "tar archive, byte %llu: a sparse file of more than %u pieces",
			(unsigned long long)tar->pos, TAR_SPARSE_MAX);
	return buf_error(&tar->pending.pieces) ? err_set(err, ENOMEM, "out of memory") : 0;
}

static int pairs_add(struct tar *tar, const uint8_t *at, unsigned int n, struct err *err)
{
	for (unsigned int i = 0; i < n; i++, at += 2 * FIELD) {
		uint64_t offset, bytes;
		int ret;

		/* The first unused pair ends the list. */
		if (!at[0])
			return 0;
		if (tar_number(at, FIELD, TAR_SIZE_MAX, &offset) ||
			tar_number(at + FIELD, FIELD, TAR_SIZE_MAX, &bytes))
			return tar_bad(tar, err, "bad map of a sparse file");
		ret = tar_piece_add(tar, offset, bytes, err);
		if (ret)
			return ret;
	}
	return 0;
}

int tar_sparse_old(struct tar *tar, uint64_t *realsize, struct err *err)
{
	uint8_t block[TAR_BLOCK];
	bool extended = tar->header[OLD_EXTENDED_AT] != 0;
	int ret = pairs_add(tar, tar->header + OLD_PAIRS_AT, OLD_PAIRS, err);

	if (!ret && tar_number(tar->header + OLD_REALSIZE_AT, FIELD, TAR_SIZE_MAX, realsize))
		ret = tar_bad(tar, err, "bad size of a sparse file");
	while (!ret && extended) {
		ret = tar_take(tar, block, sizeof(block), err);
		if (!ret)
			ret = pairs_add(tar, block, EXT_PAIRS, err);
		extended = block[EXT_EXTENDED_AT] != 0;
	}
	return ret;
}

/* One decimal number and its newline. *stored shrinks by what was read. */
static int map_number(struct tar *tar, uint64_t *stored, uint64_t *out, struct err *err)
{
	char text[20];
	size_t len = 0;

	for (;;) {
		char c = 0;
		int ret = *stored ? tar_take(tar, &c, 1, err) : tar_bad(tar, err, "bad map of a sparse file");

		if (ret)
			return ret;
		--*stored;
		if (c == '\n')
			break;
		if (len == sizeof(text))
			return tar_bad(tar, err, "bad map of a sparse file");
		text[len++] = c;
	}
	return tar_decimal(text, len, TAR_SIZE_MAX, out) ? tar_bad(tar, err, "bad map of a sparse file") : 0;
}

int tar_sparse_map(struct tar *tar, uint64_t *stored, struct err *err)
{
	uint64_t n, before = *stored, used, pad;
	char skipped[TAR_BLOCK];
	int ret = map_number(tar, stored, &n, err);

	for (uint64_t i = 0; !ret && i < n; i++) {
		uint64_t offset = 0, bytes = 0;

		ret = map_number(tar, stored, &offset, err);
		if (!ret)
			ret = map_number(tar, stored, &bytes, err);
		if (!ret)
			ret = tar_piece_add(tar, offset, bytes, err);
	}
	if (ret)
		return ret;
	used = before - *stored;
	pad = -used & (TAR_BLOCK - 1);
	if (pad > *stored)
		return tar_bad(tar, err, "bad map of a sparse file");
	*stored -= pad;
	tar->left = *stored;
	return tar_take(tar, skipped, (size_t)pad, err);
}

int tar_sparse_finish(struct tar *tar, uint64_t realsize, uint64_t stored, struct err *err)
{
	struct tar_entry *entry = &tar->entry;
	const struct tar_piece *pieces = (const struct tar_piece *)(const void *)tar->pending.pieces.data;
	size_t n = tar->pending.pieces.len / sizeof(*pieces);
	uint64_t end = 0, sum = 0;

	for (size_t i = 0; i < n; i++) {
		if (pieces[i].offset < end || pieces[i].offset > realsize ||
			pieces[i].bytes > realsize - pieces[i].offset)
			return tar_bad(
				tar, err, "the map of a sparse file is out of order or beyond its end");
		end = pieces[i].offset + pieces[i].bytes;
		sum += pieces[i].bytes;
	}
	if (sum != stored)
		return tar_bad(tar, err, "the map of a sparse file does not add up to its contents");
	entry->sparse = true;
	entry->size = realsize;
	entry->stored = stored;
	entry->pieces = pieces;
	entry->n_pieces = n;
	return 0;
}
