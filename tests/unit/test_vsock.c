// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cm.h"
#include "tests/unit/vsock_bench.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- connections ---- */

static void test_config(void **state)
{
	struct bench *bench = *state;
	uint64_t cid;

	virtio_mmio_read(&bench->vsock.dev, VIRTIO_MMIO_CONFIG, &cid, sizeof(cid));
	assert_int_equal(cid, CID);
	assert_int_equal(bench->vsock.dev.state.offered & UINT32_MAX, UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX);
}

static void test_connect_once(void **state)
{
	struct bench *bench = *state;
	struct virtio_vsock_hdr header;

	assert_int_equal(bench->vsock.first_connect_us, 0);
	bench_open_connection(bench);
	assert_true(bench->vsock.first_connect_us > 0);
	assert_true(fake_irqs(&bench->fake) > 0);
	/* One-shot: a second connection to the port is refused, the first lives. */
	header = bench_packet(bench, VIRTIO_VSOCK_OP_REQUEST, 0, 0);
	header.src_port = GUEST_PORT + 1;
	bench_tx_raw(bench, header, 0);
	assert_int_equal(bench_rx_expect(bench, VIRTIO_VSOCK_OP_RST).dst_port, GUEST_PORT + 1);
	assert_int_equal(bench_conn(bench)->state, VSOCK_CONN_OPEN);
}

/* V8: ports that are not in the table. */
static void test_other_ports_are_refused(void **state)
{
	struct bench *bench = *state;
	const uint32_t ports[] = {0, 1, HOST_PORT - 1, HOST_PORT + 1, HOST_PORT + 0x10000, UINT32_MAX};

	bench_rx_post(bench, 8);
	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		struct virtio_vsock_hdr header = bench_packet(bench, VIRTIO_VSOCK_OP_REQUEST, 0, 0);

		header.dst_port = ports[i];
		bench_tx_raw(bench, header, 0);
		assert_int_equal(bench_rx_expect(bench, VIRTIO_VSOCK_OP_RST).src_port, ports[i]);
	}
	assert_int_equal(bench->vsock.first_connect_us, 0);
}

static void test_allow_list(void **state)
{
	struct bench *bench = *state;
	int pair[2];

	assert_int_equal(virtio_vsock_allow(&bench->vsock, HOST_PORT, bench->host), -EEXIST);
	for (uint32_t i = 1; i < VSOCK_PORTS_MAX; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		assert_int_equal(virtio_vsock_allow(&bench->vsock, 2000 + i, pair[0]), 0);
		close(pair[1]);
	}
	assert_int_equal(virtio_vsock_allow(&bench->vsock, 1, bench->host), -ENOSPC);
	/* Used up, the port can be allowed again. */
	bench_open_connection(bench);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(virtio_vsock_allow(&bench->vsock, HOST_PORT, pair[0]), 0);
	close(pair[1]);
}

/* V2 and V3: packets that belong to nothing. */
static void test_strays(void **state)
{
	struct bench *bench = *state;
	struct virtio_vsock_hdr header = bench_packet(bench, VIRTIO_VSOCK_OP_REQUEST, 0, 0);

	bench_rx_post(bench, 16);
	header.src_cid = CID + 1;
	bench_tx_raw(bench, header, 0);
	header = bench_packet(bench, VIRTIO_VSOCK_OP_REQUEST, 0, 0);
	header.dst_cid = 1;
	bench_tx_raw(bench, header, 0);
	header.dst_cid = UINT64_C(0x100000002);
	bench_tx_raw(bench, header, 0);
	bench_rx_expect_nothing(bench);
	header = bench_packet(bench, VIRTIO_VSOCK_OP_REQUEST, 0, 0);
	header.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
	bench_tx_raw(bench, header, 0);
	assert_int_equal(bench_rx_expect(bench, VIRTIO_VSOCK_OP_RST).type, VIRTIO_VSOCK_TYPE_SEQPACKET);
	for (uint16_t op = 0; op < 12; op++) {
		if (op == VIRTIO_VSOCK_OP_REQUEST)
			continue;
		bench_tx(bench, op, op == VIRTIO_VSOCK_OP_RW ? 10 : 0, NO_FLAGS);
		/* A reset is never answered by a reset. */
		if (op == VIRTIO_VSOCK_OP_RST)
			bench_rx_expect_nothing(bench);
		else
			bench_rx_expect(bench, VIRTIO_VSOCK_OP_RST);
	}
	assert_int_equal(bench_conn(bench)->state, VSOCK_CONN_FREE);
}

