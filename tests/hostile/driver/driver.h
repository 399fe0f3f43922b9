// SPDX-License-Identifier: Apache-2.0
/* Inside of the hostile driver: registers, rings, requests that must succeed, and the lists of cases. */
#ifndef MVRUN_TESTS_HOSTILE_DRIVER_DRIVER_H
#define MVRUN_TESTS_HOSTILE_DRIVER_DRIVER_H

#include "tests/hostile/driver/hostile.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#define PAGE_BYTES 0x1000u
#define F_NEXT VRING_DESC_F_NEXT
#define F_WRITE VRING_DESC_F_WRITE
#define S_BROKEN VIRTIO_CONFIG_S_NEEDS_RESET
#define STATUS_DRIVER 3u
#define STATUS_FEATURES_OK 11u
#define STATUS_UP 15u

/* Places in the driver's memory. */
enum {
	PLACE_QUEUES = HOSTILE_CONSTANT_BYTES, /* RING_BYTES for each queue: descriptors, available, used */
	PLACE_GOOD = PLACE_QUEUES + 0x10000, /* what good requests use */
	PLACE_RX = PLACE_GOOD + 0x10000, /* receive buffers */
	PLACE_FREE = PLACE_RX + 0x20000, /* the playground */
};
#define RING_BYTES 0x4000u
#define RING_AVAIL 0x1000u
#define RING_USED 0x2000u
#define RX_BUFFERS 32u
#define RX_BYTES 0x1000u

static inline uint64_t gpa_at(const struct hostile *h, uint64_t place)
{
	return h->memory_gpa + place;
}

static inline uint64_t memory_end(const struct hostile *h)
{
	return h->memory_gpa + HOSTILE_MEMORY_BYTES;
}

static inline void *host_at(const struct hostile *h, uint64_t gpa)
{
	return h->memory + (gpa - h->memory_gpa);
}

/* ---- random.c: numbers ---- */

uint64_t random_next(struct hostile *h);
static inline uint32_t random_below(struct hostile *h, uint32_t n)
{
	return (uint32_t)(random_next(h) >> 32) % n;
}
static inline bool random_one_in(struct hostile *h, uint32_t n)
{
	return random_below(h, n) == 0;
}

/* ---- device.c: registers and the way up ---- */

uint32_t reg_get(struct hostile *h, uint32_t offset);
void reg_put(struct hostile *h, uint32_t offset, uint32_t value);
uint32_t status_get(struct hostile *h);

/* Status 0, and see that it is 0. */
void device_reset(struct hostile *h);
/* From reset to FEATURES_OK with features (of what is offered). */
void device_negotiate(struct hostile *h, uint64_t features);
/* Empty rings in their usual place. */
void queue_place(struct hostile *h, uint16_t queue, uint16_t size);
/* Tell the device of it. */
void queue_tell(struct hostile *h, uint16_t queue);
/* All of that, and DRIVER_OK. True if the device takes it. */
bool device_up(struct hostile *h, uint64_t features, uint16_t size);

/* ---- rings ---- */

struct buffer {
	uint64_t gpa;
	uint32_t len;
	uint16_t flags; /* F_WRITE or 0 */
};

volatile struct vring_desc *desc_at(struct hostile *h, uint16_t queue, uint16_t index);
void desc_put(struct hostile *h, uint16_t queue, uint16_t index, struct vring_desc desc);
/* Make the chain that begins at head available, or set the available index as it is. Neither kicks. */
void ring_offer(struct hostile *h, uint16_t queue, uint16_t head);
void ring_set_idx(struct hostile *h, uint16_t queue, uint16_t idx);
void ring_set_used_event(struct hostile *h, uint16_t queue, uint16_t value);
void ring_kick(struct hostile *h, uint32_t value);
/* Write n descriptors in a row from index first on, chained, offer and kick. */
void chain_send(struct hostile *h, uint16_t queue, uint16_t first, const struct buffer *buffers, uint16_t n);
/* Has one come back? */
bool ring_take(struct hostile *h, uint16_t queue, uint16_t *head, uint32_t *len);
/* Wait until the chain that begins at head has come back; others are dropped. False if it does not. */
bool ring_await(struct hostile *h, uint16_t queue, uint16_t head, uint32_t *len);
/* Wait until the device says that it needs a reset. */
bool device_await_broken(struct hostile *h);
/* Let the devices do what they have to do. */
void settle(struct hostile *h);

/* ---- good.c: requests that must succeed ---- */

/* The queue that the device looks at whenever it is kicked. */
uint16_t queue_main(const struct hostile *h);
/* F_WRITE if that queue's data goes to the driver. */
uint16_t queue_main_flags(const struct hostile *h);
/* The device does its work, in the life it is in. */
bool device_good(struct hostile *h);

/* ---- blk.c, vsock.c: enough of the protocols for good and bad requests ---- */

#define SECTOR_BYTES 512u
#define BLK_NO_ANSWER 0xff

bool disk_is_read_only(const struct hostile *h);
/*
 * One request: header (or less of it), data, status. The status byte, or BLK_NO_ANSWER; *used: the length
 * in the used ring.
 */
struct blk_try {
	uint32_t type;
	uint64_t sector;
	uint32_t header_bytes;
	struct buffer data;
	uint32_t status_bytes;
	uint16_t status_flags;
};
uint8_t blk_request(struct hostile *h, const struct blk_try *try, uint32_t *used);
bool blk_good(struct hostile *h);

bool vsock_good(struct hostile *h);

/* ---- the catalogue ---- */

/* What a device has to make of a case. */
enum outcome {
	LIVES, /* it goes on as if nothing had been */
	BREAKS, /* it says DEVICE_NEEDS_RESET */
	EITHER,
};

struct hostile_case {
	const char *name; /* the number in the catalogue, and more words where there are several of it */
	uint32_t id; /* of the device it is for; 0: all */
	enum outcome (*run)(struct hostile *h);
};

#define CASES_END                                                                                            \
	{                                                                                                    \
		NULL, 0, NULL                                                                                \
	}
extern const struct hostile_case cases_queue[], cases_setup[], cases_mmio[], cases_blk[], cases_small[],
	cases_vsock[];

/* Say that something is not as it should be. */
void complain(struct hostile *h, const char *what, uint64_t detail);
static inline void expect(struct hostile *h, bool true_, const char *what, uint64_t detail)
{
	if (!true_)
		complain(h, what, detail);
}

#endif
