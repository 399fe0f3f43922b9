// SPDX-License-Identifier: Apache-2.0
/* The tar reader: an archive is entries within the limits of tar.h, to its end, or it is refused with a reason. */
#include "tests/fuzz/archive.h"

#include "oci/image/tar.h"

#include <string.h>

static void pieces_check(const struct tar_entry *entry)
{
	uint64_t end = 0, sum = 0;

	for (size_t i = 0; i < entry->n_pieces; i++) {
		const struct tar_piece *piece = &entry->pieces[i];

		fuzz_require(piece->offset >= end && piece->bytes <= entry->size - piece->offset);
		end = piece->offset + piece->bytes;
		sum += piece->bytes;
	}
	fuzz_require(sum == entry->stored && end <= entry->size && entry->n_pieces <= TAR_SPARSE_MAX);
}

/* Whole records to the end: name NUL, length, value. */
static void xattrs_check(const struct tar_entry *entry)
{
	size_t at = 0;

	fuzz_require(entry->xattrs_len <= TAR_XATTRS_MAX);
	while (at < entry->xattrs_len) {
		const uint8_t *name = entry->xattrs + at, *end = memchr(name, 0, entry->xattrs_len - at);
		uint32_t len;

		fuzz_require(end && end > name &&
			     entry->xattrs_len - at >= (size_t)(end - name) + 1 + sizeof(len));
		memcpy(&len, end + 1, sizeof(len));
		at += (size_t)(end - name) + 1 + sizeof(len);
		fuzz_require(len <= entry->xattrs_len - at);
		at += len;
	}
}

static void entry_check(const struct tar_entry *entry)
{
	fuzz_require(entry->path && *entry->path && entry->link);
	fuzz_require(entry->type <= TAR_FIFO && entry->mode <= 07777 && entry->mtime_nsec < 1000000000);
	fuzz_require(entry->size <= TAR_SIZE_MAX && entry->stored <= entry->size);
	fuzz_require(entry->type == TAR_FILE || (!entry->size && !entry->stored && !entry->sparse));
	fuzz_require(entry->sparse || entry->stored == entry->size);
	if (entry->sparse)
		pieces_check(entry);
	xattrs_check(entry);
	fuzz_note_text(entry->path);
	fuzz_note_text(entry->link);
	fuzz_note_u64(entry->size);
	fuzz_note(entry->xattrs, entry->xattrs_len);
}

/* Its contents: exactly as many bytes as were announced. */
static int contents_read(struct tar *tar, const struct tar_entry *entry, struct err *err)
{
	uint64_t sum = 0;
	const uint8_t *data;
	size_t len;
	int ret;

	for (;;) {
		ret = tar_read(tar, &data, &len, err);
		if (ret || !len)
			break;
		fuzz_require(len <= entry->stored - sum);
		sum += len;
		fuzz_note(data, len);
	}
	fuzz_require(ret || sum == entry->stored);
	return ret;
}

static int entries_read(struct tar *tar, bool read_contents, struct err *err)
{
	for (;;) {
		const struct tar_entry *entry;
		int ret = tar_next(tar, &entry, err);

		if (ret || !entry)
			return ret;
		entry_check(entry);
		ret = read_contents ? contents_read(tar, entry, err) : 0;
		if (ret)
			return ret;
	}
}

/* The first byte of the input says how to read; the rest is the archive. */
void fuzz_one(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	struct stream stream;
	struct tar tar;
	int ret;

	if (!len)
		return;
	struct blob_ref blob = {.bytes = len - 1};
	blob.fd = data[0] & 4 ? fuzz_file(0, data + 1, len - 1) : archive_file(0, data + 1, len - 1);
	ret = stream_open(&stream, &blob, COMPRESSION_NONE, &err);
	if (!ret) {
		tar_init(&tar, &stream, data[0] & 1);
		ret = entries_read(&tar, data[0] & 2, &err);
		fuzz_require(ret || tar.pos == stream.out_bytes || data[0] & 1);
		tar_done(&tar);
		stream_close(&stream);
	}
	fuzz_require(err.code == -ret && (!ret || err.text[0]));
	fuzz_note_text(err.text);
}
