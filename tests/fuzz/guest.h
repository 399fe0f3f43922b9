// SPDX-License-Identifier: Apache-2.0
/*
 * A hostile driver whose moves are read from the input, for the targets that fuzz a device.
 *
 * The input is a sequence of moves: write a descriptor, offer a chain, move the available index, put bytes into a
 * buffer, ring the doorbell, write a register, reset and come up again, and what the device's own target adds. After
 * every turn it is checked that the device stayed inside its rights:
 * - not one byte of the window is changed that no device-writable descriptor and no used ring covers;
 * - it returned no more chains than were offered, only heads that exist, and claims no length above what the chain had
 *   room for;
 * - once it has said DEVICE_NEEDS_RESET, it touches nothing until it is reset.
 */
#ifndef MVRUN_TESTS_FUZZ_GUEST_H
#define MVRUN_TESTS_FUZZ_GUEST_H

#include "tests/fuzz/fuzz.h"
#include "tests/unit/fake_driver.h"

#define GUEST_QUEUE_SIZE 16
/* Rings at the front of RAM, then the buffers. */
#define GUEST_RINGS_BYTES (4u << 10)
#define GUEST_BUFFERS_BYTES (16u << 10)
#define GUEST_WINDOW_BYTES (GUEST_RINGS_BYTES + GUEST_BUFFERS_BYTES)
#define GUEST_BUFFERS (FAKE_RAM_BASE + GUEST_RINGS_BYTES)

struct guest {
	struct fake_driver fake;
	struct fuzz_input input;
	uint16_t n_queues;
	/* What the window has to look like where the device may not write. */
	uint8_t shadow[GUEST_WINDOW_BYTES];
	uint8_t writable[GUEST_WINDOW_BYTES];
	uint32_t room[FAKE_QUEUES][GUEST_QUEUE_SIZE]; /* the most a chain with this head had room for */
	uint16_t used_seen[FAKE_QUEUES];
	bool overlap; /* the device may write to its own descriptors: what they say is nobody's guess */
	bool raw; /* the status was written directly: rings may be anywhere */
	/* Extra moves of the target, and its checks after every turn. May be NULL. */
	void (*move)(struct guest *guest);
	void (*check)(struct guest *guest);
};

/* The one guest of the process, with memory as after power-on. The target makes its device with fake_wiring(). */
struct guest *guest_begin(const uint8_t *data, size_t len);

/* Bring the device up with n_queues queues and play the input to its end. */
void guest_play(struct guest *guest, struct virtio_device *dev, uint16_t n_queues);

/* Write len bytes into the guest's memory in the window. */
void guest_write(struct guest *guest, uint64_t gpa, const void *data, size_t len);

/* An address in the window's buffers. */
uint64_t guest_buffer(struct guest *guest);

/* Offer a chain of buffers: n is at most GUEST_QUEUE_SIZE. */
void guest_offer(struct guest *guest, uint16_t queue, const struct fake_buffer *buffers, size_t n);

/* The doorbell, the device's work, and all checks; or only the work, when something else gave it some. */
void guest_kick(struct guest *guest);
void guest_run(struct guest *guest);

#endif
