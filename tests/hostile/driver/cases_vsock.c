// SPDX-License-Identifier: Apache-2.0
/* Section 1.4 of the catalogue: sockets. */
#include "tests/hostile/driver/vsock.h"

#define RX 0
#define TX 1
#define HEADER_BYTES 44u
#define FOREIGN_PORT 7777u /* allowed by nobody */
#define HALF_OPEN_TRIES 2000u
#define BURST_BYTES 0x10000u
#define OPS_KNOWN 7u

static void expect_rst(struct hostile *h, uint32_t guest_port, const char *what, uint64_t detail)
{
	expect(h, vsock_await_op(h, guest_port, VIRTIO_VSOCK_OP_RST), what, detail);
}

/* Nothing comes for guest_port: an honest connection later is the proof that it would have come by then. */
static void expect_silence(struct hostile *h, uint32_t guest_port, const char *what)
{
	uint32_t other = vsock_port_new(h), host_port;

	h->dev.silent_port = guest_port;
	host_port = vsock_connect(h, other);
	expect(h, host_port && vsock_close(h, other, host_port), what, guest_port);
	h->dev.silent_port = 0;
}

/* V1: a header cut short at every byte; none of them is a packet. */
static enum outcome v1_short_header(struct hostile *h)
{
	struct virtio_vsock_hdr header = vsock_header(h, VIRTIO_VSOCK_OP_REQUEST, 1, FOREIGN_PORT);

	vsock_rx_fill(h);
	for (uint32_t bytes = 1; bytes < HEADER_BYTES; bytes++)
		expect(h, vsock_send_raw(h, &header, bytes, NULL), "a header cut short", bytes);
	expect_silence(h, 1, "short headers");
	return LIVES;
}

/* V1: a header in as many pieces as it has bytes is a header. */
static enum outcome v1_split_header(struct hostile *h)
{
	uint32_t guest_port = vsock_port_new(h);
	struct virtio_vsock_hdr header = vsock_header(h, VIRTIO_VSOCK_OP_REQUEST, guest_port, FOREIGN_PORT);
	struct buffer pieces[HEADER_BYTES];

	vsock_rx_fill(h);
	*(struct virtio_vsock_hdr *)host_at(h, gpa_at(h, PLACE_GOOD)) = header;
	for (uint32_t i = 0; i < HEADER_BYTES; i++)
		pieces[i] = (struct buffer){gpa_at(h, PLACE_GOOD) + i, 1, 0};
	chain_send(h, TX, 0, pieces, HEADER_BYTES);
	expect(h, ring_await(h, TX, 0, NULL), "a header in 44 pieces is taken", 0);
	expect_rst(h, guest_port, "a header in 44 pieces is understood", 0);
	return LIVES;
}

/* V1: receive buffers in pieces, and one that has no room for anything but a header. */
static enum outcome v1_small_rx(struct hostile *h)
{
	chain_send(h, RX, 0, &(struct buffer){gpa_at(h, PLACE_FREE), HEADER_BYTES, F_WRITE}, 1);
	vsock_op(h, VIRTIO_VSOCK_OP_REQUEST, 1, FOREIGN_PORT, 0);
	return BREAKS;
}

/* Q1 on the receive queue. */
static enum outcome v1_bad_rx(struct hostile *h)
{
	chain_send(h, RX, 0, &(struct buffer){memory_end(h) - 60, 100, F_WRITE}, 1);
	vsock_op(h, VIRTIO_VSOCK_OP_REQUEST, 1, FOREIGN_PORT, 0);
	return BREAKS;
}

static enum outcome v1_read_only_rx(struct hostile *h)
{
	chain_send(h, RX, 0, &(struct buffer){h->memory_gpa, PAGE_BYTES, 0}, 1);
	vsock_op(h, VIRTIO_VSOCK_OP_REQUEST, 1, FOREIGN_PORT, 0);
	return BREAKS;
}

/* V1: lengths that are not what the chain holds. */
static enum outcome v1_length(struct hostile *h)
{
	static const uint32_t lengths[] = {65, 4096, 0x10000, 0x10001, 0x7fffffff, 0x80000000, UINT32_MAX};

	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		uint32_t guest_port = vsock_port_new(h), host_port = vsock_connect(h, guest_port);
		struct virtio_vsock_hdr header = vsock_header(h, VIRTIO_VSOCK_OP_RW, guest_port, host_port);
		struct buffer data = {gpa_at(h, PLACE_FREE), 64, 0};

