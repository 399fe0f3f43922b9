// SPDX-License-Identifier: Apache-2.0
/*
 * One direction of one stream: bytes from a descriptor to another through a bounded buffer, in the event
 * loop.
 *
 * Theory of operation. One end is a socket of the virtual machine's, the other is a descriptor this process
 * was started with, which it shares with strangers: setting O_NONBLOCK on it would break the shell's, and
 * blocking in it would let one slow reader stop the other streams and the signals. So:
 *
 *  - Reading happens only when epoll says there is something; a file that epoll refuses (EPERM: regular
 *    files) is always ready.
 *  - For writing, a pipe or terminal is opened anew through /proc/self/fd, which makes a description of our
 *    own that may be non-blocking. Where that is refused (a terminal that belongs to somebody else), only so
 *    much is written after EPOLLOUT as cannot block. Sockets take MSG_DONTWAIT; regular files do not block.
 *  - While the buffer is full nothing is read, so the pressure goes back through vsock to the writer.
 *
 * The end of the source is passed on once the buffer is empty. A sink that is gone (EPIPE) ends the relay:
 * the owner then closes the source, so that its writer learns of it.
 */
#ifndef MVRUN_OCI_RUNTIME_RELAY_H
#define MVRUN_OCI_RUNTIME_RELAY_H

#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELAY_BUFFER_BYTES 65536

enum relay_end {
	RELAY_RUNNING,
	RELAY_DONE, /* the source ended and all of it was written */
	RELAY_BROKEN, /* the sink takes no more; error says why */
};

enum sink_kind {
	SINK_NONBLOCK, /* write() never blocks */
	SINK_SOCKET,
	SINK_CHUNKED, /* blocking: write at most chunk bytes when epoll says so */
};

struct relay;
typedef void relay_fn(struct relay *relay, void *ctx);

struct relay {
	struct loop *loop;
	struct loop_source in, out;
	int in_fd; /* borrowed, as out_fd may be */
	int out_fd;
	int own_fd; /* a description of our own for out_fd, or -1 */
	enum sink_kind sink;
	size_t chunk;
	bool in_always; /* epoll refuses them: always ready */
	bool out_always;
	bool in_nonblock;
	bool in_ended;
	enum relay_end end;
	int error; /* errno of the write that broke it */
	uint64_t bytes; /* written so far */
	uint8_t *buffer;
	size_t head, tail; /* what is in the buffer: head..tail */
	relay_fn *ended;
	void *ctx;
};

/* Nothing is allocated or watched yet; relay_stop() is harmless from here on. */
void relay_init(struct relay *relay);

/*
 * Begin to copy from in_fd to out_fd, both the caller's. One of them is a non-blocking socket. ended is
 * called once, from the loop. 0 or -errno.
 */
int relay_start(struct relay *relay, struct loop *loop, int in_fd, int out_fd, relay_fn *ended, void *ctx);

/* Stop copying and free the buffer; what is still in it is lost. */
void relay_stop(struct relay *relay);

static inline bool relay_running(const struct relay *relay)
{
	return relay->buffer && relay->end == RELAY_RUNNING;
}

/* True while bytes wait for the sink: the source is not to blame for the delay. */
static inline bool relay_stalled(const struct relay *relay)
{
	return relay_running(relay) && relay->tail > relay->head;
}

#endif
