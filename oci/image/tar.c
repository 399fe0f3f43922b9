// SPDX-License-Identifier: Apache-2.0
#include "oci/image/tar.h"

#include "oci/image/name.h"
#include "oci/image/tar_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Fields of a header block: POSIX.1-2017, pax, "ustar Interchange Format". */
enum {
	AT_NAME = 0,
	AT_MODE = 100,
	AT_UID = 108,
	AT_GID = 116,
	AT_SIZE = 124,
	AT_MTIME = 136,
	AT_SUM = 148,
	AT_TYPE = 156,
	AT_LINK = 157,
	AT_MAGIC = 257,
	AT_MAJOR = 329,
	AT_MINOR = 337,
	AT_PREFIX = 345,
};
#define NAME_LEN 100
#define PREFIX_LEN 155

void tar_init(struct tar *tar, struct stream *stream, bool seekable)
{
	*tar = (struct tar){.stream = stream, .seekable = seekable};
	buf_init(&tar->pending.path, TAR_PAX_MAX);
	buf_init(&tar->pending.link, TAR_PAX_MAX);
	buf_init(&tar->pending.xattrs, TAR_XATTRS_MAX);
	buf_init(&tar->pending.pieces, TAR_SPARSE_MAX * sizeof(struct tar_piece));
}

void tar_done(struct tar *tar)
{
	buf_done(&tar->pending.path);
	buf_done(&tar->pending.link);
	buf_done(&tar->pending.xattrs);
	buf_done(&tar->pending.pieces);
}

/* Forget what was said about the last entry, keeping the memory. */
static void pending_reset(struct tar_pending *pending)
{
	struct tar_pending fresh = {.path = pending->path,
		.link = pending->link,
		.xattrs = pending->xattrs,
		.pieces = pending->pieces};

	fresh.path.len = fresh.link.len = fresh.xattrs.len = fresh.pieces.len = 0;
	*pending = fresh;
}

int tar_bad(const struct tar *tar, struct err *err, const char *text)
{
	return err_set(err, EBADMSG, "tar archive, byte %llu: %s", (unsigned long long)tar->pos, text);
}

/* ---- bytes ---- */

/* Make at least one byte available unless the stream has ended. */
static int more(struct tar *tar, struct err *err)
{
	return tar->have ? 0 : stream_next(tar->stream, &tar->at, &tar->have, err);
}

static void advance(struct tar *tar, size_t len)
{
	tar->at += len;
	tar->have -= len;
	tar->pos += len;
}

int tar_take(struct tar *tar, void *out, size_t len, struct err *err)
{
	uint8_t *to = out;

	while (len) {
		size_t step;
		int ret = more(tar, err);

		if (ret)
			return ret;
		if (!tar->have)
			return tar_bad(tar, err, "the archive ends early: it is truncated");
		step = len < tar->have ? len : tar->have;
		memcpy(to, tar->at, step);
		advance(tar, step);
		to += step;
		len -= step;
	}
	return 0;
}

static int skip(struct tar *tar, uint64_t len, struct err *err)
{
	while (len) {
		size_t step;
		int ret;

		if (!tar->have && tar->seekable && len > STREAM_CHUNK) {
			tar->pos += len;
			return stream_skip(tar->stream, len, err);
		}
		ret = more(tar, err);
		if (ret)
			return ret;
		if (!tar->have)
			return tar_bad(tar, err, "the archive ends early: it is truncated");
		step = len < tar->have ? (size_t)len : tar->have;
		advance(tar, step);
		len -= step;
	}
	return 0;
}

int tar_read(struct tar *tar, const uint8_t **data, size_t *len, struct err *err)
{
	int ret = tar->left ? more(tar, err) : 0;

	*len = 0;
	if (ret || !tar->left)
		return ret;
	if (!tar->have)
		return tar_bad(tar, err, "the archive ends early: it is truncated");
	*data = tar->at;
	*len = tar->left < tar->have ? (size_t)tar->left : tar->have;
	tar->left -= *len;
	advance(tar, *len);
	return 0;
}

/* ---- numbers ---- */

static int number_base256(const uint8_t *field, size_t len, uint64_t max, uint64_t *out)
{
	uint64_t value = field[0] & 0x7f;

	/* 0xff.. is a negative number, and 0x40 in the first byte its sign. */
	if (field[0] & 0x40)
		return -ERANGE;
	for (size_t i = 1; i < len; i++) {
		if (value >> 55)
			return -ERANGE;
		value = value << 8 | field[i];
	}
	if (value > max)
		return -ERANGE;
	*out = value;
	return 0;
}

