// SPDX-License-Identifier: Apache-2.0
#include "mem/giov.h"
#include "tests/unit/cm.h"

#include <errno.h>
#include <string.h>

#define BASE 0x5000u

static uint8_t ram[256];
static struct iovec storage[8];

static struct gmem ram_new(void)
{
	struct gmem mem = {0};

	for (size_t i = 0; i < sizeof(ram); i++)
		ram[i] = (uint8_t)i;
	assert_int_equal(gmem_add(&mem, gpa_of(BASE), ram, sizeof(ram)), 0);
	return mem;
}

/* Three pieces: 0-9, 100-104, 50-64. */
static struct giov three(const struct gmem *mem)
{
	struct giov g;

	giov_init(&g, storage, 4);
	assert_int_equal(giov_add(&g, mem, gpa_of(BASE), 10), 0);
	assert_int_equal(giov_add(&g, mem, gpa_of(BASE + 100), 5), 0);
	assert_int_equal(giov_add(&g, mem, gpa_of(BASE + 50), 15), 0);
	return g;
}

static void test_add(void **state)
{
	struct gmem mem = ram_new();
	struct giov g = three(&mem);

	(void)state;
	assert_int_equal(g.n, 3);
	assert_int_equal(g.len_bytes, 30);
	assert_int_equal(giov_add(&g, &mem, gpa_of(0), 0), 0);
	assert_int_equal(g.n, 3);
	assert_int_equal(giov_add(&g, &mem, gpa_of(BASE + 255), 2), -EFAULT);
	assert_int_equal(giov_add(&g, &mem, gpa_of(UINT64_MAX), 2), -EFAULT);
	assert_int_equal(g.len_bytes, 30);
	assert_int_equal(giov_add(&g, &mem, gpa_of(BASE + 255), 1), 0);
	assert_int_equal(giov_add(&g, &mem, gpa_of(BASE + 255), 1), -E2BIG);
	assert_int_equal(g.len_bytes, 31);
}

static void test_read_crosses_pieces(void **state)
{
	struct gmem mem = ram_new();
	struct giov g = three(&mem);
	uint8_t data[40];

	(void)state;
	assert_int_equal(giov_read(&g, data, 12), 12);
	assert_int_equal(data[9], 9);
	assert_int_equal(data[10], 100);
	assert_int_equal(g.len_bytes, 18);
	assert_int_equal(giov_read(&g, data, 40), 18);
	assert_int_equal(data[0], 102);
	assert_int_equal(data[3], 50);
	assert_int_equal(data[17], 64);
	assert_int_equal(g.n, 0);
	assert_int_equal(g.len_bytes, 0);
	assert_int_equal(giov_read(&g, data, 1), 0);
}

static void test_write_and_zero(void **state)
{
	struct gmem mem = ram_new();
	struct giov g = three(&mem);

	(void)state;
	assert_int_equal(giov_write(&g, "abcdefghijkl", 12), 12);
	assert_memory_equal(ram, "abcdefghij", 10);
	assert_memory_equal(ram + 100, "kl", 2);
	assert_int_equal(ram[10], 10);
	assert_int_equal(giov_zero(&g, 4), 4);
	assert_int_equal(ram[102] | ram[104] | ram[50], 0);
	assert_int_equal(ram[105], 105);
	assert_int_equal(ram[51], 51);
	assert_int_equal(giov_zero(&g, 100), 14);
	assert_int_equal(giov_write(&g, "x", 1), 0);
}

static void test_skip_and_truncate(void **state)
{
	struct gmem mem = ram_new();
	struct giov g = three(&mem);

	(void)state;
	giov_skip(&g, 11);
	assert_int_equal(g.n, 2);
	assert_int_equal(g.len_bytes, 19);
	giov_truncate(&g, 19);
	assert_int_equal(g.len_bytes, 19);
	giov_truncate(&g, 4);
	assert_int_equal(g.n, 1);
	assert_int_equal(g.iov[0].iov_len, 4);
	giov_skip(&g, UINT64_MAX);
	assert_int_equal(g.n, 0);
	assert_int_equal(g.len_bytes, 0);
	g = three(&mem);
	giov_truncate(&g, 0);
	assert_int_equal(g.n, 0);
}

static void test_pop_byte(void **state)
{
	struct gmem mem = ram_new();
	struct giov g = three(&mem);
	struct iovec last;

	(void)state;
	assert_int_equal(giov_pop_byte(&g, &last), 0);
	assert_ptr_equal(last.iov_base, ram + 64);
	assert_int_equal(last.iov_len, 1);
	assert_int_equal(g.len_bytes, 29);
	giov_skip(&g, 28);
	assert_int_equal(giov_pop_byte(&g, &last), 0);
	assert_ptr_equal(last.iov_base, ram + 63);
	assert_int_equal(g.n, 0);
	assert_int_equal(giov_pop_byte(&g, &last), -ENODATA);
}

static void test_limit(void **state)
{
	struct gmem mem = ram_new();
	struct giov g = three(&mem);
	struct giov_window window = giov_limit(&g, 12);

	(void)state;
	assert_int_equal(window.n, 2);
	assert_int_equal(g.iov[1].iov_len, 2);
	giov_unlimit(&g, &window);
	assert_int_equal(g.iov[1].iov_len, 5);
	window = giov_limit(&g, 15);
	assert_int_equal(window.n, 2);
	giov_unlimit(&g, &window);
	window = giov_limit(&g, 1000);
	assert_int_equal(window.n, 3);
	assert_int_equal(g.iov[2].iov_len, 15);
	giov_unlimit(&g, &window);
	window = giov_limit(&g, 0);
	assert_int_equal(window.n, 0);
	giov_unlimit(&g, &window);
	assert_int_equal(g.iov[0].iov_len, 10);
}

static void test_split(void **state)
{
	struct gmem mem = ram_new();
	struct giov g = three(&mem);
	struct iovec few[2];
	struct giov head;

	(void)state;
	giov_init(&head, few, 1);
	assert_int_equal(giov_split(&g, 12, &head), -E2BIG);
	assert_int_equal(g.len_bytes, 30);
	assert_int_equal(g.iov[1].iov_len, 5);
	giov_init(&head, few, 2);
	assert_int_equal(giov_split(&g, 12, &head), 0);
	assert_int_equal(head.len_bytes, 12);
	assert_int_equal(head.n, 2);
	assert_ptr_equal(head.iov[1].iov_base, ram + 100);
	assert_int_equal(head.iov[1].iov_len, 2);
	assert_int_equal(g.len_bytes, 18);
	assert_ptr_equal(g.iov[0].iov_base, ram + 102);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_read_crosses_pieces),
		cmocka_unit_test(test_write_and_zero),
		cmocka_unit_test(test_skip_and_truncate),
		cmocka_unit_test(test_pop_byte),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