/* V3: what an open connection does not survive. */
static void test_protocol_violations(void **state)
{
	const uint16_t ops[] = {
		VIRTIO_VSOCK_OP_INVALID, VIRTIO_VSOCK_OP_REQUEST, VIRTIO_VSOCK_OP_RESPONSE, 8, 0xffff};

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct bench *bench = *state;

		bench_open_connection(bench);
		bench_tx(bench, ops[i], 0, NO_FLAGS);
		bench_expect_reset(bench);
		bench_teardown(state);
		bench_setup(state);
	}
}

static void test_guest_reset(void **state)
{
	struct bench *bench = *state;
	char byte;

	bench_open_connection(bench);
	bench_tx(bench, VIRTIO_VSOCK_OP_RST, 0, NO_FLAGS);
	bench_rx_expect_nothing(bench);
	assert_int_equal(bench_conn(bench)->state, VSOCK_CONN_FREE);
	assert_int_equal(recv(bench->host, &byte, 1, 0), 0);
}

/* ---- from the guest ---- */

static void test_guest_to_host(void **state)
{
	struct bench *bench = *state;
	uint8_t *data = fake_host(&bench->fake, bench->tx_data);
	char text[64];

	bench_open_connection(bench);
	memcpy(data, "hello", 5);
	bench_tx(bench, VIRTIO_VSOCK_OP_RW, 5, NO_FLAGS);
	assert_int_equal(recv(bench->host, text, sizeof(text), 0), 5);
	assert_memory_equal(text, "hello", 5);
	/* Too little news for a credit update; asked for, it comes. */
	bench_rx_expect_nothing(bench);
	bench_tx(bench, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 0, NO_FLAGS);
	assert_int_equal(bench_rx_expect(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE).fwd_cnt, 5);
	bench_tx(bench, VIRTIO_VSOCK_OP_RW, 0, NO_FLAGS);
	assert_int_equal(bench_conn(bench)->state, VSOCK_CONN_OPEN);
}

/* V1: the header in 44 pieces; a chain that is shorter; lengths that are not true. */
static void test_packet_shapes(void **state)
{
	struct bench *bench = *state;
	struct virtio_vsock_hdr header;
	struct fake_buffer buffers[45];
	char text[8];

	bench_open_connection(bench);
	header = bench_packet(bench, VIRTIO_VSOCK_OP_RW, 3, 0);
	memcpy(fake_host(&bench->fake, bench->tx_header), &header, HEADER);
	memcpy(fake_host(&bench->fake, bench->tx_data), "abc", 3);
	for (uint32_t i = 0; i < 44; i++)
		buffers[i] = (struct fake_buffer){bench->tx_header + i, 1, false};
	buffers[44] = (struct fake_buffer){
		bench->tx_data, 10, false}; /* longer than len: the rest is not payload */
	fake_add(&bench->fake, TX, buffers, 45);
	fake_kick(&bench->fake);
	assert_int_equal(recv(bench->host, text, sizeof(text), 0), 3);
	assert_memory_equal(text, "abc", 3);
	fake_take(&bench->fake, TX, NULL, NULL);

	fake_add(&bench->fake, TX, buffers, 43);
	fake_kick(&bench->fake);
	assert_true(fake_take(&bench->fake, TX, NULL, NULL));
	bench_rx_expect_nothing(bench);
	assert_int_equal(bench_conn(bench)->state, VSOCK_CONN_OPEN);
	/* len says more than there is. */
	bench_tx_raw(bench, bench_packet(bench, VIRTIO_VSOCK_OP_RW, 11, 0), 10);
	bench_expect_reset(bench);
}

static void test_packet_too_long(void **state)
{
	struct bench *bench = *state;

	bench_open_connection(bench);
	bench_tx(bench, VIRTIO_VSOCK_OP_RW, (64u << 10) + 1, NO_FLAGS);
	bench_expect_reset(bench);
}

