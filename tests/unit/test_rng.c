// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cm.h"
#include "base/clock.h"
#include "tests/unit/fake_driver.h"
#include "virtio/rng.h"

#include <string.h>

struct bench {
	struct fake_driver fake;
	struct virtio_rng rng;
	uint64_t data;
};

static int setup(void **state)
{
	static struct bench bench;
	struct virtio_wiring wiring;

	memset(&bench, 0, sizeof(bench));
	fake_init(&bench.fake);
	wiring = fake_wiring(&bench.fake);
	assert_int_equal(virtio_rng_init(&bench.rng, &wiring), 0);
	fake_up(&bench.fake, &bench.rng.dev, 1, 8);
	bench.data = fake_alloc(&bench.fake, 1 << 20);
	*state = &bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	virtio_rng_done(&bench->rng);
	fake_done(&bench->fake);
	return 0;
}

static void test_fills(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffers[] = {{bench->data, 40, true}, {bench->data + 100, 60, true}};
	const uint8_t *bytes = fake_host(&bench->fake, bench->data);
	unsigned int differ = 0;
	uint32_t len;

	fake_add(&bench->fake, 0, buffers, 2);
	fake_kick(&bench->fake);
	assert_true(fake_take(&bench->fake, 0, NULL, &len));
	assert_int_equal(len, 100);
	for (int i = 0; i < 40; i++)
		differ += bytes[i] != 0;
	for (int i = 100; i < 160; i++)
		differ += bytes[i] != 0;
	assert_true(differ > 50);
	for (int i = 40; i < 100; i++)
		assert_int_equal(bytes[i], 0);
	assert_int_equal(bytes[160], 0);
	assert_int_equal(fake_irqs(&bench->fake), 1);
}

/* R1: not more than 64 KiB, whatever is asked for. */
static void test_request_limit(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffer = {bench->data, 1 << 20, true};
	uint32_t len;

	fake_add(&bench->fake, 0, &buffer, 1);
	fake_kick(&bench->fake);
	assert_true(fake_take(&bench->fake, 0, NULL, &len));
	assert_int_equal(len, RNG_REQUEST_MAX_BYTES);
	assert_int_equal(*(uint8_t *)fake_host(&bench->fake, bench->data + RNG_REQUEST_MAX_BYTES), 0);
}

/* R1: beyond the burst, requests wait for the timer, and then are served without another kick. */
static void test_rate_limit(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffer = {bench->data, RNG_REQUEST_MAX_BYTES, true};
	uint64_t start_ms = clock_now_ms();
	unsigned int at_once = 0, later = 0;

	for (int i = 0; i < 6; i++)
		fake_add(&bench->fake, 0, &buffer, 1);
	fake_kick(&bench->fake);
	while (fake_take(&bench->fake, 0, NULL, NULL))
		at_once++;
	assert_int_equal(at_once, RNG_BURST_BYTES / RNG_REQUEST_MAX_BYTES);
	while (at_once + later < 6 && clock_now_ms() - start_ms < 5000) {
		loop_turn(&bench->fake.loop, 100);
		while (fake_take(&bench->fake, 0, NULL, NULL))
			later++;
	}
	assert_int_equal(at_once + later, 6);
	/* 128 KiB at 1 MiB/s. */
	assert_true(clock_now_ms() - start_ms >= 100);
}

static void test_nothing_to_write_to(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffer = {bench->data, 100, false};
	uint32_t len;

	fake_add(&bench->fake, 0, &buffer, 1);
	fake_kick(&bench->fake);
	assert_true(fake_take(&bench->fake, 0, NULL, &len));
	assert_int_equal(len, 0);
	assert_int_equal(*(uint8_t *)fake_host(&bench->fake, bench->data), 0);
}

static void test_bad_address(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffer = {1, 100, true};

	fake_add(&bench->fake, 0, &buffer, 1);
	fake_kick(&bench->fake);
	assert_int_equal(fake_status(&bench->fake), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_false(fake_take(&bench->fake, 0, NULL, NULL));
}

/* Q16: a ring that is always full does not keep the loop from others. */
static void test_bounded_turn(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffer = {bench->data, 0, true};

	for (int i = 0; i < 8; i++)
		fake_add(&bench->fake, 0, &buffer, 1);
	bench->fake.queues[0].avail_idx = 0;
	fake_set(&bench->fake, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_int_equal(loop_turn(&bench->fake.loop, 0), 1);
	assert_int_equal(bench->rng.dev.queues[0].state.next_used, 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fills),
		TEST(test_request_limit),
		TEST(test_rate_limit),
		TEST(test_nothing_to_write_to),
		TEST(test_bad_address),
		TEST(test_bounded_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
