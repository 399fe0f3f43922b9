// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cm.h"
#include "base/clock.h"
#include "tests/unit/fake_driver.h"
#include "virtio/vsock.h"
#include "virtio/vsock_conn.h"

#include <errno.h>
#include <linux/virtio_vsock.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RX, TX, EVENT };

#define CID 3
#define GUEST_PORT 5000
#define HOST_PORT 1024
#define HEADER 44u
#define RX_BUFFER 4096u
#define RX_BUFFERS 32
#define GUEST_ALLOC (256u << 10)
#define NO_FLAGS 0u

struct bench {
	struct fake_driver fake;
	struct virtio_vsock vsock;
	int host; /* the far end of the allowed port */
	uint64_t tx_header, tx_data;
	uint64_t rx[RX_BUFFERS];
	uint32_t rx_posted;
	uint32_t taken; /* payload bytes taken from the device, ever (the guest's fwd_cnt) */
	uint32_t alloc;
};

static struct bench bench_storage;

static int setup(void **state)
{
	struct bench *bench = &bench_storage;
	struct virtio_wiring wiring;
	int pair[2];

	memset(bench, 0, sizeof(*bench));
	fake_init(&bench->fake);
	wiring = fake_wiring(&bench->fake);
	assert_int_equal(virtio_vsock_init(&bench->vsock, &wiring, CID), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(virtio_vsock_allow(&bench->vsock, HOST_PORT, pair[0]), 0);
	bench->host = pair[1];
	bench->alloc = GUEST_ALLOC;
	fake_up(&bench->fake, &bench->vsock.dev, 3, 64);
	bench->tx_header = fake_alloc(&bench->fake, HEADER);
	bench->tx_data = fake_alloc(&bench->fake, 1 << 20);
	for (int i = 0; i < RX_BUFFERS; i++)
		bench->rx[i] = fake_alloc(&bench->fake, RX_BUFFER);
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	virtio_vsock_done(&bench->vsock);
	fake_done(&bench->fake);
	if (bench->host >= 0)
		close(bench->host);
	return 0;
}

static void host_close(struct bench *bench)
{
	close(bench->host);
	bench->host = -1;
}

/* ---- the guest's driver ---- */

static struct virtio_vsock_hdr packet(struct bench *bench, uint16_t op, uint32_t len, uint32_t flags)
{
	return (struct virtio_vsock_hdr){
		.src_cid = CID,
		.dst_cid = 2,
		.src_port = GUEST_PORT,
		.dst_port = HOST_PORT,
		.len = len,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.flags = flags,
		.buf_alloc = bench->alloc,
		.fwd_cnt = bench->taken,
	};
}

/*
 * Queue a packet whose payload is the first header->len bytes at tx_data. Each has its own header in guest
 * memory.
 */
static void tx_add(struct bench *bench, const struct virtio_vsock_hdr *header, uint32_t payload)
{
	uint64_t gpa = fake_alloc(&bench->fake, HEADER);
	struct fake_buffer buffers[] = {{gpa, HEADER, false}, {bench->tx_data, payload, false}};

	memcpy(fake_host(&bench->fake, gpa), header, HEADER);
	fake_add(&bench->fake, TX, buffers, payload ? 2 : 1);
}

static void tx(struct bench *bench, uint16_t op, uint32_t len, uint32_t flags)
{
	struct virtio_vsock_hdr header = packet(bench, op, len, flags);

	tx_add(bench, &header, len);
	fake_kick(&bench->fake);
	assert_true(fake_take(&bench->fake, TX, NULL, NULL));
}

static void tx_raw(struct bench *bench, struct virtio_vsock_hdr header, uint32_t payload)
{
	tx_add(bench, &header, payload);
	fake_kick(&bench->fake);
	assert_true(fake_take(&bench->fake, TX, NULL, NULL));
}

static void rx_post(struct bench *bench, int n)
{
	for (int i = 0; i < n; i++) {
		struct fake_buffer buffer = {bench->rx[bench->rx_posted++ % RX_BUFFERS], RX_BUFFER, true};

		fake_add(&bench->fake, RX, &buffer, 1);
	}
}

/* The next packet from the device, *payload pointing into guest memory. */
static bool rx_take(struct bench *bench, struct virtio_vsock_hdr *header, uint8_t **payload)
{
	uint16_t head;
	uint32_t len;
	uint8_t *at;

	if (!fake_take(&bench->fake, RX, &head, &len))
		return false;
	at = fake_host(&bench->fake, fake_desc(&bench->fake, RX, head)->addr);
	assert_true(len >= HEADER && len <= RX_BUFFER);
	memcpy(header, at, HEADER);
	assert_int_equal(header->src_cid, 2);
	assert_int_equal(header->dst_cid, CID);
	assert_int_equal(header->len, len - HEADER);
	if (header->op != VIRTIO_VSOCK_OP_RW)
		assert_int_equal(header->len, 0);
	bench->taken += header->len;
	if (payload)
		*payload = at + HEADER;
	return true;
}

static struct virtio_vsock_hdr rx_expect(struct bench *bench, uint16_t op)
{
	struct virtio_vsock_hdr header;

	assert_true(rx_take(bench, &header, NULL));
	assert_int_equal(header.op, op);
	return header;
}

static void rx_expect_nothing(struct bench *bench)
{
	struct virtio_vsock_hdr header;

	assert_false(rx_take(bench, &header, NULL));
}

static void open_connection(struct bench *bench)
{
	struct virtio_vsock_hdr header;

	rx_post(bench, 8);
	tx(bench, VIRTIO_VSOCK_OP_REQUEST, 0, NO_FLAGS);
	header = rx_expect(bench, VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(header.src_port, HOST_PORT);
	assert_int_equal(header.dst_port, GUEST_PORT);
	assert_int_equal(header.buf_alloc, VSOCK_BACKLOG_BYTES);
	assert_int_equal(header.fwd_cnt, 0);
}

static const struct vsock_conn *conn(struct bench *bench)
{
	return &bench->vsock.table->conns[0];
}

/* The connection was answered with RST, and the host sees its end. */
static void expect_reset(struct bench *bench)
{
	char byte;

	rx_expect(bench, VIRTIO_VSOCK_OP_RST);
	rx_expect_nothing(bench);
	assert_int_equal(conn(bench)->state, VSOCK_CONN_FREE);
	assert_int_equal(recv(bench->host, &byte, 1, 0), 0);
	assert_int_equal(fake_status(&bench->fake), 15);
}

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
	open_connection(bench);
	assert_true(bench->vsock.first_connect_us > 0);
	assert_true(fake_irqs(&bench->fake) > 0);
	/* One-shot: a second connection to the port is refused, the first lives. */
	header = packet(bench, VIRTIO_VSOCK_OP_REQUEST, 0, 0);
	header.src_port = GUEST_PORT + 1;
	tx_raw(bench, header, 0);
	assert_int_equal(rx_expect(bench, VIRTIO_VSOCK_OP_RST).dst_port, GUEST_PORT + 1);
	assert_int_equal(conn(bench)->state, VSOCK_CONN_OPEN);
}

/* V8: ports that are not in the table. */
static void test_other_ports_are_refused(void **state)
{
	struct bench *bench = *state;
	const uint32_t ports[] = {0, 1, HOST_PORT - 1, HOST_PORT + 1, HOST_PORT + 0x10000, UINT32_MAX};

	rx_post(bench, 8);
	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		struct virtio_vsock_hdr header = packet(bench, VIRTIO_VSOCK_OP_REQUEST, 0, 0);

		header.dst_port = ports[i];
		tx_raw(bench, header, 0);
		assert_int_equal(rx_expect(bench, VIRTIO_VSOCK_OP_RST).src_port, ports[i]);
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
	open_connection(bench);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(virtio_vsock_allow(&bench->vsock, HOST_PORT, pair[0]), 0);
	close(pair[1]);
}

/* V2 and V3: packets that belong to nothing. */
static void test_strays(void **state)
{
	struct bench *bench = *state;
	struct virtio_vsock_hdr header = packet(bench, VIRTIO_VSOCK_OP_REQUEST, 0, 0);

	rx_post(bench, 16);
	header.src_cid = CID + 1;
	tx_raw(bench, header, 0);
	header = packet(bench, VIRTIO_VSOCK_OP_REQUEST, 0, 0);
	header.dst_cid = 1;
	tx_raw(bench, header, 0);
	header.dst_cid = UINT64_C(0x100000002);
	tx_raw(bench, header, 0);
	rx_expect_nothing(bench);
	header = packet(bench, VIRTIO_VSOCK_OP_REQUEST, 0, 0);
	header.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
	tx_raw(bench, header, 0);
	assert_int_equal(rx_expect(bench, VIRTIO_VSOCK_OP_RST).type, VIRTIO_VSOCK_TYPE_SEQPACKET);
	for (uint16_t op = 0; op < 12; op++) {
		if (op == VIRTIO_VSOCK_OP_REQUEST)
			continue;
		tx(bench, op, op == VIRTIO_VSOCK_OP_RW ? 10 : 0, NO_FLAGS);
		/* A reset is never answered by a reset. */
		if (op == VIRTIO_VSOCK_OP_RST)
			rx_expect_nothing(bench);
		else
			rx_expect(bench, VIRTIO_VSOCK_OP_RST);
	}
	assert_int_equal(conn(bench)->state, VSOCK_CONN_FREE);
}

/* V3: what an open connection does not survive. */
static void test_protocol_violations(void **state)
{
	const uint16_t ops[] = {
		VIRTIO_VSOCK_OP_INVALID, VIRTIO_VSOCK_OP_REQUEST, VIRTIO_VSOCK_OP_RESPONSE, 8, 0xffff};

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct bench *bench = *state;

		open_connection(bench);
		tx(bench, ops[i], 0, NO_FLAGS);
		expect_reset(bench);
		teardown(state);
		setup(state);
	}
}

