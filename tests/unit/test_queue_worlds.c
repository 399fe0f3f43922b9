// SPDX-License-Identifier: Apache-2.0
/*
 * Small worlds: for queues of size 1, 2 and 4 every descriptor table that a guest can write, reduced to
 * classes (below), is walked by virtio/queue.c and by a reference that shares nothing with it, and the
 * results must be the same.
 *
 * A table of four descriptors has 288^4 classes. All of them are covered nevertheless: a walk sees only the
 * descriptors it reaches, so a descriptor gets a value when the walk comes to it, and those it never comes
 * to are left as they are. That they do not matter is itself checked: each walk is done twice, with two
 * different values in all places that were not reached, and has to come out the same.
 */
#include "tests/unit/cm.h"
#include "virtio/queue.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096u
#define RINGS_GPA UINT64_C(0x10000)
#define FIRST_GPA UINT64_C(0x20000)
#define SECOND_GPA (FIRST_GPA + PAGE) /* adjacent in the guest, elsewhere in the host */
#define TOP_GPA (UINT64_MAX - PAGE + 1) /* ends at 2^64 */
#define SIZE_MAX_TRIED 4u
#define INDIRECT VRING_DESC_F_INDIRECT
#define UNKNOWN 0x8000u

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOW 1
#endif
#endif
#ifndef SLOW
#define SLOW 0
#endif

/*
 * What a descriptor can say about memory: one of each kind that the code or the reference could tell apart.
 */
static const struct {
	uint64_t gpa;
	uint32_t len;
} places[] = {
	{FIRST_GPA + 0x100, 16}, /* fine */
	{SECOND_GPA - 8, 16}, /* across the border of two adjacent regions */
	{UINT64_MAX - 7, 16}, /* wraps */
	{FIRST_GPA + 0x200, 0}, /* empty */
	{TOP_GPA, 1}, /* one byte */
	{SECOND_GPA + PAGE - 8, 16}, /* across the end of memory */
	{FIRST_GPA, UINT32_C(1) << 31}, /* two of them are more than 32 bits can count */
	{SECOND_GPA + PAGE, 1}, /* nowhere */
};
#define PLACES (sizeof(places) / sizeof(places[0]))

static const uint16_t flag_kinds[] = {0, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE,
	VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, INDIRECT, VRING_DESC_F_NEXT | UNKNOWN};
#define FLAG_KINDS (sizeof(flag_kinds) / sizeof(flag_kinds[0]))

static uint8_t rings[PAGE] __attribute__((aligned(PAGE)));
static uint8_t first[PAGE], second[PAGE], top[PAGE];

static const struct {
	uint64_t gpa;
	uint8_t *host;
} regions[] = {{RINGS_GPA, rings}, {FIRST_GPA, first}, {SECOND_GPA, second}, {TOP_GPA, top}};
#define REGIONS (sizeof(regions) / sizeof(regions[0]))

struct world {
	struct gmem mem;
	struct vq vq;
	uint16_t size;
	size_t n_places; /* how many of places are tried */
	struct vring_desc desc[SIZE_MAX_TRIED];
	bool reached[SIZE_MAX_TRIED];
	uint64_t n_walks;
	struct iovec iov[SIZE_MAX_TRIED];
};

/* ---- the reference ---- */

struct piece {
	uint8_t *host;
	uint64_t len;
};

struct list {
	unsigned int n;
	struct piece pieces[SIZE_MAX_TRIED];
};

struct expected {
	int ret;
	bool fault, tail_ok;
	struct list out, in;
};

/* Where a range of guest memory is in the host; NULL if not all of it is in one region. */
static uint8_t *place_find(uint64_t gpa, uint64_t len)
{
	for (size_t i = 0; i < REGIONS; i++) {
		unsigned __int128 start = regions[i].gpa, end = start + PAGE;

		if (gpa >= start && (unsigned __int128)gpa + len <= end)
			return regions[i].host + (gpa - regions[i].gpa);
	}
	return NULL;
}

/* Section 2.7.5 of the specification, told as a story about one descriptor after the other. */
static struct expected reference(const struct world *world, uint16_t head)
{
	struct expected bad = {.ret = -EBADMSG}, good = {.ret = 1};
	bool seen[SIZE_MAX_TRIED] = {false};
	unsigned __int128 total = 0;
	bool device_writes = false;

	for (uint16_t at = head;; at = world->desc[at].next) {
		const struct vring_desc *desc;
		struct list *list;
		uint8_t *host;

		if (at >= world->size || seen[at])
			return bad;
		seen[at] = true;
		desc = &world->desc[at];
		total += desc->len;
		if (desc->flags > 3 || total >> 32)
			return bad;
		if (device_writes && !(desc->flags & 2))
			return bad;
		device_writes = desc->flags & 2;
		list = device_writes ? &good.in : &good.out;
		host = place_find(desc->addr, desc->len);
		if (desc->len && host)
			list->pieces[list->n++] = (struct piece){host, desc->len};
		good.fault |= desc->len && !host;
		good.tail_ok = device_writes && desc->len && host;
		if (!(desc->flags & 1))
			return good;
	}
}

