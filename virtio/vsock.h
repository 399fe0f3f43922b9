// SPDX-License-Identifier: Apache-2.0
/*
 * Socket device (virtio 1.2 section 5.10): stream connections that the guest makes to ports of host CID 2.
 *
 * Theory of operation. A port is an entry in an allow-list: a number and an already connected stream socket.
 * The first REQUEST for it becomes the connection and uses the entry up; a REQUEST for anything else is
 * answered with RST. There are no connections the other way round. So there is nothing half-open to time out,
 * and no path, address or name is ever made from a number the guest chose.
 *
 * To the guest: bytes are read from the socket directly into the guest's receive buffers, as many buffers per
 * system call as its credit allows. The socket is watched edge-triggered, so a guest without credit or
 * buffers costs nothing. From the guest: payload is written from the guest's pages directly to the socket.
 * What the socket does not take is kept, at most VSOCK_BACKLOG_BYTES per connection, which is also exactly
 * the credit the guest is given, so a guest that obeys can never be ahead of the room there is, and one that
 * does not is reset.
 *
 * Half-close: the peer's end of file becomes SHUTDOWN(send); the guest's SHUTDOWN(send) becomes
 * shutdown(SHUT_WR) behind the last byte kept for the socket. No memory is allocated after start.
 */
#ifndef MVRUN_VIRTIO_VSOCK_H
#define MVRUN_VIRTIO_VSOCK_H

#include "virtio/device.h"

#define VSOCK_CID_HOST 2
#define VSOCK_CID_GUEST_MIN 3
#define VSOCK_PORTS_MAX 32
#define VSOCK_CONNS_MAX 64
#define VSOCK_BACKLOG_BYTES (64u << 10)
#define VSOCK_CREDIT_MAX_BYTES (256u << 10)
#define VSOCK_RX_QUEUE_SIZE 128
#define VSOCK_TX_QUEUE_SIZE 128
#define VSOCK_EVENT_QUEUE_SIZE 16

struct vsock_table;

struct virtio_vsock {
	struct virtio_device dev;
	struct vsock_table *table; /* ports and connections */
	uint64_t first_connect_us; /* CLOCK_MONOTONIC, 0 before: when the guest made its first connection */
};

/*
 * Caller's storage, zeroed, which must stay where it is. 0; -EINVAL for a CID no guest may have; -errno.
 * Nothing is left to undo on failure. Loop thread.
 */
int virtio_vsock_init(struct virtio_vsock *vsock, const struct virtio_wiring *wiring, uint32_t guest_cid);
void virtio_vsock_done(struct virtio_vsock *vsock);

/*
 * Allow the guest one connection to port, to be carried by the connected AF_UNIX stream socket fd, which is
 * used without blocking whatever its flags say, and belongs to the device when this succeeds. 0;
 * -EEXIST if the port is allowed already; -ENOSPC when the table is full. Loop thread.
 */
int virtio_vsock_allow(struct virtio_vsock *vsock, uint32_t port, int fd);

#endif