static void test_guest_reset(void **state)
{
	struct bench *bench = *state;
	char byte;

	open_connection(bench);
	tx(bench, VIRTIO_VSOCK_OP_RST, 0, NO_FLAGS);
	rx_expect_nothing(bench);
	assert_int_equal(conn(bench)->state, VSOCK_CONN_FREE);
	assert_int_equal(recv(bench->host, &byte, 1, 0), 0);
}

/* ---- from the guest ---- */

static void test_guest_to_host(void **state)
{
	struct bench *bench = *state;
	uint8_t *data = fake_host(&bench->fake, bench->tx_data);
	char text[64];

	open_connection(bench);
	memcpy(data, "hello", 5);
	tx(bench, VIRTIO_VSOCK_OP_RW, 5, NO_FLAGS);
	assert_int_equal(recv(bench->host, text, sizeof(text), 0), 5);
	assert_memory_equal(text, "hello", 5);
	/* Too little news for a credit update; asked for, it comes. */
	rx_expect_nothing(bench);
	tx(bench, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 0, NO_FLAGS);
	assert_int_equal(rx_expect(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE).fwd_cnt, 5);
	tx(bench, VIRTIO_VSOCK_OP_RW, 0, NO_FLAGS);
	assert_int_equal(conn(bench)->state, VSOCK_CONN_OPEN);
}

