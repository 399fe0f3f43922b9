// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "tests/unit/cm.h"

#include <errno.h>
#include <string.h>

static void test_u64_takes_plain_decimals_only(void **state)
{
	uint64_t value = 7;

	(void)state;
	assert_int_equal(num_parse_u64("0", 10, &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(num_parse_u64("18446744073709551615", UINT64_MAX, &value), 0);
	assert_true(value == UINT64_MAX);
	value = 7;
	assert_int_equal(num_parse_u64("18446744073709551616", UINT64_MAX, &value), -ERANGE);
	assert_int_equal(num_parse_u64("11", 10, &value), -ERANGE);
	for (const char *const *bad = (const char *const[]){"", " 1", "1 ", "+1", "-1", "0x1", "1e3", NULL};
		*bad; bad++)
		assert_int_equal(num_parse_u64(*bad, UINT64_MAX, &value), -EINVAL);
	assert_int_equal(value, 7);
}

static void test_size_suffixes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"1", 1}, {"10b", 10}, {"2k", 2 * KIB}, {"3M", 3 * MIB}, {"4mb", 4 * MIB},
		{"5MiB", 5 * MIB}, {"6g", 6 * GIB}, {"1T", 1024 * GIB}, {"1.5g", 1536 * MIB},
		{".5m", 512 * KIB}, {"2.k", 2 * KIB}, {"0.1g", 107374182}, {"1.7", 1},
		{"0.99999999999999999999k", 1023}, {"7.999999999999999999999999999999t", 8 * 1024 * GIB - 1}};
	uint64_t bytes = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(num_parse_size(good[i].text, &bytes), 0);
		assert_true(bytes == good[i].bytes);
	}
	assert_int_equal(num_parse_size("9223372036854775807", &bytes), 0);
	assert_int_equal(num_parse_size("9223372036854775808", &bytes), -ERANGE);
	assert_int_equal(num_parse_size("8388608t", &bytes), -ERANGE);
	assert_int_equal(num_parse_size("9223372036854775807.9", &bytes), 0);
	assert_int_equal(num_parse_size("18446744073709551615.9", &bytes), -ERANGE);
	assert_int_equal(num_parse_size("18446744073709551616.0", &bytes), -ERANGE);
	assert_int_equal(num_parse_size("16777216.5t", &bytes), -ERANGE);
	bytes = 7;
	for (const char *const *bad = (const char *const[]){"", "m", "1x", "1mm", "1.2.3g", "1..5g", ".",
		     ".g", "..5", "-1m", "1 m", "1,5g", NULL};
		*bad; bad++)
		assert_int_equal(num_parse_size(*bad, &bytes), -EINVAL);
	assert_int_equal(bytes, 7);
}

static void test_fractions_are_thousandths(void **state)
{
	uint64_t milli = 0;

	(void)state;
	assert_int_equal(num_parse_milli("1.5", 64000, &milli), 0);
	assert_int_equal(milli, 1500);
	assert_int_equal(num_parse_milli("0.001", 64000, &milli), 0);
	assert_int_equal(milli, 1);
	assert_int_equal(num_parse_milli("2", 64000, &milli), 0);
	assert_int_equal(milli, 2000);
	assert_int_equal(num_parse_milli("65", 64000, &milli), -ERANGE);
	assert_int_equal(num_parse_milli("18446744073709551615", UINT64_MAX, &milli), -ERANGE);
	assert_int_equal(num_parse_milli(".5", 64000, &milli), 0);
	assert_int_equal(milli, 500);
	assert_int_equal(num_parse_milli("1.", 64000, &milli), 0);
	assert_int_equal(milli, 1000);
	assert_int_equal(num_parse_milli("0.9999", 64000, &milli), 0);
	assert_int_equal(milli, 999);
	assert_int_equal(num_parse_milli("64.001", 64000, &milli), -ERANGE);
	for (const char *const *bad = (const char *const[]){"", ".", "1.5x", "1.2.3", "-.5", "1e3", NULL};
		*bad; bad++)
		assert_int_equal(num_parse_milli(*bad, 64000, &milli), -EINVAL);
}

static void test_align_up_never_wraps(void **state)
{
	uint64_t out = 1;

	(void)state;
	assert_true(num_align_up(0, 4096, &out));
	assert_int_equal(out, 0);
	assert_true(num_align_up(1, 4096, &out));
	assert_int_equal(out, 4096);
	assert_true(num_align_up(UINT64_MAX - 4095, 4096, &out));
	assert_false(num_align_up(UINT64_MAX, 4096, &out));
}

static void test_hex_is_lower_case_and_exact(void **state)
{
	uint8_t bytes[2];
	char text[5];

	(void)state;
	assert_int_equal(num_parse_hex("0aff", bytes, 2), 0);
	num_format_hex(bytes, 2, text);
	assert_string_equal(text, "0aff");
	assert_int_equal(num_parse_hex("0aFf", bytes, 2), -EINVAL);
	assert_int_equal(num_parse_hex("0af", bytes, 2), -EINVAL);
	assert_int_equal(num_parse_hex("0affa", bytes, 2), -EINVAL);
	assert_int_equal(num_parse_hex("", bytes, 2), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_u64_takes_plain_decimals_only),
		cmocka_unit_test(test_size_suffixes),
		cmocka_unit_test(test_fractions_are_thousandths),
		cmocka_unit_test(test_align_up_never_wraps),
		cmocka_unit_test(test_hex_is_lower_case_and_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