		header.len = lengths[i];
		vsock_send_raw(h, &header, sizeof(header), &data);
		expect_rst(h, guest_port, "a length that is not there", lengths[i]);
	}
	return LIVES;
}

/* V1: more in the chain than the length says is not payload. */
static enum outcome v1_longer_chain(struct hostile *h)
{
	uint32_t guest_port = vsock_port_new(h), host_port = vsock_connect(h, guest_port);
	struct virtio_vsock_hdr header = vsock_header(h, VIRTIO_VSOCK_OP_RW, guest_port, host_port), in;
	struct buffer data = {gpa_at(h, PLACE_FREE), 4096, 0};
	uint32_t got = 0;

	header.len = 10;
	vsock_send_raw(h, &header, sizeof(header), &data);
	while (got < 10 && vsock_await(h, guest_port, &in, NULL, 0))
		got += in.op == VIRTIO_VSOCK_OP_RW ? in.len : 0;
	expect(h, got == 10, "what is echoed", got);
	expect(h, vsock_echo(h, guest_port, host_port), "the connection goes on", 0);
	vsock_close(h, guest_port, host_port);
	return LIVES;
}

/* V2: addresses of others are dropped, and not answered. */
static enum outcome v2_addresses(struct hostile *h)
{
	const uint64_t cids[] = {
		0, 1, 2, h->dev.cid + 1, UINT32_MAX, UINT64_C(1) << 32 | h->dev.cid, UINT64_MAX};

	vsock_rx_fill(h);
	for (unsigned int i = 0; i < sizeof(cids) / sizeof(cids[0]); i++) {
		struct virtio_vsock_hdr header =
			vsock_header(h, VIRTIO_VSOCK_OP_REQUEST, 1, HOSTILE_PORT_FIRST);

		header.src_cid = cids[i];
		expect(h, vsock_send(h, &header), "a packet from somebody else", cids[i]);
		header.src_cid = h->dev.cid;
		header.dst_cid = cids[i] == 2 ? h->dev.cid : cids[i];
		expect(h, vsock_send(h, &header), "a packet to somebody else", cids[i]);
	}
	expect_silence(h, 1, "packets of others");
	return LIVES;
}

static enum outcome v2_types(struct hostile *h)
{
	static const uint16_t types[] = {0, 2, 3, 0x100, UINT16_MAX};

	vsock_rx_fill(h);
	for (unsigned int i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		uint32_t guest_port = vsock_port_new(h);
		struct virtio_vsock_hdr header =
			vsock_header(h, VIRTIO_VSOCK_OP_REQUEST, guest_port, HOSTILE_PORT_FIRST);

		header.type = types[i];
		vsock_send(h, &header);
		expect_rst(h, guest_port, "a type that is no stream", types[i]);
	}
	return LIVES;
}

/* V2, V3: operations on no connection, known and unknown: RST, and none for RST. */
static enum outcome v3_no_connection(struct hostile *h)
{
	vsock_rx_fill(h);
	for (uint32_t op = 0; op < 300; op += op < 16 ? 1 : 71) {
		uint32_t guest_port = vsock_port_new(h);

		if (op == VIRTIO_VSOCK_OP_REQUEST)
			continue;
		expect(h, vsock_op(h, (uint16_t)op, guest_port, HOSTILE_PORT_FIRST, 3),
			"a packet of no connection", op);
		if (op == VIRTIO_VSOCK_OP_RST)
			expect_silence(h, guest_port, "an RST is not answered");
		else
			expect_rst(h, guest_port, "an operation on no connection", op);
	}
	return LIVES;
}

/* V3: what an open connection does not take: REQUEST and RESPONSE again, unknown operations. */
static enum outcome v3_open(struct hostile *h)
{
	static const uint16_t ops[] = {VIRTIO_VSOCK_OP_INVALID, VIRTIO_VSOCK_OP_REQUEST,
		VIRTIO_VSOCK_OP_RESPONSE, OPS_KNOWN + 1, 255, UINT16_MAX};

