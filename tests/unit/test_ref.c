// SPDX-License-Identifier: Apache-2.0
#include "oci/store/digest.h"
#include "oci/store/ref.h"
#include "tests/unit/cm.h"

#include <errno.h>
#include <string.h>

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_names_are_completed_as_docker_does(void **state)
{
	static const struct {
		const char *in, *out, *familiar;
	} cases[] = {
		{"busybox", "docker.io/library/busybox:latest", "busybox:latest"},
		{"busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"},
		{"docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"},
		{"index.docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"},
		{"library/busybox", "docker.io/library/busybox:latest", "busybox:latest"},
		{"user/app:v1", "docker.io/user/app:v1", "user/app:v1"},
		{"library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"},
		{"localhost/app", "localhost/app:latest", "localhost/app:latest"},
		{"localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest"},
		{"quay.io/a/b/c:T_1.x-y", "quay.io/a/b/c:T_1.x-y", "quay.io/a/b/c:T_1.x-y"},
		{"Host/app", "Host/app:latest", "Host/app:latest"},
		{"[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"},
		{"a__b/c--d.e_f", "docker.io/a__b/c--d.e_f:latest", "a__b/c--d.e_f:latest"},
		{"docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c:latest"},
		{"docker.io/localhost/c", "docker.io/localhost/c:latest", "docker.io/localhost/c:latest"},
		{"library/" HEX, "docker.io/library/" HEX ":latest", "library/" HEX ":latest"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[REF_TEXT_MAX + 1];
		struct ref ref;

		assert_int_equal(ref_parse(cases[i].in, &ref), 0);
		assert_int_equal(ref_format(&ref, text), 0);
		assert_string_equal(text, cases[i].out);
		assert_string_equal(ref_familiar(text), cases[i].familiar);
	}
}

static void test_what_is_no_name_is_refused(void **state)
{
	static const char *const bad[] = {"", "/", "a/", "/a", "a//b", "A", "a/B", "a:", "a:.x", "a:-x", "-a",
		"a-", "a.", ".a", "_a", "a___b", "a..b", "a/../b", "../a", "a b", "a\n", "a:b c",
		"reg:99999999/a", "h:/a", ":5000/a", "a@", "a@sha256:", "a@sha256:" HEX "0", "a@nonsense",
		HEX, "a/b:c/d:e:f", "[::1/a", "h..o:1/a", "\xc3\xa9", "a+b"};
	struct ref ref;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (ref_parse(bad[i], &ref) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
	}
	assert_int_equal(ref_parse("a@sha512:" HEX HEX, &ref), -ENOTSUP);
}

static void test_length_limits(void **state)
{
	char text[600], formatted[REF_TEXT_MAX + 1];
	struct ref ref;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[300] = '\0';
	assert_int_equal(ref_parse(text, &ref), -ENAMETOOLONG);
	text[230] = '\0';
	assert_int_equal(ref_parse(text, &ref), 0);
	assert_int_equal(ref_format(&ref, formatted), -ENAMETOOLONG);
	text[200] = '\0';
	assert_int_equal(ref_parse(text, &ref), 0);
	assert_int_equal(ref_format(&ref, formatted), 0);
	memset(text, 'a', sizeof(text));
	text[1] = ':';
	text[2 + REF_TAG_MAX] = '\0';
	assert_int_equal(ref_parse(text, &ref), 0);
	text[2 + REF_TAG_MAX] = 'a';
	text[3 + REF_TAG_MAX] = '\0';
	assert_int_equal(ref_parse(text, &ref), -EINVAL);
	memset(text, 'a', sizeof(text) - 1);
	text[599] = '\0';
	assert_int_equal(ref_parse(text, &ref), -ENAMETOOLONG);
}

static void test_digest_in_a_name(void **state)
{
	char text[REF_TEXT_MAX + 1];
	struct ref ref;

	(void)state;
	assert_int_equal(ref_parse("busybox@sha256:" HEX, &ref), 0);
	assert_string_equal(ref.digest, HEX);
	assert_string_equal(ref.tag, "");
	assert_int_equal(ref_format(&ref, text), -EINVAL);
	assert_int_equal(ref_parse("localhost:5000/busybox:1@sha256:" HEX, &ref), 0);
	assert_string_equal(ref.name, "localhost:5000/busybox");
	assert_string_equal(ref.tag, "1");
}

static void test_escape_is_reversible(void **state)
{
	char text[] = "localhost:5000/a/b:c";

	(void)state;
	ref_escape(text);
	assert_null(strchr(text, '/'));
	ref_unescape(text);
	assert_string_equal(text, "localhost:5000/a/b:c");
}

static void test_digests(void **state)
{
	static const char *const bad[] = {"", "sha256", "sha256:", HEX, ("sha256:" HEX "0"), ("SHA256:" HEX),
		"sha256:../../etc/passwd",
		"sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
		"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde/"};
	char hex[DIGEST_HEX_LEN + 1] = "before";

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(digest_parse(bad[i], hex), -EINVAL);
	assert_int_equal(digest_parse("sha512:" HEX, hex), -ENOTSUP);
	assert_string_equal(hex, "before");
	assert_int_equal(digest_parse("sha256:" HEX, hex), 0);
	assert_string_equal(hex, HEX);
	assert_false(digest_hex_valid(HEX "0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_completed_as_docker_does),
		cmocka_unit_test(test_what_is_no_name_is_refused),
		cmocka_unit_test(test_length_limits),
		cmocka_unit_test(test_digest_in_a_name),
		cmocka_unit_test(test_escape_is_reversible),
		cmocka_unit_test(test_digests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
