// SPDX-License-Identifier: Apache-2.0
#include "virtio/backing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>

#define SECTOR_BYTES 512u

/*
 * Segments are few and requests mostly go on where the last one ended, but a snapshot of state must not
 * depend on that, so this is a plain search. Linear: with at most some hundred segments it is a fraction of a
 * system call.
 */
static void segments_map(const struct blk_backing *backing, uint64_t pos_bytes, struct blk_extent *extent)
{
	const struct blk_segment *segment = backing->segments;

	while (pos_bytes >= segment->len_bytes) {
		pos_bytes -= segment->len_bytes;
		segment++;
	}
	*extent = (struct blk_extent){
		.fd = segment->fd,
		.offset_bytes = segment->offset_bytes + pos_bytes,
		.len_bytes = segment->len_bytes - pos_bytes,
	};
}

static int punch(const struct blk_backing *backing, int mode, uint64_t pos_bytes, uint64_t len_bytes)
{
	const struct blk_segment *segment = backing->segments;
	int ret;

	do
		ret = fallocate(segment->fd, mode | FALLOC_FL_KEEP_SIZE,
			(off_t)(segment->offset_bytes + pos_bytes), (off_t)len_bytes);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

static int file_discard(const struct blk_backing *backing, uint64_t pos_bytes, uint64_t len_bytes)
{
	return punch(backing, FALLOC_FL_PUNCH_HOLE, pos_bytes, len_bytes);
}

static int file_zeroes(
	const struct blk_backing *backing, uint64_t pos_bytes, uint64_t len_bytes, bool may_free)
{
	int ret = may_free ? -EOPNOTSUPP : punch(backing, FALLOC_FL_ZERO_RANGE, pos_bytes, len_bytes);

	/* Not every file system can zero in place; a hole reads as zeros too. */
	return ret == -EOPNOTSUPP ? file_discard(backing, pos_bytes, len_bytes) : ret;
}

static const struct blk_backing_ops segments_ops = {
	.map = segments_map,
	.read_only = true,
	.zeros_past_end = true,
};

static const struct blk_backing_ops file_ops = {
	.map = segments_map,
	.discard = file_discard,
	.zeroes = file_zeroes,
};

static int segment_check(const struct blk_segment *segment)
{
	if (segment->fd < 0 || !segment->len_bytes || segment->len_bytes % SECTOR_BYTES ||
		segment->offset_bytes % SECTOR_BYTES || segment->offset_bytes > INT64_MAX ||
		segment->len_bytes > INT64_MAX - segment->offset_bytes)
		return -EINVAL;
	return 0;
}

int blk_backing_segments(struct blk_backing *backing, const struct blk_segment *segments, uint32_t n_segments)
{
	uint64_t total = 0;

	if (!n_segments)
		return -EINVAL;
	for (uint32_t i = 0; i < n_segments; i++) {
		if (segment_check(&segments[i]) || segments[i].len_bytes > INT64_MAX - total)
			return -EINVAL;
		total += segments[i].len_bytes;
	}
	*backing = (struct blk_backing){&segments_ops, total, segments, n_segments};
	return 0;
}

int blk_backing_file(struct blk_backing *backing, const struct blk_segment *segment)
{
	if (segment_check(segment))
		return -EINVAL;
	*backing = (struct blk_backing){&file_ops, segment->len_bytes, segment, 1};
	return 0;
}
