// SPDX-License-Identifier: Apache-2.0
/*
 * Tables of layers. The input is the records; header and checksum are made here, so that what is behind them is
 * reached. A table that opens has only entries within the limits of table.h, and writing those gives the same bytes.
 */
#include "tests/fuzz/fuzz.h"

#include "base/io.h"
#include "oci/image/name.h"
#include "oci/image/table.h"
#include "oci/store/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HEADER_BYTES 64

static void entry_check(const struct table *table, const struct table_entry *entry)
{
	char path[NAME_PATH_MAX + 1];

	fuzz_require(strlen(entry->path) <= NAME_PATH_MAX && strlen(entry->link) <= NAME_PATH_MAX);
	strcpy(path, entry->path);
	fuzz_require(
		name_clean(path) == 0 && !strcmp(path, entry->path) && name_classify(path) == entry->kind);
	fuzz_require(entry->type <= TAR_FIFO && entry->mode <= 07777 && entry->mtime_nsec < 1000000000);
	fuzz_require(entry->size <= TAR_SIZE_MAX && entry->chunk_bits <= 31);
	if (entry->type == TAR_FILE && !entry->n_chunks && entry->size)
		fuzz_require((uint64_t)entry->block * TABLE_BLOCK + entry->size <= table->info.data_bytes);
	for (uint32_t i = 0; i < entry->n_chunks; i++)
		fuzz_require(entry->chunks[i] == TABLE_CHUNK_HOLE ||
			     (uint64_t)entry->chunks[i] * TABLE_BLOCK < table->info.data_bytes);
}

/* What a writer makes of the entries of a table is that table. */
static void rewrite_check(const struct table *table)
{
	int fd = fuzz_file(1, NULL, 0);
	struct table_writer writer;
	struct table_entry entry;
	uint64_t at = 0, n = 0;
	uint8_t *copy;

	fuzz_require(table_writer_init(&writer, fd, UINT64_MAX) == 0);
	for (; table_next(table, &at, &entry); n++) {
		entry_check(table, &entry);
		fuzz_require(table_write(&writer, &entry) == 0);
	}
	fuzz_require(n == table->info.n_entries);
	fuzz_require(table_writer_finish(&writer, &table->info) == 0);
	table_writer_done(&writer);
	copy = malloc(table->bytes);
	fuzz_require(copy && io_pread_exact(fd, copy, table->bytes, 0) == 0);
	fuzz_note(copy, table->bytes);
	fuzz_require(memcmp(copy, table->map, table->bytes) == 0);
	free(copy);
}

/* One byte of data size, one of entries, the records, and behind them the checksum. */
void fuzz_one(const uint8_t *data, size_t len)
{
	uint64_t counts[3] = {len ? data[0] : 0, (len > 1 ? data[1] % 8u : 0) * (uint64_t)IMAGE_ALIGN, 5};
	uint32_t version[2] = {1, HEADER_BYTES};
	size_t bytes = len > 2 ? len - 2 : 0;
	uint8_t *file = calloc(1, HEADER_BYTES + bytes + HASH_BYTES);
	struct table_info info;
	struct table table;
	struct hash hash;
	int fd, ret;

	fuzz_require(file && hash_init(&hash) == 0);
	memcpy(file, "mvrunTAB", 8);
	memcpy(file + 8, version, sizeof(version));
	memcpy(file + 16, counts, sizeof(counts));
	if (bytes)
		memcpy(file + HEADER_BYTES, data + 2, bytes);
	fuzz_require(hash_update(&hash, file, HEADER_BYTES + bytes) == 0);
	fuzz_require(hash_final(&hash, file + HEADER_BYTES + bytes) == 0);
	hash_done(&hash);
	fd = fuzz_file(0, file, HEADER_BYTES + bytes + HASH_BYTES);
	ret = table_open(&table, fd);
	fuzz_require(ret == 0 || (ret == -EBADMSG && !table.map));
	if (!ret) {
		fuzz_require(table_peek(fd, &info) == 0 && memcmp(&info, &table.info, sizeof(info)) == 0);
		rewrite_check(&table);
		table_close(&table);
	}
	fuzz_note_u64((uint64_t)ret);
	free(file);
}
