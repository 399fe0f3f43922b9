// SPDX-License-Identifier: Apache-2.0
/*
 * Random things from a seed. Half of the chains are what an honest driver would send but for a field here
 * and there, so that they get past the first checks; the other half is noise. Addresses that a device may
 * write to are in the playground or in no memory at all (hostile.h).
 */
#include "tests/hostile/driver/driver.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_vsock.h>

#define ROUND_OPS 1000u /* between two times that the device has to work */
#define HEADER_PLACES 64u
#define WRITES 1
#define READS 0

/* xorshift64*, by Marsaglia and Vigna: small, and good enough for dice. */
uint64_t random_next(struct hostile *h)
{
	uint64_t x = h->random ? h->random : 1;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	h->random = x;
	return x * UINT64_C(2685821657736338717);
}

/* ---- values ---- */

static uint32_t pick(struct hostile *h, const uint32_t *from, uint32_t n)
{
	return from[random_below(h, n)];
}
#define PICK(h, list) pick(h, list, sizeof(list) / sizeof((list)[0]))

static const uint32_t lengths[] = {0, 1, 2, 15, 16, 17, 43, 44, 45, 100, 511, 512, 513, 1024, 4095, 4096,
	4097, 0xffff, 0x10000, 0x10001, 0x100000, 0x7fffffff, 0x80000000, UINT32_MAX - 1, UINT32_MAX};

static uint32_t random_length(struct hostile *h)
{
	return random_one_in(h, 3) ? random_below(h, 0x2000) : PICK(h, lengths);
}

/*
 * Somewhere in the part of memory that devices may write to; a range from there may well leave it at the
 * end.
 */
static uint64_t playground_gpa(struct hostile *h)
{
	if (random_one_in(h, 8))
		return memory_end(h) - random_below(h, 0x20000);
	return gpa_at(h, PLACE_FREE) + random_next(h) % (HOSTILE_MEMORY_BYTES - PLACE_FREE);
}

static uint64_t random_gpa(struct hostile *h, int direction)
{
	switch (random_below(h, 16)) {
	case 0:
		return h->edges[random_below(h, h->n_edges)];
	case 1:
		return random_next(h) | UINT64_C(1) << 62; /* no machine has that much */
	case 2: /* rings, its own and those of other queues */
		return gpa_at(h, PLACE_QUEUES) + random_below(h, HOSTILE_QUEUES * RING_BYTES);
	case 3:
		return UINT64_MAX - random_below(h, 0x10000);
	case 4:
	case 5:
	case 6:
		if (direction == READS && !h->changing)
			return h->memory_gpa + random_below(h, HOSTILE_CONSTANT_BYTES);
		return playground_gpa(h);
	default:
		return playground_gpa(h);
	}
}

static uint16_t random_flags(struct hostile *h)
{
	uint16_t flags = (uint16_t)random_below(h, 4);

	return random_one_in(h, 64) ? (uint16_t)(flags | 1u << random_below(h, 16)) : flags;
}

/* ---- chains ---- */

static uint16_t random_index(struct hostile *h, uint16_t queue)
{
	uint16_t size = h->dev.queues[queue].size;

	if (random_one_in(h, 100))
		return random_one_in(h, 2) ? size : (uint16_t)random_next(h);
	return (uint16_t)random_below(h, size);
}

static void desc_random(struct hostile *h, uint16_t queue, uint16_t index)
{
	uint16_t flags = random_flags(h);

	desc_put(h, queue, index,
		(struct vring_desc){
			.addr = random_gpa(h, flags & F_WRITE ? WRITES : READS),
			.len = random_length(h),
			.flags = flags,
			.next = random_index(h, queue),
		});
}

/* A few descriptors of noise, and one of them as head. */
static void chain_noise(struct hostile *h, uint16_t queue)
{
	uint32_t n = 1 + random_below(h, 5);

	for (uint32_t i = 0; i < n; i++)
		desc_random(h, queue, (uint16_t)random_below(h, h->dev.queues[queue].size));
	ring_offer(h, queue, random_index(h, queue));
}

