// SPDX-License-Identifier: Apache-2.0
/*
 * One direction of one standard stream: bytes from a pipe or terminal to a vsock connection, or the other
 * way.
 *
 * A relay never holds a byte that it could not pass on: between a pipe and a socket splice(2) moves the data
 * and the pipe is the buffer; a terminal needs a small buffer of its own, which is emptied before more is
 * read. A reader that is slow or gone stops its own stream and no other. Nothing blocks.
 *
 * READING   the source is watched; the destination only for having gone away
 * WRITING   the destination is watched for room (also while its connection is being made); the source is not
 * ENDED     the source came to its end, or the destination is gone
 *
 * What ENDED does to the two ends is in relay_end(). The host sees the end of a stream as the shutdown of its
 * connection, which vsock delivers behind the last byte. The descriptor stays open until relay_done(): a
 * close that the host does not answer within 8 seconds, because it reads slowly, would become a reset and
 * could throw away what is still on its way.
 */
#ifndef MVRUN_GUEST_INIT_RELAY_H
#define MVRUN_GUEST_INIT_RELAY_H

#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>

#define RELAY_BUFFER_BYTES 4096

enum relay_kind {
	RELAY_PIPE_TO_SOCKET,
	RELAY_SOCKET_TO_PIPE,
	RELAY_TERMINAL_TO_SOCKET,
	RELAY_SOCKET_TO_TERMINAL,
};

enum relay_state {
	RELAY_NONE = 0,
	RELAY_READING,
	RELAY_WRITING,
	RELAY_ENDED,
};

struct relay;
typedef void relay_ended_fn(struct relay *relay);

struct relay {
	enum relay_state state;
	enum relay_kind kind;
	struct loop *loop;
	struct loop_source from;
	struct loop_source to;
	bool half_closed; /* the socket it writes to sends no more, but still receives */
	relay_ended_fn *ended; /* called once */
	void *ctx;
	size_t start, end; /* of what buffer holds */
	char buffer[RELAY_BUFFER_BYTES];
};

/*
 * Begin. Both descriptors become the relay's and must be non-blocking; the socket's connection may still be
 * in the making. ended is not called from here unless the loop is out of memory. 0 or -errno (both are closed
 * then).
 */
int relay_start(struct relay *relay, struct loop *loop, enum relay_kind kind, int from_fd, int to_fd,
	relay_ended_fn *ended, void *ctx);

/* Stop now, whatever is still on its way. Harmless for one that has ended. */
void relay_stop(struct relay *relay);

/* Close what an ended relay has kept open. */
void relay_done(struct relay *relay);

#endif
