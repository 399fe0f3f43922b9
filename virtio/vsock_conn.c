// SPDX-License-Identifier: Apache-2.0
#include "virtio/vsock_conn.h"

#include "base/cleanup.h"

#include <errno.h>
#include <linux/virtio_vsock.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLET)
/* The guest learns of room when there is this much news. */
#define CREDIT_STEP_BYTES (VSOCK_BACKLOG_BYTES / 2)

static uint8_t *backlog_of(struct vsock_conn *conn)
{
	struct vsock_table *table = conn->vsock->table;

	return table->backlogs[conn - table->conns];
}

struct vsock_conn *vsock_conn_find(struct vsock_table *table, uint32_t guest_port, uint32_t host_port)
{
	for (uint32_t i = 0; i < table->n_conns; i++) {
		struct vsock_conn *conn = &table->conns[i];

		if (conn->state == VSOCK_CONN_OPEN && conn->guest_port == guest_port &&
			conn->host_port == host_port)
			return conn;
	}
	return NULL;
}

static struct vsock_port *port_find(struct vsock_table *table, uint32_t port)
{
	for (uint32_t i = 0; i < VSOCK_PORTS_MAX; i++) {
		if (table->ports[i].fd >= 0 && table->ports[i].port == port)
			return &table->ports[i];
	}
	return NULL;
}

static struct vsock_conn *conn_take(struct vsock_table *table)
{
	for (uint32_t i = 0; i < table->n_conns; i++) {
		if (table->conns[i].state == VSOCK_CONN_FREE)
			return &table->conns[i];
	}
	return table->n_conns < VSOCK_CONNS_MAX ? &table->conns[table->n_conns++] : NULL;
}

struct vsock_conn *vsock_conn_open(
	struct virtio_vsock *vsock, uint32_t guest_port, uint32_t host_port, loop_fn *fn)
{
	struct vsock_port *port = port_find(vsock->table, host_port);
	struct vsock_conn *conn = port ? conn_take(vsock->table) : NULL;

	if (!conn)
		return NULL;
	*conn = (struct vsock_conn){
		.vsock = vsock,
		.state = VSOCK_CONN_OPEN,
		.fd = fd_steal(&port->fd),
		.guest_port = guest_port,
		.host_port = host_port,
	};
	if (loop_add(vsock->dev.wiring.loop, &conn->source, conn->fd, EVENTS, fn, conn)) {
		vsock_conn_close(conn);
		return NULL;
	}
	return conn;
}

void vsock_conn_close(struct vsock_conn *conn)
{
	loop_del(conn->vsock->dev.wiring.loop, &conn->source);
	fd_release(&conn->fd);
	if (conn->backlog_at || conn->backlog_len)
		madvise(backlog_of(conn), VSOCK_BACKLOG_BYTES, MADV_DONTNEED);
	*conn = (struct vsock_conn){.vsock = conn->vsock, .fd = -1};
}

void vsock_conn_release(struct vsock_conn *conn)
{
	if (!conn->backlog_len) {
		vsock_conn_close(conn);
		return;
	}
	conn->state = VSOCK_CONN_FLUSHING;
	shutdown(conn->fd, SHUT_RD);
}

/* n more bytes are off our hands. */
static void forward_count(struct vsock_conn *conn, uint32_t n)
{
	conn->forwarded += n;
	if (conn->forwarded - conn->told_forwarded >= CREDIT_STEP_BYTES)
		conn->owed |= VSOCK_OWED_CREDIT;
}

/* Nobody reads the socket any more: tell the guest, and drop what it sends. */
static void host_went_deaf(struct vsock_conn *conn)
{
	conn->host_deaf = true;
	forward_count(conn, conn->backlog_len);
	conn->backlog_len = 0;
	conn->shutdown_owed |= VIRTIO_VSOCK_SHUTDOWN_RCV & ~conn->shutdown_told;
}

static void send_end(struct vsock_conn *conn)
{
	if (conn->guest_sent_all && !conn->backlog_len)
		shutdown(conn->fd, SHUT_WR);
}

/* What the socket takes of iov right now. */
static size_t socket_write(struct vsock_conn *conn, struct iovec *iov, uint32_t n_iov)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n_iov};
	ssize_t n;

	do
		n = sendmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return (size_t)n;
	if (errno != EAGAIN)
		host_went_deaf(conn);
	return 0;
}

/*
 * Keep the rest of data. It fits, because the guest cannot have more under way than it was given credit
 * for.
 */
