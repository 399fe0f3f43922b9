// SPDX-License-Identifier: Apache-2.0
/* What one side encodes the other decodes; everything else is refused without touching the output. */
#include "base/buf.h"
#include "proto/bytes.h"
#include "proto/frame.h"
#include "proto/spec.h"
#include "tests/unit/cm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void test_header_limits(void **state)
{
	struct proto_header in = {.len = PROTO_PAYLOAD_MAX, .type = PROTO_SPEC, .id = 9}, out;
	uint8_t bytes[PROTO_HEADER_BYTES];

	(void)state;
	proto_header_encode(&in, bytes);
	assert_int_equal(proto_header_decode(bytes, &out), 0);
	assert_int_equal(out.len, PROTO_PAYLOAD_MAX);
	assert_int_equal(out.type, PROTO_SPEC);
	assert_int_equal(out.id, 9);
	put_u32(bytes, PROTO_PAYLOAD_MAX + 1);
	assert_int_equal(proto_header_decode(bytes, &out), -EBADMSG);
	put_u32(bytes, UINT32_MAX);
	assert_int_equal(proto_header_decode(bytes, &out), -EBADMSG);
	put_u32(bytes, 0);
	bytes[6] = 1;
	assert_int_equal(proto_header_decode(bytes, &out), -EBADMSG);
}

static void test_exited_must_be_consistent(void **state)
{
	struct proto_exited in = {.exit_status = 137, .signal = 9, .oom_kills = 1, .memory_peak_bytes = 5},
			    out;
	uint8_t bytes[PROTO_EXITED_BYTES];

	(void)state;
	proto_exited_encode(&in, bytes);
	assert_int_equal(proto_exited_decode(bytes, sizeof(bytes), &out), 0);
	assert_int_equal(out.exit_status, 137);
	assert_int_equal(out.memory_peak_bytes, 5);
	assert_int_equal(proto_exited_decode(bytes, sizeof(bytes) - 1, &out), -EBADMSG);
	assert_int_equal(proto_exited_decode(bytes, sizeof(bytes) + 1, &out), -EBADMSG);
	put_u32(bytes, 256);
	assert_int_equal(proto_exited_decode(bytes, sizeof(bytes), &out), -EBADMSG);
	put_u32(bytes, 3);
	assert_int_equal(proto_exited_decode(bytes, sizeof(bytes), &out), -EBADMSG);
	put_u32(bytes + 4, 65);
	assert_int_equal(proto_exited_decode(bytes, sizeof(bytes), &out), -EBADMSG);
}

static void test_texts_end_inside_their_field(void **state)
{
	struct proto_start_failed failed = {.exit_status = 127, .error = ENOENT}, out;
	struct proto_hello hello = {.version = 1, .kernel = "6.12"}, hello_out;
	uint8_t bytes[PROTO_START_FAILED_BYTES], hello_bytes[PROTO_HELLO_BYTES];

	(void)state;
	memset(failed.text, 'x', sizeof(failed.text));
	proto_start_failed_encode(&failed, bytes);
	assert_int_equal(proto_start_failed_decode(bytes, sizeof(bytes), &out), 0);
	assert_int_equal(strlen(out.text), PROTO_TEXT_MAX - 1);
	memset(bytes + 8, 'x', PROTO_TEXT_MAX);
	assert_int_equal(proto_start_failed_decode(bytes, sizeof(bytes), &out), -EBADMSG);
	put_u32(bytes, 0);
	assert_int_equal(proto_start_failed_decode(bytes, sizeof(bytes), &out), -EBADMSG);
	proto_hello_encode(&hello, hello_bytes);
	assert_int_equal(proto_hello_decode(hello_bytes, sizeof(hello_bytes), &hello_out), 0);
	assert_string_equal(hello_out.kernel, "6.12");
	memset(hello_bytes + 32, 'y', 64);
	assert_int_equal(proto_hello_decode(hello_bytes, sizeof(hello_bytes), &hello_out), -EBADMSG);
}

static void test_signal_and_resize_ranges(void **state)
{
	struct proto_resize resize;
	struct proto_signal sig;
	uint8_t bytes[4];

	(void)state;
	for (uint32_t n = 0; n < 70; n++) {
		put_u32(bytes, n);
		assert_int_equal(proto_signal_decode(bytes, 4, &sig), n >= 1 && n <= 64 ? 0 : -EBADMSG);
	}
	put_u32(bytes, UINT32_MAX);
	assert_int_equal(proto_signal_decode(bytes, 4, &sig), -EBADMSG);
	assert_int_equal(proto_resize_decode(bytes, 4, &resize), -EBADMSG);
	put_u16(bytes, 24);
	put_u16(bytes + 2, 80);
	assert_int_equal(proto_resize_decode(bytes, 4, &resize), 0);
	assert_int_equal(resize.columns, 80);
}