int tar_number(const uint8_t *field, size_t len, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;
	size_t i = 0;

	if (field[0] & 0x80)
		return number_base256(field, len, max, out);
	while (i < len && field[i] == ' ')
		i++;
	for (; i < len && field[i] >= '0' && field[i] <= '7'; i++) {
		if (value >> 60)
			return -ERANGE;
		value = value << 3 | (uint64_t)(field[i] - '0');
	}
	for (; i < len; i++) {
		if (field[i] != ' ' && field[i] != '\0')
			return -EINVAL;
	}
	if (value > max)
		return -ERANGE;
	*out = value;
	return 0;
}

/* The one number that may be negative: two's complement over the whole field (GNU). */
static int mtime_number(const uint8_t *field, size_t len, int64_t *out)
{
	uint64_t value = 0;
	int ret;

	if (field[0] == 0xff) {
		for (size_t i = len - 8; i < len; i++)
			value = value << 8 | field[i];
		for (size_t i = 0; i < len - 8; i++) {
			if (field[i] != 0xff)
				return -ERANGE;
		}
		if (!(value >> 63))
			return -ERANGE;
		*out = (int64_t)value;
		return 0;
	}
	ret = tar_number(field, len, INT64_MAX, &value);
	if (!ret)
		*out = (int64_t)value;
	return ret;
}

/* ---- headers ---- */

/* Some old programs summed signed bytes. */
static bool checksum_good(const uint8_t *header)
{
	uint64_t want, sum = 0;
	int64_t signed_sum = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++) {
		uint8_t byte = i >= AT_SUM && i < AT_SUM + 8 ? ' ' : header[i];

		sum += byte;
		signed_sum += (int8_t)byte;
	}
	if (tar_number(header + AT_SUM, 8, UINT32_MAX, &want))
		return false;
	return want == sum || (int64_t)want == signed_sum;
}

static bool block_is_zero(const uint8_t *block)
{
	return block[0] == 0 && memcmp(block, block + 1, TAR_BLOCK - 1) == 0;
}

/* After the end there may be zeros up to any record size, and nothing else. */
static int trailer_read(struct tar *tar, struct err *err)
{
	for (;;) {
		int ret = more(tar, err);

		if (ret)
			return ret;
		if (!tar->have) {
			tar->ended = true;
			return 0;
		}
		if (tar->at[0] != 0 || memcmp(tar->at, tar->at + 1, tar->have - 1) != 0)
			return tar_bad(tar, err, "there is something behind the end of the archive");
		advance(tar, tar->have);
	}
}

/* The next header block. At the end (two blocks of zeros, or of the input) tar->ended is set. */
static int header_read(struct tar *tar, struct err *err)
{
	int ret = skip(tar, tar->left + tar->pad, err);

	tar->left = tar->pad = 0;
	if (!ret)
		ret = more(tar, err);
	if (ret)
		return ret;
	if (!tar->have) {
		tar->ended = true;
		return 0;
	}
	ret = tar_take(tar, tar->header, TAR_BLOCK, err);
	if (ret)
		return ret;
	if (block_is_zero(tar->header))
		return trailer_read(tar, err);
	if (!checksum_good(tar->header))
		return tar_bad(tar, err, tar->pos == TAR_BLOCK ? "this is no tar archive" : "damaged header");
	return 0;
}

static int size_field(struct tar *tar, uint64_t *size, struct err *err)
{
	return tar_number(tar->header + AT_SIZE, 12, TAR_SIZE_MAX, size) ? tar_bad(tar, err, "bad size") : 0;
}

static void contents_begin(struct tar *tar, uint64_t size)
{
	tar->left = size;
	tar->pad = (uint32_t)(-size & (TAR_BLOCK - 1));
}

/* The contents of a header that describes the next one, in heap memory with a NUL behind. */
static int extension_read(struct tar *tar, char **text, size_t *len, struct err *err)
{
	uint64_t size = 0;
	char *data;
	int ret = size_field(tar, &size, err);

	if (ret)
		return ret;
	if (size > TAR_PAX_MAX)
		return err_set(err, EFBIG, "tar archive, byte %llu: a header is longer than 1 MiB",
			(unsigned long long)tar->pos);
	data = malloc((size_t)size + 1);
	if (!data)
		return err_set(err, ENOMEM, "out of memory");
	ret = tar_take(tar, data, (size_t)size, err);
	if (!ret)
		ret = skip(tar, -size & (TAR_BLOCK - 1), err);
	if (ret) {
		free(data);
		return ret;
	}
	data[size] = '\0';
	*text = data;
	*len = (size_t)size;
	return 0;
}