/* V1: the header in 44 pieces; a chain that is shorter; lengths that are not true. */
static void test_packet_shapes(void **state)
{
	struct bench *bench = *state;
	struct virtio_vsock_hdr header;
	struct fake_buffer buffers[45];
	char text[8];

	open_connection(bench);
	header = packet(bench, VIRTIO_VSOCK_OP_RW, 3, 0);
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
	rx_expect_nothing(bench);
	assert_int_equal(conn(bench)->state, VSOCK_CONN_OPEN);
	/* len says more than there is. */
	tx_raw(bench, packet(bench, VIRTIO_VSOCK_OP_RW, 11, 0), 10);
	expect_reset(bench);
}

static void test_packet_too_long(void **state)
{
	struct bench *bench = *state;

	open_connection(bench);
	tx(bench, VIRTIO_VSOCK_OP_RW, (64u << 10) + 1, NO_FLAGS);
	expect_reset(bench);
}

/* Fill the socket and the backlog: all of the guest's credit. The bytes that were sent. */
static uint32_t stall(struct bench *bench)
{
	uint8_t *data = fake_host(&bench->fake, bench->tx_data);
	uint32_t sent = 0;

	for (;;) {
		uint32_t room = VSOCK_BACKLOG_BYTES - (sent - conn(bench)->forwarded);
		uint32_t len = room < 50000 ? room : 50000;
		struct virtio_vsock_hdr header;

		if (!len)
			return sent;
		for (uint32_t i = 0; i < len; i++)
			data[i] = (uint8_t)((sent + i) % 253);
		tx(bench, VIRTIO_VSOCK_OP_RW, len, NO_FLAGS);
		sent += len;
		while (rx_take(bench, &header, NULL)) {
			assert_int_equal(header.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
			rx_post(bench, 1);
		}
	}
}

/* Read everything on the host side and check it. */
static void drain(struct bench *bench, uint32_t total)
{
	static uint8_t block[30000];
	uint32_t got = 0;

	while (got < total) {
		ssize_t n = recv(bench->host, block, sizeof(block), 0);

		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			assert_true(loop_turn(&bench->fake.loop, 1000) > 0);
			continue;
		}
		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(block[i], (got + (uint32_t)i) % 253);
		got += (uint32_t)n;
	}
	fake_run(&bench->fake);
}