/* A host that does not read: 64 KiB are kept, credit is withheld, and both come back when it reads. */
static void test_backlog(void **state)
{
	struct bench *bench = *state;
	uint32_t sent, announced;

	bench_open_connection(bench);
	sent = bench_stall(bench);
	assert_int_equal(bench_conn(bench)->backlog_len, VSOCK_BACKLOG_BYTES);
	assert_int_equal(bench_conn(bench)->received, sent);
	bench_drain(bench, sent);
	assert_int_equal(bench_conn(bench)->backlog_len, 0);
	assert_false(bench_conn(bench)->source.events & EPOLLOUT);
	announced = bench_rx_expect(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE).fwd_cnt;
	assert_true(sent - announced <= VSOCK_BACKLOG_BYTES / 2);
}

/* V4: one byte more than the credit. */
static void test_beyond_credit(void **state)
{
	struct bench *bench = *state;
	uint32_t sent;
	char byte;

	bench_open_connection(bench);
	sent = bench_stall(bench);
	bench_tx(bench, VIRTIO_VSOCK_OP_RW, 1, NO_FLAGS);
	bench_rx_expect(bench, VIRTIO_VSOCK_OP_RST);
	/* What was within the credit still arrives. */
	bench_drain(bench, sent);
	assert_int_equal(recv(bench->host, &byte, 1, 0), 0);
	assert_int_equal(bench_conn(bench)->state, VSOCK_CONN_FREE);
}

/* ---- to the guest ---- */

static void test_host_to_guest(void **state)
{
	struct bench *bench = *state;
	struct virtio_vsock_hdr header;
	uint8_t *payload;

	bench_open_connection(bench);
	assert_int_equal(send(bench->host, "hello", 5, 0), 5);
	fake_run(&bench->fake);
	assert_true(bench_rx_take(bench, &header, &payload));
	assert_int_equal(header.op, VIRTIO_VSOCK_OP_RW);
	assert_int_equal(header.len, 5);
	assert_memory_equal(payload, "hello", 5);
	bench_rx_expect_nothing(bench);
}

/* V9: no receive buffers. The loop is idle, and all bytes come when there are some. */
static void test_guest_without_buffers(void **state)
{
	struct bench *bench = *state;
	struct virtio_vsock_hdr header;
	static uint8_t block[20000];
	uint32_t got = 0;
	uint8_t *payload;

	bench_rx_post(bench, 1);
	bench_tx(bench, VIRTIO_VSOCK_OP_REQUEST, 0, NO_FLAGS);
	bench_rx_expect(bench, VIRTIO_VSOCK_OP_RESPONSE);
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(i % 251);
	assert_int_equal(send(bench->host, block, sizeof(block), 0), sizeof(block));
	fake_run(&bench->fake);
	assert_int_equal(loop_turn(&bench->fake.loop, 20), 0);
	assert_int_equal(loop_turn(&bench->fake.loop, 20), 0);
	/* The device asked for a kick. */
	assert_int_equal(*fake_avail_event(&bench->fake, RX), 1);
	for (int i = 0; i < 10; i++) {
		bench_rx_post(bench, 1);
		fake_kick(&bench->fake);
		while (bench_rx_take(bench, &header, &payload)) {
			assert_int_equal(header.op, VIRTIO_VSOCK_OP_RW);
			assert_memory_equal(payload, block + got, header.len);
			got += header.len;
		}
	}
	assert_int_equal(got, sizeof(block));
}

/* V9 and V4: no credit. Host data waits in the socket; an update lets out exactly as much as it says. */
static void test_guest_credit(void **state)
{
	struct bench *bench = *state;
	struct virtio_vsock_hdr header;
	static uint8_t block[20000];
	uint32_t got = 0;

	bench->alloc = 1000;
	bench_open_connection(bench);
	bench_rx_post(bench, 16);
	assert_int_equal(send(bench->host, block, sizeof(block), 0), sizeof(block));
	fake_run(&bench->fake);
	while (bench_rx_take(bench, &header, NULL))
		got += header.len;
	assert_int_equal(got, 1000);
	assert_int_equal(loop_turn(&bench->fake.loop, 20), 0);
	/* A smaller buffer is legal and means no room at all. */
	bench->alloc = 0;
	bench_tx(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, NO_FLAGS);
	bench_rx_expect_nothing(bench);
	bench->alloc = 5000;
	bench_tx(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, NO_FLAGS);
	while (bench_rx_take(bench, &header, NULL))
		got += header.len;
	assert_int_equal(got, 6000);
	bench->alloc = UINT32_MAX;
	bench_tx(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, NO_FLAGS);
	while (bench_rx_take(bench, &header, NULL))
		got += header.len;
	assert_int_equal(got, sizeof(block));
}