static void backlog_append(struct vsock_conn *conn, struct giov *data)
{
	uint8_t *backlog = backlog_of(conn);

	while (data->n) {
		uint32_t end = (conn->backlog_at + conn->backlog_len) % VSOCK_BACKLOG_BYTES;
		uint32_t free_bytes = VSOCK_BACKLOG_BYTES - conn->backlog_len;
		uint32_t to_edge = VSOCK_BACKLOG_BYTES - end;
		size_t n = giov_read(data, backlog + end, free_bytes < to_edge ? free_bytes : to_edge);

		if (!n)
			return;
		conn->backlog_len += (uint32_t)n;
	}
}

static void watch_writable(struct vsock_conn *conn)
{
	loop_mod(conn->vsock->dev.wiring.loop, &conn->source, conn->backlog_len ? EVENTS | EPOLLOUT : EVENTS);
}

int vsock_conn_send(struct vsock_conn *conn, struct giov *data)
{
	uint32_t len = (uint32_t)data->len_bytes;
	size_t n = 0;

	if (conn->guest_sent_all)
		return -EPIPE;
	if (len > VSOCK_BACKLOG_BYTES - (conn->received - conn->forwarded))
		return -ENOBUFS;
	conn->received += len;
	if (len && !conn->backlog_len && !conn->host_deaf)
		n = socket_write(conn, data->iov, data->n);
	if (conn->host_deaf) {
		forward_count(conn, len);
		return 0;
	}
	giov_skip(data, n);
	forward_count(conn, (uint32_t)n);
	if (data->len_bytes) {
		backlog_append(conn, data);
		watch_writable(conn);
	}
	return 0;
}

void vsock_conn_flush(struct vsock_conn *conn)
{
	uint8_t *backlog = backlog_of(conn);

	while (conn->backlog_len) {
		uint32_t to_edge = VSOCK_BACKLOG_BYTES - conn->backlog_at;
		uint32_t first = conn->backlog_len < to_edge ? conn->backlog_len : to_edge;
		struct iovec iov[2] = {
			{backlog + conn->backlog_at, first}, {backlog, conn->backlog_len - first}};
		uint32_t n = (uint32_t)socket_write(conn, iov, iov[1].iov_len ? 2 : 1);

		if (!n)
			break;
		conn->backlog_at = (conn->backlog_at + n) % VSOCK_BACKLOG_BYTES;
		conn->backlog_len -= n;
		forward_count(conn, n);
	}
	if (!conn->backlog_len && conn->state == VSOCK_CONN_FLUSHING) {
		vsock_conn_close(conn);
		return;
	}
	watch_writable(conn);
	send_end(conn);
}

/* Nothing more will come from the socket. */
static void receive_end(struct vsock_conn *conn, bool failed)
{
	conn->readable = false;
	conn->host_sent_all = true;
	conn->shutdown_owed |= VIRTIO_VSOCK_SHUTDOWN_SEND & ~conn->shutdown_told;
	if (failed || conn->hung_up)
		host_went_deaf(conn);
}

size_t vsock_conn_receive(struct vsock_conn *conn, struct iovec *iov, uint32_t n_iov, size_t room_bytes)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n_iov};
	ssize_t n;

	do
		n = recvmsg(conn->fd, &msg, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		/* Edge-triggered: what arrives after a short read is announced again. */
		if ((size_t)n < room_bytes && !conn->ending)
			conn->readable = false;
		return (size_t)n;
	}
	if (n < 0 && errno == EAGAIN)
		conn->readable = false;
	else
		receive_end(conn, n < 0);
	return 0;
}

void vsock_conn_shutdown(struct vsock_conn *conn, uint32_t flags)
{
	if (flags & VIRTIO_VSOCK_SHUTDOWN_RCV && !conn->guest_deaf) {
		conn->guest_deaf = true;
		conn->readable = false;
		shutdown(conn->fd, SHUT_RD);
	}
	if (flags & VIRTIO_VSOCK_SHUTDOWN_SEND && !conn->guest_sent_all) {
		conn->guest_sent_all = true;
		send_end(conn);
	}
}

int vsock_conn_credit(struct vsock_conn *conn, uint32_t peer_alloc, uint32_t peer_forwarded)
{
	uint32_t outstanding = conn->sent - conn->peer_forwarded;

	if (peer_forwarded - conn->peer_forwarded > outstanding)
		return -EPROTO;
	conn->peer_alloc = peer_alloc;
	conn->peer_forwarded = peer_forwarded;
	return 0;
}

uint32_t vsock_conn_room(const struct vsock_conn *conn)
{
	uint32_t alloc =
		conn->peer_alloc < VSOCK_CREDIT_MAX_BYTES ? conn->peer_alloc : VSOCK_CREDIT_MAX_BYTES;
	uint32_t outstanding = conn->sent - conn->peer_forwarded;

	return outstanding < alloc ? alloc - outstanding : 0;
}