static const char *test_args[] = {"sh", "-c", "", NULL};
static const char *test_env[] = {"A=1", "B=two words\n", NULL};
static const char *test_masked[] = {"/proc/kcore", NULL};
static struct spec_mount test_mounts[] = {
	{"/proc", "proc", "proc", "", 14}, {"/tmp", "tmpfs", "tmpfs", "size=1m", 6}};
static struct spec_rlimit test_rlimits[] = {{7, 1024, UINT64_MAX}};

static struct spec sample_spec(void)
{
	return (struct spec){.flags = SPEC_TERMINAL | SPEC_INIT,
		.args = test_args,
		.n_args = 3,
		.env = test_env,
		.n_env = 2,
		.cwd = "/",
		.user = "1000:www",
		.hostname = "box",
		.mounts = test_mounts,
		.n_mounts = 2,
		.masked_paths = test_masked,
		.n_masked_paths = 1,
		.rlimits = test_rlimits,
		.n_rlimits = 1,
		.capabilities = 0x1ffffffffff,
		.upper_bytes = 1 << 20,
		.pids_max = 5,
		.cpu_max_milli = 1500,
		.umask = 022,
		.stream_ports = {1025, 1026, 1027},
		.rows = 24,
		.columns = 80,
		.seccomp = (const uint8_t *)"12345678",
		.seccomp_bytes = 8};
}

static void test_spec_round_trip(void **state)
{
	struct spec in = sample_spec(), out;
	struct buf buf, again;

	(void)state;
	buf_init(&buf, PROTO_SPEC_MAX + 1);
	buf_init(&again, PROTO_SPEC_MAX + 1);
	assert_int_equal(spec_encode(&in, &buf), 0);
	assert_int_equal(spec_decode(buf.data, buf.len, &out), 0);
	assert_int_equal(out.n_args, 3);
	assert_null(out.args[3]);
	assert_string_equal(out.env[1], "B=two words\n");
	assert_string_equal(out.user, "1000:www");
	assert_string_equal(out.mounts[1].data, "size=1m");
	assert_true(out.rlimits[0].hard == UINT64_MAX);
	assert_int_equal(out.stream_ports[2], 1027);
	assert_int_equal(spec_encode(&out, &again), 0);
	assert_int_equal(buf.len, again.len);
	assert_memory_equal(buf.data, again.data, buf.len);
	spec_done(&out);
	buf_done(&buf);
	buf_done(&again);
}

static void test_spec_rules_bind_the_encoder(void **state)
{
	struct spec spec = sample_spec();
	struct buf buf;

	(void)state;
	buf_init(&buf, PROTO_SPEC_MAX + 1);
	spec.n_args = 0;
	assert_int_equal(spec_encode(&spec, &buf), -EINVAL);
	spec = sample_spec();
	spec.cwd = "relative";
	assert_int_equal(spec_encode(&spec, &buf), -EINVAL);
	spec = sample_spec();
	spec.seccomp_bytes = 7;
	assert_int_equal(spec_encode(&spec, &buf), -EINVAL);
	assert_int_equal(buf.len, 0);
	buf_done(&buf);
}

/*
 * Cut at every length and with every byte changed: decoded or refused, never read past the end (run it under
 * ASan).
 */
static void test_spec_survives_damage_everywhere(void **state)
{
	struct spec in = sample_spec(), out;
	size_t refused = 0;
	struct buf buf;

	(void)state;
	buf_init(&buf, PROTO_SPEC_MAX + 1);
	assert_int_equal(spec_encode(&in, &buf), 0);
	for (size_t len = 0; len <= buf.len; len++) {
		uint8_t *cut = malloc(len ? len : 1);

		memcpy(cut, buf.data, len);
		if (spec_decode(cut, len, &out) == 0)
			spec_done(&out);
		else
			refused++;
		free(cut);
	}
	assert_true(refused > buf.len / 2);
	for (size_t i = 0; i < buf.len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			buf.data[i] ^= (uint8_t)(1u << bit);
			if (spec_decode(buf.data, buf.len, &out) == 0)
				spec_done(&out);
			buf.data[i] ^= (uint8_t)(1u << bit);
		}
	}
	buf_done(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_limits),
		cmocka_unit_test(test_exited_must_be_consistent),
		cmocka_unit_test(test_texts_end_inside_their_field),
		cmocka_unit_test(test_signal_and_resize_ranges),
		cmocka_unit_test(test_spec_round_trip),
		cmocka_unit_test(test_spec_rules_bind_the_encoder),
		cmocka_unit_test(test_spec_survives_damage_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
