// SPDX-License-Identifier: Apache-2.0
/*
 * The way of a blob's bytes through the decoders: from the file to the worker that decompresses, from there,
 * counted and hashed, to where they are wanted.
 *
 * Theory of operation. A layer is known by its diff ID, the digest of what its blob unpacks to, and other
 * images will rely on that. Only who sees what comes out of the decompressor before it is parsed can vouch
 * for it; so it passes through here, and what the next worker makes of a layer counts if and only if the
 * digest of what it was given is the diff ID. Neither worker is believed anything about it.
 *
 * Limits are here too, where nobody hostile can reach them.
 */
#ifndef MVRUN_OCI_IMAGE_FEED_H
#define MVRUN_OCI_IMAGE_FEED_H

#include "oci/image/decoder.h"

/*
 * A bomb is told by its ratio: beyond FEED_RATIO_FREE bytes, what comes out may be at most FEED_RATIO_MAX
 * times the blob. Text compresses to a tenth, the most that was seen in images is a fifteenth; only zeros, of
 * which gzip makes a 1032nd part and zstd less, are beyond a hundredth.
 */
#define FEED_RATIO_FREE (UINT64_C(1) << 30)
#define FEED_RATIO_MAX 100

#define FEED_PIPE_BYTES (512 << 10) /* larger pipes are fewer switches */

struct feed {
	struct blob_ref blob;
	enum compression compression;
	const struct decoder *decoder;
	int to_fd; /* a pipe (non-blocking) or a file; feed_run() closes it, for the end of a pipe is its close */
	uint64_t max_bytes; /* of what comes out */
	bool any_ratio;
	const atomic_int *cancel;
	_Atomic uint64_t *progress; /* may be NULL: counts bytes of the blob */
	_Atomic uint64_t *total; /* may be NULL: counts what comes out of several feeds, at most max_bytes */

	/* Results. */
	char digest[DIGEST_HEX_LEN + 1]; /* of the blob */
	char unpacked_digest[DIGEST_HEX_LEN + 1];
	uint64_t unpacked_bytes;
};

/*
 * Feed all of it. 0 or -errno with err set: -EFBIG (a limit), -EINTR, -ETIMEDOUT, what the decompressor or the
 * decoder of it says; -EPIPE when the reader of to_fd wanted no more. The digests are valid after 0 only.
 */
int feed_run(struct feed *feed, struct err *err);

#endif
