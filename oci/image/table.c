// SPDX-License-Identifier: Apache-2.0
#include "oci/image/table.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/image/name.h"
#include "oci/store/image.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define TABLE_MAGIC "mvrunTAB"
#define TABLE_VERSION 1
#define ALIGN 8
#define BUFFER_BYTES (1u << 20)
#define ENTRY_MAX                                                                                            \
	(8u << 20) /* fixed part, chunk map, names, attributes: TAR_ and NAME_ limits stay below             \
		    */
#define FILE_MAX (UINT64_C(16) << 30)

struct raw_header {
	uint8_t magic[8];
	uint32_t version;
	uint32_t entry_bytes; /* sizeof(struct raw_entry) */
	uint64_t n_entries;
	uint64_t data_bytes;
	uint64_t tar_bytes;
	uint64_t reserved[3];
};

struct raw_entry {
	uint32_t bytes; /* of the whole record */
	uint8_t type;
	uint8_t kind;
	uint16_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t rdev;
	uint32_t mtime_nsec;
	int64_t mtime;
	uint64_t size;
	uint32_t block;
	uint32_t n_chunks;
	uint16_t path_len; /* without the NUL */
	uint16_t link_len;
	uint32_t xattrs_len;
	uint8_t chunk_bits;
	uint8_t reserved[7];
};

_Static_assert(sizeof(struct raw_header) == 64, "the header is packed by hand");
_Static_assert(sizeof(struct raw_entry) == 64, "the record is packed by hand");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tables are read and written in place");

/* ---- write ---- */

int table_writer_init(struct table_writer *writer, int fd, uint64_t max_bytes)
{
	*writer = (struct table_writer){.fd = fd,
		.offset = sizeof(struct raw_header),
		.max_bytes = max_bytes < FILE_MAX - HASH_BYTES ? max_bytes : FILE_MAX - HASH_BYTES};
	writer->buffer = malloc(BUFFER_BYTES);
	return writer->buffer ? 0 : -ENOMEM;
}

void table_writer_done(struct table_writer *writer)
{
	free(writer->buffer);
	writer->buffer = NULL;
}

static int writer_flush(struct table_writer *writer)
{
	int ret = io_pwrite_all(writer->fd, writer->buffer, writer->used, writer->offset);

	writer->offset += writer->used;
	writer->used = 0;
	return ret;
}

static int writer_put(struct table_writer *writer, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len) {
		size_t room = BUFFER_BYTES - writer->used, step = len < room ? len : room;

		if (step)
			memcpy(writer->buffer + writer->used, at, step);
		writer->used += step;
		at += step;
		len -= step;
		if (writer->used == BUFFER_BYTES) {
			int ret = writer_flush(writer);

			if (ret)
				return ret;
		}
	}
	return 0;
}

int table_write(struct table_writer *writer, const struct table_entry *entry)
{
	static const uint8_t zeros[ALIGN];
	size_t path_len = strlen(entry->path), link_len = strlen(entry->link);
	size_t chunks_len = entry->n_chunks * sizeof(uint32_t);
	size_t bytes =
		sizeof(struct raw_entry) + chunks_len + path_len + 1 + link_len + 1 + entry->xattrs_len;
	size_t padding = -bytes & (ALIGN - 1);
	struct raw_entry raw = {.bytes = (uint32_t)(bytes + padding),
		.type = (uint8_t)entry->type,
		.kind = entry->kind,
		.mode = entry->mode,
		.uid = entry->uid,
		.gid = entry->gid,
		.rdev = entry->rdev,
		.mtime_nsec = entry->mtime_nsec,
		.mtime = entry->mtime,
		.size = entry->size,
		.block = entry->block,
		.n_chunks = entry->n_chunks,
		.path_len = (uint16_t)path_len,
		.link_len = (uint16_t)link_len,
		.xattrs_len = entry->xattrs_len,
		.chunk_bits = entry->chunk_bits};
	int ret;

	if (bytes + padding > ENTRY_MAX)
		return -EMSGSIZE;
	if (writer->offset + writer->used + bytes + padding > writer->max_bytes)
		return -EFBIG;
	ret = writer_put(writer, &raw, sizeof(raw));
	if (!ret)
		ret = writer_put(writer, entry->chunks, chunks_len);
	if (!ret)
		ret = writer_put(writer, entry->path, path_len + 1);
	if (!ret)
		ret = writer_put(writer, entry->link, link_len + 1);
	if (!ret)
		ret = writer_put(writer, entry->xattrs, entry->xattrs_len);
	if (!ret)
		ret = writer_put(writer, zeros, padding);
	writer->n_entries++;
	return ret;
}

