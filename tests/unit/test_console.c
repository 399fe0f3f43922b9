// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cm.h"
#include "base/io.h"
#include "tests/unit/fake_driver.h"
#include "virtio/console.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RX, TX };

struct bench {
	struct fake_driver fake;
	struct virtio_console con;
	int out[2]; /* pipe: what the console writes */
	int in[2]; /* pipe: what it reads */
	uint64_t data;
};

static struct bench bench_storage;

static int setup_with(void **state, bool out, bool in)
{
	struct bench *bench = &bench_storage;
	struct virtio_console_options options = {.out_fd = -1, .in_fd = -1};
	struct virtio_wiring wiring;

	memset(bench, 0, sizeof(*bench));
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(bench->out, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(pipe2(bench->in, O_NONBLOCK | O_CLOEXEC), 0);
	if (out)
		options.out_fd = bench->out[1];
	if (in)
		options.in_fd = bench->in[0];
	fake_init(&bench->fake);
	wiring = fake_wiring(&bench->fake);
	assert_int_equal(virtio_console_init(&bench->con, &wiring, &options), 0);
	fake_up(&bench->fake, &bench->con.dev, 2, 16);
	bench->data = fake_alloc(&bench->fake, 1 << 20);
	*state = bench;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, false, false);
}

static int setup_piped(void **state)
{
	return setup_with(state, true, true);
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	virtio_console_done(&bench->con);
	fake_done(&bench->fake);
	for (int i = 0; i < 2; i++) {
		close(bench->out[i]);
		close(bench->in[i]);
	}
	return 0;
}

static void say(struct bench *bench, const void *text, uint32_t len)
{
	struct fake_buffer buffer = {bench->data, len, false};

	memcpy(fake_host(&bench->fake, bench->data), text, len);
	fake_add(&bench->fake, TX, &buffer, 1);
	fake_kick(&bench->fake);
	assert_true(fake_take(&bench->fake, TX, NULL, NULL));
}

static void say_text(struct bench *bench, const char *text)
{
	say(bench, text, (uint32_t)strlen(text));
}

static void test_tail(void **state)
{
	struct bench *bench = *state;
	char text[64] = "";

	assert_int_equal(virtio_console_tail(&bench->con, text, sizeof(text)), 0);
	say_text(bench, "hello ");
	say_text(bench, "world");
	assert_int_equal(virtio_console_tail(&bench->con, text, sizeof(text)), 11);
	assert_memory_equal(text, "hello world", 11);
	assert_int_equal(virtio_console_tail(&bench->con, text, 5), 5);
	assert_memory_equal(text, "world", 5);
}

/* C1: the ring keeps the end of any amount. */
static void test_flood(void **state)
{
	struct bench *bench = *state;
	static uint8_t block[10000], tail[CONSOLE_RING_BYTES + 1];
	uint32_t at = 0;
	size_t n;

	for (int round = 0; round < 50; round++) {
		for (size_t i = 0; i < sizeof(block); i++)
			block[i] = (uint8_t)(at++ % 251);
		say(bench, block, sizeof(block));
	}
	n = virtio_console_tail(&bench->con, tail, sizeof(tail));
	assert_int_equal(n, CONSOLE_RING_BYTES);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(tail[i], (at - n + i) % 251);
}

/* One chain larger than the ring: its end is what counts. */
static void test_huge_chain(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffers[16];
	char tail[4];

	memset(fake_host(&bench->fake, bench->data), 'x', 1 << 20);
	memcpy(fake_host(&bench->fake, bench->data + (1 << 20) - 4), "done", 4);
	for (int i = 0; i < 16; i++)
		buffers[i] = (struct fake_buffer){bench->data, 1 << 20, false};
	fake_add(&bench->fake, TX, buffers, 16);
	fake_kick(&bench->fake);
	assert_true(fake_take(&bench->fake, TX, NULL, NULL));
	assert_int_equal(virtio_console_tail(&bench->con, tail, 4), 4);
	assert_memory_equal(tail, "done", 4);
	assert_int_equal(bench->con.state.written_bytes, 16 << 20);
}

static void test_panic(void **state)
{
	struct bench *bench = *state;
	const char *text = "Kernel panic - not syncing";

	say_text(bench, "KKernel panic - not Kernel panic! Kernel panic - not syncin");
	assert_false(virtio_console_panicked(&bench->con));
	say_text(bench, "h\nKernel panic - not syncinKernel panic - ");
	assert_false(virtio_console_panicked(&bench->con));
	for (const char *c = text; *c; c++) {
		assert_false(virtio_console_panicked(&bench->con));
		say(bench, c, 1);
	}
	assert_true(virtio_console_panicked(&bench->con));
	say_text(bench, "more");
	assert_true(virtio_console_panicked(&bench->con));
}

static void test_out(void **state)
{
	struct bench *bench = *state;
	char text[64];

	say_text(bench, "one\n");
	say_text(bench, "two\n");
	assert_int_equal(read(bench->out[0], text, sizeof(text)), 8);
	assert_memory_equal(text, "one\ntwo\n", 8);
}

