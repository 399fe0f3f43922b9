// SPDX-License-Identifier: Apache-2.0
/*
 * The socket device under a hostile driver, with peers that send, read and go as the input says: connections and what
 * is kept for them stay within the limits, counters add up, and every packet to the guest is well-formed.
 */
#include "tests/fuzz/guest.h"

#include "virtio/vsock_conn.h"

#include <linux/virtio_vsock.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GUEST_CID 3
#define PORTS 4
#define PORT_FIRST 1024u

static struct virtio_vsock vsock;
static int peers[PORTS];

/* A packet from the guest, plausible but for what the input makes of it. */
static void packet_send(struct guest *guest)
{
	uint8_t shape = fuzz_u8(&guest->input), ports = fuzz_u8(&guest->input);
	uint64_t header_gpa = guest_buffer(guest), data_gpa = guest_buffer(guest);
	struct virtio_vsock_hdr header = {
		.src_cid = shape & 0x40 ? fuzz_u64(&guest->input) : GUEST_CID,
		.dst_cid = shape & 0x20 ? fuzz_u64(&guest->input) : VSOCK_CID_HOST,
		.src_port = 5000u + (ports & 3),
		.dst_port = PORT_FIRST + (ports >> 2 & 7),
		.len = shape & 0x80 ? fuzz_u32(&guest->input)
				    : fuzz_u8(&guest->input) * (shape & 0x10 ? 200u : 1u),
		.type = shape & 8 ? fuzz_u16(&guest->input) : VIRTIO_VSOCK_TYPE_STREAM,
		.op = (uint16_t)(shape & 7),
		.flags = fuzz_u8(&guest->input),
		.buf_alloc = fuzz_u16(&guest->input),
		.fwd_cnt = fuzz_u16(&guest->input),
	};
	struct fake_buffer buffers[2] = {{header_gpa, sizeof(header), false}, {data_gpa, header.len, false}};

	guest_write(guest, header_gpa, &header, sizeof(header));
	guest_offer(guest, VSOCK_TX, buffers, header.len ? 2 : 1);
}

/* Send to the guest, read what it sent, or hang up. */
static void peer_act(struct guest *guest)
{
	static uint8_t bytes[4096];
	uint8_t what = fuzz_u8(&guest->input);
	int *peer = &peers[what % PORTS];

	if (*peer >= 0 && what < 0x60)
		(void)send(*peer, bytes, (size_t)fuzz_u8(&guest->input) * 16, MSG_DONTWAIT | MSG_NOSIGNAL);
	else if (*peer >= 0 && what < 0xc0)
		fuzz_note_u64((uint64_t)recv(*peer, bytes, sizeof(bytes), MSG_DONTWAIT));
	else if (*peer >= 0 && what < 0xe0)
		shutdown(*peer, what & 4 ? SHUT_WR : SHUT_RD);
	else if (*peer >= 0) {
		close(*peer);
		*peer = -1;
	}
	guest_run(guest);
}

/* Room for packets to the guest. */
static void buffers_give(struct guest *guest)
{
	struct fake_buffer buffer = {guest_buffer(guest), 44u + fuzz_u16(&guest->input) % 8192, true};

	guest_offer(guest, VSOCK_RX, &buffer, 1);
}

static void move(struct guest *guest)
{
	uint8_t what = fuzz_u8(&guest->input) % 4;

	if (what < 2)
		packet_send(guest);
	else if (what == 2)
		peer_act(guest);
	else
		buffers_give(guest);
}

static void conns_check(struct guest *guest)
{
	const struct vsock_table *table = vsock.table;

	(void)guest;
	fuzz_require(table->n_conns <= VSOCK_CONNS_MAX && table->n_resets <= VSOCK_RESETS_MAX);
	for (uint32_t i = 0; i < table->n_conns; i++) {
		const struct vsock_conn *conn = &table->conns[i];

		if (conn->state == VSOCK_CONN_FREE)
			continue;
		fuzz_require(conn->fd >= 0 && conn->backlog_len <= VSOCK_BACKLOG_BYTES);
		fuzz_require(conn->host_port >= PORT_FIRST && conn->host_port < PORT_FIRST + PORTS);
		fuzz_require(
			(uint32_t)(conn->received - conn->forwarded) == conn->backlog_len || conn->host_deaf);
	}
}

void fuzz_one(const uint8_t *data, size_t len)
{
	struct guest *guest = guest_begin(data, len);
	struct virtio_wiring wiring = fake_wiring(&guest->fake);

	memset(&vsock, 0, sizeof(vsock));
	fuzz_require(virtio_vsock_init(&vsock, &wiring, GUEST_CID) == 0);
	for (uint32_t i = 0; i < PORTS; i++) {
		int sockets[2];

		fuzz_require(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
		fuzz_require(virtio_vsock_allow(&vsock, PORT_FIRST + i, sockets[0]) == 0);
		peers[i] = sockets[1];
	}
	guest->move = move;
	guest->check = conns_check;
	guest_play(guest, &vsock.dev, VSOCK_QUEUES);
	virtio_vsock_done(&vsock);
	for (uint32_t i = 0; i < PORTS; i++) {
		if (peers[i] >= 0)
			close(peers[i]);
	}
}
