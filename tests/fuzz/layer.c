// SPDX-License-Identifier: Apache-2.0
/*
 * A whole layer: an archive becomes data and a table, or nothing. The table opens, its files lie in the data, and what
 * it says of their contents' size is what is there.
 */
#include "tests/fuzz/archive.h"

#include "oci/image/layer.h"
#include "oci/image/name.h"
#include "oci/image/table.h"
#include "oci/store/image.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUTPUT_MAX (16u << 20)

static uint64_t file_bytes(int fd)
{
	struct stat st;

	fuzz_require(fstat(fd, &st) == 0);
	return (uint64_t)st.st_size;
}

static void contents_note(int data_fd, const struct table_entry *entry)
{
	uint8_t bytes[4096];
	ssize_t n;

	if (entry->type != TAR_FILE || entry->n_chunks)
		return;
	for (uint64_t at = 0; at < entry->size; at += (uint64_t)n) {
		size_t want = entry->size - at < sizeof(bytes) ? (size_t)(entry->size - at) : sizeof(bytes);

		n = pread(data_fd, bytes, want, (off_t)(entry->block * UINT64_C(4096) + at));
		fuzz_require(n > 0);
		fuzz_note(bytes, (size_t)n);
	}
}

static void table_check(int data_fd, int table_fd)
{
	struct table_entry entry;
	struct table table;
	uint64_t at = 0, n = 0;

	fuzz_require(table_open(&table, table_fd) == 0);
	fuzz_require(
		table.info.data_bytes == file_bytes(data_fd) && table.info.data_bytes % IMAGE_ALIGN == 0);
	for (; table_next(&table, &at, &entry); n++) {
		fuzz_require(entry.kind != NAME_BAD && entry.kind != NAME_IGNORED);
		fuzz_note_text(entry.path);
		fuzz_note_text(entry.link);
		contents_note(data_fd, &entry);
	}
	fuzz_require(n == table.info.n_entries);
	table_close(&table);
}

void fuzz_one(const uint8_t *data, size_t len)
{
	int tar_fd = archive_file(0, data, len), data_fd = fuzz_file(1, NULL, 0),
	    table_fd = fuzz_file(2, NULL, 0);
	struct err err = ERR_INIT;
	int ret;

	ret = layer_convert(tar_fd, OUTPUT_MAX, data_fd, table_fd, &err);
	fuzz_require(err.code == -ret && (!ret || err.text[0]));
	fuzz_require(file_bytes(data_fd) <= OUTPUT_MAX + IMAGE_ALIGN && file_bytes(table_fd) <= OUTPUT_MAX);
	fuzz_note_text(err.text);
	if (!ret)
		table_check(data_fd, table_fd);
}
