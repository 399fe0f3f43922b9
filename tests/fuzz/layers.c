// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/layers.h"

#include "oci/image/name.h"

#include <stdio.h>
#include <string.h>

#define CHUNKS_MAX 8

/* Bits of the first byte of an entry. */
enum {
	ENTRY_TYPE = 7,
	ENTRY_LAYER_ENDS = 8,
	ENTRY_XATTRS = 16,
	ENTRY_SPARSE = 32,
	ENTRY_BIG = 64,
	ENTRY_LONG = 128
};

/* One to four parts, two bits and more each; a long name where the input wants one. */
static void path_make_up(struct fuzz_input *input, char *path, size_t size, bool wants_long)
{
	static const char *const parts[] = {"a", "b", "c", "ab", "!", "é", ".wh.a", ".wh.b", ".wh..wh..opq",
		".wh..wh.x", "..a", ".a", "d", "e", "f", "g"};
	uint8_t shape = fuzz_u8(input);
	size_t used = 0, n = shape & 3;

	path[0] = '\0';
	for (size_t i = 0; i <= n; i++) {
		uint8_t part = i ? fuzz_u8(input) : (uint8_t)(shape >> 2);

		/* Whiteouts are for the last part; elsewhere they are no names. */
		if (i < n && part % 16 >= 6 && part % 16 <= 9)
			part = 0;
		used += (size_t)snprintf(path + used, size - used, "%s%s", i ? "/" : "", parts[part % 16]);
	}
	if (wants_long)
		snprintf(path + used, size - used, "%0*u", fuzz_u8(input) % 200 + 1, fuzz_u8(input));
	if (shape == 0xff)
		path[0] = '\0';
}

static void times_and_owner(struct fuzz_input *input, struct table_entry *entry)
{
	uint8_t bits = fuzz_u8(input);

	entry->mode = fuzz_u16(input) & 07777;
	entry->mtime = bits & 1 ? (int64_t)fuzz_u64(input) : bits >> 6;
	entry->mtime_nsec = bits & 2 ? fuzz_u32(input) % 1000000000 : 0;
	entry->uid = bits & 4 ? fuzz_u32(input) : bits >> 5;
	entry->gid = bits & 8 ? fuzz_u32(input) : bits >> 5;
	entry->rdev = bits & 16 ? fuzz_u32(input) : 0x103;
}

/* A size and a place in the layer's data that it fits into. */
static void contents(struct fuzz_input *input, struct table_entry *entry, uint32_t *chunks, uint8_t flags)
{
	uint64_t blocks = LAYER_DATA_BYTES / TABLE_BLOCK;

	entry->size = flags & ENTRY_BIG ? fuzz_u32(input) % LAYER_DATA_BYTES : fuzz_u16(input);
	entry->block = fuzz_u16(input) % (uint32_t)(blocks - entry->size / TABLE_BLOCK);
	if (!(flags & ENTRY_SPARSE) || !entry->size)
		return;
	while ((entry->size - 1) / TABLE_BLOCK >> entry->chunk_bits >= CHUNKS_MAX)
		entry->chunk_bits++;
	entry->n_chunks = (uint32_t)((entry->size - 1) / TABLE_BLOCK >> entry->chunk_bits) + 1;
	entry->chunks = chunks;
	for (uint32_t i = 0; i < entry->n_chunks; i++) {
		chunks[i] = fuzz_u8(input);
		chunks[i] = chunks[i] & 1 ? TABLE_CHUNK_HOLE : chunks[i];
	}
}

static size_t xattrs_make_up(struct fuzz_input *input, uint8_t *out)
{
	static const char *const names[] = {"user.a", "security.capability", "trusted.x",
		"system.posix_acl_access", "user.overlay.x", "system.other", "trusted.overlay.opaque",
		"user."};
	size_t used = 0, n = fuzz_u8(input) % 4;

	for (size_t i = 0; i < n; i++) {
		const char *name = names[fuzz_u8(input) % 8];
		uint32_t len = fuzz_u8(input) * 4u;

		memcpy(out + used, name, strlen(name) + 1);
		used += strlen(name) + 1;
		memcpy(out + used, &len, sizeof(len));
		memset(out + used + sizeof(len), (int)(0x40 + i), len);
		used += sizeof(len) + len;
	}
	return used;
}

static void entry_write(struct table_writer *writer, struct fuzz_input *input, uint8_t flags)
{
	static uint8_t xattrs[8192];
	char path[NAME_PATH_MAX + 1], link[NAME_PATH_MAX + 1] = "";
	struct table_entry entry = {.type = (enum tar_type)(flags & ENTRY_TYPE), .path = path, .link = link};
	uint32_t chunks[CHUNKS_MAX];

	if (entry.type > TAR_FIFO)
		entry.type = TAR_DIR;
	path_make_up(input, path, sizeof(path), flags & ENTRY_LONG);
	entry.kind = (uint8_t)name_classify(path);
	if (entry.kind == NAME_BAD || entry.kind == NAME_IGNORED)
		return;
	times_and_owner(input, &entry);
	if (entry.type == TAR_FILE)
		contents(input, &entry, chunks, flags);
	if (entry.type == TAR_SYMLINK || entry.type == TAR_HARDLINK)
		path_make_up(input, link, sizeof(link), flags & ENTRY_LONG);
	if (entry.type == TAR_SYMLINK && flags & ENTRY_BIG)
		snprintf(link, sizeof(link), "%0*u", 1 + fuzz_u16(input) % (NAME_PATH_MAX - 1), 7u);
	if (flags & ENTRY_XATTRS) {
		entry.xattrs = xattrs;
		entry.xattrs_len = (uint32_t)xattrs_make_up(input, xattrs);
	}
	fuzz_require(table_write(writer, &entry) == 0);
}

static void layer_make(struct table *table, unsigned number, struct fuzz_input *input)
{
	struct table_info info = {.data_bytes = LAYER_DATA_BYTES, .tar_bytes = 1};
	int fd = fuzz_file(number, NULL, 0);
	struct table_writer writer;
	uint8_t flags = 0;

	fuzz_require(table_writer_init(&writer, fd, LAYER_DATA_BYTES) == 0);
	for (int i = 0; i < LAYER_ENTRIES_MAX && input->left && !(flags & ENTRY_LAYER_ENDS); i++) {
		flags = fuzz_u8(input);
		entry_write(&writer, input, flags);
	}
	fuzz_require(table_writer_finish(&writer, &info) == 0);
	table_writer_done(&writer);
	fuzz_require(table_open(table, fd) == 0);
}

void layers_make(struct layers *layers, struct fuzz_input *input)
{
	*layers = (struct layers){0};
	do
		layer_make(&layers->tables[layers->n_layers], layers->n_layers, input);
	while (++layers->n_layers < LAYERS_MAX && input->left);
}

void layers_done(struct layers *layers)
{
	for (uint16_t i = 0; i < layers->n_layers; i++)
		table_close(&layers->tables[i]);
}
