// SPDX-License-Identifier: Apache-2.0
/* A socket device between a guest's driver and a host's socket, for the tests of virtio/vsock. */
#ifndef MVRUN_TESTS_UNIT_VSOCK_BENCH_H
#define MVRUN_TESTS_UNIT_VSOCK_BENCH_H

#include "tests/unit/fake_driver.h"
#include "virtio/vsock.h"
#include "virtio/vsock_conn.h"

#include <linux/virtio_vsock.h>
#include <stdbool.h>
#include <stdint.h>

enum { RX, TX, EVENT };

#define CID 3
#define GUEST_PORT 5000
#define HOST_PORT 1024
#define HEADER 44u
#define RX_BUFFER 4096u
#define RX_BUFFERS 32
#define GUEST_ALLOC (256u << 10)
#define NO_FLAGS 0u

struct bench {
	struct fake_driver fake;
	struct virtio_vsock vsock;
	int host; /* the far end of the allowed port */
	uint64_t tx_header, tx_data;
	uint64_t rx[RX_BUFFERS];
	uint32_t rx_posted;
	uint32_t taken; /* payload bytes taken from the device, ever (the guest's fwd_cnt) */
	uint32_t alloc;
};

/* For cmocka: a fresh bench, in *state, with one allowed port. */
int bench_setup(void **state);
int bench_teardown(void **state);
void bench_host_close(struct bench *bench);

/* ---- the guest's driver ---- */

struct virtio_vsock_hdr bench_packet(struct bench *bench, uint16_t op, uint32_t len, uint32_t flags);
/*
 * Queue a packet whose payload is the first header->len bytes at tx_data. Each has its own header in guest
 * memory.
 */
void bench_tx_add(struct bench *bench, const struct virtio_vsock_hdr *header, uint32_t payload);
/* The same with a kick, seeing that it is taken: an honest packet, or any. */
void bench_tx(struct bench *bench, uint16_t op, uint32_t len, uint32_t flags);
void bench_tx_raw(struct bench *bench, struct virtio_vsock_hdr header, uint32_t payload);
/* Post n receive buffers. */
void bench_rx_post(struct bench *bench, int n);
/* The next packet from the device, *payload pointing into guest memory. */
bool bench_rx_take(struct bench *bench, struct virtio_vsock_hdr *header, uint8_t **payload);
struct virtio_vsock_hdr bench_rx_expect(struct bench *bench, uint16_t op);
void bench_rx_expect_nothing(struct bench *bench);

/* ---- both sides ---- */

void bench_open_connection(struct bench *bench);
const struct vsock_conn *bench_conn(struct bench *bench);
/* The connection was answered with RST, and the host sees its end. */
void bench_expect_reset(struct bench *bench);
/* Fill the socket and the backlog: all of the guest's credit. The bytes that were sent. */
uint32_t bench_stall(struct bench *bench);
/* Read everything on the host side and check it. */
void bench_drain(struct bench *bench, uint32_t total);

#endif