	for (unsigned int i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		uint32_t guest_port = vsock_port_new(h), host_port = vsock_connect(h, guest_port);

		expect(h, host_port != 0, "a connection", i);
		vsock_op(h, ops[i], guest_port, host_port, 0);
		expect_rst(h, guest_port, "an operation that makes no sense", ops[i]);
	}
	return LIVES;
}

/* V3: data behind the end that was announced. */
static enum outcome v3_after_shutdown(struct hostile *h)
{
	uint32_t guest_port = vsock_port_new(h), host_port = vsock_connect(h, guest_port);
	struct virtio_vsock_hdr header = vsock_header(h, VIRTIO_VSOCK_OP_RW, guest_port, host_port);

	vsock_op(h, VIRTIO_VSOCK_OP_SHUTDOWN, guest_port, host_port, VIRTIO_VSOCK_SHUTDOWN_SEND);
	header.len = 1;
	vsock_send(h, &header);
	expect_rst(h, guest_port, "data behind the end", 0);
	return LIVES;
}

/* V3: SHUTDOWN with every combination of flags, known and unknown. */
static enum outcome v3_shutdown_flags(struct hostile *h)
{
	static const uint32_t flags[] = {0, 1, 2, 4, 0x80000000, 0xfffffffc, UINT32_MAX};

	for (unsigned int i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		uint32_t guest_port = vsock_port_new(h), host_port = vsock_connect(h, guest_port);

		vsock_op(h, VIRTIO_VSOCK_OP_SHUTDOWN, guest_port, host_port, flags[i]);
		if ((flags[i] & 3) != 3)
			vsock_op(h, VIRTIO_VSOCK_OP_SHUTDOWN, guest_port, host_port, 3);
		expect_rst(h, guest_port, "a connection that was shut down", flags[i]);
	}
	return LIVES;
}

/* V4: more taken than was ever sent. */
static enum outcome v4_forward_ahead(struct hostile *h)
{
	static const uint32_t counts[] = {1, 0x10000, 0x7fffffff, 0x80000000, UINT32_MAX};

	for (unsigned int i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		uint32_t guest_port = vsock_port_new(h), host_port = vsock_connect(h, guest_port);
		struct virtio_vsock_hdr header =
			vsock_header(h, VIRTIO_VSOCK_OP_CREDIT_UPDATE, guest_port, host_port);

		header.fwd_cnt = counts[i];
		vsock_send(h, &header);
		expect_rst(h, guest_port, "fwd_cnt is ahead", counts[i]);
	}
	return LIVES;
}

/* V4: credit that comes, goes and is as large as can be. */
static enum outcome v4_buf_alloc(struct hostile *h)
{
	static const uint32_t allocs[] = {0, 1, UINT32_MAX, 0, 0x80000000, 2, VSOCK_ALLOC_BYTES};
	uint32_t guest_port = vsock_port_new(h), host_port = vsock_connect(h, guest_port);

	for (unsigned int i = 0; i < sizeof(allocs) / sizeof(allocs[0]); i++) {
		struct virtio_vsock_hdr header =
			vsock_header(h, VIRTIO_VSOCK_OP_CREDIT_UPDATE, guest_port, host_port);

		header.buf_alloc = allocs[i];
		expect(h, vsock_send(h, &header), "an update", allocs[i]);
		vsock_op(h, VIRTIO_VSOCK_OP_CREDIT_REQUEST, guest_port, host_port, 0);
	}
	expect(h, vsock_echo(h, guest_port, host_port), "the connection goes on", 0);
	expect(h, vsock_close(h, guest_port, host_port), "and ends", 0);
	return LIVES;
}

/*
 * V4: as much at once as the ring holds: far more than the credit. Whatever the far end did not take in
 * time, the connection is reset or the bytes went through; memory does not grow either way.
 */
static enum outcome v4_beyond_credit(struct hostile *h)
{
	uint32_t guest_port = vsock_port_new(h), host_port = vsock_connect(h, guest_port);
	struct virtio_vsock_hdr *header = host_at(h, gpa_at(h, PLACE_GOOD));
	uint16_t n = (uint16_t)(h->dev.queues[TX].size / 2 - 1);