/* The checksum covers the header too, which is known last: one pass over what is in the page cache anyway. */
static int file_hash(int fd, uint64_t bytes, uint8_t *buffer, uint8_t digest[static HASH_BYTES])
{
	struct hash hash;
	int ret = hash_init(&hash);

	for (uint64_t at = 0; !ret && at < bytes;) {
		size_t step = bytes - at < BUFFER_BYTES ? (size_t)(bytes - at) : BUFFER_BYTES;

		ret = io_pread_exact(fd, buffer, step, at);
		if (!ret)
			ret = hash_update(&hash, buffer, step);
		at += step;
	}
	if (!ret)
		ret = hash_final(&hash, digest);
	hash_done(&hash);
	return ret;
}

int table_writer_finish(struct table_writer *writer, const struct table_info *info)
{
	struct raw_header header = {.version = TABLE_VERSION,
		.entry_bytes = sizeof(struct raw_entry),
		.n_entries = writer->n_entries,
		.data_bytes = info->data_bytes,
		.tar_bytes = info->tar_bytes};
	uint8_t digest[HASH_BYTES];
	int ret = writer_flush(writer);

	memcpy(header.magic, TABLE_MAGIC, sizeof(header.magic));
	if (!ret)
		ret = io_pwrite_all(writer->fd, &header, sizeof(header), 0);
	if (!ret)
		ret = file_hash(writer->fd, writer->offset, writer->buffer, digest);
	return ret ? ret : io_pwrite_all(writer->fd, digest, sizeof(digest), writer->offset);
}

/* ---- read ---- */

static bool text_good(const uint8_t *at, size_t len)
{
	return at[len] == '\0' && !memchr(at, '\0', len);
}

/* Whole records to the end: name, NUL, 4 bytes of length, value. */
static bool xattrs_good(const uint8_t *at, size_t len)
{
	while (len) {
		const uint8_t *end = memchr(at, '\0', len);
		uint32_t value_len;
		size_t used;

		if (!end || end == at || end - at > 255)
			return false;
		used = (size_t)(end - at) + 1;
		if (len - used < sizeof(value_len))
			return false;
		memcpy(&value_len, at + used, sizeof(value_len));
		used += sizeof(value_len);
		if (value_len > UINT16_MAX || value_len > len - used)
			return false;
		at += used + value_len;
		len -= used + value_len;
	}
	return true;
}

static bool blocks_good(const struct table *table, uint64_t block, uint64_t bytes)
{
	uint64_t have = table->info.data_bytes / TABLE_BLOCK;
	uint64_t want = bytes / TABLE_BLOCK + (bytes % TABLE_BLOCK != 0);

	return !want || (block <= have && want <= have - block);
}

static bool chunks_good(const struct table *table, const struct raw_entry *raw, const uint8_t *at)
{
	uint64_t chunk;

	if (raw->chunk_bits > 31)
		return false;
	chunk = (uint64_t)TABLE_BLOCK << raw->chunk_bits;
	if (raw->n_chunks != (raw->size + chunk - 1) / chunk)
		return false;
	for (uint32_t i = 0; i < raw->n_chunks; i++) {
		uint64_t left = raw->size - i * chunk;
		uint32_t block;

		memcpy(&block, at + i * sizeof(block), sizeof(block));
		if (block != TABLE_CHUNK_HOLE && !blocks_good(table, block, left < chunk ? left : chunk))
			return false;
	}
	return true;
}

static bool names_good(const struct raw_entry *raw, const uint8_t *path)
{
	char work[NAME_PATH_MAX + 1];

	if (raw->path_len > NAME_PATH_MAX || raw->link_len > NAME_PATH_MAX ||
		!text_good(path, raw->path_len) || !text_good(path + raw->path_len + 1, raw->link_len))
		return false;
	memcpy(work, path, raw->path_len + 1u);
	if (name_clean(work) || strcmp(work, (const char *)path) != 0)
		return false;
	return raw->kind == name_classify(work);
}

/* What the writer leaves zero is zero: from end to the end of the record, and what is reserved. */
static bool zeros_good(const struct raw_entry *raw, const uint8_t *end, size_t padding)
{
	static const uint8_t zeros[ALIGN];

	return memcmp(raw->reserved, zeros, sizeof(raw->reserved)) == 0 && memcmp(end, zeros, padding) == 0 &&
	       (raw->n_chunks || !raw->chunk_bits);
}

static bool record_good(const struct table *table, const uint8_t *at, uint64_t room)
{
	struct raw_entry raw;
	uint64_t need = sizeof(raw), padding;

	if (room < sizeof(raw))
		return false;
	memcpy(&raw, at, sizeof(raw));
	need += raw.n_chunks * UINT64_C(4) + raw.path_len + raw.link_len + 2 + raw.xattrs_len;
	padding = -need & (ALIGN - 1);
	need += padding;
	if (raw.bytes != need || need > room || raw.type > TAR_FIFO || raw.mode > 07777 ||
		raw.mtime_nsec >= 1000000000 || raw.size > TAR_SIZE_MAX)
		return false;
	if (!zeros_good(&raw, at + need - padding, padding))
		return false;
	at += sizeof(raw);
	if (raw.n_chunks ? raw.type != TAR_FILE || !chunks_good(table, &raw, at)
			 : raw.type == TAR_FILE && !blocks_good(table, raw.block, raw.size))
		return false;
	at += raw.n_chunks * UINT64_C(4);
	return names_good(&raw, at) && xattrs_good(at + raw.path_len + raw.link_len + 2, raw.xattrs_len);
}

