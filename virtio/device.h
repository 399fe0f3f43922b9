// SPDX-License-Identifier: Apache-2.0
/*
 * What a virtio device is to the transport, and the transport to a device.
 *
 * Theory of operation. Register writes come from vCPU threads; everything a device does is done on the loop
 * thread. They meet in struct virtio_device:
 *
 * - dev->lock protects state, queues, pending and whatever the device itself keeps. All ops are called with
 *   it held, on the loop thread. Callbacks of a device's own loop sources take it through virtio_enter() and
 *   release it through virtio_leave().
 * - Without the lock: the register page (stores are single aligned words; the guest reads it directly), the
 *   InterruptStatus word in it (atomic read-modify-write), and kick_fd.
 * - A vCPU that sets DRIVER_OK checks and starts the queues, leaves a note in dev->pending and goes on; the
 *   loop thread activates the device when it next enters it, before anything else. A vCPU that resets a
 *   running device stops the queues, leaves its note and waits (dev->quiet) until the loop thread has run the
 *   device's reset: when the guest goes on, nothing writes to its memory any more. So devices touch the loop
 *   and their descriptors on one thread only, and the loop thread must never wait for a vCPU.
 *
 * All queues of a device share one doorbell, kick_fd: a kick makes the device look at all of its rings, and
 * the queue number a guest writes is not used for anything. After each turn the transport raises at most one
 * interrupt.
 */
#ifndef MVRUN_VIRTIO_DEVICE_H
#define MVRUN_VIRTIO_DEVICE_H

#include "base/loop.h"
#include "mem/gmem.h"
#include "virtio/queue.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_QUEUES_MAX 8

struct virtio_device;

/* One per kind of device, constant. */
struct virtio_ops {
	uint32_t id; /* virtio 1.2 section 5 */

	/*
	 * The driver is ready: queues that it enabled run. 0, or -errno: the device then needs a reset. May
	 * be NULL.
	 */
	int (*activate)(struct virtio_device *dev);

	/*
	 * Look at all rings, with bounded work. 0; 1 if there is more to do now (it is called again after
	 * others had their turn); -EBADMSG if a ring is malformed: the device then needs a reset.
	 */
	int (*service)(struct virtio_device *dev);

	/*
	 * Forget the life that ended: connections, requests, positions. When this returns, nothing writes to
	 * guest memory on the device's behalf, nor will. May be NULL.
	 */
	void (*reset)(struct virtio_device *dev);
};

/* What a snapshot has to keep of the transport, besides vq_state: no pointers. */
struct virtio_state {
	uint64_t offered; /* features */
	uint64_t accepted;
	uint32_t status;
	uint32_t device_features_sel;
	uint32_t driver_features_sel;
	uint32_t queue_sel;
	uint32_t generation;
};

/* What the machine provides for one device. Everything is borrowed and must outlive the device. */
struct virtio_wiring {
	const struct gmem *mem;
	struct loop *loop;
	void *page; /* VIRTIO_MMIO_PAGE_BYTES, page-aligned: the register page (virtio/mmio.h) */
	int irq_fd; /* an eventfd; writing 1 to it raises the device's (edge-triggered) interrupt */
	/*
	 * Deliver all register writes that the machine still holds back (coalesced MMIO), or NULL if it never
	 * does. Called without the lock, on the loop thread.
	 */
	void (*flush_writes)(void *ctx);
	void *flush_ctx;
};

enum virtio_pending { VIRTIO_PENDING_RESET = 1, VIRTIO_PENDING_ACTIVATE = 2 };

/* The first member of every device. */
struct virtio_device {
	const struct virtio_ops *ops;
	struct virtio_wiring wiring;
	pthread_mutex_t lock;
	struct virtio_state state;
	uint32_t pending; /* enum virtio_pending */
	pthread_cond_t quiet; /* VIRTIO_PENDING_RESET was carried out */
	pthread_t loop_thread; /* the one that made the device */
	uint16_t n_queues;
	struct vq queues[VIRTIO_QUEUES_MAX];
	struct loop_source kick;
	int kick_fd; /* an eventfd, to be tied to the QueueNotify register (KVM ioeventfd) */
};

/* For virtio_device_init(): what the device is. */
struct virtio_model {
	const struct virtio_ops *ops;
	uint64_t features; /* the device's own; the transport adds VERSION_1 and EVENT_IDX */
	const void *config; /* config space, copied to the register page */
	uint16_t config_len_bytes;
	uint16_t n_queues;
	uint16_t queue_size[VIRTIO_QUEUES_MAX];
};

/*
 * Called by a device's own init: set up the register page, the doorbell and its place in the loop.
 * 0 or -errno with nothing left to undo.
 */
int virtio_device_init(
	struct virtio_device *dev, const struct virtio_wiring *wiring, const struct virtio_model *model);

/* On the loop thread, after all vCPUs have stopped. Runs reset. */
void virtio_device_done(struct virtio_device *dev);

/*
 * Loop thread: take the lock and carry out what is pending. True if the driver is up (DRIVER_OK and not
 * broken). Always followed by virtio_leave().
 */
bool virtio_enter(struct virtio_device *dev);

/*
 * Finish the turn with what service returned: interrupt, go on later, or DEVICE_NEEDS_RESET. Releases the
 * lock.
 */
void virtio_leave(struct virtio_device *dev, int ret);

static inline bool virtio_accepted(const struct virtio_device *dev, unsigned int feature)
{
	return dev->state.accepted >> feature & 1;
}

/*
 * Change len_bytes of config space at offset and tell the driver (section 2.5). Loop thread, lock not held.
 */
void virtio_config_change(struct virtio_device *dev, uint32_t offset, const void *data, uint32_t len_bytes);

#endif
