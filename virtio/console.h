// SPDX-License-Identifier: Apache-2.0
/*
 * Console device (virtio 1.2 section 5.3) with one port and no control queues.
 *
 * What the guest writes goes to a ring that keeps the last CONSOLE_RING_BYTES, is searched for a kernel's
 * last words as it passes, and from the ring to out_fd as fast as that takes it. Nothing waits for out_fd:
 * what the ring has overwritten before it could be written is replaced by one line that says how much was
 * lost. in_fd, if there is one, is read only when the guest has given buffers to read into.
 */
#ifndef MVRUN_VIRTIO_CONSOLE_H
#define MVRUN_VIRTIO_CONSOLE_H

#include "virtio/device.h"

#define CONSOLE_RING_BYTES (64u << 10)

struct virtio_console_options {
	int out_fd; /* or -1; non-blocking, or a regular file. Borrowed. */
	int in_fd; /* or -1; non-blocking. Borrowed; may equal out_fd only if it is a duplicate. */
};

struct virtio_console_state {
	uint64_t written_bytes; /* by the guest, ever; the ring holds the end of it */
	uint64_t drained_bytes; /* of those, how many out_fd got or missed */
	uint64_t lost_bytes; /* of those, missed and not yet reported on out_fd */
	uint32_t match; /* progress of the search */
	uint32_t panicked;
	uint8_t ring[CONSOLE_RING_BYTES];
};

struct virtio_console {
	struct virtio_device dev;
	struct virtio_console_options options;
	struct virtio_console_state state;
	struct loop_source out;
	struct loop_source in;
	bool out_dead; /* out_fd failed: never tried again */
	bool in_ended;
	struct iovec iov[VQ_SIZE_MAX];
};

/*
 * Caller's storage, zeroed, which must stay where it is. 0 or -errno with nothing left to undo. Loop
 * thread.
 */
int virtio_console_init(struct virtio_console *con, const struct virtio_wiring *wiring,
	const struct virtio_console_options *options);
void virtio_console_done(struct virtio_console *con);

/* Has the guest's kernel said "Kernel panic - not syncing"? Any thread. */
bool virtio_console_panicked(struct virtio_console *con);

/* Copy the last bytes the guest wrote, at most cap, to data. The count. Raw guest bytes. Any thread. */
size_t virtio_console_tail(struct virtio_console *con, void *data, size_t cap);

#endif