	*header = vsock_header(h, VIRTIO_VSOCK_OP_RW, guest_port, host_port);
	header->len = BURST_BYTES;
	header->buf_alloc = 0;
	for (uint16_t i = 0; i < n; i++) {
		uint16_t at = (uint16_t)(2 * i);

		desc_put(h, TX, at,
			(struct vring_desc){gpa_at(h, PLACE_GOOD), HEADER_BYTES, F_NEXT, (uint16_t)(at + 1)});
		desc_put(h, TX, (uint16_t)(at + 1),
			(struct vring_desc){gpa_at(h, PLACE_FREE), BURST_BYTES, 0, 0});
		ring_offer(h, TX, at);
	}
	ring_kick(h, TX);
	expect(h, ring_await(h, TX, (uint16_t)(2 * (n - 1)), NULL), "a burst is taken", n);
	/* Far ends that cannot read in between do not take it all. */
	if (h->ops->hold)
		expect_rst(h, guest_port, "a burst beyond all credit", n);
	else
		(void)vsock_close(h, guest_port, host_port);
	return LIVES;
}

/* V5: connections that are asked for and never used, with nobody to receive the answers. */
static enum outcome v5_half_open(struct hostile *h)
{
	for (uint32_t i = 0; i < HALF_OPEN_TRIES; i++) {
		uint16_t size = h->dev.queues[TX].size, at = (uint16_t)(i % size);
		uint64_t gpa = gpa_at(h, PLACE_FREE) + at * 64u;

		*(struct virtio_vsock_hdr *)host_at(h, gpa) = vsock_header(
			h, VIRTIO_VSOCK_OP_REQUEST, vsock_port_new(h), HOSTILE_PORT_FIRST + i % 64);
		desc_put(h, TX, at, (struct vring_desc){gpa, HEADER_BYTES, 0, 0});
		ring_offer(h, TX, at);
		if (at == size - 1) {
			ring_kick(h, TX);
			settle(h);
			/* Answers wait for buffers, and so do the requests: start over. */
			device_up(h, UINT64_MAX, UINT16_MAX);
		}
	}
	return EITHER;
}

/* V8: ports nobody listens at. */
static enum outcome v8_ports(struct hostile *h)
{
	static const uint32_t ports[] = {
		0, 1, 22, 1023, HOSTILE_PORT_FIRST + HOSTILE_PORTS, 0x7fffffff, 0x80000000, UINT32_MAX};

	vsock_rx_fill(h);
	for (unsigned int i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		uint32_t guest_port = vsock_port_new(h);

		vsock_op(h, VIRTIO_VSOCK_OP_REQUEST, guest_port, ports[i], 0);
		expect_rst(h, guest_port, "a port nobody listens at", ports[i]);
	}
	return LIVES;
}

/* V9, Q17: the far end sends, and there is no buffer to receive it. Then there is one. */
static enum outcome v9_no_rx(struct hostile *h)
{
	uint32_t guest_port = vsock_port_new(h);
	struct virtio_vsock_hdr header, in;
	uint16_t head;
	uint32_t used;

	/* One buffer for the answer to the request, and none for anything else. */
	chain_send(h, RX, 40, &(struct buffer){gpa_at(h, PLACE_RX), RX_BYTES, F_WRITE}, 1);
	vsock_op(h, VIRTIO_VSOCK_OP_REQUEST, guest_port, HOSTILE_PORT_FIRST + h->serial % HOSTILE_PORTS, 0);
	for (unsigned int round = 0; h->ops->wait(h->ctx, round) && !ring_take(h, RX, &head, &used); round++)
		;
	in = *(struct virtio_vsock_hdr *)host_at(h, gpa_at(h, PLACE_RX));
	if (in.op != VIRTIO_VSOCK_OP_RESPONSE)
		return LIVES;
	header = vsock_header(h, VIRTIO_VSOCK_OP_RW, guest_port, in.src_port);
	header.len = 1000;
	vsock_send(h, &header);
	settle(h);
	settle(h);
	vsock_rx_fill(h);
	expect(h, vsock_await(h, guest_port, &in, NULL, 0) && in.op == VIRTIO_VSOCK_OP_RW && in.len == 1000,
		"what waited for a buffer", in.len);
	vsock_close(h, guest_port, header.dst_port);
	return LIVES;
}

