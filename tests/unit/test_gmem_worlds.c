// SPDX-License-Identifier: Apache-2.0
/*
 * Small worlds: a window of guest-physical addresses a few bytes wide, every way to lay regions into it,
 * and every range in and around it, against an oracle that knows each byte by itself. The window stands at
 * 0, across 2^32 and at the very end of the address space, where a region may end at 2^64 and ranges wrap.
 */
#include "mem/gmem.h"
#include "tests/unit/cm.h"

#include <errno.h>
#include <string.h>

#define WINDOW 7u
#define AROUND 3u /* bytes before and behind the window that are tried too */
#define NOWHERE 0xffu

static const uint64_t windows[] = {0, (UINT64_C(1) << 32) - 3, UINT64_MAX - WINDOW + 1};
#define WINDOWS (sizeof(windows) / sizeof(windows[0]))

/* Which region a byte belongs to, and which byte of that it is. */
struct byte {
	uint8_t region;
	uint8_t offset;
};

struct world {
	uint64_t base;
	struct gmem mem;
	struct byte bytes[WINDOW];
	/* Regions lie apart in the host, whatever they do in the guest. */
	uint8_t host[WINDOW][2 * WINDOW];
	unsigned int n_regions;
	uint8_t len[WINDOW];
	uint8_t at[WINDOW];
};

enum { HOLE, START, GO_ON, KINDS };

/* Layout number code: each byte is a hole, the first of a region, or one more of the one before it. */
static bool world_plan(struct world *world, uint64_t base, unsigned int code)
{
	memset(world, 0, sizeof(*world));
	world->base = base;
	for (uint8_t i = 0; i < WINDOW; i++, code /= KINDS) {
		unsigned int kind = code % KINDS;

		world->bytes[i] = (struct byte){NOWHERE, 0};
		if (kind == HOLE)
			continue;
		if (kind == GO_ON && (!i || world->bytes[i - 1].region == NOWHERE))
			return false;
		if (kind == START) {
			world->at[world->n_regions] = i;
			world->n_regions++;
		}
		world->bytes[i].region = (uint8_t)(world->n_regions - 1);
		world->bytes[i].offset = world->len[world->n_regions - 1]++;
	}
	return true;
}

static uint8_t *region_host(struct world *world, unsigned int region)
{
	return world->host[region] + WINDOW / 2;
}

/* In any order: from the last to the first if reverse. */
static void world_build(struct world *world, bool reverse)
{
	for (unsigned int i = 0; i < world->n_regions; i++) {
		unsigned int r = reverse ? world->n_regions - 1 - i : i;

		assert_int_equal(gmem_add(&world->mem, gpa_of(world->base + world->at[r]),
					 region_host(world, r), world->len[r]),
			0);
	}
}

/* Byte number n, counted from the window's first, of an address space that does not end or begin anywhere. */
static const struct byte *byte_at(const struct world *world, uint64_t gpa, bool wrapped)
{
	static const struct byte nowhere = {NOWHERE, 0};
	uint64_t n = gpa - world->base;

	return wrapped || gpa < world->base || n >= WINDOW ? &nowhere : &world->bytes[n];
}

/* What gmem_slice() has to answer, byte by byte. A length above what any region has needs no look at each. */
static void *oracle(struct world *world, uint64_t gpa, uint64_t len)
{
	const struct byte *head = byte_at(world, gpa, false);

	if (!len || len > WINDOW || head->region == NOWHERE)
		return NULL;
	for (uint64_t i = 0; i < len; i++) {
		const struct byte *byte = byte_at(world, gpa + i, gpa + i < gpa);

		if (byte->region != head->region || byte->offset != head->offset + i)
			return NULL;
	}
	return region_host(world, head->region) + head->offset;
}

static const uint64_t long_lengths[] = {UINT16_MAX, UINT32_MAX, UINT64_C(1) << 32, UINT64_C(1) << 63,
	UINT64_MAX - WINDOW, UINT64_MAX - 1, UINT64_MAX};
#define LONG_LENGTHS (sizeof(long_lengths) / sizeof(long_lengths[0]))