/* C3: nobody reads. The guest goes on; the reader later gets the end, with a note of what is missing. */
static void test_out_full_then_drained(void **state)
{
	struct bench *bench = *state;
	static char block[8192], all[1 << 20];
	const uint64_t total = 60 * sizeof(block);
	unsigned long long lost = 0;
	size_t got = 0;
	ssize_t n;
	char *note;

	memset(block, 'a', sizeof(block));
	for (int i = 0; i < 60; i++)
		say(bench, block, sizeof(block));
	say_text(bench, "the end");
	assert_int_equal(bench->con.state.written_bytes, total + 7);
	while ((n = read(bench->out[0], all + got, 4096)) > 0 || loop_turn(&bench->fake.loop, 10) > 0)
		got += n > 0 ? (size_t)n : 0;
	all[got] = '\0';
	note = strstr(all, "\r\n[");
	assert_non_null(note);
	lost = strtoull(note + 3, NULL, 10);
	assert_true(lost > 0);
	note = strstr(note, " bytes of console output lost]\r\n");
	assert_non_null(note);
	assert_memory_equal(all + got - 7, "the end", 7);
	/* Every byte was either passed on or counted. */
	assert_int_equal(strspn(all, "a") + lost + strspn(note + 32, "a"), total);
	assert_false(bench->con.out.active);
}

static void test_out_gone(void **state)
{
	struct bench *bench = *state;
	char tail[4];

	close(bench->out[0]);
	bench->out[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	say_text(bench, "x");
	assert_true(bench->con.out_dead);
	say_text(bench, "still");
	assert_int_equal(virtio_console_tail(&bench->con, tail, 4), 4);
	assert_memory_equal(tail, "till", 4);
	assert_int_equal(fake_status(&bench->fake), 15);
}

static void test_out_to_a_regular_file(void **state)
{
	struct bench *bench = *state;
	FILE *file = tmpfile();
	char text[8];

	assert_non_null(file);
	bench->con.options.out_fd = fileno(file);
	say_text(bench, "kept");
	assert_int_equal(pread(fileno(file), text, sizeof(text), 0), 4);
	assert_memory_equal(text, "kept", 4);
	bench->con.options.out_fd = -1;
	fclose(file);
}

static void test_in(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffers[] = {{bench->data, 3, true}, {bench->data + 10, 5, true}};
	uint32_t len;

	/* C2: without buffers nothing is read. */
	assert_int_equal(io_write_all(bench->in[1], "abcdefghij", 10), 0);
	fake_run(&bench->fake);
	fake_add(&bench->fake, RX, buffers, 2);
	fake_kick(&bench->fake);
	assert_true(fake_take(&bench->fake, RX, NULL, &len));
	assert_int_equal(len, 8);
	assert_memory_equal(fake_host(&bench->fake, bench->data), "abc", 3);
	assert_memory_equal(fake_host(&bench->fake, bench->data + 10), "defgh", 5);
	/* More buffers than bytes: the rest waits for input, without a kick. */
	fake_add(&bench->fake, RX, buffers, 1);
	fake_add(&bench->fake, RX, buffers, 1);
	fake_kick(&bench->fake);
	assert_true(fake_take(&bench->fake, RX, NULL, &len));
	assert_int_equal(len, 2);
	assert_false(fake_take(&bench->fake, RX, NULL, &len));
	assert_int_equal(io_write_all(bench->in[1], "k", 1), 0);
	fake_run(&bench->fake);
	assert_true(fake_take(&bench->fake, RX, NULL, &len));
	assert_int_equal(len, 1);
}

static void test_in_end(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffer = {bench->data, 16, true};

	fake_add(&bench->fake, RX, &buffer, 1);
	fake_kick(&bench->fake);
	assert_true(bench->con.in.active);
	close(bench->in[1]);
	bench->in[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	fake_run(&bench->fake);
	assert_true(bench->con.in_ended);
	assert_false(bench->con.in.active);
	fake_kick(&bench->fake);
	assert_false(fake_take(&bench->fake, RX, NULL, NULL));
}

static void test_reset_stops_reading(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffer = {bench->data, 16, true};
	uint32_t len;

	fake_add(&bench->fake, RX, &buffer, 1);
	fake_kick(&bench->fake);
	fake_set(&bench->fake, VIRTIO_MMIO_STATUS, 0);
	assert_false(bench->con.in.active);
	assert_int_equal(io_write_all(bench->in[1], "abc", 3), 0);
	fake_run(&bench->fake);
	fake_up(&bench->fake, &bench->con.dev, 2, 16);
	fake_add(&bench->fake, RX, &buffer, 1);
	fake_kick(&bench->fake);
	assert_true(fake_take(&bench->fake, RX, NULL, &len));
	assert_int_equal(len, 3);
}

static void test_bad_rings(void **state)
{
	struct bench *bench = *state;

	for (uint16_t queue = RX; queue <= TX; queue++) {
		struct fake_buffer bad = {1, 16, queue == RX};

		fake_up(&bench->fake, &bench->con.dev, 2, 16);
		fake_add(&bench->fake, queue, &bad, 1);
		fake_kick(&bench->fake);
		assert_int_equal(fake_status(&bench->fake), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
		fake_up(&bench->fake, &bench->con.dev, 2, 16);
		fake_offer(&bench->fake, queue, 16);
		fake_kick(&bench->fake);
		assert_int_equal(fake_status(&bench->fake), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_PIPED(name) cmocka_unit_test_setup_teardown(name, setup_piped, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tail),
		TEST(test_flood),
		TEST(test_huge_chain),
		TEST(test_panic),
		TEST_PIPED(test_out),
		TEST_PIPED(test_out_full_then_drained),
		TEST_PIPED(test_out_gone),
		TEST(test_out_to_a_regular_file),
		TEST_PIPED(test_in),
		TEST_PIPED(test_in_end),
		TEST_PIPED(test_reset_stops_reading),
		TEST_PIPED(test_bad_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
