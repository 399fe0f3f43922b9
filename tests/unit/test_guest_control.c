// SPDX-License-Identifier: Apache-2.0
/* The guest's end of the control channel: frames go out whole and come in whole, however the connection cuts them. */
#include "guest-init/control.c"

#include "tests/unit/cm.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

struct bench {
	struct loop loop;
	struct control control;
	int guest, host;
	unsigned frames, ends;
	uint16_t last_type;
	size_t last_len;
};

static struct bench bench;

static void on_frame(struct control *control, const struct proto_header *header, const uint8_t *payload)
{
	assert_ptr_equal(control->ctx, &bench);
	if (!payload) {
		bench.ends++;
		return;
	}
	bench.frames++;
	bench.last_type = header->type;
	bench.last_len = header->len;
	for (size_t i = 0; i < header->len; i++)
		assert_int_equal(payload[i], (uint8_t)i);
}

static int setup(void **state)
{
	int sockets[2];

	(void)state;
	memset(&bench, 0, sizeof(bench));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	bench.guest = sockets[0];
	bench.host = sockets[1];
	assert_int_equal(fcntl(bench.guest, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(loop_init(&bench.loop), 0);
	assert_int_equal(control_start(&bench.control, &bench.loop, bench.guest, on_frame, &bench), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	loop_del(&bench.loop, &bench.control.source);
	loop_done(&bench.loop);
	close(bench.guest);
	if (bench.host >= 0)
		close(bench.host);
	return 0;
}

static void settle(void)
{
	while (loop_turn(&bench.loop, 0) > 0)
		;
}

static size_t frame_make(uint8_t *out, enum proto_type type, size_t len)
{
	struct proto_header header = {.len = (uint32_t)len, .type = (uint16_t)type};

	proto_header_encode(&header, out);
	for (size_t i = 0; i < len; i++)
		out[PROTO_HEADER_BYTES + i] = (uint8_t)i;
	return PROTO_HEADER_BYTES + len;
}

static void test_frames_in_any_pieces(void **state)
{
	uint8_t bytes[256];
	size_t len = frame_make(bytes, PROTO_SIGNAL, 4);

	(void)state;
	len += frame_make(bytes + len, PROTO_START, 0);
	len += frame_make(bytes + len, PROTO_SPEC, 100);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(send(bench.host, bytes + i, 1, 0), 1);
		settle();
	}
	assert_int_equal(bench.frames, 3);
	assert_int_equal(bench.last_type, PROTO_SPEC);
	assert_int_equal(send(bench.host, bytes, len, 0), len);
	settle();
	assert_int_equal(bench.frames, 6);
	assert_int_equal(bench.ends, 0);
}

static void test_the_largest_frame(void **state)
{
	static uint8_t bytes[PROTO_HEADER_BYTES + PROTO_PAYLOAD_MAX];
	size_t len = frame_make(bytes, PROTO_SPEC, PROTO_PAYLOAD_MAX);

	(void)state;
	for (size_t at = 0; at < len; at += 1000) {
		size_t step = len - at < 1000 ? len - at : 1000;

		assert_int_equal(send(bench.host, bytes + at, step, 0), step);
		settle();
	}
	assert_int_equal(bench.frames, 1);
	assert_int_equal(bench.last_len, PROTO_PAYLOAD_MAX);
}

static void test_no_frame_ends_the_channel(void **state)
{
	uint8_t bytes[PROTO_HEADER_BYTES];

	(void)state;
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(send(bench.host, bytes, sizeof(bytes), 0), sizeof(bytes));
	settle();
	assert_int_equal(bench.ends, 1);
	assert_false(bench.control.source.active);
}

static void test_a_host_that_is_gone(void **state)
{
	(void)state;
	close(bench.host);
	bench.host = -1;
	settle();
	assert_int_equal(bench.ends, 1);
	assert_int_equal(control_send(&bench.control, PROTO_STARTED, "12345678", 8), -EPIPE);
}

static void test_what_is_sent_is_a_frame(void **state)
{
	uint8_t bytes[64];
	struct proto_header header;

	(void)state;
	assert_int_equal(control_send(&bench.control, PROTO_WARNING, "careful", 7), 0);
	assert_int_equal(recv(bench.host, bytes, sizeof(bytes), 0), PROTO_HEADER_BYTES + 7);
	assert_int_equal(proto_header_decode(bytes, &header), 0);
	assert_int_equal(header.type, PROTO_WARNING);
	assert_int_equal(header.len, 7);
	assert_memory_equal(bytes + PROTO_HEADER_BYTES, "careful", 7);
	assert_int_equal(control_send(&bench.control, PROTO_WARNING, bytes, SEND_PAYLOAD_MAX + 1), -EMSGSIZE);
	assert_int_equal(recv(bench.host, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
}

enum { MANY = 2000 };

/* Reads slowly what the other thread sends, and counts. */
static void *slow_reader(void *arg)
{
	size_t *total = arg;
	uint8_t bytes[4096];
	ssize_t n;

	usleep(20000);
	while ((n = recv(bench.host, bytes, sizeof(bytes), 0)) > 0)
		*total += (size_t)n;
	return NULL;
}

/* More than the socket holds: nothing is lost or cut. */
static void test_sending_waits_for_room(void **state)
{
	uint8_t payload[PROTO_TEXT_MAX] = {0};
	size_t total = 0;
	pthread_t reader;

	(void)state;
	assert_int_equal(pthread_create(&reader, NULL, slow_reader, &total), 0);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(control_send(&bench.control, PROTO_WARNING, payload, sizeof(payload)), 0);
	shutdown(bench.guest, SHUT_WR);
	pthread_join(reader, NULL);
	assert_int_equal(total, MANY * (PROTO_HEADER_BYTES + sizeof(payload)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_frames_in_any_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_largest_frame, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_frame_ends_the_channel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_host_that_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_sent_is_a_frame, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sending_waits_for_room, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