static void slices_compare(struct world *world, uint64_t gpa)
{
	for (uint64_t len = 0; len <= WINDOW + AROUND; len++)
		assert_ptr_equal(gmem_slice(&world->mem, gpa_of(gpa), len), oracle(world, gpa, len));
	for (size_t i = 0; i < LONG_LENGTHS; i++)
		assert_null(gmem_slice(&world->mem, gpa_of(gpa), long_lengths[i]));
	/* Exactly to the end of the address space, and one byte more, which is to say 0. */
	assert_ptr_equal(gmem_slice(&world->mem, gpa_of(gpa), UINT64_MAX - gpa + 1),
		oracle(world, gpa, UINT64_MAX - gpa + 1));
	if (gpa)
		assert_null(gmem_slice(&world->mem, gpa_of(gpa), UINT64_MAX - gpa + 2));
}

/* A copy moves all bytes or none, and not one byte around them. */
static void copies_compare(struct world *world, uint64_t gpa, size_t len)
{
	uint8_t data[WINDOW + AROUND + 1], before[sizeof(world->host)];
	uint8_t *place = oracle(world, gpa, len);
	int expected = place || !len ? 0 : -EFAULT;

	for (size_t i = 0; i < sizeof(world->host); i++)
		((uint8_t *)world->host)[i] = (uint8_t)(i + 1);
	memcpy(before, world->host, sizeof(before));
	memset(data, 0xee, sizeof(data));
	assert_int_equal(gmem_read(&world->mem, gpa_of(gpa), data, len), expected);
	assert_memory_equal(world->host, before, sizeof(before));
	for (size_t i = 0; i < sizeof(data); i++)
		assert_int_equal(data[i], place && i < len ? place[i] : 0xee);
	memset(data, 0xdd, sizeof(data));
	assert_int_equal(gmem_write(&world->mem, gpa_of(gpa), data, len), expected);
	if (place)
		memset(before + (place - (uint8_t *)world->host), 0xdd, len);
	assert_memory_equal(world->host, before, sizeof(before));
}

static void world_compare(struct world *world)
{
	uint64_t gpa = world->base - AROUND;

	for (unsigned int i = 0; i < WINDOW + 2 * AROUND; i++, gpa++) {
		slices_compare(world, gpa);
		for (size_t len = 0; len <= WINDOW + AROUND; len++)
			copies_compare(world, gpa, len);
	}
}

static void test_every_layout(void **state)
{
	unsigned int n_codes = 1, n_worlds = 0;
	struct world world;

	(void)state;
	for (unsigned int i = 0; i < WINDOW; i++)
		n_codes *= KINDS;
	for (size_t w = 0; w < WINDOWS; w++) {
		for (unsigned int code = 0; code < n_codes; code++) {
			if (!world_plan(&world, windows[w], code))
				continue;
			world_build(&world, code & 1);
			world_compare(&world);
			n_worlds++;
		}
	}
	print_message("%u worlds\n", n_worlds);
	assert_int_equal(n_worlds, WINDOWS * 610); /* the Fibonacci number F(2 * 7 + 1) */
}

/* May a region be added? Byte by byte: none may wrap, none may be taken. */
static bool add_fits(const struct world *world, uint64_t gpa, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++) {
		if (gpa + i < gpa || byte_at(world, gpa + i, false)->region != NOWHERE)
			return false;
	}
	return len > 0;
}

/* Every region that could be added to every world. */
static void adds_compare(struct world *world)
{
	static uint8_t host[WINDOW + 2 * AROUND + 1];
	uint64_t gpa = world->base - AROUND;

	for (unsigned int i = 0; i < WINDOW + 2 * AROUND; i++, gpa++) {
		for (uint64_t len = 0; len <= WINDOW + AROUND; len++) {
			struct gmem mem = world->mem;
			int ret = gmem_add(&mem, gpa_of(gpa), host, len);

			assert_int_equal(ret, add_fits(world, gpa, len) ? 0 : -EINVAL);
			if (!ret)
				assert_ptr_equal(gmem_slice(&mem, gpa_of(gpa), len), host);
			else
				assert_int_equal(mem.n_regions, world->mem.n_regions);
		}
	}
}

static void test_every_addition(void **state)
{
	unsigned int n_codes = 1;
	struct world world;

	(void)state;
	for (unsigned int i = 0; i < WINDOW; i++)
		n_codes *= KINDS;
	for (size_t w = 0; w < WINDOWS; w++) {
		for (unsigned int code = 0; code < n_codes; code++) {
			if (!world_plan(&world, windows[w], code))
				continue;
			world_build(&world, false);
			adds_compare(&world);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_layout),
		cmocka_unit_test(test_every_addition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
