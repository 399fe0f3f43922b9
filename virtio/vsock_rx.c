// SPDX-License-Identifier: Apache-2.0
/* Packets to the guest: answers, payload, credit and ends, in whatever receive buffers it has provided. */
#include "virtio/vsock_rx.h"

#include "virtio/vsock_conn.h"

#include <errno.h>
#include <linux/virtio_vsock.h>

_Static_assert(sizeof(struct virtio_vsock_hdr) == VSOCK_HEADER_BYTES, "section 5.10.6");

/* System calls towards the guest in one turn, before others get theirs. */
#define TURN_BATCHES 16

static struct vq *rx_queue(struct virtio_vsock *vsock)
{
	return &vsock->dev.queues[VSOCK_RX];
}

/*
 * The next receive buffer, room for a header split off into slot->header, the rest in *data. 1; 0 if there is
 * none; -EBADMSG, also for a buffer that cannot hold a packet.
 */
static int slot_next(struct virtio_vsock *vsock, struct vsock_slot *slot, struct giov *data)
{
	struct vq_chain chain;
	int ret = vq_next(rx_queue(vsock), &chain, vsock->table->chain_iov);

	if (ret <= 0)
		return ret;
	if (chain.fault || chain.in.len_bytes <= VSOCK_HEADER_BYTES)
		return -EBADMSG;
	slot->head = chain.head;
	/* A header has as many bytes as there is room for pieces, and no piece is empty: it always fits. */
	giov_init(&slot->header, slot->header_iov, VSOCK_HEADER_BYTES);
	giov_split(&chain.in, VSOCK_HEADER_BYTES, &slot->header);
	*data = chain.in;
	return 1;
}

/* Complete a slot: header in place, len_bytes of payload behind it. */
static void slot_send(
	struct virtio_vsock *vsock, struct vsock_slot *slot, const struct virtio_vsock_hdr *header)
{
	giov_write(&slot->header, header, sizeof(*header));
	vq_push(rx_queue(vsock), slot->head, VSOCK_HEADER_BYTES + header->len);
}

/* The header of any packet of a connection; the guest learns fwd_cnt by it. */
static struct virtio_vsock_hdr conn_header(struct vsock_conn *conn, uint16_t op)
{
	conn->told_forwarded = conn->forwarded;
	conn->owed &= ~(uint32_t)VSOCK_OWED_CREDIT;
	return (struct virtio_vsock_hdr){
		.src_cid = VSOCK_CID_HOST,
		.dst_cid = conn->vsock->table->guest_cid,
		.src_port = conn->host_port,
		.dst_port = conn->guest_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = VSOCK_BACKLOG_BYTES,
		.fwd_cnt = conn->forwarded,
	};
}

/* One packet without payload. 1 if it was sent; 0 if there is no buffer; -EBADMSG. */
static int control_send(struct vsock_conn *conn, uint16_t op, uint32_t flags)
{
	struct vsock_slot *slot = &conn->vsock->table->slots[0];
	struct virtio_vsock_hdr header;
	struct giov data;
	int ret = slot_next(conn->vsock, slot, &data);

	if (ret <= 0)
		return ret;
	header = conn_header(conn, op);
	header.flags = flags;
	slot_send(conn->vsock, slot, &header);
	return 1;
}

/* Send all RST packets that wait. 1 when there are none left; 0 if there is no buffer; -EBADMSG. */
static int resets_send(struct virtio_vsock *vsock)
{
	struct vsock_table *table = vsock->table;

	while (table->n_resets) {
		const struct vsock_reset *reset = &table->resets[table->n_resets - 1];
		struct virtio_vsock_hdr header = {
			.src_cid = VSOCK_CID_HOST,
			.dst_cid = table->guest_cid,
			.src_port = reset->host_port,
			.dst_port = reset->guest_port,
			.type = reset->type,
			.op = VIRTIO_VSOCK_OP_RST,
		};
		struct giov data;
		int ret = slot_next(vsock, &table->slots[0], &data);

		if (ret <= 0)
			return ret;
		slot_send(vsock, &table->slots[0], &header);
		table->n_resets--;
	}
	return 1;
}

/*
 * Collect receive buffers for at most room bytes of payload: their data parts in table->data_iov. The number
 * of slots, or -EBADMSG. *room becomes what was collected.
 */