static uint32_t blk_header(struct hostile *h, void *to)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_OUT,
		VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES, 2};
	const uint64_t sectors[] = {0, 1, h->dev.sectors - 1, h->dev.sectors, UINT64_MAX, UINT64_C(1) << 55};
	uint64_t sector = random_next(h) % h->dev.sectors;

	if (random_one_in(h, 4))
		sector = sectors[random_below(h, sizeof(sectors) / sizeof(sectors[0]))];
	*(struct virtio_blk_outhdr *)to = (struct virtio_blk_outhdr){
		.type = random_one_in(h, 16) ? (uint32_t)random_next(h) : PICK(h, types),
		.ioprio = (uint32_t)random_next(h),
		.sector = sector,
	};
	return sizeof(struct virtio_blk_outhdr);
}

static uint32_t vsock_header_random(struct hostile *h, void *to)
{
	static const uint32_t counts[] = {0, 1, 0x1000, 0x10000, 0x10001, 0x40000, 0x7fffffff, UINT32_MAX};
	static const uint32_t odd_lengths[] = {0, 0, 1, 100, 4096, 0x10000, 0x10001, UINT32_MAX};

	*(struct virtio_vsock_hdr *)to = (struct virtio_vsock_hdr){
		.src_cid = random_one_in(h, 32) ? random_next(h) : h->dev.cid,
		.dst_cid = random_one_in(h, 32) ? random_next(h) : 2,
		/* Few enough for packets to meet a connection. */
		.src_port = random_one_in(h, 32) ? (uint32_t)random_next(h) : random_below(h, 4),
		.dst_port = HOSTILE_PORT_FIRST + random_below(h, HOSTILE_PORTS + 1),
		.len = PICK(h, odd_lengths),
		.type = random_one_in(h, 32) ? (uint16_t)random_next(h) : VIRTIO_VSOCK_TYPE_STREAM,
		.op = random_one_in(h, 32) ? (uint16_t)random_next(h) : (uint16_t)random_below(h, 8),
		.flags = random_one_in(h, 8) ? (uint32_t)random_next(h) : random_below(h, 4),
		.buf_alloc = PICK(h, counts),
		.fwd_cnt = random_one_in(h, 8) ? PICK(h, counts) : 0,
	};
	return sizeof(struct virtio_vsock_hdr);
}

/*
 * A chain as it should be, in consecutive descriptors: header, data, status, as the device has them. Then,
 * one time in four, one field of one descriptor is made wrong.
 */
static void chain_plausible(struct hostile *h, uint16_t queue)
{
	uint16_t size = h->dev.queues[queue].size, first = (uint16_t)random_below(h, size), n = 0;
	uint64_t header_gpa = gpa_at(h, PLACE_FREE) + random_below(h, HEADER_PLACES) * 64u;
	uint32_t data_bytes =
		random_one_in(h, 2) ? SECTOR_BYTES * (1 + random_below(h, 16)) : random_length(h);
	bool receives = queue != queue_main(h);
	uint16_t flags = receives || queue_main_flags(h) ? F_WRITE : 0;
	struct buffer chain[3];

	if (h->dev.id == VIRTIO_ID_BLOCK) {
		chain[n++] = (struct buffer){header_gpa, blk_header(h, host_at(h, header_gpa)), 0};
		flags = random_one_in(h, 2) ? F_WRITE : 0;
	} else if (h->dev.id == VIRTIO_ID_VSOCK && !receives) {
		chain[n++] = (struct buffer){header_gpa, vsock_header_random(h, host_at(h, header_gpa)), 0};
	}
	if (!random_one_in(h, 8) || !n)
		chain[n++] = (struct buffer){playground_gpa(h), data_bytes, flags};
	if (h->dev.id == VIRTIO_ID_BLOCK)
		chain[n++] = (struct buffer){gpa_at(h, PLACE_FREE) + HEADER_PLACES * 64u, 1, F_WRITE};
	for (uint16_t i = 0; i < n; i++)
		desc_put(h, queue, (uint16_t)((first + i) % size),
			(struct vring_desc){chain[i].gpa, chain[i].len,
				(uint16_t)(chain[i].flags | (i + 1 < n ? F_NEXT : 0)),
				(uint16_t)((first + i + 1) % size)});
	if (random_one_in(h, 4))
		desc_random(h, queue, (uint16_t)((first + random_below(h, n)) % size));
	ring_offer(h, queue, first);
}

