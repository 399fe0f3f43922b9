// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/relay.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Copies per turn of the loop: enough to be cheap, few enough for the other sources to have their turn. */
#define ROUNDS_MAX 16

/* What a blocking descriptor takes at once after EPOLLOUT: a pipe has a free page, a terminal some room. */
#define CHUNK_PIPE 4096
#define CHUNK_TERMINAL 256

static void relay_pump(struct relay *relay, bool readable);

/* Find out how to write to out_fd without ever blocking. */
static void sink_choose(struct relay *relay)
{
	char path[32];
	struct stat st;

	relay->sink = SINK_NONBLOCK;
	if (fstat(relay->out_fd, &st) < 0 || S_ISREG(st.st_mode))
		return;
	if (S_ISSOCK(st.st_mode)) {
		relay->sink = SINK_SOCKET;
		return;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", relay->out_fd);
	relay->own_fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (relay->own_fd >= 0) {
		relay->out_fd = relay->own_fd;
		return;
	}
	relay->sink = SINK_CHUNKED;
	relay->chunk = S_ISFIFO(st.st_mode) ? CHUNK_PIPE : CHUNK_TERMINAL;
}

static void on_readable(struct loop_source *source, uint32_t events)
{
	(void)events;
	relay_pump(source->ctx, true);
}

static void on_writable(struct loop_source *source, uint32_t events)
{
	struct relay *relay = source->ctx;

	(void)events;
	/* It will be asked for again if this was not enough. */
	loop_del(relay->loop, source);
	relay_pump(relay, relay->in_always);
}

void relay_init(struct relay *relay)
{
	*relay = (struct relay){.in_fd = -1, .out_fd = -1, .own_fd = -1};
}

int relay_start(struct relay *relay, struct loop *loop, int in_fd, int out_fd, relay_fn *ended, void *ctx)
{
	int flags = fcntl(in_fd, F_GETFL);
	int ret;

	*relay = (struct relay){
		.loop = loop, .in_fd = in_fd, .out_fd = out_fd, .own_fd = -1, .ended = ended, .ctx = ctx};
	relay->buffer = malloc(RELAY_BUFFER_BYTES);
	if (!relay->buffer)
		return -ENOMEM;
	relay->in_nonblock = flags >= 0 && flags & O_NONBLOCK;
	sink_choose(relay);
	ret = loop_add(loop, &relay->in, in_fd, EPOLLIN, on_readable, relay);
	if (ret == -EPERM) {
		relay->in_always = true;
		/* The sink is a socket of ours: its being writable drives the copying. */
		ret = loop_add(loop, &relay->out, out_fd, EPOLLOUT, on_writable, relay);
	}
	if (ret)
		relay_stop(relay);
	return ret;
}

void relay_stop(struct relay *relay)
{
	if (!relay->buffer)
		return;
	loop_del(relay->loop, &relay->in);
	loop_del(relay->loop, &relay->out);
	fd_release(&relay->own_fd);
	free(relay->buffer);
	relay->buffer = NULL;
}

/* Fill the buffer once. True if there may be more to read: a short read has emptied the source. */
static bool relay_fill(struct relay *relay)
{
	size_t room;
	ssize_t n;

	room = RELAY_BUFFER_BYTES - relay->tail;
	if (!room)
		return true;
	do
		n = read(relay->in_fd, relay->buffer + relay->tail, room);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		relay->tail += (size_t)n;
		return (size_t)n == room;
	}
	/* A source that fails is a source that ended: a terminal that hung up (EIO), a peer that is gone. */
	if (n == 0 || errno != EAGAIN)
		relay->in_ended = true;
	return false;
}

/* Empty the buffer as far as the sink takes it. True if the sink would take more. */
static bool relay_drain(struct relay *relay)
{
	while (relay->head < relay->tail) {
		size_t len = relay->tail - relay->head;
		ssize_t n;

		if (relay->sink == SINK_CHUNKED && len > relay->chunk)
			len = relay->chunk;
		if (relay->sink == SINK_SOCKET)
			n = send(
				relay->out_fd, relay->buffer + relay->head, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			n = write(relay->out_fd, relay->buffer + relay->head, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0) {
			relay->end = RELAY_BROKEN;
			relay->error = errno;
			return false;
		}
		relay->head += (size_t)n;
		relay->bytes += (uint64_t)n;
		if (relay->sink == SINK_CHUNKED && relay->head < relay->tail)
			return false;
	}
	relay->head = relay->tail = 0;
	return true;
}

/* Watch what the next step depends on: the sink while there is something to write, else the source. */
static void relay_watch(struct relay *relay)
{
	bool pending = relay->head < relay->tail;
	bool room = relay->tail < RELAY_BUFFER_BYTES;
	int ret = 0;

	if ((pending || relay->in_always) && !relay->out.active && !relay->out_always) {
		ret = loop_add(relay->loop, &relay->out, relay->out_fd, EPOLLOUT, on_writable, relay);
		relay->out_always = ret == -EPERM;
	}
	/*
	 * A full buffer takes the source out of the loop altogether: a mere hang-up would be reported for
	 * ever.
	 */
	if (!room || relay->in_ended)
		loop_del(relay->loop, &relay->in);
	else if (!relay->in.active && !relay->in_always)
		ret = loop_add(relay->loop, &relay->in, relay->in_fd, EPOLLIN, on_readable, relay);
	if (ret && ret != -EPERM) {
		relay->end = RELAY_BROKEN;
		relay->error = -ret;
	}
}

static void relay_finish(struct relay *relay)
{
	relay_fn *ended = relay->ended;
	void *ctx = relay->ctx;

	if (relay->end == RELAY_DONE && relay->sink == SINK_SOCKET)
		shutdown(relay->out_fd, SHUT_WR);
	relay_stop(relay);
	ended(relay, ctx);
}

static void relay_pump(struct relay *relay, bool readable)
{
	for (int round = 0; round < ROUNDS_MAX; round++) {
		bool more = readable && !relay->in_ended && relay_fill(relay);

		/* A blocking source that epoll watches may be read once for each time it says so. */
		if (!relay->in_always && !relay->in_nonblock)
			readable = false;
		if (!relay_drain(relay) || !more)
			break;
	}
	if (relay->end == RELAY_RUNNING && relay->in_ended && relay->head == relay->tail)
		relay->end = RELAY_DONE;
	if (relay->end == RELAY_RUNNING)
		relay_watch(relay);
	if (relay->end != RELAY_RUNNING)
		relay_finish(relay);
}
