// SPDX-License-Identifier: Apache-2.0
#include "oci/image/feed.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS 100

/* Bytes on their way to a descriptor. */
struct leg {
	int fd; /* -1: closed */
	uint8_t *data;
	size_t at, len;
};

struct run {
	struct feed *feed;
	uint64_t blob_at;
	struct leg unpack; /* the blob to the decompressor; unused if there is none */
	int unpacked_fd; /* from there; -1: nothing (more) comes */
	struct leg out;
	struct hash blob_hash, out_hash;
	uint64_t moved_ms; /* when something moved last */
};

static bool plain(const struct run *run)
{
	return run->feed->compression == COMPRESSION_NONE;
}

/* Write as much as goes. 0, -EPIPE, or what else write() gives. */
static int leg_write(struct run *run, struct leg *leg)
{
	ssize_t n = write(leg->fd, leg->data + leg->at, leg->len - leg->at);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	leg->at += (size_t)n;
	run->moved_ms = clock_now_ms();
	return 0;
}

static bool leg_empty(const struct leg *leg)
{
	return leg->at == leg->len;
}

/* The next piece of the blob onto a leg; at its end the leg is closed. */
static int blob_read(struct run *run, struct leg *leg, struct err *err)
{
	struct feed *feed = run->feed;
	uint64_t left = feed->blob.bytes - run->blob_at;
	size_t step = left < BLOB_CHUNK ? (size_t)left : BLOB_CHUNK;
	int ret = io_pread_exact(feed->blob.fd, leg->data, step, feed->blob.offset + run->blob_at);

	if (ret == -ENODATA)
		return err_set(err, EBADMSG, "the file ends early: it is truncated");
	if (!ret)
		ret = hash_update(&run->blob_hash, leg->data, step);
	if (ret)
		return err_sys(err, ret, "read");
	if (!step)
		fd_release(&leg->fd);
	leg->at = 0;
	leg->len = step;
	run->blob_at += step;
	if (feed->progress)
		atomic_fetch_add(feed->progress, step);
	return 0;
}

/* Count what came out, and stop a bomb. */
static int out_count(struct run *run, struct err *err)
{
	struct feed *feed = run->feed;
	uint64_t total = feed->unpacked_bytes += run->out.len;

	if (feed->total)
		total = atomic_fetch_add(feed->total, run->out.len) + run->out.len;
	if (total > feed->max_bytes)
		return err_set(err, EFBIG, "unpacks to more than %llu bytes, the limit (--max-image-size)",
			(unsigned long long)feed->max_bytes);
	if (!feed->any_ratio && feed->unpacked_bytes > FEED_RATIO_FREE &&
		feed->unpacked_bytes / FEED_RATIO_MAX > feed->blob.bytes)
		return err_set(err, EFBIG,
			"unpacks to more than %d times its size: refused, unless --max-image-size allows it",
			FEED_RATIO_MAX);
	return 0;
}

static int unpacked_read(struct run *run, struct err *err)
{
	ssize_t n = read(run->unpacked_fd, run->out.data, BLOB_CHUNK);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : err_sys(err, errno, "read");
	if (n == 0) {
		fd_release(&run->unpacked_fd);
		fd_release(&run->out.fd);
		return 0;
	}
	run->moved_ms = clock_now_ms();
	run->out.at = 0;
	run->out.len = (size_t)n;
	if (hash_update(&run->out_hash, run->out.data, run->out.len))
		return err_set(err, ENOMEM, "out of memory");
	return out_count(run, err);
}

/* ---- one round ---- */

/* Whatever is empty is filled from the file, which is always ready. */
static int files_read(struct run *run, struct err *err)
{
	struct leg *leg = plain(run) ? &run->out : &run->unpack;
	int ret = leg->fd >= 0 && leg_empty(leg) ? blob_read(run, leg, err) : -EAGAIN;

	if (ret == -EAGAIN)
		return 0;
	return ret || !plain(run) ? ret : out_count(run, err);
}

static int pipes_move(struct run *run, const struct pollfd *ready, struct err *err)
{
	int ret = 0;

	if (ready[0].revents) {
		ret = leg_write(run, &run->unpack);
		/* It does not want the rest; why not it will say. */
		if (ret == -EPIPE) {
			fd_release(&run->unpack.fd);
			ret = 0;
		}
		if (ret)
			return err_sys(err, ret, "write to the decoder");
	}
	if (ready[2].revents) {
		ret = leg_write(run, &run->out);
		if (ret)
			return err_sys(err, ret, "write what is unpacked");
	}
	return ready[1].revents ? unpacked_read(run, err) : 0;
}

