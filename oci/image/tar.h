// SPDX-License-Identifier: Apache-2.0
/*
 * A strict reader of tar archives: v7, POSIX.1-1988 ustar, POSIX.1-2001 pax, GNU (long names, base-256
 * numbers, old and pax sparse files 0.0, 0.1 and 1.0).
 *
 * Theory of operation. There is one meaning of an archive or none. Where tar programs disagree about what an
 * archive says, it is refused: a size on an entry that has no contents, a GNU long name and a pax name for
 * one entry, a pax header for all that changes something, an unknown entry type, a number that does not fit,
 * a sparse map that is not in order or does not add up. Names and values are bytes: they are not converted,
 * normalised or compared without case (docs/decisions/0006-tar-reader.md says why this is not libarchive).
 *
 * What one entry may cost is bounded by the TAR_ limits. The reader pulls from a struct stream and copies
 * nothing of file contents. One thread.
 */
#ifndef MVRUN_OCI_IMAGE_TAR_H
#define MVRUN_OCI_IMAGE_TAR_H

#include "base/buf.h"
#include "oci/image/stream.h"

#define TAR_BLOCK 512
#define TAR_PAX_MAX (1u << 20) /* one pax header or GNU long name */
#define TAR_XATTRS_MAX (64u << 10) /* all extended attributes of one entry, names and values */
#define TAR_SPARSE_MAX (1u << 20) /* pieces of one sparse file */
#define TAR_SIZE_MAX (UINT64_C(1) << 43) /* of one file, holes included */

enum tar_type { TAR_FILE, TAR_HARDLINK, TAR_SYMLINK, TAR_CHAR, TAR_BLOCKDEV, TAR_DIR, TAR_FIFO };

/* A piece of a sparse file that has contents. */
struct tar_piece {
	uint64_t offset;
	uint64_t bytes;
};

struct tar_entry {
	enum tar_type type;
	char *path; /* as in the archive, NUL-terminated, not empty, no NUL inside */
	char *link; /* target of a link, else "" */
	uint32_t mode; /* 07777 */
	uint32_t uid, gid;
	uint32_t major, minor;
	int64_t mtime;
	uint32_t mtime_nsec;
	uint64_t size; /* of the file, with holes */
	uint64_t stored; /* bytes of contents that follow */
	bool sparse;
	const struct tar_piece *pieces; /* of a sparse file: in order, apart, their sum is stored */
	size_t n_pieces;
	/* Extended attributes: name NUL, value length as 4 bytes little-endian, value; again and again. */
	const uint8_t *xattrs;
	size_t xattrs_len;
	uint64_t data_offset; /* where the contents begin in the archive */
};

/* What long-name and pax headers say about the next entry. */
struct tar_pending {
	struct buf path, link, xattrs;
	struct buf pieces; /* struct tar_piece each */
	bool has_path, has_link, gnu_path, gnu_link, has_pax;
	bool has_size, has_uid, has_gid, has_mtime;
	uint64_t size, uid, gid;
	int64_t mtime;
	uint32_t mtime_nsec;
	unsigned int sparse_major, sparse_minor; /* GNU.sparse.major, .minor */
	bool has_sparse_version, has_sparse_map, has_sparse_name, has_realsize;
	bool piece_open; /* 0.0: an offset came, its size did not */
	uint64_t realsize;
};

struct tar {
	struct stream *stream;
	const uint8_t *at; /* what is left of the current chunk */
	size_t have;
	uint64_t pos; /* bytes of the archive consumed */
	uint64_t left; /* contents of the current entry not yet read */
	uint32_t pad; /* and what follows them up to a full block */
	bool seekable; /* contents may be skipped without reading */
	bool ended;
	uint8_t header[TAR_BLOCK];
	struct tar_pending pending;
	struct tar_entry entry;
	char ustar_path[256 + 2]; /* prefix, slash, name */
	char ustar_link[100 + 1];
};

/* The stream stays the caller's. seekable: plain, without hashes, so stream_skip() may be used. */
void tar_init(struct tar *tar, struct stream *stream, bool seekable);
void tar_done(struct tar *tar);

/*
 * The next entry, valid until the next call; *entry is NULL after the last one, when what follows it has been
 * read and found to be nothing but zeros. 0 or -errno with err set: -EBADMSG (not a tar archive, damaged or
 * ambiguous), -EFBIG (a limit), -ENOTSUP, and what stream_next() gives.
 */
int tar_next(struct tar *tar, const struct tar_entry **entry, struct err *err);

/* The next piece of the contents of the current entry; *len 0 at their end. 0 or -errno with err set. */
int tar_read(struct tar *tar, const uint8_t **data, size_t *len, struct err *err);

#endif
