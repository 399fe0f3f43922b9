// SPDX-License-Identifier: Apache-2.0
/* Section 1.1 of the catalogue: rings and chains that make no sense, for every device. */
#include "tests/hostile/driver/driver.h"

#include <linux/virtio_blk.h>

#define HOLE_GPA UINT64_C(0xc8000000)
#define WINDOW_GPA UINT64_C(0xd0000000) /* registers, on machines of ours */
#define FLAGS_UNKNOWN_FIRST 3
#define BAD_DESC 1 /* where chains have their bad descriptor */
#define STATUS_DESC 2

/*
 * A chain with one bad descriptor, at index BAD_DESC: the head of the chain, or on disks the data between a
 * good header and a good status byte. A bad descriptor with a next of its own decides itself how the chain
 * goes on.
 */
static void bad_chain_send(struct hostile *h, struct vring_desc bad)
{
	uint16_t queue = queue_main(h), head = BAD_DESC;

	if (h->dev.id == VIRTIO_ID_BLOCK) {
		*(struct virtio_blk_outhdr *)host_at(h, gpa_at(h, PLACE_GOOD)) =
			(struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN};
		*(volatile uint8_t *)host_at(h, gpa_at(h, PLACE_GOOD + 0x100)) = BLK_NO_ANSWER;
		desc_put(h, queue, 0, (struct vring_desc){gpa_at(h, PLACE_GOOD), 16, F_NEXT, BAD_DESC});
		desc_put(h, queue, STATUS_DESC,
			(struct vring_desc){gpa_at(h, PLACE_GOOD + 0x100), 1, F_WRITE, 0});
		head = 0;
		if (!(bad.flags & F_NEXT)) {
			bad.flags |= F_NEXT;
			bad.next = STATUS_DESC;
		}
	}
	desc_put(h, queue, BAD_DESC, bad);
	ring_offer(h, queue, head);
	ring_kick(h, queue);
}

/* An address that is not all memory: a disk fails the request, the others cannot tell what it was. */
static enum outcome bad_place(struct hostile *h, uint64_t gpa, uint32_t len)
{
	volatile uint8_t *status = host_at(h, gpa_at(h, PLACE_GOOD + 0x100));
	uint32_t used = 0;

	bad_chain_send(h, (struct vring_desc){gpa, len, queue_main_flags(h), 0});
	if (h->dev.id != VIRTIO_ID_BLOCK)
		return BREAKS;
	expect(h, ring_await(h, 0, 0, &used), "a request with a bad address is returned", gpa);
	expect(h, *status == VIRTIO_BLK_S_IOERR && used == 1, "a request with a bad address fails", gpa);
	return LIVES;
}

static enum outcome q1_hole(struct hostile *h)
{
	return bad_place(h, HOLE_GPA, 512);
}

static enum outcome q1_registers(struct hostile *h)
{
	return bad_place(h, WINDOW_GPA + h->dev.slot * PAGE_BYTES, 512);
}

static enum outcome q1_across_the_end(struct hostile *h)
{
	return bad_place(h, memory_end(h) - 256, 512);
}

static enum outcome q1_behind_the_end(struct hostile *h)
{
	return bad_place(h, memory_end(h), 1);
}

static enum outcome q2_wrap(struct hostile *h)
{
	return bad_place(h, UINT64_MAX - 255, 512);
}

static enum outcome q2_wrap_to_memory(struct hostile *h)
{
	return bad_place(h, UINT64_MAX, UINT32_C(1) << 31);
}

/* Two lengths that 32 bits cannot add up; whether the places exist is not even looked at. */
static enum outcome q2_sum(struct hostile *h)
{
	uint16_t queue = queue_main(h), flags = queue_main_flags(h);

	desc_put(h, queue, 3, (struct vring_desc){h->memory_gpa, 0x80000000u, (uint16_t)(flags | F_NEXT), 4});
	desc_put(h, queue, 4, (struct vring_desc){h->memory_gpa, 0x80000000u, flags, 0});
	ring_offer(h, queue, 3);
	ring_kick(h, queue);
	return BREAKS;
}

static enum outcome loop_of(struct hostile *h, uint16_t n)
{
	uint16_t queue = queue_main(h), flags = (uint16_t)(queue_main_flags(h) | F_NEXT);

	for (uint16_t i = 0; i < n; i++)
		desc_put(h, queue, i,
			(struct vring_desc){gpa_at(h, PLACE_FREE), 1, flags, (uint16_t)((i + 1) % n)});
	ring_offer(h, queue, 0);
	ring_kick(h, queue);
	return BREAKS;
}

