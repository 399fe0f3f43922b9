// SPDX-License-Identifier: Apache-2.0
/*
 * Bytes of a blob, decompressed as they come: plain, gzip (any number of members) or zstd (any number of
 * frames, windows of at most 128 MiB), told apart by their first bytes.
 *
 * Memory is constant whatever the input claims. What comes out is bounded twice: by a limit the caller sets
 * and by a ratio to what went in, so that a bomb ends early. Anything but a complete, well-formed stream with
 * nothing behind it is an error.
 *
 * One thread per stream; streams may share a file descriptor, whose offset they neither use nor change.
 */
#ifndef MVRUN_OCI_IMAGE_STREAM_H
#define MVRUN_OCI_IMAGE_STREAM_H

#include "base/err.h"
#include "oci/image/hash.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STREAM_CHUNK (256u << 10)

enum compression { COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD };

/* A range of a file. The descriptor is borrowed. */
struct blob_ref {
	int fd;
	uint64_t offset;
	uint64_t bytes;
};

struct stream_options {
	uint64_t max_bytes; /* decompressed */
	bool hash; /* both digests are wanted */
	const atomic_int *cancel; /* may be NULL; becomes nonzero when the work is to stop */
	_Atomic uint64_t *progress; /* may be NULL; counts bytes of the blob */
};

struct stream {
	struct blob_ref blob;
	struct stream_options options;
	enum compression compression;
	uint64_t in_pos; /* bytes of the blob read so far */
	uint64_t out_bytes;
	uint8_t *in;
	size_t in_len, in_at;
	uint8_t *out;
	void *codec; /* z_stream or ZSTD_DStream */
	bool codec_idle; /* between members or frames: the input may end here */
	struct hash hash_in, hash_out;
};

/* Begin. 0 or -errno with err set: -ENOTSUP for a compression we know but do not read. */
int stream_open(struct stream *stream, const struct blob_ref *blob, const struct stream_options *options,
	struct err *err);
void stream_close(struct stream *stream);

/*
 * The next piece, valid until the next call. *len is 0 at the end, and only there. 0 or -errno with err set:
 * -EBADMSG (damaged or truncated), -EFBIG (a limit), -EINTR (cancelled), or what reading the file gave.
 */
int stream_next(struct stream *stream, const uint8_t **data, size_t *len, struct err *err);

/*
 * Skip bytes without looking at them, at least what stream_next() has read and not yet given. For a plain blob without
 * hashes only: -EINVAL for others. -EBADMSG beyond the end.
 */
int stream_skip(struct stream *stream, uint64_t bytes, struct err *err);

/* After the end: digests of the blob and of what came out, as hex. Only with options.hash. 0 or -errno. */
int stream_digests(
	struct stream *stream, char in[static DIGEST_HEX_LEN + 1], char out[static DIGEST_HEX_LEN + 1]);

/* The digest of a blob as it is, without decompressing. 0 or -errno with err set. */
int blob_digest(const struct blob_ref *blob, const atomic_int *cancel, char hex[static DIGEST_HEX_LEN + 1],
	struct err *err);

/* "plain", "gzip", "zstd". */
const char *compression_name(enum compression compression);

#endif
