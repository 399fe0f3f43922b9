// SPDX-License-Identifier: Apache-2.0
#include "oci/image/name.h"
#include "tests/unit/cm.h"

#include <errno.h>
#include <string.h>

static void test_clean(void **state)
{
	static const struct {
		const char *in, *out;
	} good[] = {{"a", "a"}, {"a/b", "a/b"}, {"./a", "a"}, {"a//b/", "a/b"}, {"./././a/./b/.", "a/b"},
		{"", ""}, {".", ""}, {"./", ""}, {"/", ""}, {"//", ""}, {"/.", ""}, {"...", "..."},
		{"..a/b..", "..a/b.."}, {".a", ".a"}};
	static const char *const bad[] = {"..", "../a", "a/..", "a/../b", "./..", "/a", "//a", "/./a", "/.."};
	char work[64];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		strcpy(work, good[i].in);
		assert_int_equal(name_clean(work), 0);
		assert_string_equal(work, good[i].out);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		strcpy(work, bad[i]);
		assert_int_equal(name_clean(work), -EPERM);
	}
}

static void test_clean_lengths(void **state)
{
	char work[6000];

	(void)state;
	memset(work, 'a', sizeof(work));
	work[NAME_PART_MAX] = '\0';
	assert_int_equal(name_clean(work), 0);
	work[NAME_PART_MAX] = 'a';
	work[NAME_PART_MAX + 1] = '\0';
	assert_int_equal(name_clean(work), -ENAMETOOLONG);
	for (size_t i = 0; i < sizeof(work); i++)
		work[i] = i % 2 ? '/' : 'a';
	work[NAME_PATH_MAX] = '\0';
	assert_int_equal(name_clean(work), 0);
	assert_int_equal(strlen(work), NAME_PATH_MAX);
	for (size_t i = 0; i < sizeof(work); i++)
		work[i] = i % 2 ? '/' : 'a';
	work[NAME_PATH_MAX + 2] = '\0';
	assert_int_equal(name_clean(work), -ENAMETOOLONG);
	/* What is stripped does not count. */
	memset(work, '/', sizeof(work));
	work[0] = 'a';
	work[5999] = '\0';
	assert_int_equal(name_clean(work), 0);
	assert_string_equal(work, "a");
}

static void test_classify(void **state)
{
	static const struct {
		const char *path;
		enum name_kind kind;
	} cases[] = {{"", NAME_PLAIN}, {"a", NAME_PLAIN}, {"a/b", NAME_PLAIN}, {".wh", NAME_PLAIN},
		{"a.wh.b", NAME_PLAIN}, {".wh.a", NAME_WHITEOUT}, {"a/.wh.b", NAME_WHITEOUT},
		{".wh.wh.", NAME_WHITEOUT}, {".wh.....", NAME_WHITEOUT}, {".wh..a", NAME_WHITEOUT},
		{".wh..wh..opq", NAME_OPAQUE}, {"a/b/.wh..wh..opq", NAME_OPAQUE},
		{".wh..wh.aufs", NAME_IGNORED}, {".wh..wh.plnk/1", NAME_IGNORED},
		{"a/.wh..wh.orph", NAME_IGNORED}, {".wh.", NAME_BAD}, {".wh..", NAME_BAD},
		{".wh...", NAME_BAD}, {"a/.wh.", NAME_BAD}, {".wh.a/b", NAME_BAD}, {"a/.wh.b/c", NAME_BAD}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (name_classify(cases[i].path) != cases[i].kind)
			fail_msg("\"%s\" is %d, expected %d", cases[i].path, name_classify(cases[i].path),
				cases[i].kind);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_clean_lengths),
		cmocka_unit_test(test_classify),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