/* A host that does not read: 64 KiB are kept, credit is withheld, and both come back when it reads. */
static void test_backlog(void **state)
{
	struct bench *bench = *state;
	uint32_t sent, announced;

	open_connection(bench);
	sent = stall(bench);
	assert_int_equal(conn(bench)->backlog_len, VSOCK_BACKLOG_BYTES);
	assert_int_equal(conn(bench)->received, sent);
	drain(bench, sent);
	assert_int_equal(conn(bench)->backlog_len, 0);
	assert_false(conn(bench)->source.events & EPOLLOUT);
	announced = rx_expect(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE).fwd_cnt;
	assert_true(sent - announced <= VSOCK_BACKLOG_BYTES / 2);
}

/* V4: one byte more than the credit. */
static void test_beyond_credit(void **state)
{
	struct bench *bench = *state;
	uint32_t sent;
	char byte;

	open_connection(bench);
	sent = stall(bench);
	tx(bench, VIRTIO_VSOCK_OP_RW, 1, NO_FLAGS);
	rx_expect(bench, VIRTIO_VSOCK_OP_RST);
	/* What was within the credit still arrives. */
	drain(bench, sent);
	assert_int_equal(recv(bench->host, &byte, 1, 0), 0);
	assert_int_equal(conn(bench)->state, VSOCK_CONN_FREE);
}

/* ---- to the guest ---- */

static void test_host_to_guest(void **state)
{
	struct bench *bench = *state;
	struct virtio_vsock_hdr header;
	uint8_t *payload;

	open_connection(bench);
	assert_int_equal(send(bench->host, "hello", 5, 0), 5);
	fake_run(&bench->fake);
	assert_true(rx_take(bench, &header, &payload));
	assert_int_equal(header.op, VIRTIO_VSOCK_OP_RW);
	assert_int_equal(header.len, 5);
	assert_memory_equal(payload, "hello", 5);
	rx_expect_nothing(bench);
}