#define PIECES 120u
#define PIECE_BYTES 3u
#define MANY_CHAINS 30u
#define MANY_BYTES 4000u

/*
 * Receive buffers of so many pieces that a few of them are more than one system call takes: descriptors may
 * be used by several chains at once, so there is no end to that.
 */
static enum outcome v1_many_pieces(struct hostile *h)
{
	uint32_t guest_port = vsock_port_new(h), host_port = HOSTILE_PORT_FIRST + guest_port % HOSTILE_PORTS;
	struct virtio_vsock_hdr header = vsock_header(h, VIRTIO_VSOCK_OP_RW, guest_port, host_port);
	uint16_t first = (uint16_t)(h->dev.queues[RX].size - PIECES), head;
	uint32_t got = 0, used;

	/* The answer to the request gets a buffer of its own. */
	chain_send(h, RX, 0, &(struct buffer){gpa_at(h, PLACE_RX), RX_BYTES, F_WRITE}, 1);
	vsock_op(h, VIRTIO_VSOCK_OP_REQUEST, guest_port, host_port, 0);
	if (!ring_await(h, RX, 0, NULL) ||
		((struct virtio_vsock_hdr *)host_at(h, gpa_at(h, PLACE_RX)))->op != VIRTIO_VSOCK_OP_RESPONSE)
		return LIVES;
	for (uint16_t i = 0; i < PIECES; i++)
		desc_put(h, RX, (uint16_t)(first + i),
			(struct vring_desc){gpa_at(h, PLACE_FREE + PAGE_BYTES) + i * PIECE_BYTES, PIECE_BYTES,
				(uint16_t)(F_WRITE | (i + 1u < PIECES ? F_NEXT : 0)),
				(uint16_t)(first + i + 1)});
	for (uint32_t i = 0; i < MANY_CHAINS; i++)
		ring_offer(h, RX, first);
	ring_kick(h, RX);
	header.len = MANY_BYTES;
	vsock_send(h, &header);
	for (unsigned int round = 0; got < MANY_BYTES && h->ops->wait(h->ctx, round); round++) {
		while (ring_take(h, RX, &head, &used))
			got += used - HEADER_BYTES;
	}
	expect(h, got == MANY_BYTES, "payload in pieces", got);
	return EITHER;
}

/* The event queue is never looked at, so nothing in it can be wrong. */
static enum outcome v_event_queue(struct hostile *h)
{
	desc_put(h, 2, 0, (struct vring_desc){UINT64_MAX, UINT32_MAX, UINT16_MAX, UINT16_MAX});
	ring_offer(h, 2, UINT16_MAX);
	ring_set_idx(h, 2, 0x7000);
	ring_kick(h, 2);
	return LIVES;
}

#define CASE(name, fn)                                                                                       \
	{                                                                                                    \
		name, VIRTIO_ID_VSOCK, fn                                                                    \
	}

const struct hostile_case cases_vsock[] = {
	CASE("V1 short header", v1_short_header),
	CASE("V1 split header", v1_split_header),
	CASE("V1 small receive buffer", v1_small_rx),
	CASE("V1 bad receive buffer", v1_bad_rx),
	CASE("V1 read-only receive buffer", v1_read_only_rx),
	CASE("V1 length", v1_length),
	CASE("V1 longer chain", v1_longer_chain),
	CASE("V1 many pieces", v1_many_pieces),
	CASE("V2 addresses", v2_addresses),
	CASE("V2 types", v2_types),
	CASE("V3 no connection", v3_no_connection),
	CASE("V3 open", v3_open),
	CASE("V3 after the end", v3_after_shutdown),
	CASE("V3 shutdown flags", v3_shutdown_flags),
	CASE("V4 fwd_cnt ahead", v4_forward_ahead),
	CASE("V4 buf_alloc", v4_buf_alloc),
	CASE("V4 beyond credit", v4_beyond_credit),
	CASE("V5 half open", v5_half_open),
	CASE("V8 ports", v8_ports),
	CASE("V9 no receive buffer", v9_no_rx),
	CASE("V event queue", v_event_queue),
	CASES_END,
};
