// SPDX-License-Identifier: Apache-2.0
/*
 * Plays the guest for unit tests of virtio devices: guest memory that is a plain buffer, a driver that sets
 * a device up by its registers, and rings that it can also get wrong on purpose.
 *
 * Guest-physical addresses are far from host addresses and from 0, so that mixing them up does not work by
 * luck.
 */
#ifndef MVRUN_TESTS_UNIT_FAKE_DRIVER_H
#define MVRUN_TESTS_UNIT_FAKE_DRIVER_H

#include "base/loop.h"
#include "mem/gmem.h"
#include "virtio/mmio.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_RAM_BASE UINT64_C(0x40000000)
#define FAKE_RAM_BYTES (UINT64_C(8) << 20)
/* A second region that touches the first one in the guest, but not in the host. */
#define FAKE_HIGH_BASE (FAKE_RAM_BASE + FAKE_RAM_BYTES)
#define FAKE_HIGH_BYTES (UINT64_C(64) << 10)

#define FAKE_QUEUES 4

struct fake_queue {
	uint16_t size;
	uint64_t desc_gpa;
	uint64_t avail_gpa;
	uint64_t used_gpa;
	uint16_t next_desc; /* descriptors are handed out in turn */
	uint16_t avail_idx;
	uint16_t used_seen;
};

struct fake_driver {
	struct gmem mem;
	struct loop loop;
	uint8_t *ram;
	uint8_t *high;
	void *page;
	int irq_fd;
	uint64_t next_gpa;
	struct virtio_device *dev;
	struct fake_queue queues[FAKE_QUEUES];
};

struct fake_buffer {
	uint64_t gpa;
	uint32_t len;
	bool writable;
};

void fake_init(struct fake_driver *fake);
void fake_done(struct fake_driver *fake);
struct virtio_wiring fake_wiring(struct fake_driver *fake);

/* Registers. */
uint32_t fake_reg(const struct fake_driver *fake, uint32_t offset);
void fake_set(struct fake_driver *fake, uint32_t offset, uint32_t value);
uint32_t fake_status(const struct fake_driver *fake);
uint64_t fake_features(struct fake_driver *fake);

/*
 * Up to FEATURES_OK, accepting mask of what is offered; then queues; then DRIVER_OK. fake_up does all of
 * it, with queues of the given size or the device's maximum.
 */
void fake_negotiate(struct fake_driver *fake, struct virtio_device *dev, uint64_t mask);
void fake_queue_place(struct fake_driver *fake, uint16_t queue, uint16_t size);
void fake_queue_configure(struct fake_driver *fake, uint16_t queue);
void fake_driver_ok(struct fake_driver *fake);
void fake_up(struct fake_driver *fake, struct virtio_device *dev, uint16_t n_queues, uint16_t size);

/* Guest memory. */
uint64_t fake_alloc(struct fake_driver *fake, uint64_t len);
void *fake_host(struct fake_driver *fake, uint64_t gpa);

/* Rings: raw pieces, and the whole of an honest driver's work. */
struct vring_desc *fake_desc(struct fake_driver *fake, uint16_t queue, uint16_t index);
uint16_t *fake_avail(struct fake_driver *fake, uint16_t queue); /* flags, idx, ring, used_event */
uint16_t *fake_used(struct fake_driver *fake, uint16_t queue); /* flags, idx, ring, avail_event */
uint16_t *fake_used_event(struct fake_driver *fake, uint16_t queue);
uint16_t *fake_avail_event(struct fake_driver *fake, uint16_t queue);
void fake_offer(struct fake_driver *fake, uint16_t queue, uint16_t head);
uint16_t fake_add(struct fake_driver *fake, uint16_t queue, const struct fake_buffer *buffers, size_t n);
bool fake_take(struct fake_driver *fake, uint16_t queue, uint16_t *head, uint32_t *len);

/* Ring the doorbell and let the loop work until it is idle. */
void fake_kick(struct fake_driver *fake);
void fake_run(struct fake_driver *fake);

/* How many interrupts were raised since the last time. */
uint64_t fake_irqs(struct fake_driver *fake);

#endif
