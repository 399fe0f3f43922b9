// SPDX-License-Identifier: Apache-2.0
/* Sockets: an honest connection that is echoed, and packets as a hostile driver sends them. */
#include "tests/hostile/driver/vsock.h"

#define RX 0
#define TX 1
#define ECHO_BYTES 200u
#define CONNECT_TRIES 64u
#define RETRY_ROUND 1000u /* a round in which one waits for a moment */
#define PACKETS_MAX 4096u /* to look at, until what is waited for has to have come */

/* ---- packets out ---- */

struct virtio_vsock_hdr vsock_header(struct hostile *h, uint16_t op, uint32_t guest_port, uint32_t host_port)
{
	return (struct virtio_vsock_hdr){
		.src_cid = h->dev.cid,
		.dst_cid = 2,
		.src_port = guest_port,
		.dst_port = host_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = VSOCK_ALLOC_BYTES,
	};
}

bool vsock_send_raw(struct hostile *h, const void *bytes, uint32_t header_bytes, const struct buffer *data)
{
	uint16_t first = (uint16_t)(h->dev.queues[TX].size - 2);
	uint64_t gpa = gpa_at(h, PLACE_GOOD);
	uint8_t *to = host_at(h, gpa);
	struct buffer chain[2] = {{gpa, header_bytes, 0}};

	for (uint32_t i = 0; i < header_bytes; i++)
		to[i] = ((const uint8_t *)bytes)[i];
	if (data)
		chain[1] = *data;
	chain_send(h, TX, first, chain, data ? 2 : 1);
	return ring_await(h, TX, first, NULL);
}

bool vsock_send(struct hostile *h, const struct virtio_vsock_hdr *header)
{
	struct buffer data = {gpa_at(h, PLACE_GOOD + PAGE_BYTES), header->len, 0};

	return vsock_send_raw(h, header, sizeof(*header), header->len ? &data : NULL);
}

bool vsock_op(struct hostile *h, uint16_t op, uint32_t guest_port, uint32_t host_port, uint32_t flags)
{
	struct virtio_vsock_hdr header = vsock_header(h, op, guest_port, host_port);

	header.flags = flags;
	return vsock_send(h, &header);
}

/* ---- packets in ---- */

static void rx_post(struct hostile *h, uint16_t index)
{
	desc_put(h, RX, index,
		(struct vring_desc){gpa_at(h, PLACE_RX + index * RX_BYTES), RX_BYTES, F_WRITE, 0});
	ring_offer(h, RX, index);
}

void vsock_rx_fill(struct hostile *h)
{
	if (h->dev.rx_posted)
		return;
	while (h->dev.rx_posted < RX_BUFFERS && h->dev.rx_posted < h->dev.queues[RX].size)
		rx_post(h, h->dev.rx_posted++);
	ring_kick(h, RX);
}

/* The next packet that has come, its payload left where it is until the buffer is posted again. */
static bool rx_take(struct hostile *h, struct virtio_vsock_hdr *header, uint8_t *payload, uint32_t cap)
{
	const uint8_t *from;
	uint16_t head;
	uint32_t len;

	if (!ring_take(h, RX, &head, &len) || head >= RX_BUFFERS)
		return false;
	from = host_at(h, gpa_at(h, PLACE_RX + head * RX_BYTES));
	for (uint32_t i = 0; i < sizeof(*header); i++)
		((uint8_t *)header)[i] = from[i];
	expect(h, len == sizeof(*header) + header->len && len <= RX_BYTES, "the length of a packet", len);
	expect(h, !h->dev.silent_port || header->dst_port != h->dev.silent_port, "an answer nobody is owed",
		header->op);
	for (uint32_t i = 0; i < header->len && i < cap; i++)
		payload[i] = from[sizeof(*header) + i];
	rx_post(h, head);
	ring_kick(h, RX);
	return true;
}

bool vsock_await(struct hostile *h, uint32_t guest_port, struct virtio_vsock_hdr *header, uint8_t *payload,
	uint32_t cap)
{
	unsigned int packets = 0;

	for (unsigned int round = 0; h->ops->wait(h->ctx, round); round++) {
		while (rx_take(h, header, payload, cap)) {
			if (header->dst_port == guest_port)
				return true;
			if (++packets == PACKETS_MAX)
				return false;
			round = 0;
		}
		if (status_get(h) & S_BROKEN)
			return false;
	}
	return false;
}

bool vsock_await_op(struct hostile *h, uint32_t guest_port, uint16_t op)
{
	struct virtio_vsock_hdr header;

	while (vsock_await(h, guest_port, &header, NULL, 0)) {
		if (header.op == op)
			return true;
		if (header.op == VIRTIO_VSOCK_OP_RST)
			return false;
	}
	return false;
}

/* ---- connections ---- */

uint32_t vsock_port_new(struct hostile *h)
{
	return 0x10000 + (++h->serial & 0xffffff);
}

uint32_t vsock_connect(struct hostile *h, uint32_t guest_port)
{
	vsock_rx_fill(h);
	/* The far end allows a port again when its last connection has ended: that may take it a moment. */
	for (unsigned int i = 0; i < CONNECT_TRIES; i++) {
		uint32_t host_port = HOSTILE_PORT_FIRST + (h->serial + i) % HOSTILE_PORTS;
		struct virtio_vsock_hdr header;

		vsock_op(h, VIRTIO_VSOCK_OP_REQUEST, guest_port, host_port, 0);
		if (!vsock_await(h, guest_port, &header, NULL, 0))
			return 0;
		if (header.op == VIRTIO_VSOCK_OP_RESPONSE)
			return host_port;
		(void)h->ops->wait(h->ctx, RETRY_ROUND);
	}
	return 0;
}

bool vsock_close(struct hostile *h, uint32_t guest_port, uint32_t host_port)
{
	vsock_op(h, VIRTIO_VSOCK_OP_SHUTDOWN, guest_port, host_port,
		VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND);
	return vsock_await_op(h, guest_port, VIRTIO_VSOCK_OP_RST);
}

bool vsock_echo(struct hostile *h, uint32_t guest_port, uint32_t host_port)
{
	uint8_t *out = host_at(h, gpa_at(h, PLACE_GOOD + PAGE_BYTES)), in[ECHO_BYTES];
	struct virtio_vsock_hdr header = vsock_header(h, VIRTIO_VSOCK_OP_RW, guest_port, host_port);
	uint32_t got = 0;

	for (uint32_t i = 0; i < ECHO_BYTES; i++)
		out[i] = (uint8_t)random_next(h);
	header.len = ECHO_BYTES;
	if (!vsock_send(h, &header))
		return false;
	while (got < ECHO_BYTES) {
		if (!vsock_await(h, guest_port, &header, in + got, ECHO_BYTES - got) ||
			header.op == VIRTIO_VSOCK_OP_RST)
			return false;
		got += header.op == VIRTIO_VSOCK_OP_RW ? header.len : 0;
	}
	for (uint32_t i = 0; i < ECHO_BYTES; i++) {
		if (in[i] != out[i])
			return false;
	}
	return got == ECHO_BYTES;
}

bool vsock_good(struct hostile *h)
{
	uint32_t guest_port = vsock_port_new(h);
	uint32_t host_port = vsock_connect(h, guest_port);

	return host_port && vsock_echo(h, guest_port, host_port) && vsock_close(h, guest_port, host_port);
}
