// SPDX-License-Identifier: Apache-2.0
/*
 * Bytes of a source as they are: a range of a file, its digest, and by which compression it begins. Nothing
 * here interprets more than those first bytes, so it may be called where nothing hostile is decoded.
 */
#ifndef MVRUN_OCI_IMAGE_BLOB_H
#define MVRUN_OCI_IMAGE_BLOB_H

#include "base/err.h"
#include "oci/image/hash.h"

#include <stdatomic.h>
#include <stdint.h>

#define BLOB_CHUNK (256u << 10) /* how much is read at once */
#define BLOB_TO_END UINT64_MAX

enum compression { COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD };

/* A range of a file; or, with BLOB_TO_END, a pipe that is read to its end. The descriptor is borrowed. */
struct blob_ref {
	int fd;
	uint64_t offset;
	uint64_t bytes;
};

/* All of an open file. 0 or -errno with err set. */
int blob_of_file(int fd, struct blob_ref *blob, struct err *err);

/* The digest of a blob. 0 or -errno with err set: -EINTR when *cancel (may be NULL) became nonzero. */
int blob_digest(const struct blob_ref *blob, const atomic_int *cancel, char hex[static DIGEST_HEX_LEN + 1],
	struct err *err);

/*
 * What the len first bytes say, of which eight are enough. 0, or -ENOTSUP with err set for a compression that
 * is known but not read.
 */
int compression_detect(const uint8_t *head, size_t len, enum compression *out, struct err *err);

/* The same for a blob. 0, -ENOTSUP or -errno with err set. */
int blob_compression(const struct blob_ref *blob, enum compression *out, struct err *err);

/* "plain", "gzip", "zstd". */
const char *compression_name(enum compression compression);

#endif
