// SPDX-License-Identifier: Apache-2.0
#include "guest-init/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define SPLICE_BYTES 65536
#define ROUNDS_MAX 8 /* then the other streams have their turn */

static bool to_socket(const struct relay *relay)
{
	return relay->kind == RELAY_PIPE_TO_SOCKET || relay->kind == RELAY_TERMINAL_TO_SOCKET;
}

static void source_close(struct relay *relay, struct loop_source *source)
{
	loop_del(relay->loop, source);
	if (source->fd >= 0)
		close(source->fd);
	source->fd = -1;
}

/*
 * The last byte and the end of the stream are on their way. The descriptor is out of the loop (a host that
 * never sent anything and said so would make it report a hang-up for good) and stays open: see relay.h.
 */
static void socket_linger(struct relay *relay)
{
	loop_del(relay->loop, &relay->to);
	shutdown(relay->to.fd, SHUT_WR);
}

/*
 * A pipe's source is closed: whoever still writes gets SIGPIPE. A socket's source is closed: the host's next
 * byte is answered with a reset. A pipe as destination is closed: the container reads the end of its input.
 * The terminal as destination is closed, too: it is a duplicate, the session goes on.
 */
static void relay_end(struct relay *relay, bool destination_gone)
{
	if (relay->state == RELAY_ENDED || relay->state == RELAY_NONE)
		return;
	relay->state = RELAY_ENDED;
	source_close(relay, &relay->from);
	if (to_socket(relay) && !destination_gone)
		socket_linger(relay);
	else
		source_close(relay, &relay->to);
	relay->ended(relay);
}

static ssize_t buffer_flush(struct relay *relay)
{
	ssize_t n;

	if (to_socket(relay))
		n = send(relay->to.fd, relay->buffer + relay->start, relay->end - relay->start, MSG_NOSIGNAL);
	else
		n = write(relay->to.fd, relay->buffer + relay->start, relay->end - relay->start);
	if (n > 0)
		relay->start += (size_t)n;
	return n;
}

/* As splice(): what was moved, 0 at the source's end, -1 and errno. */
static ssize_t buffer_move(struct relay *relay)
{
	ssize_t n;

	if (relay->start == relay->end) {
		n = read(relay->from.fd, relay->buffer, sizeof(relay->buffer));
		/* The last process that had the terminal open is gone. */
		if (n < 0 && errno == EIO && relay->kind == RELAY_TERMINAL_TO_SOCKET)
			n = 0;
		if (n <= 0)
			return n;
		relay->start = 0;
		relay->end = (size_t)n;
	}
	return buffer_flush(relay);
}

static ssize_t relay_move(struct relay *relay)
{
	if (relay->kind == RELAY_PIPE_TO_SOCKET || relay->kind == RELAY_SOCKET_TO_PIPE)
		return splice(relay->from.fd, NULL, relay->to.fd, NULL, SPLICE_BYTES, SPLICE_F_NONBLOCK);
	return buffer_move(relay);
}

/* What to watch the destination for while the source is waited for. */
static uint32_t idle_events(const struct relay *relay)
{
	return to_socket(relay) && !relay->half_closed ? (uint32_t)EPOLLRDHUP : 0;
}

static loop_fn on_from;

/*
 * Only one side is watched for progress at a time. An error or hang-up of the source is reported whether
 * asked for or not, so while the destination is waited for the source is out of the loop.
 */
static void relay_watch(struct relay *relay, enum relay_state state)
{
	int ret = 0;

	relay->state = state;
	if (state == RELAY_WRITING) {
		loop_del(relay->loop, &relay->from);
		ret = loop_mod(relay->loop, &relay->to, EPOLLOUT);
	} else {
		if (!relay->from.active)
			ret = loop_add(relay->loop, &relay->from, relay->from.fd, EPOLLIN, on_from, relay);
		if (!ret)
			ret = loop_mod(relay->loop, &relay->to, idle_events(relay));
	}
	if (ret < 0)
		relay_end(relay, true);
}

/*
 * Move what there is. EAGAIN does not say which side it was: having moved something, or having just been told
 * that there is room, the source is waited for; when the source was ready and still nothing moved, the
 * destination is full.
 */
static void relay_pump(struct relay *relay, bool source_ready)
{
	ssize_t moved = 0, n = 0;

	for (int round = 0; round < ROUNDS_MAX; round++) {
		n = relay_move(relay);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		moved += n;
	}
	if (n == 0) {
		relay_end(relay, false);
		return;
	}
	if (n < 0 && errno != EAGAIN) {
		relay_end(relay, true);
		return;
	}
	if (relay->start != relay->end || (!moved && source_ready))
		relay_watch(relay, RELAY_WRITING);
	else
		relay_watch(relay, RELAY_READING);
}

static void on_from(struct loop_source *source, uint32_t events)
{
	(void)events;
	relay_pump(source->ctx, true);
}

/* True if nobody will ever take what we write. An empty message asks for nothing but that check. */
static bool destination_gone(struct relay *relay)
{
	if (!to_socket(relay))
		return true;
	return send(relay->to.fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN;
}

static void on_to(struct loop_source *source, uint32_t events)
{
	struct relay *relay = source->ctx;

	if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
		if (destination_gone(relay)) {
			relay_end(relay, true);
			return;
		}
		relay->half_closed = true;
	}
	if (relay->state == RELAY_WRITING && events & EPOLLOUT)
		relay_pump(relay, false);
	else if (relay->state == RELAY_READING)
		relay_watch(relay, RELAY_READING);
}

int relay_start(struct relay *relay, struct loop *loop, enum relay_kind kind, int from_fd, int to_fd,
	relay_ended_fn *ended, void *ctx)
{
	int ret;

	*relay = (struct relay){.kind = kind, .loop = loop, .ended = ended, .ctx = ctx};
	relay->from = (struct loop_source){.fd = from_fd};
	ret = loop_add(loop, &relay->to, to_fd, 0, on_to, relay);
	if (ret) {
		close(from_fd);
		close(to_fd);
		relay->from.fd = relay->to.fd = -1;
		return ret;
	}
	/* A connection that is being made is ready for the one or the other once it stands. */
	relay_watch(relay, to_socket(relay) ? RELAY_WRITING : RELAY_READING);
	return 0;
}

void relay_stop(struct relay *relay)
{
	relay_end(relay, true);
}

void relay_done(struct relay *relay)
{
	if (relay->state == RELAY_NONE)
		return;
	relay_stop(relay);
	source_close(relay, &relay->to);
}
