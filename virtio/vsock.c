// SPDX-License-Identifier: Apache-2.0
#include "virtio/vsock.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "virtio/vsock_conn.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <stdlib.h>
#include <sys/mman.h>

_Static_assert(sizeof(struct virtio_vsock_hdr) == VSOCK_HEADER_BYTES, "section 5.10.6");

#define PACKET_MAX_BYTES (64u << 10)
/* System calls towards the guest in one turn, before others get theirs. */
#define TURN_BATCHES 16
#define SHUTDOWN_BOTH (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

enum { VSOCK_RX, VSOCK_TX, VSOCK_EVENT, VSOCK_QUEUES };

static struct virtio_vsock *vsock_of(struct virtio_device *dev)
{
	return (struct virtio_vsock *)dev;
}

static struct vq *rx_queue(struct virtio_vsock *vsock)
{
	return &vsock->dev.queues[VSOCK_RX];
}

/* ---- to the guest ---- */

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
		giov_truncate(&data, left < PACKET_MAX_BYTES ? left : PACKET_MAX_BYTES);
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

/* Send what there is, connection by connection. 0; 1 if there is more; -EBADMSG. */
static int rx_service(struct virtio_vsock *vsock)
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

/* ---- from the guest ---- */

static void reset_queue(struct vsock_table *table, const struct virtio_vsock_hdr *header)
{
	if (header->op == VIRTIO_VSOCK_OP_RST)
		return;
	/* There is room: tx_service() takes no packet otherwise. */
	table->resets[table->n_resets++] = (struct vsock_reset){
		.guest_port = header->src_port,
		.host_port = header->dst_port,
		.type = header->type,
	};
}

static void on_socket(struct loop_source *source, uint32_t events);

static void connect_request(struct virtio_vsock *vsock, const struct virtio_vsock_hdr *header)
{
	struct vsock_conn *conn = NULL;

	if (header->op == VIRTIO_VSOCK_OP_REQUEST)
		conn = vsock_conn_open(vsock, header->src_port, header->dst_port, on_socket);
	if (!conn) {
		reset_queue(vsock->table, header);
		return;
	}
	conn->peer_alloc = header->buf_alloc;
	conn->peer_forwarded = header->fwd_cnt;
	conn->sent = header->fwd_cnt;
	conn->owed = VSOCK_OWED_RESPONSE;
	if (!vsock->first_connect_us)
		vsock->first_connect_us = clock_now_us();
}

/* A packet of an open connection. 0, or -errno: the connection is to be reset. */
static int conn_packet(struct vsock_conn *conn, const struct virtio_vsock_hdr *header, struct giov *data)
{
	int ret = vsock_conn_credit(conn, header->buf_alloc, header->fwd_cnt);

	if (ret)
		return ret;
	switch (header->op) {
	case VIRTIO_VSOCK_OP_RW:
		return vsock_conn_send(conn, data);
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		return 0;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		conn->owed |= VSOCK_OWED_CREDIT;
		return 0;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		vsock_conn_shutdown(conn, header->flags);
		/* A driver that has closed its socket waits for this to forget it. */
		return conn->guest_deaf && conn->guest_sent_all ? -ESHUTDOWN : 0;
	default:
		return -EPROTO;
	}
}

/* One packet. What cannot be attributed is dropped; what makes no sense is answered with RST. */
static void packet_receive(struct virtio_vsock *vsock, struct giov *out)
{
	struct vsock_table *table = vsock->table;
	struct virtio_vsock_hdr header;
	struct vsock_conn *conn;

	if (giov_read(out, &header, sizeof(header)) != sizeof(header))
		return;
	if (header.src_cid != table->guest_cid || header.dst_cid != VSOCK_CID_HOST)
		return;
	if (header.type != VIRTIO_VSOCK_TYPE_STREAM) {
		reset_queue(table, &header);
		return;
	}
	conn = vsock_conn_find(table, header.src_port, header.dst_port);
	if (!conn) {
		connect_request(vsock, &header);
		return;
	}
	if (header.len <= out->len_bytes && header.len <= PACKET_MAX_BYTES) {
		giov_truncate(out, header.len);
		if (!conn_packet(conn, &header, out))
			return;
	}
	reset_queue(table, &header);
	vsock_conn_release(conn);
}

/* 0; 1 if there is more to do now; -EBADMSG. */
static int tx_service(struct virtio_vsock *vsock)
{
	struct vq *vq = &vsock->dev.queues[VSOCK_TX];
	struct vsock_table *table = vsock->table;
	int budget = VSOCK_TX_QUEUE_SIZE;
	struct vq_chain chain;
	int ret;

	for (;;) {
		/* Answers wait for receive buffers: nothing is taken that might need one more. */
		if (table->n_resets == VSOCK_RESETS_MAX)
			return 0;
		ret = vq_next(vq, &chain, table->chain_iov);
		if (ret <= 0)
			return ret ? ret : vq_enable_kicks(vq);
		if (chain.fault)
			return -EBADMSG;
		packet_receive(vsock, &chain.out);
		vq_push(vq, chain.head, 0);
		if (!--budget)
			return 1;
	}
}

