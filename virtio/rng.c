// SPDX-License-Identifier: Apache-2.0
#include "virtio/rng.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define RNG_QUEUE_SIZE 16
#define US_PER_S UINT64_C(1000000)
#define HOST_NOT_SEEDED_WAIT_US (US_PER_S / 10)

static struct virtio_rng *rng_of(struct virtio_device *dev)
{
	return (struct virtio_rng *)dev;
}

static void budget_refill(struct virtio_rng_state *state)
{
	uint64_t now_us = clock_now_us();
	uint64_t passed_us = now_us - state->refilled_us;
	uint64_t earned;

	if (passed_us >= US_PER_S)
		earned = RNG_BURST_BYTES;
	else
		earned = passed_us * RNG_RATE_BYTES_PER_S / US_PER_S;
	if (!earned)
		return;
	state->refilled_us = now_us;
	state->budget_bytes += earned;
	if (state->budget_bytes > RNG_BURST_BYTES)
		state->budget_bytes = RNG_BURST_BYTES;
}

static void timer_start(struct virtio_rng *rng, uint64_t wait_us)
{
	struct itimerspec when = {
		.it_value.tv_sec = (time_t)(wait_us / US_PER_S),
		.it_value.tv_nsec = (long)(wait_us % US_PER_S * 1000),
	};

	timerfd_settime(rng->timer_fd, 0, &when, NULL);
}

/*
 * Fill up to len_bytes of the chain straight in guest memory. The count, or -errno if there was none at
 * all.
 */
static ssize_t chain_fill(struct giov *in, uint64_t len_bytes)
{
	ssize_t done = 0;

	giov_truncate(in, len_bytes);
	while (in->n) {
		ssize_t n = getrandom(in->iov->iov_base, in->iov->iov_len, GRND_NONBLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return done ? done : -errno;
		giov_skip(in, (uint64_t)n);
		done += n;
	}
	return done;
}

/* Serve one request. 1 if done; 0 if there is none; -EAGAIN if it waits for the timer; -EBADMSG. */
static int rng_request(struct virtio_rng *rng, struct vq *vq)
{
	struct vq_chain chain;
	uint64_t want;
	ssize_t got;
	int ret = vq_next(vq, &chain, rng->iov);

	if (ret <= 0)
		return ret;
	if (chain.fault)
		return -EBADMSG;
	want = chain.in.len_bytes < RNG_REQUEST_MAX_BYTES ? chain.in.len_bytes : RNG_REQUEST_MAX_BYTES;
	if (want > rng->state.budget_bytes) {
		vq_undo_next(vq, 1);
		timer_start(rng, (want - rng->state.budget_bytes) * US_PER_S / RNG_RATE_BYTES_PER_S + 1);
		return -EAGAIN;
	}
	got = chain_fill(&chain.in, want);
	if (got == -EAGAIN) {
		vq_undo_next(vq, 1);
		timer_start(rng, HOST_NOT_SEEDED_WAIT_US);
		return -EAGAIN;
	}
	if (got < 0)
		got = 0;
	rng->state.budget_bytes -= (uint64_t)got;
	vq_push(vq, chain.head, (uint32_t)got);
	return 1;
}

static int rng_service(struct virtio_device *dev)
{
	struct virtio_rng *rng = rng_of(dev);
	struct vq *vq = &dev->queues[0];
	int ret = 1;

	budget_refill(&rng->state);
	for (int i = 0; ret > 0; i++) {
		if (i == RNG_QUEUE_SIZE)
			return 1;
		ret = rng_request(rng, vq);
	}
	if (ret == -EAGAIN)
		return 0;
	return ret ? ret : vq_enable_kicks(vq);
}

static void on_timer(struct loop_source *source, uint32_t events)
{
	struct virtio_rng *rng = source->ctx;
	uint64_t expirations;
	int ret = 0;

	(void)events;
	if (read(rng->timer_fd, &expirations, sizeof(expirations)) < 0)
		return;
	if (virtio_enter(&rng->dev))
		ret = rng_service(&rng->dev);
	virtio_leave(&rng->dev, ret);
}

static const struct virtio_ops rng_ops = {
	.id = VIRTIO_ID_RNG,
	.service = rng_service,
};

int virtio_rng_init(struct virtio_rng *rng, const struct virtio_wiring *wiring)
{
	struct virtio_model model = {
		.ops = &rng_ops,
		.n_queues = 1,
		.queue_size = {RNG_QUEUE_SIZE},
	};
	auto_fd timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int ret;

	if (timer_fd < 0)
		return -errno;
	rng->state = (struct virtio_rng_state){RNG_BURST_BYTES, clock_now_us()};
	ret = loop_add(wiring->loop, &rng->timer, timer_fd, EPOLLIN, on_timer, rng);
	if (ret)
		return ret;
	ret = virtio_device_init(&rng->dev, wiring, &model);
	if (ret) {
		loop_del(wiring->loop, &rng->timer);
		return ret;
	}
	rng->timer_fd = fd_steal(&timer_fd);
	return 0;
}

void virtio_rng_done(struct virtio_rng *rng)
{
	virtio_device_done(&rng->dev);
	loop_del(rng->dev.wiring.loop, &rng->timer);
	fd_release(&rng->timer_fd);
}
