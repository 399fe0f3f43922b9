// SPDX-License-Identifier: Apache-2.0
/*
 * One layer, decoded once: archive in, data and table out.
 *
 * The archive is read as it comes, from the compressed blob to the two files in one pass. Names select
 * nothing on the host; they are checked and written down. Whether they make sense together (a file below a
 * symbolic link, a hard link to nothing) shows when the layers are merged (tree.h).
 */
#ifndef MVRUN_OCI_IMAGE_LAYER_H
#define MVRUN_OCI_IMAGE_LAYER_H

#include "oci/image/stream.h"
#include "oci/image/table.h"

struct layer_source {
	struct blob_ref blob;
	char digest[DIGEST_HEX_LEN + 1]; /* of the blob; "" if nobody said (docker-archive) */
	char diff_id[DIGEST_HEX_LEN + 1];
	int compression; /* enum compression the media type promises, or -1 */
};

struct layer_limits {
	uint64_t max_bytes; /* decompressed, and data with it */
	uint64_t max_entries;
	const atomic_int *cancel;
	_Atomic uint64_t *progress;
};

/*
 * Convert a layer into two empty files. *info says what they hold. Both digests are checked before it
 * succeeds, so nothing of an archive that is not the right one is ever used. 0 or -errno with err set. Any
 * thread.
 */
int layer_convert(const struct layer_source *source, const struct layer_limits *limits, int data_fd,
	int table_fd, struct table_info *info, struct err *err);

#endif