static bool header_good(const struct raw_header *header)
{
	return memcmp(header->magic, TABLE_MAGIC, sizeof(header->magic)) == 0 &&
	       header->version == TABLE_VERSION && header->entry_bytes == sizeof(struct raw_entry) &&
	       header->data_bytes % IMAGE_ALIGN == 0;
}

static bool table_good(struct table *table)
{
	uint64_t end = table->bytes - HASH_BYTES, at = sizeof(struct raw_header), n = 0;
	struct raw_header header;
	uint8_t digest[HASH_BYTES];
	struct hash hash;

	memcpy(&header, table->map, sizeof(header));
	if (!header_good(&header))
		return false;
	if (hash_init(&hash) || hash_update(&hash, table->map, (size_t)end) || hash_final(&hash, digest) ||
		memcmp(digest, table->map + end, HASH_BYTES) != 0) {
		hash_done(&hash);
		return false;
	}
	table->info = (struct table_info){.n_entries = header.n_entries,
		.data_bytes = header.data_bytes,
		.tar_bytes = header.tar_bytes};
	for (; at < end; n++) {
		uint32_t bytes;

		if (!record_good(table, table->map + at, end - at))
			return false;
		memcpy(&bytes, table->map + at, sizeof(bytes));
		at += bytes;
	}
	return n == header.n_entries;
}

static int table_size(int fd, uint64_t *bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*bytes = (uint64_t)st.st_size;
	return *bytes < sizeof(struct raw_header) + HASH_BYTES || *bytes > FILE_MAX ? -EBADMSG : 0;
}

int table_peek(int fd, struct table_info *info)
{
	auto_free uint8_t *buffer = malloc(BUFFER_BYTES);
	uint8_t digest[HASH_BYTES], found[HASH_BYTES];
	struct raw_header header = {0};
	uint64_t bytes = 0;
	int ret = buffer ? table_size(fd, &bytes) : -ENOMEM;

	if (!ret)
		ret = io_pread_exact(fd, &header, sizeof(header), 0);
	if (!ret)
		ret = io_pread_exact(fd, digest, sizeof(digest), bytes - HASH_BYTES);
	if (!ret)
		ret = file_hash(fd, bytes - HASH_BYTES, buffer, found);
	if (ret)
		return ret;
	if (!header_good(&header) || memcmp(digest, found, HASH_BYTES) != 0)
		return -EBADMSG;
	*info = (struct table_info){.n_entries = header.n_entries,
		.data_bytes = header.data_bytes,
		.tar_bytes = header.tar_bytes};
	return 0;
}

int table_open(struct table *table, int fd)
{
	int ret;

	*table = (struct table){0};
	ret = table_size(fd, &table->bytes);
	if (ret)
		return ret;
	table->map = mmap(NULL, (size_t)table->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	if (table->map == MAP_FAILED) {
		table->map = NULL;
		return -errno;
	}
	if (table_good(table))
		return 0;
	table_close(table);
	return -EBADMSG;
}

void table_close(struct table *table)
{
	if (table->map)
		munmap(table->map, (size_t)table->bytes);
	table->map = NULL;
}

bool table_next(const struct table *table, uint64_t *at, struct table_entry *entry)
{
	const uint8_t *record = table->map + sizeof(struct raw_header) + *at, *tail;
	struct raw_entry raw;

	if (sizeof(struct raw_header) + *at >= table->bytes - HASH_BYTES)
		return false;
	memcpy(&raw, record, sizeof(raw));
	tail = record + sizeof(raw) + raw.n_chunks * UINT64_C(4);
	*entry = (struct table_entry){.type = (enum tar_type)raw.type,
		.kind = raw.kind,
		.mode = raw.mode,
		.uid = raw.uid,
		.gid = raw.gid,
		.rdev = raw.rdev,
		.mtime_nsec = raw.mtime_nsec,
		.mtime = raw.mtime,
		.size = raw.size,
		.block = raw.block,
		.chunk_bits = raw.chunk_bits,
		.chunks = raw.n_chunks ? (const uint32_t *)(const void *)(record + sizeof(raw)) : NULL,
		.n_chunks = raw.n_chunks,
		.path = (const char *)tail,
		.link = (const char *)tail + raw.path_len + 1,
		.xattrs = tail + raw.path_len + raw.link_len + 2,
		.xattrs_len = raw.xattrs_len};
	*at += raw.bytes;
	return true;
}