/* GNU 'L' and 'K': the name is all of the contents, with or without NUL at the end. */
static int longname_store(struct tar *tar, const char *text, size_t len, bool link, struct err *err)
{
	struct tar_pending *pending = &tar->pending;
	struct buf *to = link ? &pending->link : &pending->path;

	if (pending->has_pax || (link ? pending->gnu_link : pending->gnu_path))
		return tar_bad(tar, err, "two headers name the same entry");
	while (len && text[len - 1] == '\0')
		len--;
	if (!len || memchr(text, '\0', len))
		return tar_bad(tar, err, "bad long name");
	if (link)
		pending->gnu_link = pending->has_link = true;
	else
		pending->gnu_path = pending->has_path = true;
	to->len = 0;
	buf_append(to, text, len);
	return 0;
}

static int extension_apply(struct tar *tar, char type, struct err *err)
{
	char *text = NULL;
	size_t len = 0;
	int ret = extension_read(tar, &text, &len, err);

	if (ret)
		return ret;
	if (type == 'L' || type == 'K') {
		ret = longname_store(tar, text, len, type == 'K', err);
	} else if (type == 'x' && (tar->pending.has_pax || tar->pending.gnu_path || tar->pending.gnu_link)) {
		ret = tar_bad(tar, err, "two headers describe the same entry");
	} else {
		tar->pending.has_pax |= type == 'x';
		ret = tar_pax_parse(tar, text, len, type == 'g', err);
	}
	free(text);
	return ret;
}

/* ---- entries ---- */

static void field_copy(char *out, const uint8_t *field, size_t len)
{
	size_t used = strnlen((const char *)field, len);

	memcpy(out, field, used);
	out[used] = '\0';
}

/* The name of the header itself: POSIX puts a prefix in front, GNU keeps other things there. */
static void ustar_path(struct tar *tar)
{
	const uint8_t *header = tar->header;
	char *out = tar->ustar_path;

	if (memcmp(header + AT_MAGIC, "ustar\0", 6) == 0 && header[AT_PREFIX]) {
		field_copy(out, header + AT_PREFIX, PREFIX_LEN);
		out += strlen(out);
		*out++ = '/';
	}
	field_copy(out, header + AT_NAME, NAME_LEN);
}

static int names_set(struct tar *tar, struct err *err)
{
	struct tar_pending *pending = &tar->pending;
	struct tar_entry *entry = &tar->entry;

	ustar_path(tar);
	field_copy(tar->ustar_link, tar->header + AT_LINK, NAME_LEN);
	entry->path = tar->ustar_path;
	entry->link = tar->ustar_link;
	/* buf_text() puts a NUL behind; the bytes themselves are ours to change (name_clean()). */
	if (pending->has_path)
		entry->path = (char *)(uintptr_t)buf_text(&pending->path);
	if (pending->has_link)
		entry->link = (char *)(uintptr_t)buf_text(&pending->link);
	if (!entry->path || !entry->link)
		return err_set(err, ENOMEM, "out of memory");
	if (!*entry->path)
		return tar_bad(tar, err, "an entry without a name");
	return 0;
}

static int numbers_set(struct tar *tar, struct err *err)
{
	const struct tar_pending *pending = &tar->pending;
	struct tar_entry *entry = &tar->entry;
	const uint8_t *header = tar->header;
	uint64_t mode, uid = pending->uid, gid = pending->gid;
	int bad = tar_number(header + AT_MODE, 8, UINT32_MAX, &mode);

	if (!pending->has_uid)
		bad |= tar_number(header + AT_UID, 8, UINT32_MAX - 1, &uid);
	if (!pending->has_gid)
		bad |= tar_number(header + AT_GID, 8, UINT32_MAX - 1, &gid);
	entry->mtime = pending->mtime;
	entry->mtime_nsec = pending->mtime_nsec;
	if (!pending->has_mtime)
		bad |= mtime_number(header + AT_MTIME, 12, &entry->mtime);
	if (bad)
		return tar_bad(tar, err, "a number that is none or does not fit (mode, owner or time)");
	entry->mode = (uint32_t)mode & 07777;
	entry->uid = (uint32_t)uid;
	entry->gid = (uint32_t)gid;
	return 0;
}

