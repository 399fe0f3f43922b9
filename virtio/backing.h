// SPDX-License-Identifier: Apache-2.0
/*
 * What a block device's bytes are kept in: a table of operations and its two implementations.
 */
#ifndef MVRUN_VIRTIO_BACKING_H
#define MVRUN_VIRTIO_BACKING_H

#include <stdbool.h>
#include <stdint.h>

struct blk_backing;

/* Where len_bytes of the linear space are: one file, from offset_bytes on. */
struct blk_extent {
	int fd;
	uint64_t offset_bytes;
	uint64_t len_bytes;
};

struct blk_backing_ops {
	/* The extent that begins at pos_bytes (less than the capacity); it may end before the space does. */
	void (*map)(const struct blk_backing *backing, uint64_t pos_bytes, struct blk_extent *extent);
	/* Give the host the space back; it reads as zeros afterwards. NULL if it cannot. 0 or -errno. */
	int (*discard)(const struct blk_backing *backing, uint64_t pos_bytes, uint64_t len_bytes);
	/* Make it zeros; may_free: giving the space back is fine. NULL if it cannot. 0 or -errno. */
	int (*zeroes)(
		const struct blk_backing *backing, uint64_t pos_bytes, uint64_t len_bytes, bool may_free);
	bool read_only;
	/* A file that ends inside an extent is continued by zeros; otherwise that is an error. */
	bool zeros_past_end;
};

/* len_bytes of fd's file from offset_bytes on; both multiples of 512. */
struct blk_segment {
	int fd;
	uint64_t offset_bytes;
	uint64_t len_bytes;
};

struct blk_backing {
	const struct blk_backing_ops *ops;
	uint64_t capacity_bytes;
	const struct blk_segment *segments;
	uint32_t n_segments;
};

/*
 * Segments end to end, read-only. The array and the descriptors are borrowed. 0, or -EINVAL (none, an empty
 * or unaligned one, a total above 2^63).
 */
int blk_backing_segments(
	struct blk_backing *backing, const struct blk_segment *segments, uint32_t n_segments);

/* One file, read-write: a single segment, borrowed. Discard and zeroes punch holes. 0 or -EINVAL. */
int blk_backing_file(struct blk_backing *backing, const struct blk_segment *segment);

#endif
