// SPDX-License-Identifier: Apache-2.0
#include "virtio/blk_engine.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define RING_ENTRIES 64

void blk_engine_done(struct blk_engine *engine)
{
	if (!engine->ring_up)
		return;
	blk_engine_drain(engine);
	loop_del(engine->loop, &engine->source);
	io_uring_queue_exit(&engine->ring);
	engine->ring_up = false;
}

/*
 * The system call itself: liburing before 2.4 has functions for what is needed here, but does not export
 * them from its shared library.
 */
static int ring_register(struct io_uring *ring, unsigned int opcode, void *arg, unsigned int n_args)
{
	return syscall(SYS_io_uring_register, ring->ring_fd, opcode, arg, n_args) < 0 ? -errno : 0;
}

/* Operations of a ring are not seen by seccomp, so the ring itself is limited to those used here. */
static int ring_restrict(struct io_uring *ring)
{
	static const uint8_t ops[] = {
		IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_ASYNC_CANCEL};
	struct io_uring_restriction rules[sizeof(ops)] = {0};
	unsigned int workers[2] = {BLK_IO_WORKERS / 2, BLK_IO_WORKERS / 2}; /* bounded, unbounded */

	for (size_t i = 0; i < sizeof(ops); i++) {
		rules[i].opcode = IORING_RESTRICTION_SQE_OP;
		rules[i].sqe_op = ops[i];
	}
	/* Threads that wait for a file: as many as the jail has room for. Best effort: since Linux 5.15. */
	(void)ring_register(ring, IORING_REGISTER_IOWQ_MAX_WORKERS, workers, 2);
	return ring_register(ring, IORING_REGISTER_RESTRICTIONS, rules, sizeof(ops));
}

/*
 * At the start, whether it will be needed or not: once the guest runs, seccomp lets nobody make another one. A kernel
 * without io_uring, or one that forbids it, does without.
 */
static bool ring_open(struct blk_engine *engine)
{
	if (io_uring_queue_init(RING_ENTRIES, &engine->ring, IORING_SETUP_R_DISABLED))
		return false;
	if (!ring_restrict(&engine->ring) &&
		!ring_register(&engine->ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0) &&
		!loop_add(engine->loop, &engine->source, engine->ring.ring_fd, EPOLLIN, engine->fn,
			engine->ctx))
		return true;
	io_uring_queue_exit(&engine->ring);
	return false;
}

void blk_engine_init(struct blk_engine *engine, const struct blk_backing *backing, struct loop *loop,
	loop_fn *fn, void *ctx, bool no_uring)
{
	*engine = (struct blk_engine){
		.backing = backing,
		.loop = loop,
		.fn = fn,
		.ctx = ctx,
	};
	if (!no_uring)
		engine->ring_up = ring_open(engine);
}

/* Where the next piece of the transfer is, cut to what lies in one file. */
static struct blk_extent io_window_open(struct blk_engine *engine, struct blk_io *io)
{
	struct blk_extent extent;

	engine->backing->ops->map(engine->backing, io->pos_bytes, &extent);
	io->span_bytes = extent.len_bytes < io->data.len_bytes ? extent.len_bytes : io->data.len_bytes;
	io->window = giov_limit(&io->data, io->span_bytes);
	return extent;
}

/* Account for a piece that ended with n bytes or -errno. 0, or -errno if the transfer has failed. */
static int io_window_close(struct blk_engine *engine, struct blk_io *io, ssize_t n)
{
	giov_unlimit(&io->data, &io->window);
	if (n < 0)
		return (int)n;
	if (n == 0 && (io->op != BLK_IO_READ || !engine->backing->ops->zeros_past_end))
		return -EIO;
	if (n == 0)
		n = (ssize_t)giov_zero(&io->data, io->span_bytes);
	else
		giov_skip(&io->data, (uint64_t)n);
	io->pos_bytes += (uint64_t)n;
	return 0;
}

static ssize_t io_sync(const struct blk_io *io, const struct blk_extent *extent, int flags)
{
	ssize_t n;

	if (io->op == BLK_IO_WRITE && io->stable)
		flags |= RWF_DSYNC;
	do {
		if (io->op == BLK_IO_READ)
			n = preadv2(extent->fd, io->data.iov, (int)io->window.n, (off_t)extent->offset_bytes,
				flags);
		else
			n = pwritev2(extent->fd, io->data.iov, (int)io->window.n, (off_t)extent->offset_bytes,
				flags);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static void io_queue(struct blk_engine *engine, struct blk_io *io, const struct blk_extent *extent)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&engine->ring);

	if (io->op == BLK_IO_FLUSH)
		io_uring_prep_fsync(sqe, extent->fd, IORING_FSYNC_DATASYNC);
	else if (io->op == BLK_IO_READ)
		io_uring_prep_readv(sqe, extent->fd, io->data.iov, io->window.n, extent->offset_bytes);
	else
		io_uring_prep_writev2(sqe, extent->fd, io->data.iov, io->window.n, extent->offset_bytes,
			io->stable ? RWF_DSYNC : 0);
	io_uring_sqe_set_data(sqe, io);
	engine->in_flight++;
	engine->unsubmitted++;
}

