// SPDX-License-Identifier: Apache-2.0
/*
 * Bytes of a blob, decompressed as they come: plain, gzip (any number of members) or zstd (any number of
 * frames, windows of at most 128 MiB). Which of them it is the caller says: what comes out of one is never
 * decompressed again because it looks as if it could be.
 *
 * Memory is constant whatever the input claims. Anything but a complete, well-formed stream with nothing
 * behind it is an error. How much may come out is for who takes it to say (feed.h).
 *
 * One thread per stream; streams of files may share a descriptor, whose offset they neither use nor change.
 */
#ifndef MVRUN_OCI_IMAGE_STREAM_H
#define MVRUN_OCI_IMAGE_STREAM_H

#include "base/err.h"
#include "oci/image/blob.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STREAM_CHUNK BLOB_CHUNK

struct stream {
	struct blob_ref blob;
	enum compression compression;
	uint64_t in_pos; /* bytes of the blob read so far */
	uint64_t out_bytes;
	uint8_t *in;
	size_t in_len, in_at;
	uint8_t *out;
	void *codec; /* z_stream or ZSTD_DStream */
	bool codec_idle; /* between members or frames: the input may end here */
};

/* Begin. 0 or -ENOMEM with err set. */
int stream_open(
	struct stream *stream, const struct blob_ref *blob, enum compression compression, struct err *err);
void stream_close(struct stream *stream);

/*
 * The next piece, valid until the next call. *len is 0 at the end, and only there. 0 or -errno with err set:
 * -EBADMSG (damaged or truncated), or what reading the file gave.
 */
int stream_next(struct stream *stream, const uint8_t **data, size_t *len, struct err *err);

/*
 * Skip bytes without looking at them, at least what stream_next() has read and not yet given. For a plain blob in a file
 * only: -EINVAL for others. -EBADMSG beyond the end.
 */
int stream_skip(struct stream *stream, uint64_t bytes, struct err *err);

#endif
