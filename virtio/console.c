// SPDX-License-Identifier: Apache-2.0
#include "virtio/console.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONSOLE_QUEUE_SIZE 64
#define CHUNK_BYTES 4096u

enum { CONSOLE_RX, CONSOLE_TX, CONSOLE_QUEUES };

static const char panic_text[] = "Kernel panic - not syncing";

static struct virtio_console *console_of(struct virtio_device *dev)
{
	return (struct virtio_console *)dev;
}

/*
 * Go on looking for panic_text in what comes next. Its first letter does not come again in it, so after a
 * mismatch the search can only start at the byte that did not fit.
 */
static void panic_search(struct virtio_console_state *state, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len && !state->panicked; i++) {
		if (data[i] == (uint8_t)panic_text[state->match])
			state->match++;
		else
			state->match = data[i] == (uint8_t)panic_text[0];
		state->panicked = state->match == sizeof(panic_text) - 1;
	}
}

static void ring_append(struct virtio_console_state *state, const uint8_t *data, size_t len)
{
	size_t at = state->written_bytes % CONSOLE_RING_BYTES;
	size_t first = len < CONSOLE_RING_BYTES - at ? len : CONSOLE_RING_BYTES - at;

	memcpy(state->ring + at, data, first);
	memcpy(state->ring, data + first, len - first);
	state->written_bytes += len;
}

/* Take what the guest wrote. Of more than the ring holds, only the end is looked at. */
static void chain_take(struct virtio_console_state *state, struct giov *out)
{
	uint8_t chunk[CHUNK_BYTES];
	size_t n;

	if (out->len_bytes > CONSOLE_RING_BYTES) {
		uint64_t excess = out->len_bytes - CONSOLE_RING_BYTES;

		giov_skip(out, excess);
		state->written_bytes += excess;
		state->match = 0;
	}
	while ((n = giov_read(out, chunk, sizeof(chunk))) > 0) {
		panic_search(state, chunk, n);
		ring_append(state, chunk, n);
	}
}

/* What the ring no longer holds cannot be drained. */
static void ring_catch_up(struct virtio_console_state *state)
{
	uint64_t behind = state->written_bytes - state->drained_bytes;

	if (behind <= CONSOLE_RING_BYTES)
		return;
	state->lost_bytes += behind - CONSOLE_RING_BYTES;
	state->drained_bytes += behind - CONSOLE_RING_BYTES;
}

/* One write to out_fd: the line about losses, or as much of the ring as is in one piece. -errno or 0. */
static int out_write(struct virtio_console *con)
{
	struct virtio_console_state *state = &con->state;
	size_t at = state->drained_bytes % CONSOLE_RING_BYTES;
	uint64_t behind = state->written_bytes - state->drained_bytes;
	size_t piece = behind < CONSOLE_RING_BYTES - at ? (size_t)behind : CONSOLE_RING_BYTES - at;
	ssize_t n;

	if (state->lost_bytes) {
		char line[80];
		int len = snprintf(line, sizeof(line), "\r\n[%llu bytes of console output lost]\r\n",
			(unsigned long long)state->lost_bytes);

		if (write(con->options.out_fd, line, (size_t)len) < 0)
			return -errno;
		state->lost_bytes = 0;
		return 0;
	}
	n = write(con->options.out_fd, state->ring + at, piece);
	if (n < 0)
		return -errno;
	state->drained_bytes += (uint64_t)n;
	return 0;
}

static void on_out(struct loop_source *source, uint32_t events);

/* Write what out_fd takes; if it is full, go on when it is not. */
static void out_drain(struct virtio_console *con)
{
	struct loop *loop = con->dev.wiring.loop;
	int ret = 0;

	if (con->options.out_fd < 0 || con->out_dead)
		return;
	ring_catch_up(&con->state);
	while (con->state.lost_bytes || con->state.drained_bytes < con->state.written_bytes) {
		ret = out_write(con);
		if (ret && ret != -EINTR)
			break;
	}
	if (ret == -EAGAIN && !con->out.active)
		ret = loop_add(loop, &con->out, con->options.out_fd, EPOLLOUT, on_out, con);
	else if (ret != -EAGAIN)
		loop_del(loop, &con->out);
	con->out_dead = ret && ret != -EAGAIN && ret != -EINTR;
}

