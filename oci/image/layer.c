// SPDX-License-Identifier: Apache-2.0
#include "oci/image/layer.h"

#include "oci/image/data.h"
#include "oci/image/name.h"
#include "oci/image/tar.h"
#include "oci/image/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNKS_MAX 65536 /* of a sparse file: larger files have larger chunks */

struct conversion {
	struct stream stream;
	struct tar tar;
	struct data_writer data;
	struct table_writer table;
	const uint8_t *piece; /* what is left of what tar_read() gave */
	size_t piece_len;
	uint32_t *chunks; /* CHUNKS_MAX, from the first sparse file on */
};

static int write_failed(struct err *err, int code)
{
	if (code == -EFBIG)
		return err_set(
			err, EFBIG, "the files take more space than the limit allows (--max-image-size)");
	return err_sys(err, code, "write to the store");
}

/* ---- contents ---- */

/* The next len bytes of the entry's contents go to the data. */
static int contents_copy(struct conversion *c, uint64_t len, struct err *err)
{
	while (len) {
		size_t step;
		int ret;

		if (!c->piece_len) {
			ret = tar_read(&c->tar, &c->piece, &c->piece_len, err);
			if (!ret && !c->piece_len)
				ret = err_set(err, EBADMSG, "its contents end early");
			if (ret)
				return ret;
		}
		step = len < c->piece_len ? (size_t)len : c->piece_len;
		ret = data_write(&c->data, c->piece, step);
		if (ret)
			return write_failed(err, ret);
		c->piece += step;
		c->piece_len -= step;
		len -= step;
	}
	return 0;
}

static int plain_store(
	struct conversion *c, const struct tar_entry *in, struct table_entry *out, struct err *err)
{
	int ret;

	if (!in->size)
		return 0;
	ret = data_block(&c->data, &out->block);
	return ret ? write_failed(err, ret) : contents_copy(c, in->size, err);
}

/*
 * A sparse file is cut into equal chunks. A chunk with contents anywhere lies in the data as a whole, holes
 * within it being holes of the data; the others have no place there.
 */
struct chunk_cursor {
	uint64_t size; /* of the file */
	uint32_t bits; /* of a chunk, in bytes */
	uint64_t at; /* where in the file the next byte written goes; valid while a chunk is open */
	uint32_t open; /* the chunk being filled, or TABLE_CHUNK_HOLE */
};

static int chunk_close(struct conversion *c, struct chunk_cursor *cursor)
{
	uint64_t end;

	if (cursor->open == TABLE_CHUNK_HOLE)
		return 0;
	end = (uint64_t)(cursor->open + 1) << cursor->bits;
	if (end > cursor->size)
		end = cursor->size;
	cursor->open = TABLE_CHUNK_HOLE;
	return data_skip(&c->data, end - cursor->at);
}

static int chunk_open(struct conversion *c, struct chunk_cursor *cursor, uint32_t chunk)
{
	int ret = chunk_close(c, cursor);

	if (!ret)
		ret = data_block(&c->data, &c->chunks[chunk]);
	cursor->open = chunk;
	cursor->at = (uint64_t)chunk << cursor->bits;
	return ret;
}

static int piece_store(
	struct conversion *c, struct chunk_cursor *cursor, struct tar_piece piece, struct err *err)
{
	while (piece.bytes) {
		uint32_t chunk = (uint32_t)(piece.offset >> cursor->bits);
		uint64_t room = ((uint64_t)(chunk + 1) << cursor->bits) - piece.offset;
		uint64_t step = piece.bytes < room ? piece.bytes : room;
		int ret = chunk != cursor->open ? chunk_open(c, cursor, chunk) : 0;

		if (!ret)
			ret = data_skip(&c->data, piece.offset - cursor->at);
		if (ret)
			return write_failed(err, ret);
		ret = contents_copy(c, step, err);
		if (ret)
			return ret;
		piece.offset += step;
		piece.bytes -= step;
		cursor->at = piece.offset;
	}
	return 0;
}

static int sparse_store(
	struct conversion *c, const struct tar_entry *in, struct table_entry *out, struct err *err)
{
	struct chunk_cursor cursor = {.size = in->size, .bits = 12, .open = TABLE_CHUNK_HOLE};
	int ret = 0;

	if (!in->size)
		return 0;
	while ((in->size - 1) >> cursor.bits >= CHUNKS_MAX)
		cursor.bits++;
	if (!c->chunks)
		c->chunks = malloc(CHUNKS_MAX * sizeof(*c->chunks));
	if (!c->chunks)
		return err_set(err, ENOMEM, "out of memory");
	out->n_chunks = (uint32_t)((in->size - 1) >> cursor.bits) + 1;
	out->chunk_bits = (uint8_t)(cursor.bits - 12);
	out->chunks = c->chunks;
	memset(c->chunks, 0xff, out->n_chunks * sizeof(*c->chunks));
	for (size_t i = 0; !ret && i < in->n_pieces; i++)
		ret = piece_store(c, &cursor, in->pieces[i], err);
	if (ret)
		return ret;
	ret = chunk_close(c, &cursor);
	return ret ? write_failed(err, ret) : 0;
}