static int round_run(struct run *run, struct err *err)
{
	struct pollfd fds[3] = {{.fd = -1}, {.fd = -1}, {.fd = -1}};
	int ret = files_read(run, err);

	if (ret)
		return ret;
	if (run->unpack.fd >= 0 && !leg_empty(&run->unpack))
		fds[0] = (struct pollfd){.fd = run->unpack.fd, .events = POLLOUT};
	if (run->unpacked_fd >= 0 && leg_empty(&run->out))
		fds[1] = (struct pollfd){.fd = run->unpacked_fd, .events = POLLIN};
	if (run->out.fd >= 0 && !leg_empty(&run->out))
		fds[2] = (struct pollfd){.fd = run->out.fd, .events = POLLOUT};
	if (poll(fds, 3, TICK_MS) > 0)
		ret = pipes_move(run, fds, err);
	if (!ret && atomic_load(run->feed->cancel))
		return err_set(err, EINTR, "interrupted");
	if (!ret && clock_now_ms() - run->moved_ms > order_limits(ORDER_UNPACK)->seconds * UINT64_C(1000))
		return err_set(err, ETIMEDOUT, "decoding it takes too long: refused");
	return ret;
}

/* ---- the whole ---- */

static int unpack_begin(struct run *run, struct job *job, struct err *err)
{
	struct order order = {.kind = ORDER_UNPACK,
		.compression = (uint32_t)run->feed->compression,
		.max_bytes = run->feed->max_bytes};
	int in[2], out[2], ret;

	if (pipe2(in, O_CLOEXEC) < 0)
		return err_sys(err, errno, "start decoding");
	if (pipe2(out, O_CLOEXEC) < 0) {
		ret = err_sys(err, errno, "start decoding");
		close(in[0]);
		close(in[1]);
		return ret;
	}
	/* How large they may be is the system's affair. */
	fcntl(in[1], F_SETPIPE_SZ, FEED_PIPE_BYTES);
	fcntl(out[0], F_SETPIPE_SZ, FEED_PIPE_BYTES);
	io_set_nonblock(in[1]);
	io_set_nonblock(out[0]);
	run->unpack.fd = in[1];
	run->unpacked_fd = out[0];
	ret = job_begin(run->feed->decoder, &order, (int[]){in[0], out[1]}, 2, job, err);
	close(in[0]);
	close(out[1]);
	return ret;
}

static int run_init(struct run *run, struct feed *feed)
{
	*run = (struct run){.feed = feed,
		.unpack = {.fd = -1, .data = malloc(BLOB_CHUNK)},
		.unpacked_fd = -1,
		.out = {.fd = fd_steal(&feed->to_fd), .data = malloc(BLOB_CHUNK)},
		.moved_ms = clock_now_ms()};
	if (!run->unpack.data || !run->out.data || hash_init(&run->blob_hash) || hash_init(&run->out_hash))
		return -ENOMEM;
	return 0;
}

static void run_done(struct run *run)
{
	fd_release(&run->unpack.fd);
	fd_release(&run->unpacked_fd);
	fd_release(&run->out.fd);
	hash_done(&run->blob_hash);
	hash_done(&run->out_hash);
	free(run->unpack.data);
	free(run->out.data);
}

static int digests_take(struct run *run)
{
	struct feed *feed = run->feed;
	int ret = hash_final_hex(&run->blob_hash, feed->digest);

	if (!ret && plain(run))
		memcpy(feed->unpacked_digest, feed->digest, sizeof(feed->digest));
	else if (!ret)
		ret = hash_final_hex(&run->out_hash, feed->unpacked_digest);
	return ret;
}

/* What the decompressor says of itself explains a failure that it caused: that the next reader found no end. */
static int unpack_end(struct run *run, struct job *job, int ret, struct err *err)
{
	auto_answer answer = {0};

	fd_release(&run->unpack.fd);
	fd_release(&run->unpacked_fd);
	if (ret)
		return ret;
	return job_end(job, run->feed->cancel, &answer, err);
}

int feed_run(struct feed *feed, struct err *err)
{
	struct job job = JOB_NONE;
	struct run run;
	int ret = run_init(&run, feed);

	if (ret)
		ret = err_set(err, ENOMEM, "out of memory");
	if (!ret && !plain(&run))
		ret = unpack_begin(&run, &job, err);
	while (!ret && run.out.fd >= 0)
		ret = round_run(&run, err);
	if (!plain(&run))
		ret = unpack_end(&run, &job, ret, err);
	if (!ret && digests_take(&run))
		ret = err_set(err, ENOMEM, "out of memory");
	job_release(&job);
	run_done(&run);
	return ret;
}
