// SPDX-License-Identifier: Apache-2.0
/* Section 1.1 of the catalogue: how queues are set up, and how much is asked of them. */
#include "tests/hostile/driver/driver.h"

#define HOLE_GPA UINT64_C(0xc8000000)
#define KICKS 5000u
#define BATCHES 300u
#define WRAP_REQUESTS 66000u

/* The main queue set up in some way that cannot work; the others as they should be. */
static enum outcome setup_fails(struct hostile *h, const struct hostile_queue *how, uint32_t size)
{
	uint16_t queue = queue_main(h);

	device_negotiate(h, UINT64_MAX);
	queue_place(h, queue, how->size);
	if (how->desc_gpa)
		h->dev.queues[queue].desc_gpa = how->desc_gpa;
	if (how->avail_gpa)
		h->dev.queues[queue].avail_gpa = how->avail_gpa;
	if (how->used_gpa)
		h->dev.queues[queue].used_gpa = how->used_gpa;
	queue_tell(h, queue);
	if (size != how->size) {
		reg_put(h, VIRTIO_MMIO_QUEUE_READY, 0);
		reg_put(h, VIRTIO_MMIO_QUEUE_NUM, size);
		reg_put(h, VIRTIO_MMIO_QUEUE_READY, 1);
	}
	reg_put(h, VIRTIO_MMIO_STATUS, STATUS_UP);
	expect(h, status_get(h) == (STATUS_UP | S_BROKEN), "a queue that cannot work", size);
	/* Whatever is asked of it now. */
	ring_kick(h, queue);
	settle(h);
	return BREAKS;
}

static enum outcome q13_sizes(struct hostile *h)
{
	uint32_t max = h->dev.size_max[queue_main(h)];
	const uint32_t sizes[] = {0, 3, max - 1, max + 1, 2 * max, 0x8000, 0xffff, 0x10000, 0x10000 + max,
		0x80000000, UINT32_MAX};

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		setup_fails(h, &(struct hostile_queue){.size = (uint16_t)max}, sizes[i]);
	return BREAKS;
}

static enum outcome q13_places(struct hostile *h)
{
	uint64_t end = memory_end(h), usual = gpa_at(h, PLACE_QUEUES);
	uint16_t max = h->dev.size_max[queue_main(h)];
	const struct hostile_queue bad[] = {
		/*
		 * Across the end by one alignment, outside, wrapping, misaligned: descriptors, available,
		 * used.
		 */
		{.size = max, .desc_gpa = end - 16u * max + 16},
		{.size = max, .desc_gpa = HOLE_GPA},
		{.size = max, .desc_gpa = UINT64_MAX - 15},
		{.size = max, .desc_gpa = usual + 8},
		{.size = max, .avail_gpa = end - 2u * max - 4},
		{.size = max, .avail_gpa = HOLE_GPA},
		{.size = max, .avail_gpa = UINT64_MAX - 1},
		{.size = max, .avail_gpa = usual + 1},
		{.size = max, .used_gpa = (end - 8u * max - 4) & ~UINT64_C(3)},
		{.size = max, .used_gpa = HOLE_GPA},
		{.size = max, .used_gpa = UINT64_MAX - 3},
		{.size = max, .used_gpa = usual + 2},
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		setup_fails(h, &bad[i], max);
	return BREAKS;
}

/* A queue that is ready without ever having been described. */
static enum outcome q13_nothing_told(struct hostile *h)
{
	device_negotiate(h, UINT64_MAX);
	reg_put(h, VIRTIO_MMIO_QUEUE_SEL, queue_main(h));
	reg_put(h, VIRTIO_MMIO_QUEUE_READY, 1);
	reg_put(h, VIRTIO_MMIO_STATUS, STATUS_UP);
	return BREAKS;
}

/* DRIVER_OK without any queue, and kicks. */
static enum outcome q13_no_queue(struct hostile *h)
{
	device_negotiate(h, UINT64_MAX);
	reg_put(h, VIRTIO_MMIO_STATUS, STATUS_UP);
	expect(h, status_get(h) == STATUS_UP, "a device without queues", status_get(h));
	for (uint32_t i = 0; i < 16; i++)
		ring_kick(h, i);
	settle(h);
	return EITHER;
}

/* The registers of a queue are frozen from DRIVER_OK to reset (CVE-2026-5747). */
static enum outcome q14_rewritten(struct hostile *h)
{
	static const uint32_t registers[] = {VIRTIO_MMIO_QUEUE_READY, VIRTIO_MMIO_QUEUE_NUM,
		VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_DESC_HIGH, VIRTIO_MMIO_QUEUE_AVAIL_LOW,
		VIRTIO_MMIO_QUEUE_AVAIL_HIGH, VIRTIO_MMIO_QUEUE_USED_LOW, VIRTIO_MMIO_QUEUE_USED_HIGH};
	static const uint32_t values[] = {0, 1, 2, 0x10000, 0x80000000, UINT32_MAX};