static int tx_service(struct virtio_console *con)
{
	struct vq *vq = &con->dev.queues[CONSOLE_TX];
	int budget = CONSOLE_QUEUE_SIZE;
	struct vq_chain chain;
	int ret;

	while ((ret = vq_next(vq, &chain, con->iov)) == 1) {
		if (chain.fault)
			return -EBADMSG;
		chain_take(&con->state, &chain.out);
		vq_push(vq, chain.head, 0);
		if (!--budget)
			return 1;
	}
	return ret ? ret : vq_enable_kicks(vq);
}

static void on_in(struct loop_source *source, uint32_t events);

/* Read from in_fd into one chain. 1 if there may be more; 0 if not, with in_fd watched; -EBADMSG. */
static int rx_fill(struct virtio_console *con, struct vq *vq, struct vq_chain *chain)
{
	ssize_t n;

	if (chain->fault)
		return -EBADMSG;
	if (!chain->in.n) {
		vq_push(vq, chain->head, 0);
		return 1;
	}
	giov_truncate(&chain->in, CHUNK_BYTES);
	do
		n = readv(con->options.in_fd, chain->in.iov, (int)chain->in.n);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		vq_push(vq, chain->head, (uint32_t)n);
		return 1;
	}
	vq_undo_next(vq, 1);
	con->in_ended = n == 0 || errno != EAGAIN ||
			loop_add(con->dev.wiring.loop, &con->in, con->options.in_fd, EPOLLIN, on_in, con);
	return 0;
}

static int rx_service(struct virtio_console *con)
{
	struct vq *vq = &con->dev.queues[CONSOLE_RX];
	int budget = CONSOLE_QUEUE_SIZE;
	struct vq_chain chain;
	int ret;

	if (con->options.in_fd < 0 || con->in_ended || con->in.active)
		return 0;
	while ((ret = vq_next(vq, &chain, con->iov)) == 1) {
		ret = rx_fill(con, vq, &chain);
		if (ret <= 0)
			return ret;
		if (!--budget)
			return 1;
	}
	return ret ? ret : vq_enable_kicks(vq);
}

static int console_service(struct virtio_device *dev)
{
	struct virtio_console *con = console_of(dev);
	int tx = tx_service(con);
	int rx = tx < 0 ? 0 : rx_service(con);

	out_drain(con);
	if (tx < 0 || rx < 0)
		return -EBADMSG;
	return tx || rx;
}

static void on_out(struct loop_source *source, uint32_t events)
{
	struct virtio_console *con = source->ctx;

	(void)events;
	virtio_enter(&con->dev);
	out_drain(con);
	virtio_leave(&con->dev, 0);
}

static void on_in(struct loop_source *source, uint32_t events)
{
	struct virtio_console *con = source->ctx;
	int ret = 0;

	(void)events;
	loop_del(con->dev.wiring.loop, source);
	if (virtio_enter(&con->dev))
		ret = rx_service(con);
	virtio_leave(&con->dev, ret);
}

static void console_reset(struct virtio_device *dev)
{
	loop_del(dev->wiring.loop, &console_of(dev)->in);
}

bool virtio_console_panicked(struct virtio_console *con)
{
	bool panicked;

	pthread_mutex_lock(&con->dev.lock);
	panicked = con->state.panicked;
	pthread_mutex_unlock(&con->dev.lock);
	return panicked;
}

size_t virtio_console_tail(struct virtio_console *con, void *data, size_t cap)
{
	const struct virtio_console_state *state = &con->state;
	uint8_t *to = data;
	uint64_t len = cap < CONSOLE_RING_BYTES ? cap : CONSOLE_RING_BYTES;

	pthread_mutex_lock(&con->dev.lock);
	if (len > state->written_bytes)
		len = state->written_bytes;
	for (uint64_t i = 0; i < len; i++)
		to[i] = state->ring[(state->written_bytes - len + i) % CONSOLE_RING_BYTES];
	pthread_mutex_unlock(&con->dev.lock);
	return len;
}

static const struct virtio_ops console_ops = {
	.id = VIRTIO_ID_CONSOLE,
	.service = console_service,
	.reset = console_reset,
};

int virtio_console_init(struct virtio_console *con, const struct virtio_wiring *wiring,
	const struct virtio_console_options *options)
{
	struct virtio_model model = {
		.ops = &console_ops,
		.n_queues = CONSOLE_QUEUES,
		.queue_size = {CONSOLE_QUEUE_SIZE, CONSOLE_QUEUE_SIZE},
	};

	con->options = *options;
	return virtio_device_init(&con->dev, wiring, &model);
}

void virtio_console_done(struct virtio_console *con)
{
	virtio_device_done(&con->dev);
	loop_del(con->dev.wiring.loop, &con->out);
}
