// SPDX-License-Identifier: Apache-2.0
#include "mem/gmem.h"
#include "tests/unit/cm.h"

#include <errno.h>
#include <string.h>

static uint8_t low[0x1000], high[0x1000];

static struct gmem two_regions(void)
{
	struct gmem mem = {0};

	assert_int_equal(gmem_add(&mem, gpa_of(0x10000), low, sizeof(low)), 0);
	assert_int_equal(gmem_add(&mem, gpa_of(0x11000), high, sizeof(high)), 0);
	return mem;
}

static void test_slice_inside(void **state)
{
	struct gmem mem = two_regions();

	(void)state;
	assert_ptr_equal(gmem_slice(&mem, gpa_of(0x10000), 1), low);
	assert_ptr_equal(gmem_slice(&mem, gpa_of(0x10000), 0x1000), low);
	assert_ptr_equal(gmem_slice(&mem, gpa_of(0x10fff), 1), low + 0xfff);
	assert_ptr_equal(gmem_slice(&mem, gpa_of(0x11000), 0x1000), high);
}

static void test_slice_never_leaves_a_region(void **state)
{
	struct gmem mem = two_regions();

	(void)state;
	assert_null(gmem_slice(&mem, gpa_of(0x10000), 0x1001));
	assert_null(gmem_slice(&mem, gpa_of(0x10fff), 2));
	assert_null(gmem_slice(&mem, gpa_of(0x11fff), 2));
	assert_null(gmem_slice(&mem, gpa_of(0xffff), 1));
	assert_null(gmem_slice(&mem, gpa_of(0xffff), 2));
	assert_null(gmem_slice(&mem, gpa_of(0x12000), 1));
	assert_null(gmem_slice(&mem, gpa_of(0), 1));
	assert_null(gmem_slice(&mem, gpa_of(0x10000), 0));
}

static void test_slice_does_not_wrap(void **state)
{
	struct gmem mem = two_regions();

	(void)state;
	assert_null(gmem_slice(&mem, gpa_of(UINT64_MAX), 1));
	assert_null(gmem_slice(&mem, gpa_of(UINT64_MAX), 2));
	assert_null(gmem_slice(&mem, gpa_of(0x10000), UINT64_MAX));
	assert_null(gmem_slice(&mem, gpa_of(0x10800), UINT64_MAX - 0x10800 + 1));
	assert_null(gmem_slice(&mem, gpa_of(0x10800), UINT64_MAX - 0x7ff));
}

static void test_add_refuses(void **state)
{
	struct gmem mem = two_regions();

	(void)state;
	assert_int_equal(gmem_add(&mem, gpa_of(0x20000), low, 0), -EINVAL);
	assert_int_equal(gmem_add(&mem, gpa_of(0x20000), NULL, 1), -EINVAL);
	assert_int_equal(gmem_add(&mem, gpa_of(UINT64_MAX), low, 2), -EINVAL);
	assert_int_equal(gmem_add(&mem, gpa_of(0x10fff), low, 1), -EINVAL);
	assert_int_equal(gmem_add(&mem, gpa_of(0xf000), low, 0x1001), -EINVAL);
	assert_int_equal(gmem_add(&mem, gpa_of(0), low, UINT64_MAX), -EINVAL);
	assert_int_equal(mem.n_regions, 2);
	assert_int_equal(gmem_add(&mem, gpa_of(UINT64_MAX), low, 1), 0);
	assert_ptr_equal(gmem_slice(&mem, gpa_of(UINT64_MAX), 1), low);
}

static void test_add_table_full(void **state)
{
	struct gmem mem = {0};

	(void)state;
	for (uint64_t i = 0; i < GMEM_REGIONS_MAX; i++)
		assert_int_equal(gmem_add(&mem, gpa_of(i * 0x1000), low, 0x1000), 0);
	assert_int_equal(gmem_add(&mem, gpa_of(0x100000), low, 0x1000), -ENOSPC);
}

static void test_copies(void **state)
{
	struct gmem mem = two_regions();
	char text[8] = "";

	(void)state;
	assert_int_equal(gmem_write(&mem, gpa_of(0x10ffc), "abcd", 4), 0);
	assert_int_equal(gmem_read(&mem, gpa_of(0x10ffc), text, 4), 0);
	assert_string_equal(text, "abcd");
	/* Nothing is copied when not all of it can be. */
	assert_int_equal(gmem_write(&mem, gpa_of(0x10ffe), "wxyz", 4), -EFAULT);
	assert_memory_equal(low + 0xffc, "abcd", 4);
	assert_int_equal(gmem_read(&mem, gpa_of(0x10ffe), text, 4), -EFAULT);
	assert_string_equal(text, "abcd");
	assert_int_equal(gmem_read(&mem, gpa_of(0), text, 0), 0);
	assert_int_equal(gmem_write(&mem, gpa_of(0), text, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slice_inside),
		cmocka_unit_test(test_slice_never_leaves_a_region),
		cmocka_unit_test(test_slice_does_not_wrap),
		cmocka_unit_test(test_add_refuses),
		cmocka_unit_test(test_add_table_full),
		cmocka_unit_test(test_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