/*
 * Is there a ring with room for one more? The caller starts no more transfers than there are entries, so a
 * full one only means that the kernel has not taken earlier ones yet.
 */
static bool ring_has_room(struct blk_engine *engine)
{
	return engine->ring_up && (io_uring_sq_space_left(&engine->ring) || blk_engine_submit(engine));
}

/* Move on until the transfer is done, has failed, or waits for the kernel. */
static int io_advance(struct blk_engine *engine, struct blk_io *io)
{
	while (io->data.len_bytes) {
		struct blk_extent extent = io_window_open(engine, io);
		ssize_t n = -EAGAIN;
		int ret;

		if (!engine->no_nowait[io->op])
			n = io_sync(io, &extent, RWF_NOWAIT);
		/* -EINVAL is how some kernels say it for buffered writes. */
		if (n == -EOPNOTSUPP || n == -EINVAL) {
			engine->no_nowait[io->op] = true;
			n = -EAGAIN;
		}
		if (n == -EAGAIN) {
			if (ring_has_room(engine)) {
				io_queue(engine, io, &extent);
				return BLK_IO_RUNNING;
			}
			n = io_sync(io, &extent, 0);
		}
		ret = io_window_close(engine, io, n);
		if (ret)
			return ret;
	}
	return 0;
}

/* A flush that failed once fails for good: what it lost cannot be flushed by trying again. */
static int flush_end(struct blk_engine *engine, int ret)
{
	if (ret < 0 && ret != -ECANCELED)
		engine->flush_error = ret;
	return ret;
}

static int flush_start(struct blk_engine *engine, struct blk_io *io)
{
	struct blk_extent extent;
	int ret;

	if (engine->flush_error)
		return engine->flush_error;
	engine->backing->ops->map(engine->backing, 0, &extent);
	if (ring_has_room(engine)) {
		io_queue(engine, io, &extent);
		return BLK_IO_RUNNING;
	}
	do
		ret = fdatasync(extent.fd);
	while (ret < 0 && errno == EINTR);
	return flush_end(engine, ret < 0 ? -errno : 0);
}

int blk_engine_start(struct blk_engine *engine, struct blk_io *io)
{
	return io->op == BLK_IO_FLUSH ? flush_start(engine, io) : io_advance(engine, io);
}

bool blk_engine_submit(struct blk_engine *engine)
{
	int ret;

	if (!engine->unsubmitted)
		return true;
	ret = io_uring_submit(&engine->ring);
	if (ret > 0)
		engine->unsubmitted -= (uint32_t)ret;
	return !engine->unsubmitted;
}

/* A piece came back: what the transfer is to its caller now. */
static int io_complete(struct blk_engine *engine, struct blk_io *io, int res)
{
	struct blk_extent extent;
	int ret;

	if (io->op == BLK_IO_FLUSH)
		return flush_end(engine, res);
	if (res == -EAGAIN || res == -EINTR) {
		/* The kernel could not go on by itself, for example because memory is short. */
		giov_unlimit(&io->data, &io->window);
		extent = io_window_open(engine, io);
		res = (int)io_sync(io, &extent, 0);
	}
	ret = io_window_close(engine, io, res);
	return ret ? ret : io_advance(engine, io);
}

struct blk_io *blk_engine_reap(struct blk_engine *engine, int *ret)
{
	struct io_uring_cqe *cqe;

	if (!engine->ring_up)
		return NULL;
	while (io_uring_peek_cqe(&engine->ring, &cqe) == 0) {
		struct blk_io *io = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&engine->ring, cqe);
		engine->in_flight--;
		*ret = io_complete(engine, io, res);
		if (*ret != BLK_IO_RUNNING)
			return io;
	}
	return NULL;
}

/* Ask for the end of everything under way. The answer to this request itself carries no transfer. */
static void cancel_all(struct blk_engine *engine)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&engine->ring);

	if (!sqe)
		return;
	io_uring_prep_cancel(sqe, NULL, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
	io_uring_sqe_set_data(sqe, NULL);
	engine->in_flight++;
	engine->unsubmitted++;
}

void blk_engine_drain(struct blk_engine *engine)
{
	struct io_uring_cqe *cqe;

	if (!engine->ring_up || !engine->in_flight)
		return;
	blk_engine_submit(engine);
	cancel_all(engine);
	while (engine->in_flight) {
		blk_engine_submit(engine);
		if (io_uring_wait_cqe(&engine->ring, &cqe))
			continue;
		io_uring_cqe_seen(&engine->ring, cqe);
		engine->in_flight--;
	}
}
