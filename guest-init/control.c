// SPDX-License-Identifier: Apache-2.0
#include "guest-init/control.h"

#include "guest-init/sys.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* Largest payload that a guest sends. */
#define SEND_PAYLOAD_MAX (PROTO_START_FAILED_BYTES)

static void channel_end(struct control *control)
{
	loop_del(control->loop, &control->source);
	control->fn(control, NULL, NULL);
}

/* Hand on every whole frame. -EBADMSG for what is none. The receiver may have ended the channel meanwhile. */
static int frames_take(struct control *control)
{
	size_t at = 0;

	while (control->used - at >= PROTO_HEADER_BYTES) {
		struct proto_header header;

		if (proto_header_decode(control->buffer + at, &header))
			return -EBADMSG;
		if (header.len > control->used - at - PROTO_HEADER_BYTES)
			break;
		control->fn(control, &header, control->buffer + at + PROTO_HEADER_BYTES);
		at += PROTO_HEADER_BYTES + header.len;
	}
	memmove(control->buffer, control->buffer + at, control->used - at);
	control->used -= at;
	return 0;
}

static void on_control(struct loop_source *source, uint32_t events)
{
	struct control *control = source->ctx;
	ssize_t n =
		recv(source->fd, control->buffer + control->used, sizeof(control->buffer) - control->used, 0);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		channel_end(control);
		return;
	}
	control->used += (size_t)n;
	if (frames_take(control))
		channel_end(control);
}

int control_start(struct control *control, struct loop *loop, int fd, control_frame_fn *fn, void *ctx)
{
	control->loop = loop;
	control->fn = fn;
	control->ctx = ctx;
	control->used = 0;
	return loop_add(loop, &control->source, fd, EPOLLIN, on_control, control);
}

int control_send(struct control *control, enum proto_type type, const void *payload, size_t len)
{
	struct proto_header header = {.len = (uint32_t)len, .type = (uint16_t)type};
	uint8_t frame[PROTO_HEADER_BYTES + SEND_PAYLOAD_MAX];
	size_t done = 0;

	if (len > SEND_PAYLOAD_MAX)
		return -EMSGSIZE;
	proto_header_encode(&header, frame);
	if (len)
		memcpy(frame + PROTO_HEADER_BYTES, payload, len);
	len += PROTO_HEADER_BYTES;
	while (done < len) {
		ssize_t n = send(control->source.fd, frame + done, len - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd room = {.fd = control->source.fd, .events = POLLOUT};

			poll(&room, 1, -1);
		} else if (n < 0 && errno != EINTR) {
			return -errno;
		} else if (n > 0) {
			done += (size_t)n;
		}
	}
	return 0;
}