/* ---- entries ---- */

static int name_failed(struct err *err, const char *what, const char *name, int code)
{
	if (code == -ENAMETOOLONG)
		return err_set(err, EBADMSG, "%s \"%.60s...\" is too long", what, name);
	return err_set(
		err, EBADMSG, "%s \"%.200s\" leads out of the image (\"..\" or a leading \"/\")", what, name);
}

/* new_encode_dev() of the kernel, which is how EROFS has device numbers. */
static uint32_t rdev_encode(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~UINT32_C(0xff)) << 12;
}

static int names_check(const struct tar_entry *in, struct table_entry *out, struct err *err)
{
	int ret = name_clean(in->path);

	/* name_clean() stops where it fails, so the text is still the archive's up to there. */
	if (ret)
		return name_failed(err, "name", in->path, ret);
	out->path = in->path;
	out->link = in->link;
	out->kind = (uint8_t)name_classify(in->path);
	if (out->kind == NAME_BAD)
		return err_set(err, EBADMSG, "\"%.200s\" is not a valid whiteout", in->path);
	if (in->type == TAR_HARDLINK) {
		ret = name_clean(in->link);
		if (ret)
			return name_failed(err, "hard link to", in->link, ret);
		if (!*in->link)
			return err_set(
				err, EBADMSG, "\"%.200s\" is a hard link to the root folder", in->path);
	}
	if (in->type == TAR_SYMLINK && strlen(in->link) > NAME_PATH_MAX)
		return name_failed(err, "symbolic link to", in->link, -ENAMETOOLONG);
	return 0;
}

static int entry_store(struct conversion *c, const struct tar_entry *in, struct err *err)
{
	bool linked = in->type == TAR_HARDLINK || in->type == TAR_SYMLINK;
	struct table_entry out = {.type = in->type,
		.mode = (uint16_t)in->mode,
		.uid = in->uid,
		.gid = in->gid,
		.rdev = rdev_encode(in->major, in->minor),
		.mtime = in->mtime,
		.mtime_nsec = in->mtime_nsec,
		.size = in->size,
		.xattrs = in->xattrs,
		.xattrs_len = (uint32_t)in->xattrs_len};
	int ret = names_check(in, &out, err);

	if (ret)
		return ret;
	if (out.kind == NAME_IGNORED)
		return 0;
	if (!linked)
		out.link = "";
	c->piece_len = 0;
	/* What a whiteout contains is of no interest; the reader skips it. */
	if (out.kind != NAME_PLAIN)
		out.size = 0;
	else if (in->type == TAR_FILE && in->sparse)
		ret = sparse_store(c, in, &out, err);
	else if (in->type == TAR_FILE)
		ret = plain_store(c, in, &out, err);
	if (ret)
		return err_wrap(err, "\"%.200s\"", in->path);
	ret = table_write(&c->table, &out);
	return ret ? write_failed(err, ret) : 0;
}

static int entries_store(struct conversion *c, uint64_t max_entries, struct err *err)
{
	const struct tar_entry *entry;

	for (;;) {
		int ret = tar_next(&c->tar, &entry, err);

		if (ret || !entry)
			return ret;
		if (c->table.n_entries >= max_entries)
			return err_set(
				err, EFBIG, "more than %llu files: refused", (unsigned long long)max_entries);
		ret = entry_store(c, entry, err);
		if (ret)
			return ret;
	}
}

/* ---- the whole ---- */

static int convert(struct conversion *c, struct err *err)
{
	struct table_info info = {0};
	int ret = entries_store(c, TREE_ENTRIES_MAX, err);

	if (ret)
		return ret;
	info.tar_bytes = c->stream.out_bytes;
	ret = data_writer_finish(&c->data, &info.data_bytes);
	if (!ret)
		ret = table_writer_finish(&c->table, &info);
	return ret ? write_failed(err, ret) : 0;
}

int layer_convert(int tar_fd, uint64_t max_bytes, int data_fd, int table_fd, struct err *err)
{
	struct blob_ref blob = {.fd = tar_fd, .bytes = BLOB_TO_END};
	struct conversion *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return err_set(err, ENOMEM, "out of memory");
	ret = stream_open(&c->stream, &blob, COMPRESSION_NONE, err);
	if (!ret) {
		tar_init(&c->tar, &c->stream, false);
		ret = data_writer_init(&c->data, data_fd, max_bytes);
		if (!ret)
			ret = table_writer_init(&c->table, table_fd, max_bytes);
		ret = ret ? write_failed(err, ret) : convert(c, err);
		table_writer_done(&c->table);
		data_writer_done(&c->data);
		tar_done(&c->tar);
		stream_close(&c->stream);
	}
	free(c->chunks);
	free(c);
	return ret;
}
