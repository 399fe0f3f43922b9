// SPDX-License-Identifier: Apache-2.0
#include "virtio/vsock.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "virtio/vsock_conn.h"
#include "virtio/vsock_rx.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <stdlib.h>
#include <sys/mman.h>

static struct virtio_vsock *vsock_of(struct virtio_device *dev)
{
	return (struct virtio_vsock *)dev;
}

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
	if (header.len <= out->len_bytes && header.len <= VSOCK_PACKET_MAX_BYTES) {
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

static int vsock_service(struct virtio_device *dev)
{
	struct virtio_vsock *vsock = vsock_of(dev);
	struct vsock_table *table = vsock->table;
	int tx = tx_service(vsock);
	bool stalled = table->n_resets == VSOCK_RESETS_MAX;
	int rx = tx < 0 ? tx : vsock_rx_service(vsock);

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
