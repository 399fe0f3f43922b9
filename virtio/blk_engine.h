// SPDX-License-Identifier: Apache-2.0
/*
 * Moves the bytes of a block device between guest pages and files: at once what the page cache has, by
 * io_uring what it has not. For virtio/blk.c only; the device lock is held in every call.
 */
#ifndef MVRUN_VIRTIO_BLK_ENGINE_H
#define MVRUN_VIRTIO_BLK_ENGINE_H

#include "base/loop.h"
#include "mem/giov.h"
#include "virtio/backing.h"

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#define BLK_IO_WORKERS 8u /* of all rings of a process together */

enum blk_io_op { BLK_IO_READ, BLK_IO_WRITE, BLK_IO_FLUSH };

/* One transfer. The caller sets the first four; it stays where it is while it runs. */
struct blk_io {
	enum blk_io_op op;
	bool stable; /* a write is done when it is on the disk */
	uint64_t pos_bytes;
	struct giov data; /* what is left to move */
	uint64_t span_bytes; /* of that, what is under way */
	struct giov_window window;
};

struct blk_engine {
	const struct blk_backing *backing;
	struct loop *loop;
	loop_fn *fn;
	void *ctx;
	struct io_uring ring;
	bool ring_up;
	struct loop_source source;
	bool no_nowait[2]; /* by BLK_IO_READ and BLK_IO_WRITE: the file system cannot say what would block */
	int flush_error;
	uint32_t in_flight;
	uint32_t unsubmitted;
};

/*
 * Caller's storage. fn(ctx) is a callback on loop: transfers have ended, collect them with blk_engine_reap().
 * backing is borrowed. With no_uring everything is done at once, however long that takes.
 */
void blk_engine_init(struct blk_engine *engine, const struct blk_backing *backing, struct loop *loop,
	loop_fn *fn, void *ctx, bool no_uring);
void blk_engine_done(struct blk_engine *engine);

#define BLK_IO_RUNNING 1

/*
 * Start a transfer. 0: it is done already; BLK_IO_RUNNING; -errno: it failed. The range is inside the
 * capacity.
 */
int blk_engine_start(struct blk_engine *engine, struct blk_io *io);

/* Hand to the kernel what was started. False if it has to be tried again later. */
bool blk_engine_submit(struct blk_engine *engine);

/* The next transfer that has ended, *ret 0 or -errno; NULL if there is none. */
struct blk_io *blk_engine_reap(struct blk_engine *engine, int *ret);

/* Cancel what runs and wait for it. Afterwards nothing of it comes out of blk_engine_reap(). */
void blk_engine_drain(struct blk_engine *engine);

#endif
