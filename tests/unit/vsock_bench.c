// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/vsock_bench.h"

#include "tests/unit/cm.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct bench bench_storage;

int bench_setup(void **state)
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

int bench_teardown(void **state)
{
	struct bench *bench = *state;

	virtio_vsock_done(&bench->vsock);
	fake_done(&bench->fake);
	if (bench->host >= 0)
		close(bench->host);
	return 0;
}

void bench_host_close(struct bench *bench)
{
	close(bench->host);
	bench->host = -1;
}

/* ---- the guest's driver ---- */

struct virtio_vsock_hdr bench_packet(struct bench *bench, uint16_t op, uint32_t len, uint32_t flags)
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
void bench_tx_add(struct bench *bench, const struct virtio_vsock_hdr *header, uint32_t payload)
{
	uint64_t gpa = fake_alloc(&bench->fake, HEADER);
	struct fake_buffer buffers[] = {{gpa, HEADER, false}, {bench->tx_data, payload, false}};

	memcpy(fake_host(&bench->fake, gpa), header, HEADER);
	fake_add(&bench->fake, TX, buffers, payload ? 2 : 1);
}

void bench_tx(struct bench *bench, uint16_t op, uint32_t len, uint32_t flags)
{
	struct virtio_vsock_hdr header = bench_packet(bench, op, len, flags);

	bench_tx_add(bench, &header, len);
	fake_kick(&bench->fake);
	assert_true(fake_take(&bench->fake, TX, NULL, NULL));
}

void bench_tx_raw(struct bench *bench, struct virtio_vsock_hdr header, uint32_t payload)
{
	bench_tx_add(bench, &header, payload);
	fake_kick(&bench->fake);
	assert_true(fake_take(&bench->fake, TX, NULL, NULL));
}

void bench_rx_post(struct bench *bench, int n)
{
	for (int i = 0; i < n; i++) {
		struct fake_buffer buffer = {bench->rx[bench->rx_posted++ % RX_BUFFERS], RX_BUFFER, true};

		fake_add(&bench->fake, RX, &buffer, 1);
	}
}

/* The next packet from the device, *payload pointing into guest memory. */
bool bench_rx_take(struct bench *bench, struct virtio_vsock_hdr *header, uint8_t **payload)
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

struct virtio_vsock_hdr bench_rx_expect(struct bench *bench, uint16_t op)
{
	struct virtio_vsock_hdr header;

	assert_true(bench_rx_take(bench, &header, NULL));
	assert_int_equal(header.op, op);
	return header;
}

void bench_rx_expect_nothing(struct bench *bench)
{
	struct virtio_vsock_hdr header;

	assert_false(bench_rx_take(bench, &header, NULL));
}

void bench_open_connection(struct bench *bench)
{
	struct virtio_vsock_hdr header;

	bench_rx_post(bench, 8);
	bench_tx(bench, VIRTIO_VSOCK_OP_REQUEST, 0, NO_FLAGS);
	header = bench_rx_expect(bench, VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(header.src_port, HOST_PORT);
	assert_int_equal(header.dst_port, GUEST_PORT);
	assert_int_equal(header.buf_alloc, VSOCK_BACKLOG_BYTES);
	assert_int_equal(header.fwd_cnt, 0);
}

const struct vsock_conn *bench_conn(struct bench *bench)
{
	return &bench->vsock.table->conns[0];
}

/* The connection was answered with RST, and the host sees its end. */
void bench_expect_reset(struct bench *bench)
{
	char byte;

	bench_rx_expect(bench, VIRTIO_VSOCK_OP_RST);
	bench_rx_expect_nothing(bench);
	assert_int_equal(bench_conn(bench)->state, VSOCK_CONN_FREE);
	assert_int_equal(recv(bench->host, &byte, 1, 0), 0);
	assert_int_equal(fake_status(&bench->fake), 15);
}

/* Fill the socket and the backlog: all of the guest's credit. The bytes that were sent. */
uint32_t bench_stall(struct bench *bench)
{
	uint8_t *data = fake_host(&bench->fake, bench->tx_data);
	uint32_t sent = 0;

	for (;;) {
		uint32_t room = VSOCK_BACKLOG_BYTES - (sent - bench_conn(bench)->forwarded);
		uint32_t len = room < 50000 ? room : 50000;
		struct virtio_vsock_hdr header;

		if (!len)
			return sent;
		for (uint32_t i = 0; i < len; i++)
			data[i] = (uint8_t)((sent + i) % 253);
		bench_tx(bench, VIRTIO_VSOCK_OP_RW, len, NO_FLAGS);
		sent += len;
		while (bench_rx_take(bench, &header, NULL)) {
			assert_int_equal(header.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
			bench_rx_post(bench, 1);
		}
	}
}

/* Read everything on the host side and check it. */
void bench_drain(struct bench *bench, uint32_t total)
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