static enum outcome q3_self(struct hostile *h)
{
	return loop_of(h, 1);
}

static enum outcome q3_two(struct hostile *h)
{
	return loop_of(h, 2);
}

static enum outcome q3_all(struct hostile *h)
{
	return loop_of(h, h->dev.queues[queue_main(h)].size);
}

/* Not a loop, but as long as a chain can be: nothing wrong with that. */
static enum outcome q3_longest(struct hostile *h)
{
	uint16_t queue = queue_main(h), size = h->dev.queues[queue].size;
	uint16_t flags = queue_main_flags(h);

	for (uint16_t i = 0; i < size; i++)
		desc_put(h, queue, i,
			(struct vring_desc){gpa_at(h, PLACE_FREE), 1,
				(uint16_t)(flags | (i + 1 < size ? F_NEXT : 0)), (uint16_t)(i + 1)});
	ring_offer(h, queue, 0);
	ring_kick(h, queue);
	expect(h, ring_await(h, queue, 0, NULL), "the longest chain is returned", size);
	return LIVES;
}

static enum outcome next_is(struct hostile *h, uint16_t next)
{
	bad_chain_send(h, (struct vring_desc){
				  gpa_at(h, PLACE_FREE), 1, (uint16_t)(queue_main_flags(h) | F_NEXT), next});
	return BREAKS;
}

static enum outcome q4_next_at_size(struct hostile *h)
{
	return next_is(h, h->dev.queues[queue_main(h)].size);
}

static enum outcome q4_next_far(struct hostile *h)
{
	return next_is(h, UINT16_MAX);
}

static enum outcome head_is(struct hostile *h, uint16_t head)
{
	ring_offer(h, queue_main(h), head);
	ring_kick(h, queue_main(h));
	return BREAKS;
}

static enum outcome q4_head_at_size(struct hostile *h)
{
	return head_is(h, h->dev.queues[queue_main(h)].size);
}

static enum outcome q4_head_far(struct hostile *h)
{
	return head_is(h, UINT16_MAX);
}

static enum outcome index_ahead(struct hostile *h, uint16_t by)
{
	uint16_t queue = queue_main(h);

	ring_set_idx(h, queue, (uint16_t)(h->dev.queues[queue].avail_idx + by));
	ring_kick(h, queue);
	return BREAKS;
}

static enum outcome q5_one_too_far(struct hostile *h)
{
	return index_ahead(h, (uint16_t)(h->dev.queues[queue_main(h)].size + 1));
}

static enum outcome q5_half_way(struct hostile *h)
{
	return index_ahead(h, 0x8000);
}

static enum outcome q5_backwards(struct hostile *h)
{
	return index_ahead(h, UINT16_MAX);
}

static enum outcome flags_are(struct hostile *h, uint16_t flags, uint32_t len)
{
	bad_chain_send(h, (struct vring_desc){gpa_at(h, PLACE_FREE), len,
				  (uint16_t)(queue_main_flags(h) | flags), STATUS_DESC});
	return BREAKS;
}

static enum outcome q7_indirect(struct hostile *h)
{
	/* A table that would be right, if there were such a thing. */
	desc_put(h, queue_main(h), 3, (struct vring_desc){gpa_at(h, PLACE_FREE + PAGE_BYTES), 64, 0, 0});
	return flags_are(h, VRING_DESC_F_INDIRECT, 16);
}

static enum outcome q7_indirect_and_next(struct hostile *h)
{
	return flags_are(h, VRING_DESC_F_INDIRECT | F_NEXT, 32);
}

static enum outcome q7_indirect_odd(struct hostile *h)
{
	return flags_are(h, VRING_DESC_F_INDIRECT, 17);
}

static enum outcome q7_indirect_huge(struct hostile *h)
{
	return flags_are(h, VRING_DESC_F_INDIRECT, UINT32_MAX & ~15u);
}

/* Each of the flags that nobody has defined, in a life of its own. */
static enum outcome q8_flags(struct hostile *h)
{
	for (unsigned int bit = FLAGS_UNKNOWN_FIRST; bit < 16; bit++) {
		device_up(h, UINT64_MAX, UINT16_MAX);
		flags_are(h, (uint16_t)(1u << bit), 16);
		expect(h, device_await_broken(h), "an unknown flag", bit);
	}
	return BREAKS;
}

