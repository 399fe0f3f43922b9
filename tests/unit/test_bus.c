// SPDX-License-Identifier: Apache-2.0
#include "vmm/bus.h"

#include "tests/unit/cm.h"

#include <string.h>

struct seen {
	uint64_t offset, value;
	unsigned len, reads, writes;
};

static uint64_t seen_read(void *ctx, uint64_t offset, unsigned len)
{
	struct seen *seen = ctx;

	seen->reads++;
	seen->offset = offset;
	seen->len = len;
	return UINT64_C(0x1122334455667788);
}

static void seen_write(void *ctx, uint64_t offset, unsigned len, uint64_t value)
{
	struct seen *seen = ctx;

	seen->writes++;
	seen->offset = offset;
	seen->len = len;
	seen->value = value;
}

static const struct bus_ops seen_ops = {seen_read, seen_write};

static void test_accesses_reach_their_range(void **state)
{
	struct seen low = {0}, high = {0};
	uint8_t data[8];
	struct bus bus;

	(void)state;
	bus_init(&bus, 0);
	bus_add(&bus, 0x1000, 0x1000, &seen_ops, &low);
	bus_add(&bus, 0x2000, 0x10, &seen_ops, &high);
	bus_read(&bus, 0x1ffc, data, 4);
	assert_int_equal(low.offset, 0xffc);
	assert_int_equal(low.len, 4);
	assert_memory_equal(data, "\x88\x77\x66\x55", 4);
	bus_write(&bus, 0x2008, (const uint8_t *)"\x01\x02\x03\x04\x05\x06\x07\x08", 8);
	assert_int_equal(high.offset, 8);
	assert_true(high.value == UINT64_C(0x0807060504030201));
	assert_int_equal(low.reads + low.writes + high.reads + high.writes, 2);
}

static void test_what_nobody_holds_is_absent(void **state)
{
	static const struct {
		uint64_t address;
		unsigned len;
	} outside[] = {{0xfff, 1}, {0xfff, 2}, {0x1ffd, 4}, {0x2000, 1}, {0, 8}, {UINT64_MAX, 1},
		{UINT64_MAX - 3, 8}};
	struct seen seen = {0};
	uint8_t data[8];
	struct bus bus;

	(void)state;
	bus_init(&bus, UINT64_MAX);
	bus_add(&bus, 0x1000, 0x1000, &seen_ops, &seen);
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		memset(data, 0, sizeof(data));
		bus_read(&bus, outside[i].address, data, outside[i].len);
		for (unsigned b = 0; b < outside[i].len; b++)
			assert_int_equal(data[b], 0xff);
		bus_write(&bus, outside[i].address, data, outside[i].len);
	}
	assert_int_equal(seen.reads + seen.writes, 0);
}

static void test_a_range_may_end_the_address_space(void **state)
{
	struct seen seen = {0};
	uint8_t data[8] = {0};
	struct bus bus;

	(void)state;
	bus_init(&bus, 0);
	bus_add(&bus, UINT64_MAX - 7, 8, &seen_ops, &seen);
	bus_read(&bus, UINT64_MAX - 7, data, 8);
	bus_write(&bus, UINT64_MAX, data, 1);
	bus_write(&bus, UINT64_MAX, data, 2);
	assert_int_equal(seen.reads, 1);
	assert_int_equal(seen.writes, 1);
	assert_int_equal(seen.offset, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accesses_reach_their_range),
		cmocka_unit_test(test_what_nobody_holds_is_absent),
		cmocka_unit_test(test_a_range_may_end_the_address_space),
	};

	return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}
