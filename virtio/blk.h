// SPDX-License-Identifier: Apache-2.0
/*
 * Block device (virtio 1.2 section 5.2).
 *
 * Theory of operation. A request is checked whole (type, range, direction, status byte) before anything is
 * done. What is in the page cache is moved at once by preadv2(RWF_NOWAIT) straight into the guest's pages:
 * for those a request costs one system call and no thread. What is not goes to io_uring, which is set up when
 * it is needed first and restricted to the operations used here; where the kernel refuses io_uring, the
 * request is done synchronously instead.
 *
 * A backing is one or more files seen as one linear space: it says which file holds a given place (map), and
 * does what is rare (discard, zeroes). At most BLK_REQUESTS_MAX requests are under way; the rest waits in the
 * ring. On reset, requests under way are cancelled and waited for before the guest goes on, so that nothing
 * is written to its memory afterwards.
 */
#ifndef MVRUN_VIRTIO_BLK_H
#define MVRUN_VIRTIO_BLK_H

#include "virtio/backing.h"
#include "virtio/device.h"

#define BLK_QUEUE_SIZE 256
#define BLK_QUEUES_MAX 4
#define BLK_REQUESTS_MAX 64
#define BLK_SERIAL_BYTES 20

struct virtio_blk_options {
	struct blk_backing backing; /* copied; what it points to is borrowed */
	uint16_t n_queues; /* 1 to BLK_QUEUES_MAX */
	uint32_t block_bytes; /* logical block size to announce: 512 or 4096 */
	char serial[BLK_SERIAL_BYTES]; /* what GET_ID answers; padded with NULs */
	bool no_uring; /* never use io_uring */
};

struct blk_disk;

struct virtio_blk {
	struct virtio_device dev;
	struct virtio_blk_options options;
	struct blk_disk *disk;
};

/*
 * Caller's storage, zeroed, which must stay where it is. 0; -EINVAL for options that make no sense;
 * -errno. Nothing is left to undo on failure. Loop thread.
 */
int virtio_blk_init(
	struct virtio_blk *blk, const struct virtio_wiring *wiring, const struct virtio_blk_options *options);
void virtio_blk_done(struct virtio_blk *blk);

#endif