static int batch_collect(struct virtio_vsock *vsock, size_t *room, uint32_t *n_iov)
{
	struct vsock_table *table = vsock->table;
	size_t left = *room;
	uint32_t used = 0;
	int n;

	for (n = 0; n < VSOCK_BATCH_MAX && left; n++) {
		struct vsock_slot *slot = &table->slots[n];
		struct giov data;
		int ret = slot_next(vsock, slot, &data);

		if (ret < 0)
			return ret;
		if (!ret)
			break;
		if (data.n > VQ_SIZE_MAX - used) {
			vq_undo_next(rx_queue(vsock), 1);
			break;
		}
		giov_truncate(&data, left < VSOCK_PACKET_MAX_BYTES ? left : VSOCK_PACKET_MAX_BYTES);
		for (uint32_t i = 0; i < data.n; i++)
			table->data_iov[used++] = data.iov[i];
		slot->room_bytes = (uint32_t)data.len_bytes;
		left -= slot->room_bytes;
	}
	*room -= left;
	*n_iov = used;
	return n;
}

/* One system call's worth of bytes from the socket to the guest. 1 if some came; 0 if not; -EBADMSG. */
static int conn_pump(struct vsock_conn *conn)
{
	struct virtio_vsock *vsock = conn->vsock;
	struct vsock_table *table = vsock->table;
	size_t room = vsock_conn_room(conn);
	uint32_t n_iov;
	size_t n;
	int n_slots = batch_collect(vsock, &room, &n_iov);
	int i;

	if (n_slots <= 0)
		return n_slots;
	n = vsock_conn_receive(conn, table->data_iov, n_iov, room);
	conn->sent += (uint32_t)n;
	for (i = 0; i < n_slots && n; i++) {
		struct virtio_vsock_hdr header = conn_header(conn, VIRTIO_VSOCK_OP_RW);

		header.len = n < table->slots[i].room_bytes ? (uint32_t)n : table->slots[i].room_bytes;
		slot_send(vsock, &table->slots[i], &header);
		n -= header.len;
	}
	vq_undo_next(rx_queue(vsock), (uint16_t)(n_slots - i));
	return i > 0;
}

static bool conn_can_pump(const struct vsock_conn *conn)
{
	return conn->readable && !conn->guest_deaf && vsock_conn_room(conn);
}

/* Everything due to the guest on one connection, in order. 1 if something was sent; 0 if not; -EBADMSG. */
static int conn_service(struct vsock_conn *conn)
{
	int sent = 0;
	int ret = 0;

	if (conn->owed & VSOCK_OWED_RESPONSE) {
		ret = control_send(conn, VIRTIO_VSOCK_OP_RESPONSE, 0);
		if (ret <= 0)
			return ret;
		conn->owed &= ~(uint32_t)VSOCK_OWED_RESPONSE;
		sent = 1;
	}
	if (conn_can_pump(conn)) {
		ret = conn_pump(conn);
		sent |= ret > 0;
	}
	if (ret >= 0 && conn->owed & VSOCK_OWED_CREDIT) {
		ret = control_send(conn, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
		sent |= ret > 0;
	}
	if (ret >= 0 && conn->shutdown_owed) {
		ret = control_send(conn, VIRTIO_VSOCK_OP_SHUTDOWN, conn->shutdown_told | conn->shutdown_owed);
		if (ret > 0) {
			conn->shutdown_told |= conn->shutdown_owed;
			conn->shutdown_owed = 0;
			sent = 1;
		}
	}
	return ret < 0 ? ret : sent;
}

static bool guest_is_owed(const struct vsock_table *table)
{
	if (table->n_resets)
		return true;
	for (uint32_t i = 0; i < table->n_conns; i++) {
		const struct vsock_conn *conn = &table->conns[i];

		if (conn->state == VSOCK_CONN_OPEN &&
			(conn->owed || conn->shutdown_owed || conn_can_pump(conn)))
			return true;
	}
	return false;
}

int vsock_rx_service(struct virtio_vsock *vsock)
{
	struct vsock_table *table = vsock->table;
	int ret = resets_send(vsock);
	uint32_t idle = 0;

	for (int budget = TURN_BATCHES; ret >= 0 && idle < table->n_conns; table->next_conn++) {
		struct vsock_conn *conn = &table->conns[table->next_conn % table->n_conns];

		ret = conn->state == VSOCK_CONN_OPEN ? conn_service(conn) : 0;
		idle = ret ? 0 : idle + 1;
		if (ret > 0 && !--budget)
			return 1;
	}
	if (ret < 0)
		return ret;
	/* Whatever is still owed waits for receive buffers. */
	return guest_is_owed(table) && vq_enable_kicks(rx_queue(vsock));
}