static enum outcome q9_readable_behind_writable(struct hostile *h)
{
	uint16_t queue = queue_main(h);

	desc_put(h, queue, 3, (struct vring_desc){gpa_at(h, PLACE_FREE), 16, F_WRITE | F_NEXT, 4});
	desc_put(h, queue, 4, (struct vring_desc){gpa_at(h, PLACE_FREE), 16, 0, 0});
	ring_offer(h, queue, 3);
	ring_kick(h, queue);
	return BREAKS;
}

/* Data the wrong way round: nothing is written where only reading was allowed (the pattern is compared). */
static enum outcome q9_wrong_way(struct hostile *h)
{
	uint16_t queue = queue_main(h), flags = queue_main_flags(h) ^ F_WRITE;
	uint32_t used = 1;

	if (h->dev.id == VIRTIO_ID_BLOCK) {
		struct blk_try try = {VIRTIO_BLK_T_IN, 0, 16, {h->memory_gpa, 512, 0}, 1, F_WRITE};

		expect(h, blk_request(h, &try, &used) == VIRTIO_BLK_S_IOERR && used <= 1,
			"a read into what may only be read", used);
		return LIVES;
	}
	chain_send(
		h, queue, 3, &(struct buffer){flags ? gpa_at(h, PLACE_FREE) : h->memory_gpa, 512, flags}, 1);
	expect(h, ring_await(h, queue, 3, &used) && !used, "data the wrong way round", used);
	return LIVES;
}

/* Descriptors of no length, alone and in a row. */
static enum outcome q_empty(struct hostile *h)
{
	uint16_t queue = queue_main(h), flags = queue_main_flags(h);
	const struct buffer empty[] = {{0, 0, flags}, {UINT64_MAX, 0, flags}, {HOLE_GPA, 0, flags}};
	uint32_t used = 1;

	chain_send(h, queue, 3, empty, 1);
	expect(h, ring_await(h, queue, 3, &used) && !used, "a chain of nothing", used);
	used = 1;
	chain_send(h, queue, 3, empty, 3);
	expect(h, ring_await(h, queue, 3, &used) && !used, "a chain of three times nothing", used);
	return LIVES;
}

/* The device's own rings as data: it may write there, and has to live with what it finds. */
static enum outcome q_rings_as_data(struct hostile *h)
{
	uint16_t queue = queue_main(h);
	const struct hostile_queue *q = &h->dev.queues[queue];
	const uint64_t places[] = {q->desc_gpa, q->avail_gpa, q->used_gpa};

	for (unsigned int i = 0; i < 3; i++) {
		device_up(h, UINT64_MAX, UINT16_MAX);
		bad_chain_send(h, (struct vring_desc){places[i], 512, queue_main_flags(h), 0});
		settle(h);
	}
	return EITHER;
}

#define CASE(name, fn)                                                                                       \
	{                                                                                                    \
		name, 0, fn                                                                                  \
	}

const struct hostile_case cases_queue[] = {
	CASE("Q1 hole", q1_hole),
	CASE("Q1 registers", q1_registers),
	CASE("Q1 across the end", q1_across_the_end),
	CASE("Q1 behind the end", q1_behind_the_end),
	CASE("Q2 wrap", q2_wrap),
	CASE("Q2 wrap to memory", q2_wrap_to_memory),
	CASE("Q2 sum", q2_sum),
	CASE("Q3 self", q3_self),
	CASE("Q3 two", q3_two),
	CASE("Q3 all", q3_all),
	CASE("Q3 longest", q3_longest),
	CASE("Q4 next at size", q4_next_at_size),
	CASE("Q4 next far", q4_next_far),
	CASE("Q4 head at size", q4_head_at_size),
	CASE("Q4 head far", q4_head_far),
	CASE("Q5 one too far", q5_one_too_far),
	CASE("Q5 half way", q5_half_way),
	CASE("Q5 backwards", q5_backwards),
	CASE("Q7 indirect", q7_indirect),
	CASE("Q7 indirect and next", q7_indirect_and_next),
	CASE("Q7 indirect, odd", q7_indirect_odd),
	CASE("Q7 indirect, huge", q7_indirect_huge),
	CASE("Q8 flags", q8_flags),
	CASE("Q9 order", q9_readable_behind_writable),
	CASE("Q9 wrong way", q9_wrong_way),
	CASE("Q9 empty", q_empty),
	CASE("Q9 rings as data", q_rings_as_data),
	CASES_END,
};
