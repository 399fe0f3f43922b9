// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cm.h"
#include "base/clock.h"
#include "tests/unit/vsock_bench.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- ends ---- */

/* The host sends no more: its last bytes, then SHUTDOWN(send). The other direction goes on. */
static void test_host_half_close(void **state)
{
	struct bench *bench = *state;
	char text[8];

	bench_open_connection(bench);
	assert_int_equal(send(bench->host, "last", 4, 0), 4);
	shutdown(bench->host, SHUT_WR);
	fake_run(&bench->fake);
	assert_int_equal(bench_rx_expect(bench, VIRTIO_VSOCK_OP_RW).len, 4);
	assert_int_equal(bench_rx_expect(bench, VIRTIO_VSOCK_OP_SHUTDOWN).flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
	memcpy(fake_host(&bench->fake, bench->tx_data), "answer", 6);
	bench_tx(bench, VIRTIO_VSOCK_OP_RW, 6, NO_FLAGS);
	assert_int_equal(recv(bench->host, text, sizeof(text), 0), 6);
	fake_kick(&bench->fake);
	bench_rx_expect_nothing(bench);
}

/* The guest sends no more: its last bytes, then end of file. The other direction goes on. */
static void test_guest_half_close(void **state)
{
	struct bench *bench = *state;
	uint32_t sent;
	char byte;

	bench_open_connection(bench);
	sent = bench_stall(bench);
	bench_tx(bench, VIRTIO_VSOCK_OP_SHUTDOWN, 0, VIRTIO_VSOCK_SHUTDOWN_SEND);
	bench_rx_expect_nothing(bench);
	bench_drain(bench, sent);
	assert_int_equal(recv(bench->host, &byte, 1, 0), 0);
	while (fake_take(&bench->fake, RX, NULL, NULL))
		bench_rx_post(bench, 1);
	assert_int_equal(send(bench->host, "more", 4, 0), 4);
	fake_run(&bench->fake);
	assert_int_equal(bench_rx_expect(bench, VIRTIO_VSOCK_OP_RW).len, 4);
	/* Bytes after the end make no sense. */
	bench_tx(bench, VIRTIO_VSOCK_OP_RW, 1, NO_FLAGS);
	bench_expect_reset(bench);
}

/*
 * close() in the guest: SHUTDOWN(both), answered with RST at once, while the last bytes are still on their
 * way.
 */
static void test_guest_close(void **state)
{
	struct bench *bench = *state;
	uint32_t sent;
	char byte;

	bench_open_connection(bench);
	sent = bench_stall(bench);
	bench_tx(bench, VIRTIO_VSOCK_OP_SHUTDOWN, 0, VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV);
	bench_rx_expect(bench, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(bench_conn(bench)->state, VSOCK_CONN_FLUSHING);
	bench_drain(bench, sent);
	assert_int_equal(recv(bench->host, &byte, 1, 0), 0);
	assert_int_equal(bench_conn(bench)->state, VSOCK_CONN_FREE);
}

static void test_guest_closes_step_by_step(void **state)
{
	struct bench *bench = *state;

	bench_open_connection(bench);
	bench_tx(bench, VIRTIO_VSOCK_OP_SHUTDOWN, 0, VIRTIO_VSOCK_SHUTDOWN_RCV);
	bench_rx_expect_nothing(bench);
	/* The host's writer learns that nobody reads. */
	assert_int_equal(send(bench->host, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	bench_tx(bench, VIRTIO_VSOCK_OP_SHUTDOWN, 0, VIRTIO_VSOCK_SHUTDOWN_SEND);
	bench_expect_reset(bench);
}

/*
 * The host's end is gone altogether: the guest gets what it had sent, then SHUTDOWN(both); its RST ends it.
 */
static void test_host_close(void **state)
{
	struct bench *bench = *state;

	bench_open_connection(bench);
	assert_int_equal(send(bench->host, "bye", 3, 0), 3);
	bench_host_close(bench);
	fake_run(&bench->fake);
	assert_int_equal(bench_rx_expect(bench, VIRTIO_VSOCK_OP_RW).len, 3);
	assert_int_equal(bench_rx_expect(bench, VIRTIO_VSOCK_OP_SHUTDOWN).flags,
		VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV);
	/* Bytes that were under way are dropped, with credit, and nothing spins. */
	bench_tx(bench, VIRTIO_VSOCK_OP_RW, 60000, NO_FLAGS);
	bench_rx_expect(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	bench_rx_expect_nothing(bench);
	assert_int_equal(loop_turn(&bench->fake.loop, 20), 0);
	bench_tx(bench, VIRTIO_VSOCK_OP_RST, 0, NO_FLAGS);
	assert_int_equal(bench_conn(bench)->state, VSOCK_CONN_FREE);
}

/* `yes | head`: the reader goes away in the middle of a stream. */
static void test_host_reader_goes_away(void **state)
{
	struct bench *bench = *state;
	struct virtio_vsock_hdr header;

	bench_open_connection(bench);
	bench_stall(bench);
	bench_host_close(bench);
	fake_run(&bench->fake);
	header = bench_rx_expect(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(header.fwd_cnt, bench_conn(bench)->received);
	assert_int_equal(bench_rx_expect(bench, VIRTIO_VSOCK_OP_SHUTDOWN).flags,
		VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV);
}

/* The reader stops reading, but goes on writing: known at the next write. */
static void test_host_stops_reading(void **state)
{
	struct bench *bench = *state;

	bench_open_connection(bench);
	shutdown(bench->host, SHUT_RD);
	bench_tx(bench, VIRTIO_VSOCK_OP_RW, 10, NO_FLAGS);
	assert_int_equal(bench_rx_expect(bench, VIRTIO_VSOCK_OP_SHUTDOWN).flags, VIRTIO_VSOCK_SHUTDOWN_RCV);
	assert_int_equal(send(bench->host, "on", 2, 0), 2);
	fake_run(&bench->fake);
	assert_int_equal(bench_rx_expect(bench, VIRTIO_VSOCK_OP_RW).len, 2);
}

/*
 * A guest that asks for answers and provides no buffers for them gets none, costs nothing, and can still
 * recover.
 */
static void test_reset_flood(void **state)
{
	struct bench *bench = *state;
	struct virtio_vsock_hdr header;
	unsigned int resets = 0, taken = 0;

	for (uint32_t i = 0; i < 2 * 64; i++) {
		header = bench_packet(bench, VIRTIO_VSOCK_OP_RW, 0, 0);
		header.src_port = 10000 + i;
		bench->fake.next_gpa = bench->rx[RX_BUFFERS - 1] + RX_BUFFER + 64 * i;
		bench_tx_add(bench, &header, 0);
		fake_kick(&bench->fake);
		while (fake_take(&bench->fake, TX, NULL, NULL))
			taken++;
		if (i >= 64 + 63)
			break;
	}
	assert_int_equal(taken, VSOCK_RESETS_MAX);
	assert_int_equal(loop_turn(&bench->fake.loop, 20), 0);
	for (int i = 0; i < 40; i++) {
		bench_rx_post(bench, 4);
		fake_kick(&bench->fake);
		while (bench_rx_take(bench, &header, NULL)) {
			assert_int_equal(header.op, VIRTIO_VSOCK_OP_RST);
			resets++;
		}
		while (fake_take(&bench->fake, TX, NULL, NULL))
			taken++;
		if (resets == 128)
			break;
	}
	assert_int_equal(taken, 128);
	assert_int_equal(resets, 128);
}

/* ---- device life ---- */

static void test_device_reset_closes(void **state)
{
	struct bench *bench = *state;
	uint32_t sent;
	char byte;

	bench_open_connection(bench);
	sent = bench_stall(bench);
	fake_set(&bench->fake, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(bench_conn(bench)->state, VSOCK_CONN_FLUSHING);
	/* What the guest had sent is delivered. */
	bench_drain(bench, sent);
	assert_int_equal(recv(bench->host, &byte, 1, 0), 0);
	assert_int_equal(bench_conn(bench)->state, VSOCK_CONN_FREE);
	bench->taken = 0;
	bench->rx_posted = 0;
	bench->fake.next_gpa = bench->rx[RX_BUFFERS - 1] + RX_BUFFER;
	fake_up(&bench->fake, &bench->vsock.dev, 3, 64);
	bench_rx_post(bench, 4);
	bench_tx(bench, VIRTIO_VSOCK_OP_RW, 3, NO_FLAGS);
	bench_rx_expect(bench, VIRTIO_VSOCK_OP_RST);
}

static void test_malformed_rings(void **state)
{
	struct bench *bench = *state;
	char byte;

	bench_open_connection(bench);
	fake_offer(&bench->fake, TX, 64);
	fake_kick(&bench->fake);
	assert_int_equal(fake_status(&bench->fake), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(recv(bench->host, &byte, 1, 0), 0);
}

static void test_bad_address(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer bad[] = {{bench->tx_header, HEADER, false}, {FAKE_RAM_BASE - 1, 10, false}};

	fake_add(&bench->fake, TX, bad, 2);
	fake_kick(&bench->fake);
	assert_int_equal(fake_status(&bench->fake), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void test_cids(void **state)
{
	struct bench *bench = *state;
	struct virtio_wiring wiring = fake_wiring(&bench->fake);
	struct virtio_vsock vsock = {0};
	const uint32_t bad[] = {0, 1, 2, UINT32_MAX};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(virtio_vsock_init(&vsock, &wiring, bad[i]), -EINVAL);
}

/*
 * 16 MiB through it and back, like `cat`. The guest kicks only when the device asked for it, so the kicks and
 * interrupts that a real guest would see can be counted.
 */
static void test_throughput(void **state)
{
	struct bench *bench = *state;
	const uint32_t total = 16u << 20;
	static uint8_t block[64 << 10];
	uint32_t sent = 0, echoed = 0, got = 0, peer_fwd = 0, told = 0;
	unsigned int kicks = 0, idle = 0;
	uint64_t irqs, start_us;
	struct virtio_vsock_hdr header;
	uint8_t *payload;
	uint64_t headers = fake_alloc(&bench->fake, 64 * HEADER);

	bench_open_connection(bench);
	bench_rx_post(bench, RX_BUFFERS - 8);
	fake_kick(&bench->fake);
	fake_irqs(&bench->fake);
	start_us = clock_now_us();
	while (got < total && idle < 1000) {
		uint16_t before_tx = bench->fake.queues[TX].avail_idx;
		uint16_t before_rx = bench->fake.queues[RX].avail_idx;
		uint32_t room = VSOCK_BACKLOG_BYTES - (sent - peer_fwd);
		ssize_t n;

		idle++;
		if (room && sent < total) {
			uint32_t len = room < total - sent ? room : total - sent;
			uint64_t gpa = headers + (bench->fake.queues[TX].avail_idx % 64u) * HEADER;
			struct fake_buffer buffers[] = {{gpa, HEADER, false}, {bench->tx_data, len, false}};

			for (uint32_t i = 0; i < len; i += 4096)
				*((uint8_t *)fake_host(&bench->fake, bench->tx_data) + i) =
					(uint8_t)((sent + i) >> 12);
			header = bench_packet(bench, VIRTIO_VSOCK_OP_RW, len, 0);
			memcpy(fake_host(&bench->fake, gpa), &header, HEADER);
			fake_add(&bench->fake, TX, buffers, 2);
			told = bench->taken;
			sent += len;
			idle = 0;
		} else if (bench->taken - told > GUEST_ALLOC / 2) {
			uint64_t gpa = headers + (bench->fake.queues[TX].avail_idx % 64u) * HEADER;
			struct fake_buffer buffer = {gpa, HEADER, false};

			header = bench_packet(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, 0);
			memcpy(fake_host(&bench->fake, gpa), &header, HEADER);
			fake_add(&bench->fake, TX, &buffer, 1);
			told = bench->taken;
		}
		while (bench_rx_take(bench, &header, &payload)) {
			if (header.op == VIRTIO_VSOCK_OP_RW) {
				for (uint32_t i = (4096 - got % 4096) % 4096; i < header.len; i += 4096)
					assert_int_equal(payload[i], (uint8_t)((got + i) >> 12));
				got += header.len;
			}
			peer_fwd = header.fwd_cnt;
			bench_rx_post(bench, 1);
			idle = 0;
		}
		while (fake_take(&bench->fake, TX, NULL, NULL))
			;
		/* vring_need_event(), as the guest's kernel has it. */
		if (vring_need_event(*fake_avail_event(&bench->fake, TX), bench->fake.queues[TX].avail_idx,
			    before_tx) ||
			vring_need_event(*fake_avail_event(&bench->fake, RX),
				bench->fake.queues[RX].avail_idx, before_rx)) {
			kicks++;
			fake_set(&bench->fake, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		}
		loop_turn(&bench->fake.loop, 0);
		/* The host's side of `cat`. */
		n = recv(bench->host, block, sizeof(block), MSG_PEEK);
		if (n > 0)
			n = send(bench->host, block, (size_t)n, MSG_NOSIGNAL);
		if (n > 0) {
			assert_int_equal(recv(bench->host, block, (size_t)n, 0), n);
			echoed += (uint32_t)n;
			idle = 0;
		}
	}
	assert_int_equal(sent, total);
	assert_int_equal(echoed, total);
	assert_int_equal(got, total);
	irqs = fake_irqs(&bench->fake);
	print_message("%u MiB there and back in %u ms: %u kicks, %u interrupts\n", total >> 20,
		(unsigned int)((clock_now_us() - start_us) / 1000), kicks, (unsigned int)irqs);
	/* Two packets of 64 KiB and a refill of buffers at most for each 64 KiB. */
	assert_true(kicks <= 3 * (total >> 16));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_host_half_close),
		TEST(test_guest_half_close),
		TEST(test_guest_close),
		TEST(test_guest_closes_step_by_step),
		TEST(test_host_close),
		TEST(test_host_reader_goes_away),
		TEST(test_host_stops_reading),
		TEST(test_reset_flood),
		TEST(test_device_reset_closes),
		TEST(test_malformed_rings),
		TEST(test_bad_address),
		TEST(test_cids),
		TEST(test_throughput),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