/* ---- operations on queues ---- */

/* How many chains the device has not returned yet, if the used index can be believed. */
static uint16_t outstanding(struct hostile *h, uint16_t queue)
{
	const volatile uint16_t *used = host_at(h, h->dev.queues[queue].used_gpa);

	return (uint16_t)(h->dev.queues[queue].avail_idx - used[1]);
}

static void life_random(struct hostile *h)
{
	uint64_t features = random_one_in(h, 2) ? UINT64_MAX : random_next(h);

	if (!device_up(h, features, (uint16_t)(1u << random_below(h, 9))))
		complain(h, "the device does not come up", status_get(h));
}

static void poke_random(struct hostile *h, uint16_t queue)
{
	volatile uint16_t *words = host_at(h, h->dev.queues[queue].desc_gpa);

	switch (random_below(h, 4)) {
	case 0:
		desc_random(h, queue, (uint16_t)random_below(h, h->dev.queues[queue].size));
		break;
	case 1:
		words[random_below(h, RING_USED / 2)] = (uint16_t)random_next(h);
		/* Not the index: of what it says, most is too much (below). */
		ring_set_idx(h, queue, h->dev.queues[queue].avail_idx);
		break;
	case 2:
		ring_set_used_event(h, queue, (uint16_t)random_next(h));
		break;
	default:
		*(volatile uint16_t *)host_at(h, h->dev.queues[queue].avail_gpa) = (uint16_t)random_next(h);
		break;
	}
}

static void jump_random(struct hostile *h, uint16_t queue)
{
	uint16_t by = random_one_in(h, 8) ? (uint16_t)random_next(h)
					  : (uint16_t)random_below(h, h->dev.queues[queue].size + 2u);

	ring_set_idx(h, queue, (uint16_t)(h->dev.queues[queue].avail_idx + by));
}

static void queue_op_random(struct hostile *h)
{
	uint16_t queue = random_one_in(h, 4) ? (uint16_t)random_below(h, h->dev.n_queues) : queue_main(h);
	bool full = outstanding(h, queue) >= h->dev.queues[queue].size;
	uint32_t dice = random_below(h, 100);

	if (full && dice < 75)
		ring_kick(h, queue);
	else if (dice < 50)
		chain_plausible(h, queue);
	else if (dice < 75)
		chain_noise(h, queue);
	else if (dice < 92)
		poke_random(h, queue);
	else if (dice < 94)
		jump_random(h, queue);
	else if (dice < 95)
		life_random(h);
	else
		ring_kick(h, (uint32_t)random_next(h));
}

/* Half of the time the devices are kept from doing anything yet. */
static void settle_hastily(struct hostile *h)
{
	if (h->ops->hold && random_one_in(h, 2))
		h->ops->hold(h->ctx);
	else
		settle(h);
}

void hostile_noise(struct hostile *h, uint64_t n)
{
	life_random(h);
	for (uint64_t i = 0; i < n; i++) {
		queue_op_random(h);
		h->n_queue_ops++;
		if (random_one_in(h, 4)) {
			ring_kick(h, queue_main(h));
			settle_hastily(h);
		}
		if (status_get(h) & S_BROKEN)
			life_random(h);
	}
	settle(h);
}