/* ---- comparing ---- */

static bool list_same(const struct list *list, const struct giov *got)
{
	uint64_t total = 0;

	if (list->n != got->n)
		return false;
	for (unsigned int i = 0; i < list->n; i++) {
		if (list->pieces[i].host != got->iov[i].iov_base ||
			list->pieces[i].len != got->iov[i].iov_len)
			return false;
		total += list->pieces[i].len;
	}
	return got->len_bytes == total;
}

static void world_describe(const struct world *world, uint16_t head)
{
	print_error("size %u, head %u\n", world->size, head);
	for (uint16_t i = 0; i < world->size; i++)
		print_error("  %u: addr %#llx len %#x flags %#x next %u%s\n", i,
			(unsigned long long)world->desc[i].addr, world->desc[i].len, world->desc[i].flags,
			world->desc[i].next, world->reached[i] ? "" : " (not reached)");
}

static void require(bool same, const struct world *world, uint16_t head)
{
	if (same)
		return;
	world_describe(world, head);
	fail();
}

/* One walk by the code, with filler in the places that are not reached. */
static void walk_compare(
	struct world *world, uint16_t head, const struct expected *expected, const struct vring_desc *filler)
{
	struct vring_desc *table = (struct vring_desc *)rings;
	struct vq_chain chain = {0};
	int ret;

	for (uint16_t i = 0; i < world->size; i++)
		table[i] = world->reached[i] ? world->desc[i] : *filler;
	world->vq.avail[1] = 1;
	world->vq.avail[2] = head;
	world->vq.state.next_avail = 0;
	ret = vq_next(&world->vq, &chain, world->iov);
	require(ret == expected->ret && world->vq.state.next_avail == (ret == 1), world, head);
	if (ret == 1)
		require(chain.head == head && chain.fault == expected->fault &&
				chain.tail_ok == expected->tail_ok && list_same(&expected->out, &chain.out) &&
				list_same(&expected->in, &chain.in),
			world, head);
	world->n_walks++;
}

static void world_try(struct world *world, uint16_t head)
{
	static const struct vring_desc fillers[] = {
		{.addr = FIRST_GPA, .len = 1, .flags = VRING_DESC_F_WRITE},
		{.addr = 0, .len = UINT32_MAX, .flags = UINT16_MAX, .next = UINT16_MAX},
	};
	struct expected expected = reference(world, head);

	walk_compare(world, head, &expected, &fillers[0]);
	walk_compare(world, head, &expected, &fillers[1]);
}

/* ---- every world ---- */

/* The walk that began at head has come to at: try everything that at can say. */
static void worlds_from(struct world *world, uint16_t head, uint16_t at)
{
	static const uint16_t beyond[] = {UINT16_MAX};
	unsigned int n_next = world->size + 1u + sizeof(beyond) / sizeof(beyond[0]);

	if (at >= world->size || world->reached[at]) {
		world_try(world, head);
		return;
	}
	world->reached[at] = true;
	for (unsigned int i = 0; i < FLAG_KINDS * n_next * world->n_places; i++) {
		unsigned int next = i / FLAG_KINDS % n_next;
		struct vring_desc *desc = &world->desc[at];

		desc->flags = flag_kinds[i % FLAG_KINDS];
		desc->next = next <= world->size ? (uint16_t)next : beyond[next - world->size - 1u];
		desc->addr = places[i / FLAG_KINDS / n_next].gpa;
		desc->len = places[i / FLAG_KINDS / n_next].len;
		if (desc->flags & VRING_DESC_F_NEXT)
			worlds_from(world, head, desc->next);
		else
			world_try(world, head);
	}
	world->reached[at] = false;
}

static void world_make(struct world *world, uint16_t size, bool event_idx)
{
	memset(world, 0, sizeof(*world));
	memset(rings, 0, sizeof(rings));
	world->size = size;
	world->n_places = SLOW && size == SIZE_MAX_TRIED ? 3 : PLACES;
	for (size_t i = 0; i < REGIONS; i++)
		assert_int_equal(gmem_add(&world->mem, gpa_of(regions[i].gpa), regions[i].host, PAGE), 0);
	world->vq.state = (struct vq_state){
		.desc = gpa_of(RINGS_GPA),
		.driver = gpa_of(RINGS_GPA + 0x400),
		.device = gpa_of(RINGS_GPA + 0x800),
		.size_max = size,
		.size = size,
		.ready = 1,
	};
	assert_int_equal(vq_start(&world->vq, &world->mem, event_idx), 0);
}

static void every_table(uint16_t size)
{
	struct world world;

	world_make(&world, size, true);
	for (unsigned int head = 0; head <= size + 1u; head++) {
		uint16_t value = head <= size ? (uint16_t)head : UINT16_MAX;

		worlds_from(&world, value, value);
	}
	print_message("size %u: %llu walks\n", size, (unsigned long long)world.n_walks);
	/* Fewer would mean that the enumeration, not the code, had changed. */
	assert_true(world.n_walks > (size == 1 ? 200u : size == 2 ? 10000u : 1000000u));
}