/* V9: no receive buffers. The loop is idle, and all bytes come when there are some. */
static void test_guest_without_buffers(void **state)
{
	struct bench *bench = *state;
	struct virtio_vsock_hdr header;
	static uint8_t block[20000];
	uint32_t got = 0;
	uint8_t *payload;

	rx_post(bench, 1);
	tx(bench, VIRTIO_VSOCK_OP_REQUEST, 0, NO_FLAGS);
	rx_expect(bench, VIRTIO_VSOCK_OP_RESPONSE);
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(i % 251);
	assert_int_equal(send(bench->host, block, sizeof(block), 0), sizeof(block));
	fake_run(&bench->fake);
	assert_int_equal(loop_turn(&bench->fake.loop, 20), 0);
	assert_int_equal(loop_turn(&bench->fake.loop, 20), 0);
	/* The device asked for a kick. */
	assert_int_equal(*fake_avail_event(&bench->fake, RX), 1);
	for (int i = 0; i < 10; i++) {
		rx_post(bench, 1);
		fake_kick(&bench->fake);
		while (rx_take(bench, &header, &payload)) {
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
	open_connection(bench);
	rx_post(bench, 16);
	assert_int_equal(send(bench->host, block, sizeof(block), 0), sizeof(block));
	fake_run(&bench->fake);
	while (rx_take(bench, &header, NULL))
		got += header.len;
	assert_int_equal(got, 1000);
	assert_int_equal(loop_turn(&bench->fake.loop, 20), 0);
	/* A smaller buffer is legal and means no room at all. */
	bench->alloc = 0;
	tx(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, NO_FLAGS);
	rx_expect_nothing(bench);
	bench->alloc = 5000;
	tx(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, NO_FLAGS);
	while (rx_take(bench, &header, NULL))
		got += header.len;
	assert_int_equal(got, 6000);
	bench->alloc = UINT32_MAX;
	tx(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, NO_FLAGS);
	while (rx_take(bench, &header, NULL))
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
	open_connection(bench);
	rx_post(bench, 24);
	do {
		before = got;
		send(bench->host, block, sizeof(block), 0);
		fake_kick(&bench->fake);
		while (rx_take(bench, &header, NULL)) {
			got += header.len;
			rx_post(bench, 1);
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

		open_connection(bench);
		assert_int_equal(send(bench->host, "hello", 5, 0), 5);
		fake_run(&bench->fake);
		rx_expect(bench, VIRTIO_VSOCK_OP_RW);
		tx(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, NO_FLAGS);
		assert_int_equal(conn(bench)->peer_forwarded, 5);
		header = packet(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, 0);
		header.fwd_cnt += (uint32_t)lies[i];
		tx_raw(bench, header, 0);
		expect_reset(bench);
		teardown(state);
		setup(state);
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

	open_connection(bench);
	while (bench->vsock.dev.queues[RX].state.next_avail != bench->fake.queues[RX].avail_idx) {
		send(bench->host, "x", 1, 0);
		fake_run(&bench->fake);
		assert_true(rx_take(bench, &header, NULL));
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
	tx(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, NO_FLAGS);
	assert_int_equal(fake_status(&bench->fake), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* ---- ends ---- */

/* The host sends no more: its last bytes, then SHUTDOWN(send). The other direction goes on. */
static void test_host_half_close(void **state)
{
	struct bench *bench = *state;
	char text[8];

	open_connection(bench);
	assert_int_equal(send(bench->host, "last", 4, 0), 4);
	shutdown(bench->host, SHUT_WR);
	fake_run(&bench->fake);
	assert_int_equal(rx_expect(bench, VIRTIO_VSOCK_OP_RW).len, 4);
	assert_int_equal(rx_expect(bench, VIRTIO_VSOCK_OP_SHUTDOWN).flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
	memcpy(fake_host(&bench->fake, bench->tx_data), "answer", 6);
	tx(bench, VIRTIO_VSOCK_OP_RW, 6, NO_FLAGS);
	assert_int_equal(recv(bench->host, text, sizeof(text), 0), 6);
	fake_kick(&bench->fake);
	rx_expect_nothing(bench);
}

/* The guest sends no more: its last bytes, then end of file. The other direction goes on. */
static void test_guest_half_close(void **state)
{
	struct bench *bench = *state;
	uint32_t sent;
	char byte;

	open_connection(bench);
	sent = stall(bench);
	tx(bench, VIRTIO_VSOCK_OP_SHUTDOWN, 0, VIRTIO_VSOCK_SHUTDOWN_SEND);
	rx_expect_nothing(bench);
	drain(bench, sent);
	assert_int_equal(recv(bench->host, &byte, 1, 0), 0);
	while (fake_take(&bench->fake, RX, NULL, NULL))
		rx_post(bench, 1);
	assert_int_equal(send(bench->host, "more", 4, 0), 4);
	fake_run(&bench->fake);
	assert_int_equal(rx_expect(bench, VIRTIO_VSOCK_OP_RW).len, 4);
	/* Bytes after the end make no sense. */
	tx(bench, VIRTIO_VSOCK_OP_RW, 1, NO_FLAGS);
	expect_reset(bench);
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

	open_connection(bench);
	sent = stall(bench);
	tx(bench, VIRTIO_VSOCK_OP_SHUTDOWN, 0, VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV);
	rx_expect(bench, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(conn(bench)->state, VSOCK_CONN_FLUSHING);
	drain(bench, sent);
	assert_int_equal(recv(bench->host, &byte, 1, 0), 0);
	assert_int_equal(conn(bench)->state, VSOCK_CONN_FREE);
}

static void test_guest_closes_step_by_step(void **state)
{
	struct bench *bench = *state;

	open_connection(bench);
	tx(bench, VIRTIO_VSOCK_OP_SHUTDOWN, 0, VIRTIO_VSOCK_SHUTDOWN_RCV);
	rx_expect_nothing(bench);
	/* The host's writer learns that nobody reads. */
	assert_int_equal(send(bench->host, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	tx(bench, VIRTIO_VSOCK_OP_SHUTDOWN, 0, VIRTIO_VSOCK_SHUTDOWN_SEND);
	expect_reset(bench);
}

/*
 * The host's end is gone altogether: the guest gets what it had sent, then SHUTDOWN(both); its RST ends it.
 */
static void test_host_close(void **state)
{
	struct bench *bench = *state;

	open_connection(bench);
	assert_int_equal(send(bench->host, "bye", 3, 0), 3);
	host_close(bench);
	fake_run(&bench->fake);
	assert_int_equal(rx_expect(bench, VIRTIO_VSOCK_OP_RW).len, 3);
	assert_int_equal(rx_expect(bench, VIRTIO_VSOCK_OP_SHUTDOWN).flags,
		VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV);
	/* Bytes that were under way are dropped, with credit, and nothing spins. */
	tx(bench, VIRTIO_VSOCK_OP_RW, 60000, NO_FLAGS);
	rx_expect(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	rx_expect_nothing(bench);
	assert_int_equal(loop_turn(&bench->fake.loop, 20), 0);
	tx(bench, VIRTIO_VSOCK_OP_RST, 0, NO_FLAGS);
	assert_int_equal(conn(bench)->state, VSOCK_CONN_FREE);
}

/* `yes | head`: the reader goes away in the middle of a stream. */
static void test_host_reader_goes_away(void **state)
{
	struct bench *bench = *state;
	struct virtio_vsock_hdr header;

	open_connection(bench);
	stall(bench);
	host_close(bench);
	fake_run(&bench->fake);
	header = rx_expect(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(header.fwd_cnt, conn(bench)->received);
	assert_int_equal(rx_expect(bench, VIRTIO_VSOCK_OP_SHUTDOWN).flags,
		VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV);
}

/* The reader stops reading, but goes on writing: known at the next write. */
static void test_host_stops_reading(void **state)
{
	struct bench *bench = *state;

	open_connection(bench);
	shutdown(bench->host, SHUT_RD);
	tx(bench, VIRTIO_VSOCK_OP_RW, 10, NO_FLAGS);
	assert_int_equal(rx_expect(bench, VIRTIO_VSOCK_OP_SHUTDOWN).flags, VIRTIO_VSOCK_SHUTDOWN_RCV);
	assert_int_equal(send(bench->host, "on", 2, 0), 2);
	fake_run(&bench->fake);
	assert_int_equal(rx_expect(bench, VIRTIO_VSOCK_OP_RW).len, 2);
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
		header = packet(bench, VIRTIO_VSOCK_OP_RW, 0, 0);
		header.src_port = 10000 + i;
		bench->fake.next_gpa = bench->rx[RX_BUFFERS - 1] + RX_BUFFER + 64 * i;
		tx_add(bench, &header, 0);
		fake_kick(&bench->fake);
		while (fake_take(&bench->fake, TX, NULL, NULL))
			taken++;
		if (i >= 64 + 63)
			break;
	}
	assert_int_equal(taken, VSOCK_RESETS_MAX);
	assert_int_equal(loop_turn(&bench->fake.loop, 20), 0);
	for (int i = 0; i < 40; i++) {
		rx_post(bench, 4);
		fake_kick(&bench->fake);
		while (rx_take(bench, &header, NULL)) {
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

	open_connection(bench);
	sent = stall(bench);
	fake_set(&bench->fake, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(conn(bench)->state, VSOCK_CONN_FLUSHING);
	/* What the guest had sent is delivered. */
	drain(bench, sent);
	assert_int_equal(recv(bench->host, &byte, 1, 0), 0);
	assert_int_equal(conn(bench)->state, VSOCK_CONN_FREE);
	bench->taken = 0;
	bench->rx_posted = 0;
	bench->fake.next_gpa = bench->rx[RX_BUFFERS - 1] + RX_BUFFER;
	fake_up(&bench->fake, &bench->vsock.dev, 3, 64);
	rx_post(bench, 4);
	tx(bench, VIRTIO_VSOCK_OP_RW, 3, NO_FLAGS);
	rx_expect(bench, VIRTIO_VSOCK_OP_RST);
}

static void test_malformed_rings(void **state)
{
	struct bench *bench = *state;
	char byte;

	open_connection(bench);
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

	open_connection(bench);
	rx_post(bench, RX_BUFFERS - 8);
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
			header = packet(bench, VIRTIO_VSOCK_OP_RW, len, 0);
			memcpy(fake_host(&bench->fake, gpa), &header, HEADER);
			fake_add(&bench->fake, TX, buffers, 2);
			told = bench->taken;
			sent += len;
			idle = 0;
		} else if (bench->taken - told > GUEST_ALLOC / 2) {
			uint64_t gpa = headers + (bench->fake.queues[TX].avail_idx % 64u) * HEADER;
			struct fake_buffer buffer = {gpa, HEADER, false};

			header = packet(bench, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, 0);
			memcpy(fake_host(&bench->fake, gpa), &header, HEADER);
			fake_add(&bench->fake, TX, &buffer, 1);
			told = bench->taken;
		}
		while (rx_take(bench, &header, &payload)) {
			if (header.op == VIRTIO_VSOCK_OP_RW) {
				for (uint32_t i = (4096 - got % 4096) % 4096; i < header.len; i += 4096)
					assert_int_equal(payload[i], (uint8_t)((got + i) >> 12));
				got += header.len;
			}
			peer_fwd = header.fwd_cnt;
			rx_post(bench, 1);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