void hostile_random_queue(struct hostile *h, uint64_t n)
{
	h->name = "random queue operations";
	for (uint64_t done = 0; done < n; done += ROUND_OPS) {
		hostile_noise(h, n - done < ROUND_OPS ? n - done : ROUND_OPS);
		hostile_over(h);
	}
	device_reset(h);
}

/* ---- register accesses ---- */

static const uint32_t registers[] = {VIRTIO_MMIO_DEVICE_FEATURES_SEL, VIRTIO_MMIO_DRIVER_FEATURES,
	VIRTIO_MMIO_DRIVER_FEATURES_SEL, VIRTIO_MMIO_QUEUE_SEL, VIRTIO_MMIO_QUEUE_NUM,
	VIRTIO_MMIO_QUEUE_READY, VIRTIO_MMIO_QUEUE_NOTIFY, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_STATUS,
	VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_DESC_HIGH, VIRTIO_MMIO_QUEUE_AVAIL_LOW,
	VIRTIO_MMIO_QUEUE_AVAIL_HIGH, VIRTIO_MMIO_QUEUE_USED_LOW, VIRTIO_MMIO_QUEUE_USED_HIGH};
static const uint32_t numbers[] = {0, 1, 2, 3, 4, 7, 8, 16, 64, 128, 255, 256, 0x8000, 0xffff, 0x10000,
	0x7fffffff, 0x80000000, UINT32_MAX};
static const uint32_t statuses[] = {1, 3, 11, 15, 1, 3, 11, 15, 0, 0x40, 0x80, 0x8f, 0x4f, 7, 5, 9};

static uint32_t value_random(struct hostile *h, uint32_t offset)
{
	if (offset == VIRTIO_MMIO_STATUS && !random_one_in(h, 8))
		return PICK(h, statuses);
	if (offset == VIRTIO_MMIO_DRIVER_FEATURES && !random_one_in(h, 4))
		return (uint32_t)(random_one_in(h, 2) ? h->dev.offered : h->dev.offered >> 32);
	/*
	 * The device writes where this says: somewhere above the pattern, in memory or behind it. The upper
	 * half is anything.
	 */
	if (offset >= VIRTIO_MMIO_QUEUE_DESC_LOW - 8 && offset < VIRTIO_MMIO_CONFIG && offset % 8 == 0) {
		uint32_t low = (uint32_t)gpa_at(h, PLACE_QUEUES);

		if (random_one_in(h, 2))
			return (uint32_t)gpa_at(h, PLACE_QUEUES + random_below(h, 64) * 0x800u);
		return low + random_below(h, UINT32_MAX - low);
	}
	return random_one_in(h, 4) ? (uint32_t)random_next(h) : PICK(h, numbers);
}

static void register_op_random(struct hostile *h)
{
	static const unsigned int widths[] = {1, 2, 4, 8, 4, 4, 4, 4};
	uint32_t offset = random_one_in(h, 4) ? random_below(h, PAGE_BYTES) : PICK(h, registers);
	unsigned int width = widths[random_below(h, 8)];

	if (offset + width > PAGE_BYTES)
		offset = PAGE_BYTES - width;
	if (random_one_in(h, 4))
		(void)h->ops->read(h->ctx, h->dev.slot, offset, width);
	else
		h->ops->write(h->ctx, h->dev.slot, offset, value_random(h, offset), width);
}

void hostile_random_registers(struct hostile *h, uint64_t n)
{
	h->name = "random register accesses";
	for (uint64_t i = 1; i <= n; i++) {
		register_op_random(h);
		h->n_register_ops++;
		if (random_one_in(h, 32))
			settle(h);
		/* Left alone, it would hardly ever be up. */
		if (random_one_in(h, 64))
			life_random(h);
		if (i % ROUND_OPS == 0 || i == n) {
			settle(h);
			hostile_over(h);
		}
	}
	device_reset(h);
}