static void test_every_table_of_1(void **state)
{
	(void)state;
	every_table(1);
}

static void test_every_table_of_2(void **state)
{
	(void)state;
	every_table(2);
}

static void test_every_table_of_4(void **state)
{
	(void)state;
	every_table(4);
}

/* Every value of the available index, from positions at and around the wrap. */
static void test_every_available_index(void **state)
{
	static const uint16_t positions[] = {0, 1, 3, 4, 0x7fff, 0x8000, 0xfffc, 0xfffe, 0xffff};
	struct world world;

	(void)state;
	for (uint16_t size = 1; size <= SIZE_MAX_TRIED; size *= 2) {
		world_make(&world, size, true);
		for (size_t p = 0; p < sizeof(positions) / sizeof(positions[0]); p++) {
			for (uint32_t idx = 0; idx <= UINT16_MAX; idx++) {
				uint32_t ahead = (idx + 0x10000u - positions[p]) % 0x10000u;
				struct vq_chain chain;
				int ret;

				world.vq.state.next_avail = positions[p];
				world.vq.avail[1] = (uint16_t)idx;
				ret = vq_next(&world.vq, &chain, world.iov);
				assert_int_equal(ret, ahead > size ? -EBADMSG : ahead > 0);
				assert_int_equal(
					world.vq.state.next_avail, (positions[p] + (ret == 1)) % 0x10000);
			}
		}
	}
}

/* Section 2.7.7.2: an interrupt is due when the used index went past used_event. */
static bool event_passed(uint16_t event, uint16_t told, uint16_t pushed)
{
	for (uint16_t i = 0; i < pushed; i++) {
		if ((uint16_t)(told + i) == event)
			return true;
	}
	return false;
}

/* Every used_event, from positions at and around the wrap, for every number of chains returned together. */
static void test_every_used_event(void **state)
{
	static const uint16_t positions[] = {0, 1, 0x7ffe, 0x7fff, 0x8000, 0xfffd, 0xffff};
	struct world world;

	(void)state;
	world_make(&world, SIZE_MAX_TRIED, true);
	for (size_t p = 0; p < sizeof(positions) / sizeof(positions[0]); p++) {
		for (uint16_t pushed = 0; pushed <= SIZE_MAX_TRIED; pushed++) {
			for (uint32_t event = 0; event <= UINT16_MAX; event++) {
				world.vq.state.told_used = positions[p];
				world.vq.state.next_used = positions[p];
				for (uint16_t i = 0; i < pushed; i++)
					vq_push(&world.vq, 0, 0);
				world.vq.avail[2 + SIZE_MAX_TRIED] = (uint16_t)event;
				assert_int_equal(vq_wants_interrupt(&world.vq),
					event_passed((uint16_t)event, positions[p], pushed));
				assert_false(vq_wants_interrupt(&world.vq));
			}
		}
	}
}

/* The places of rings themselves: every size and every offset around the ends of a region. */
static void test_every_ring_position(void **state)
{
	struct world world;

	(void)state;
	world_make(&world, SIZE_MAX_TRIED, true);
	for (uint32_t size = 0; size <= UINT16_MAX; size++) {
		bool good = size == 1 || size == 2 || size == 4;

		world.vq.state.size = (uint16_t)size;
		assert_int_equal(vq_start(&world.vq, &world.mem, true), good ? 0 : -EINVAL);
	}
	world.vq.state.size = SIZE_MAX_TRIED;
	for (uint64_t gpa = RINGS_GPA - 80; gpa < RINGS_GPA + PAGE + 80; gpa++) {
		uint64_t offset = gpa - RINGS_GPA;

		world.vq.state.desc = gpa_of(gpa);
		assert_int_equal(vq_start(&world.vq, &world.mem, true),
			gpa % 16 == 0 && offset <= PAGE - 64 ? 0 : -EINVAL);
		world.vq.state.desc = gpa_of(RINGS_GPA);
		world.vq.state.driver = gpa_of(gpa);
		assert_int_equal(vq_start(&world.vq, &world.mem, true),
			gpa % 2 == 0 && offset <= PAGE - 14 ? 0 : -EINVAL);
		world.vq.state.driver = gpa_of(RINGS_GPA + 0x400);
		world.vq.state.device = gpa_of(gpa);
		assert_int_equal(vq_start(&world.vq, &world.mem, true),
			gpa % 4 == 0 && offset <= PAGE - 38 ? 0 : -EINVAL);
		world.vq.state.device = gpa_of(RINGS_GPA + 0x800);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_table_of_1),
		cmocka_unit_test(test_every_table_of_2),
		cmocka_unit_test(test_every_table_of_4),
		cmocka_unit_test(test_every_available_index),
		cmocka_unit_test(test_every_used_event),
		cmocka_unit_test(test_every_ring_position),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