/* ---- the device ---- */

static int vsock_service(struct virtio_device *dev)
{
	struct virtio_vsock *vsock = vsock_of(dev);
	struct vsock_table *table = vsock->table;
	int tx = tx_service(vsock);
	bool stalled = table->n_resets == VSOCK_RESETS_MAX;
	int rx = tx < 0 ? tx : rx_service(vsock);

	if (rx < 0)
		return rx;
	/* Packets that were left because answers were waiting may be taken now. */
	return tx || rx || (stalled && table->n_resets < VSOCK_RESETS_MAX);
}

static void on_socket(struct loop_source *source, uint32_t events)
{
	struct vsock_conn *conn = source->ctx;
	struct virtio_device *dev = &conn->vsock->dev;
	bool live = virtio_enter(dev);
	int ret = 0;

	/* What was pending may have closed it. */
	if (conn->state == VSOCK_CONN_FREE) {
		virtio_leave(dev, 0);
		return;
	}
	conn->ending |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
	conn->hung_up |= (events & (EPOLLHUP | EPOLLERR)) != 0;
	if (events & ~(uint32_t)EPOLLOUT && !conn->host_sent_all)
		conn->readable = true;
	if (conn->backlog_len)
		vsock_conn_flush(conn);
	if (live)
		ret = vsock_service(dev);
	virtio_leave(dev, ret);
}

/* The guest's connections end with its life; what it had sent by then still goes out. */
static void vsock_reset(struct virtio_device *dev)
{
	struct vsock_table *table = vsock_of(dev)->table;

	table->n_resets = 0;
	for (uint32_t i = 0; i < table->n_conns; i++) {
		if (table->conns[i].state == VSOCK_CONN_OPEN)
			vsock_conn_release(&table->conns[i]);
	}
}

static const struct virtio_ops vsock_ops = {
	.id = VIRTIO_ID_VSOCK,
	.service = vsock_service,
	.reset = vsock_reset,
};

static struct vsock_table *table_new(uint32_t guest_cid)
{
	struct vsock_table *table = calloc(1, sizeof(*table));
	void *backlogs;

	if (!table)
		return NULL;
	backlogs = mmap(NULL, (size_t)VSOCK_CONNS_MAX * VSOCK_BACKLOG_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (backlogs == MAP_FAILED) {
		free(table);
		return NULL;
	}
	table->backlogs = backlogs;
	table->guest_cid = guest_cid;
	for (uint32_t i = 0; i < VSOCK_PORTS_MAX; i++)
		table->ports[i].fd = -1;
	return table;
}

static void table_free(struct vsock_table *table)
{
	for (uint32_t i = 0; i < VSOCK_PORTS_MAX; i++)
		fd_release(&table->ports[i].fd);
	munmap(table->backlogs, (size_t)VSOCK_CONNS_MAX * VSOCK_BACKLOG_BYTES);
	free(table);
}

int virtio_vsock_init(struct virtio_vsock *vsock, const struct virtio_wiring *wiring, uint32_t guest_cid)
{
	struct virtio_vsock_config config = {.guest_cid = guest_cid};
	struct virtio_model model = {
		.ops = &vsock_ops,
		.config = &config,
		.config_len_bytes = sizeof(config),
		.n_queues = VSOCK_QUEUES,
		.queue_size = {VSOCK_RX_QUEUE_SIZE, VSOCK_TX_QUEUE_SIZE, VSOCK_EVENT_QUEUE_SIZE},
	};
	int ret;

	if (guest_cid < VSOCK_CID_GUEST_MIN || guest_cid == UINT32_MAX)
		return -EINVAL;
	vsock->table = table_new(guest_cid);
	if (!vsock->table)
		return -ENOMEM;
	ret = virtio_device_init(&vsock->dev, wiring, &model);
	if (ret) {
		table_free(vsock->table);
		vsock->table = NULL;
	}
	return ret;
}

void virtio_vsock_done(struct virtio_vsock *vsock)
{
	virtio_device_done(&vsock->dev);
	for (uint32_t i = 0; i < vsock->table->n_conns; i++) {
		if (vsock->table->conns[i].state != VSOCK_CONN_FREE)
			vsock_conn_close(&vsock->table->conns[i]);
	}
	table_free(vsock->table);
	vsock->table = NULL;
}

static int port_add(struct vsock_table *table, uint32_t port, int fd)
{
	struct vsock_port *unused = NULL;

	for (uint32_t i = 0; i < VSOCK_PORTS_MAX; i++) {
		if (table->ports[i].fd < 0)
			unused = &table->ports[i];
		else if (table->ports[i].port == port)
			return -EEXIST;
	}
	if (!unused)
		return -ENOSPC;
	*unused = (struct vsock_port){.port = port, .fd = fd};
	return 0;
}

int virtio_vsock_allow(struct virtio_vsock *vsock, uint32_t port, int fd)
{
	int ret;

	pthread_mutex_lock(&vsock->dev.lock);
	ret = port_add(vsock->table, port, fd);
	pthread_mutex_unlock(&vsock->dev.lock);
	return ret;
}