static int device_set(struct tar *tar, struct err *err)
{
	uint64_t major, minor;

	/* Linux has 12 and 20 bits for them. */
	if (tar_number(tar->header + AT_MAJOR, 8, 0xfff, &major) ||
		tar_number(tar->header + AT_MINOR, 8, 0xfffff, &minor))
		return tar_bad(tar, err, "bad device number");
	tar->entry.major = (uint32_t)major;
	tar->entry.minor = (uint32_t)minor;
	return 0;
}

static int type_set(struct tar *tar, struct err *err)
{
	static const struct {
		char flag;
		enum tar_type type;
	} types[] = {{'0', TAR_FILE}, {'\0', TAR_FILE}, {'7', TAR_FILE}, {'S', TAR_FILE}, {'1', TAR_HARDLINK},
		{'2', TAR_SYMLINK}, {'3', TAR_CHAR}, {'4', TAR_BLOCKDEV}, {'5', TAR_DIR}, {'6', TAR_FIFO}};
	char flag = (char)tar->header[AT_TYPE];

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		size_t len;

		if (types[i].flag != flag)
			continue;
		tar->entry.type = types[i].type;
		/* Before ustar a folder was a file whose name ends in a slash. */
		len = strlen(tar->entry.path);
		if (types[i].type == TAR_FILE && tar->entry.path[len - 1] == '/')
			tar->entry.type = TAR_DIR;
		return 0;
	}
	return err_set(err, ENOTSUP, "tar archive, byte %llu: entry of unknown type %d",
		(unsigned long long)tar->pos, flag);
}

static int contents_set(struct tar *tar, struct err *err)
{
	const struct tar_pending *pending = &tar->pending;
	struct tar_entry *entry = &tar->entry;
	uint64_t size, realsize = pending->realsize;
	bool old_sparse = tar->header[AT_TYPE] == 'S';
	bool pax_sparse = pending->has_sparse_version || pending->has_sparse_map;
	int ret = size_field(tar, &size, err);

	if (ret)
		return ret;
	if (pending->has_size)
		size = pending->size;
	if (entry->type != TAR_FILE && (size || old_sparse || pax_sparse))
		return tar_bad(tar, err, "contents on an entry that has none");
	if (old_sparse && (pax_sparse || pending->has_size))
		return tar_bad(tar, err, "two kinds of sparse file at once");
	if (old_sparse)
		ret = tar_sparse_old(tar, &realsize, err);
	contents_begin(tar, size);
	if (!ret && pax_sparse && pending->sparse_major == 1)
		ret = tar_sparse_map(tar, &size, err);
	if (ret)
		return ret;
	entry->size = entry->stored = size;
	entry->data_offset = tar->pos;
	if (!old_sparse && !pax_sparse)
		return 0;
	if (!old_sparse && !pending->has_realsize)
		return tar_bad(tar, err, "a sparse file without its size");
	return tar_sparse_finish(tar, realsize, size, err);
}

static int entry_build(struct tar *tar, struct err *err)
{
	struct tar_entry *entry = &tar->entry;
	int ret;

	*entry = (struct tar_entry){0};
	ret = names_set(tar, err);
	if (!ret)
		ret = type_set(tar, err);
	if (!ret)
		ret = numbers_set(tar, err);
	if (!ret && (entry->type == TAR_CHAR || entry->type == TAR_BLOCKDEV))
		ret = device_set(tar, err);
	if (!ret && (entry->type == TAR_HARDLINK || entry->type == TAR_SYMLINK) && !*entry->link)
		ret = tar_bad(tar, err, "a link without a target");
	if (!ret && buf_error(&tar->pending.xattrs))
		ret = err_set(err, EFBIG, "tar archive, byte %llu: more than 64 KiB of extended attributes",
			(unsigned long long)tar->pos);
	entry->xattrs = tar->pending.xattrs.data;
	entry->xattrs_len = tar->pending.xattrs.len;
	return ret ? ret : contents_set(tar, err);
}

int tar_next(struct tar *tar, const struct tar_entry **entry, struct err *err)
{
	bool dangling = false;

	*entry = NULL;
	pending_reset(&tar->pending);
	while (!tar->ended) {
		int ret = header_read(tar, err);
		char type = (char)tar->header[AT_TYPE];

		if (ret)
			return ret;
		if (tar->ended)
			break;
		if (type && strchr("LKxg", type)) {
			dangling |= type != 'g';
			ret = extension_apply(tar, type, err);
			if (ret)
				return ret;
			continue;
		}
		ret = entry_build(tar, err);
		if (!ret)
			*entry = &tar->entry;
		return ret;
	}
	return dangling ? tar_bad(tar, err, "a header that describes no entry") : 0;
}
