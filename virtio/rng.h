// SPDX-License-Identifier: Apache-2.0
/*
 * Entropy device (virtio 1.2 section 5.4): getrandom(), at most 64 KiB per request, rate-limited.
 *
 * A guest that asks for more than RNG_RATE_BYTES_PER_S has to wait, without harm to anything else: its
 * requests stay in the ring until a timer says that there is budget again.
 */
#ifndef MVRUN_VIRTIO_RNG_H
#define MVRUN_VIRTIO_RNG_H

#include "virtio/device.h"

#define RNG_REQUEST_MAX_BYTES (64u << 10)
#define RNG_BURST_BYTES (256u << 10)
#define RNG_RATE_BYTES_PER_S (1u << 20)

struct virtio_rng_state {
	uint64_t budget_bytes;
	uint64_t refilled_us; /* CLOCK_MONOTONIC */
};

struct virtio_rng {
	struct virtio_device dev;
	struct virtio_rng_state state;
	struct loop_source timer;
	int timer_fd;
	struct iovec iov[VQ_SIZE_MAX];
};

/*
 * Caller's storage, zeroed, which must stay where it is. 0 or -errno with nothing left to undo. Loop
 * thread.
 */
int virtio_rng_init(struct virtio_rng *rng, const struct virtio_wiring *wiring);
void virtio_rng_done(struct virtio_rng *rng);

#endif
