// SPDX-License-Identifier: Apache-2.0
/*
 * The host side of vsock: which ports there are, which connections, and their sockets. For virtio/vsock.c
 * only, which knows the packets; the device lock is held in every call, on the loop thread.
 */
#ifndef MVRUN_VIRTIO_VSOCK_CONN_H
#define MVRUN_VIRTIO_VSOCK_CONN_H

#include "base/loop.h"
#include "mem/giov.h"
#include "virtio/vsock.h"

#include <stdbool.h>
#include <stdint.h>

enum vsock_queue { VSOCK_RX, VSOCK_TX, VSOCK_EVENT, VSOCK_QUEUES };

#define VSOCK_PACKET_MAX_BYTES (64u << 10)

struct vsock_port {
	uint32_t port;
	int fd; /* -1: the entry is free */
};

enum vsock_conn_state {
	VSOCK_CONN_FREE,
	VSOCK_CONN_OPEN,
	VSOCK_CONN_FLUSHING, /* the guest has forgotten it, the socket still has bytes to come */
};

/* What the guest is owed for a connection, in packets. */
enum vsock_owed { VSOCK_OWED_RESPONSE = 1, VSOCK_OWED_CREDIT = 2 };

struct vsock_conn {
	struct virtio_vsock *vsock;
	struct loop_source source;
	enum vsock_conn_state state;
	int fd;
	uint32_t guest_port;
	uint32_t host_port;

	/* From the guest. The counters wrap, as in section 5.10.6.3. */
	uint32_t received; /* bytes of payload, ever */
	uint32_t forwarded; /* of those, how many the socket took (fwd_cnt) */
	uint32_t told_forwarded; /* as the guest was last told */
	uint32_t backlog_at; /* received and not forwarded: this many bytes at this place of the backlog */
	uint32_t backlog_len;
	bool guest_sent_all; /* SHUTDOWN(send): shutdown(SHUT_WR) when the backlog is empty */
	bool host_deaf; /* the socket takes nothing any more: what comes is dropped */

	/* To the guest. */
	uint32_t sent;
	uint32_t peer_alloc;
	uint32_t peer_forwarded;
	bool readable; /* the socket may have something */
	bool ending; /* the peer sends no more: behind what it sent comes the end, not a new event */
	bool hung_up; /* nor does it receive any more */
	bool host_sent_all; /* end of file */
	bool guest_deaf; /* SHUTDOWN(receive) */

	uint32_t owed; /* enum vsock_owed */
	uint32_t shutdown_owed; /* flags of the SHUTDOWN packet that is due, 0: none */
	uint32_t shutdown_told;
};

struct vsock_reset {
	uint32_t guest_port;
	uint32_t host_port;
	uint16_t type;
};

#define VSOCK_RESETS_MAX 64
#define VSOCK_BATCH_MAX 32 /* receive buffers filled by one system call */
#define VSOCK_HEADER_BYTES 44

/* A receive buffer of the guest that is about to be filled. */
struct vsock_slot {
	uint16_t head;
	uint32_t room_bytes;
	struct giov header;
	struct iovec header_iov[VSOCK_HEADER_BYTES];
};

struct vsock_table {
	uint32_t guest_cid;
	uint32_t next_conn; /* whose turn it is to send to the guest */
	struct vsock_port ports[VSOCK_PORTS_MAX];
	uint32_t n_conns; /* entries of conns from here on were never used */
	struct vsock_conn conns[VSOCK_CONNS_MAX];
	uint32_t n_resets;
	struct vsock_reset resets[VSOCK_RESETS_MAX]; /* RST packets that wait for a receive buffer */
	/* Scratch space of one turn. */
	struct iovec chain_iov[VQ_SIZE_MAX];
	struct iovec data_iov[VQ_SIZE_MAX];
	struct vsock_slot slots[VSOCK_BATCH_MAX];
	uint8_t (*backlogs)[VSOCK_BACKLOG_BYTES]; /* one per connection, mapped, touched only when used */
};

/* The connection between two ports, or NULL. */
struct vsock_conn *vsock_conn_find(struct vsock_table *table, uint32_t guest_port, uint32_t host_port);

/*
 * Turn the allow-list entry of host_port into a connection. NULL if there is none, or no room. fn: socket
 * events.
 */
struct vsock_conn *vsock_conn_open(
	struct virtio_vsock *vsock, uint32_t guest_port, uint32_t host_port, loop_fn *fn);

/* The guest is done with it: send what is left to the socket, then close it. */
void vsock_conn_release(struct vsock_conn *conn);

/* Close and forget at once. */
void vsock_conn_close(struct vsock_conn *conn);

/* Payload from the guest. 0; -ENOBUFS: more than its credit; -EPIPE: it had said that there would be none. */
int vsock_conn_send(struct vsock_conn *conn, struct giov *data);

/* The socket takes something again. */
void vsock_conn_flush(struct vsock_conn *conn);

/* Fill iov from the socket. Bytes, or 0 if there is nothing (any more), with the state changed to match. */
size_t vsock_conn_receive(struct vsock_conn *conn, struct iovec *iov, uint32_t n_iov, size_t room_bytes);

/* The guest's SHUTDOWN (VIRTIO_VSOCK_SHUTDOWN_*). */
void vsock_conn_shutdown(struct vsock_conn *conn, uint32_t flags);

/* Take over what a packet says about credit. 0, or -EPROTO if it cannot be. */
int vsock_conn_credit(struct vsock_conn *conn, uint32_t peer_alloc, uint32_t peer_forwarded);

/* How many bytes the guest has room for. */
uint32_t vsock_conn_room(const struct vsock_conn *conn);

#endif