	for (uint32_t queue = 0; queue < h->dev.n_queues; queue++) {
		reg_put(h, VIRTIO_MMIO_QUEUE_SEL, queue);
		reg_put(h, VIRTIO_MMIO_QUEUE_READY, 0);
		expect(h, reg_get(h, VIRTIO_MMIO_QUEUE_READY) == 1, "a running queue stays ready", queue);
		for (unsigned int i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
			for (unsigned int j = 0; j < sizeof(values) / sizeof(values[0]); j++)
				reg_put(h, registers[i], values[sizeof(values) / sizeof(values[0]) - 1 - j]);
		}
		expect(h, reg_get(h, VIRTIO_MMIO_QUEUE_READY) == 1, "a running queue is ready", queue);
	}
	expect(h, device_good(h), "the queues are what they were", status_get(h));
	return LIVES;
}

/* Before DRIVER_OK, a queue is frozen while it is ready. */
static enum outcome q14_ready(struct hostile *h)
{
	uint16_t queue = queue_main(h);

	device_negotiate(h, UINT64_MAX);
	for (uint16_t i = 0; i < h->dev.n_queues; i++) {
		queue_place(h, i, h->dev.size_max[i]);
		queue_tell(h, i);
	}
	reg_put(h, VIRTIO_MMIO_QUEUE_SEL, queue);
	reg_put(h, VIRTIO_MMIO_QUEUE_NUM, 3);
	reg_put(h, VIRTIO_MMIO_QUEUE_USED_LOW, 1);
	reg_put(h, VIRTIO_MMIO_QUEUE_DESC_HIGH, UINT32_MAX);
	reg_put(h, VIRTIO_MMIO_STATUS, STATUS_UP);
	expect(h, status_get(h) == STATUS_UP, "a queue that was ready", status_get(h));
	return LIVES;
}

/* Kicks for every queue, and for queues that are not there, one after the other, and all at once. */
static enum outcome q16_kick_storm(struct hostile *h)
{
	for (uint32_t i = 0; i < KICKS; i++) {
		ring_kick(h, i & 1 ? i % 7 : (uint32_t) - (int32_t)i);
		if (i % 64 == 0)
			settle(h);
	}
	settle(h);
	return LIVES;
}

/* As many chains as the queue holds, over and over, looked at by nobody. */
static enum outcome q19_nobody_reaps(struct hostile *h)
{
	uint16_t queue = queue_main(h), size = h->dev.queues[queue].size;
	uint16_t flags = queue_main_flags(h);

