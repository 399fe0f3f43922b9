// SPDX-License-Identifier: Apache-2.0
/*
 * The table of a layer: what its tar archive says, without the contents of the files, which lie in the
 * layer's data. One file, layers/hh/<diff ID>.tab, little-endian:
 *
 *	header		64 bytes: magic, version, counts (struct table_info)
 *	records		8-byte aligned, in the order of the archive
 *	SHA-256		of everything before it
 *
 * A record is a fixed part of 64 bytes, then the chunk map (4 bytes each), the path and the link target with
 * their NULs, the extended attributes as struct tar_entry has them, and zeros up to the alignment.
 *
 * A table that is not exactly what this version would have written is no table: the layer is converted again.
 */
#ifndef MVRUN_OCI_IMAGE_TABLE_H
#define MVRUN_OCI_IMAGE_TABLE_H

#include "base/err.h"
#include "oci/image/hash.h"
#include "oci/image/tar.h"

#include <stdint.h>

#define TABLE_CHUNK_HOLE UINT32_MAX
#define TABLE_BLOCK 4096 /* of the data, and of EROFS */

struct table_info {
	uint64_t n_entries;
	uint64_t data_bytes; /* of the .data file, a multiple of IMAGE_ALIGN */
	uint64_t tar_bytes; /* of the layer's archive */
};

/* One entry, with pointers into the table. Paths are clean (name.h); kind is a name_kind. */
struct table_entry {
	enum tar_type type;
	uint8_t kind;
	uint16_t mode;
	uint32_t uid, gid;
	uint32_t rdev; /* as the kernel's new_encode_dev() */
	uint32_t mtime_nsec;
	int64_t mtime;
	uint64_t size;
	uint32_t block; /* where the contents begin in the data, in blocks */
	uint8_t chunk_bits; /* of a sparse file: its chunks are of TABLE_BLOCK << chunk_bits bytes */
	const uint32_t *chunks; /* block each begins at, or TABLE_CHUNK_HOLE; NULL unless sparse */
	uint32_t n_chunks;
	const char *path;
	const char *link;
	const uint8_t *xattrs;
	uint32_t xattrs_len;
};

struct table_writer {
	int fd;
	struct hash hash;
	uint8_t *buffer;
	size_t used;
	uint64_t offset;
	uint64_t n_entries;
	uint64_t max_bytes;
};

/*
 * Write a table to the empty file fd (borrowed). 0 or -errno, -EFBIG when it would be larger than max_bytes
 * (or than a table can be); after a failure only table_writer_done().
 */
int table_writer_init(struct table_writer *writer, int fd, uint64_t max_bytes);
int table_write(struct table_writer *writer, const struct table_entry *entry);
int table_writer_finish(struct table_writer *writer, const struct table_info *info);
void table_writer_done(struct table_writer *writer);

/* A whole table, mapped. */
struct table {
	uint8_t *map;
	uint64_t bytes;
	struct table_info info;
};

/*
 * Map and check the table in fd (borrowed). 0; -EBADMSG for anything that is not a table of this version;
 * -errno. Every offset, length and string in it is checked here, once.
 */
int table_open(struct table *table, int fd);
void table_close(struct table *table);

/*
 * What the header of a table says (fd is borrowed), if its checksum is right. For the loader, which does not
 * look at entries: they come from a worker. 0; -EBADMSG; -errno.
 */
int table_peek(int fd, struct table_info *info);

/* Go through the entries: *at starts as 0. False at the end. */
bool table_next(const struct table *table, uint64_t *at, struct table_entry *entry);

#endif
