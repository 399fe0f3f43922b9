// SPDX-License-Identifier: Apache-2.0
/* The driver's half of virtio-vsock (virtio 1.2 section 5.10). */
#ifndef MVRUN_TESTS_HOSTILE_DRIVER_VSOCK_H
#define MVRUN_TESTS_HOSTILE_DRIVER_VSOCK_H

#include "tests/hostile/driver/driver.h"

#include <linux/virtio_vsock.h>

#define VSOCK_ALLOC_BYTES 0x10000u

/* The header of a packet without payload, as it should be. */
struct virtio_vsock_hdr vsock_header(struct hostile *h, uint16_t op, uint32_t guest_port, uint32_t host_port);

/*
 * Send a packet with whatever payload lies in the usual place, or bytes that need not be one. False: not
 * taken.
 */
bool vsock_send(struct hostile *h, const struct virtio_vsock_hdr *header);
bool vsock_send_raw(struct hostile *h, const void *bytes, uint32_t header_bytes, const struct buffer *data);
bool vsock_op(struct hostile *h, uint16_t op, uint32_t guest_port, uint32_t host_port, uint32_t flags);

/* Give the device receive buffers, once in a life. */
void vsock_rx_fill(struct hostile *h);

/* The next packet for guest_port, what of its payload fits in payload. False if none comes. */
bool vsock_await(struct hostile *h, uint32_t guest_port, struct virtio_vsock_hdr *header, uint8_t *payload,
	uint32_t cap);
/* Packets for guest_port until one is op; false if there is none, or an RST instead. */
bool vsock_await_op(struct hostile *h, uint32_t guest_port, uint16_t op);

/* A port that no connection has had. */
uint32_t vsock_port_new(struct hostile *h);
/* The host port of a new connection, 0 if none was to be had. */
uint32_t vsock_connect(struct hostile *h, uint32_t guest_port);
bool vsock_echo(struct hostile *h, uint32_t guest_port, uint32_t host_port);
bool vsock_close(struct hostile *h, uint32_t guest_port, uint32_t host_port);

#endif