	for (uint32_t batch = 0; batch < BATCHES; batch++) {
		for (uint16_t i = 0; i < size; i++) {
			desc_put(h, queue, i, (struct vring_desc){gpa_at(h, PLACE_FREE), 1, flags, 0});
			ring_offer(h, queue, i);
		}
		ring_kick(h, queue);
		for (unsigned int round = 0; h->ops->wait(h->ctx, round); round++) {
			uint16_t head;
			uint32_t used;

			while (ring_take(h, queue, &head, &used))
				;
			if (h->dev.queues[queue].used_seen == h->dev.queues[queue].avail_idx)
				break;
		}
	}
	expect(h, h->dev.queues[queue].used_seen == h->dev.queues[queue].avail_idx, "all chains come back",
		h->dev.queues[queue].used_seen);
	return LIVES;
}

/* One chain of one byte, taken at once. */
static bool one_byte(struct hostile *h)
{
	uint16_t queue = queue_main(h);

	chain_send(h, queue, 0, &(struct buffer){gpa_at(h, PLACE_FREE), 1, queue_main_flags(h)}, 1);
	return ring_await(h, queue, 0, NULL);
}

/* Indices go round from 65535 to 0, in a queue of two. */
static enum outcome q20_wrap(struct hostile *h)
{
	uint32_t n = h->ops->interrupts ? WRAP_REQUESTS : WRAP_REQUESTS / 100;

	device_up(h, UINT64_MAX, 2);
	for (uint32_t i = 0; i < n; i++) {
		if (!one_byte(h)) {
			complain(h, "a chain does not come back", i);
			return EITHER;
		}
	}
	return EITHER;
}

/* The law of interrupts (section 2.7.7): exactly when the used index goes past used_event. */
static enum outcome q20_used_event(struct hostile *h)
{
	static const uint16_t distances[] = {0, 1, 2, 0x7fff, 0x8000, 0xfffe, 0xffff};
	uint16_t queue = queue_main(h);

	if (!h->ops->interrupts)
		return LIVES;
	for (unsigned int i = 0; i < sizeof(distances) / sizeof(distances[0]); i++) {
		uint16_t now = h->dev.queues[queue].used_seen;
		uint64_t count;

		ring_set_used_event(h, queue, (uint16_t)(now + distances[i]));
		(void)h->ops->interrupts(h->ctx, h->dev.slot);
		expect(h, one_byte(h), "a chain comes back", i);
		count = h->ops->interrupts(h->ctx, h->dev.slot);
		expect(h, count == (distances[i] == 0), "interrupts for one chain", distances[i]);
	}
	return LIVES;
}

/* Without EVENT_IDX a flag says whether interrupts are wanted. */
static enum outcome q20_no_interrupt(struct hostile *h)
{
	uint16_t queue = queue_main(h);

	if (!h->ops->interrupts)
		return LIVES;
	device_up(h, ~(UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX), UINT16_MAX);
	for (uint16_t flags = 0; flags < 2; flags++) {
		*(volatile uint16_t *)host_at(h, h->dev.queues[queue].avail_gpa) = flags;
		(void)h->ops->interrupts(h->ctx, h->dev.slot);
		expect(h, one_byte(h), "a chain comes back", flags);
		expect(h, h->ops->interrupts(h->ctx, h->dev.slot) == (uint64_t)!flags, "interrupts by flag",
			flags);
	}
	return LIVES;
}

/* Every size a queue can have. */
static enum outcome q_sizes(struct hostile *h)
{
	for (uint16_t size = 1; size <= h->dev.size_max[queue_main(h)]; size *= 2) {
		expect(h, device_up(h, UINT64_MAX, size), "a queue of this size", size);
		expect(h, one_byte(h), "a chain comes back", size);
	}
	return EITHER;
}

#define CASE(name, fn)                                                                                       \
	{                                                                                                    \
		name, 0, fn                                                                                  \
	}

const struct hostile_case cases_setup[] = {
	CASE("Q13 sizes", q13_sizes),
	CASE("Q13 places", q13_places),
	CASE("Q13 nothing told", q13_nothing_told),
	CASE("Q13 no queue", q13_no_queue),
	CASE("Q13 every good size", q_sizes),
	CASE("Q14 rewritten", q14_rewritten),
	CASE("Q14 ready", q14_ready),
	CASE("Q16 kick storm", q16_kick_storm),
	CASE("Q19 nobody reaps", q19_nobody_reaps),
	CASE("Q20 wrap", q20_wrap),
	CASE("Q20 used_event", q20_used_event),
	CASE("Q20 flag", q20_no_interrupt),
	CASES_END,
};