/* Whatever credit the guest claims, at most VSOCK_CREDIT_MAX_BYTES are on their way to it. */
static void test_guest_credit_is_capped(void **state)
{
	struct bench *bench = *state;
	struct virtio_vsock_hdr header;
	static uint8_t block[100000];
	uint32_t got = 0, before;

	bench->alloc = UINT32_MAX;
	bench_open_connection(bench);
	bench_rx_post(bench, 24);
	do {
		before = got;
		send(bench->host, block, sizeof(block), 0);
		fake_kick(&bench->fake);
		while (bench_rx_take(bench, &header, NULL)) {
			got += header.len;
			bench_rx_post(bench, 1);
		}
	} while (got != before);
	assert_int_equal(got, VSOCK_CREDIT_MAX_BYTES);
}

/* V4: fwd_cnt may neither run ahead of what was sent nor go back. */
static void test_credit_lies(void **state)
{
	const int32_t lies[] = {1, 1000000, -1, -6};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct bench *bench = *state;
		struct virtio_vsock_hdr header;

		bench_open_connection(bench);
		assert_int_equal(send(bench->host, "hello", 5, 0), 5);
		fake_run(&bench->fake);
		bench_rx_expect(bench, VIRTIO_VSOCK_OP_RW);
		bench_tx(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, NO_FLAGS);
		assert_int_equal(bench_conn(bench)->peer_forwarded, 5);
		header = bench_packet(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, 0);
		header.fwd_cnt += (uint32_t)lies[i];
		bench_tx_raw(bench, header, 0);
		bench_expect_reset(bench);
		bench_teardown(state);
		bench_setup(state);
	}
}

/* Headers split over descriptors, and payload over several. */
static void test_scattered_receive_buffer(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffers[] = {{bench->rx[0], 20, true}, {bench->rx[1], 30, true},
		{bench->rx[2], 4, true}, {bench->rx[3], 100, true}};
	struct virtio_vsock_hdr header;
	uint32_t len;

	bench_open_connection(bench);
	while (bench->vsock.dev.queues[RX].state.next_avail != bench->fake.queues[RX].avail_idx) {
		send(bench->host, "x", 1, 0);
		fake_run(&bench->fake);
		assert_true(bench_rx_take(bench, &header, NULL));
	}
	fake_add(&bench->fake, RX, buffers, 4);
	fake_kick(&bench->fake);
	assert_int_equal(send(bench->host, "0123456789abcdef", 16, 0), 16);
	fake_run(&bench->fake);
	assert_true(fake_take(&bench->fake, RX, NULL, &len));
	assert_int_equal(len, HEADER + 16);
	memcpy(&header, fake_host(&bench->fake, bench->rx[0]), 20);
	memcpy((uint8_t *)&header + 20, fake_host(&bench->fake, bench->rx[1]), 24);
	assert_int_equal(header.op, VIRTIO_VSOCK_OP_RW);
	assert_int_equal(header.len, 16);
	assert_memory_equal((uint8_t *)fake_host(&bench->fake, bench->rx[1]) + 24, "012345", 6);
	assert_memory_equal(fake_host(&bench->fake, bench->rx[2]), "6789", 4);
	assert_memory_equal(fake_host(&bench->fake, bench->rx[3]), "abcdef", 6);
}

static void test_receive_buffer_too_small(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffer = {bench->rx[0], HEADER, true};

	fake_add(&bench->fake, RX, &buffer, 1);
	bench_tx(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, NO_FLAGS);
	assert_int_equal(fake_status(&bench->fake), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_config),
		TEST(test_connect_once),
		TEST(test_other_ports_are_refused),
		TEST(test_allow_list),
		TEST(test_strays),
		TEST(test_protocol_violations),
		TEST(test_guest_reset),
		TEST(test_guest_to_host),
		TEST(test_packet_shapes),
		TEST(test_packet_too_long),
		TEST(test_backlog),
		TEST(test_beyond_credit),
		TEST(test_host_to_guest),
		TEST(test_guest_without_buffers),
		TEST(test_guest_credit),
		TEST(test_guest_credit_is_capped),
		TEST(test_credit_lies),
		TEST(test_scattered_receive_buffer),
		TEST(test_receive_buffer_too_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
