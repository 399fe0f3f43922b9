// SPDX-License-Identifier: Apache-2.0
/*
 * What goes on until the machine is stopped: a good guest's work (the neighbour), floods of output and
 * doorbells.
 */
#include "tests/hostile/driver/vsock.h"
#include "tests/hostile/kernel/kernel.h"

#define ECHO_CAP 4096u
#define TX 1

/* Send what came in back; false when the connection is over. */
static bool echo_once(struct hostile *h, uint32_t guest_port, uint32_t host_port, uint32_t *forwarded)
{
	struct virtio_vsock_hdr in, out = vsock_header(h, VIRTIO_VSOCK_OP_RW, guest_port, host_port);

	if (!vsock_await(h, guest_port, &in, host_at(h, gpa_at(h, PLACE_GOOD + PAGE_BYTES)), ECHO_CAP))
		return true;
	if (in.op != VIRTIO_VSOCK_OP_RW)
		return in.op != VIRTIO_VSOCK_OP_RST && in.op != VIRTIO_VSOCK_OP_SHUTDOWN;
	*forwarded += in.len;
	out.len = in.len;
	out.fwd_cnt = *forwarded;
	return vsock_send(h, &out);
}

void echo_for_ever(struct kernel *kernel)
{
	struct hostile *h = &kernel->attacker;

	h->name = "echo";
	kernel->patient = true;
	hostile_choose(h, SLOT_VSOCK);
	for (;;) {
		uint32_t guest_port = vsock_port_new(h), host_port, forwarded = 0;

		device_up(h, UINT64_MAX, UINT16_MAX);
		host_port = vsock_connect(h, guest_port);
		report_words(kernel, host_port ? "@echo" : "@FAIL no connection");
		while (host_port && echo_once(h, guest_port, host_port, &forwarded))
			;
	}
}

void flood_for_ever(struct kernel *kernel)
{
	struct hostile *h = &kernel->attacker;
	uint32_t used;

	h->name = "flood";
	hostile_choose(h, SLOT_CONSOLE);
	device_up(h, UINT64_MAX, UINT16_MAX);
	for (;;) {
		chain_send(h, TX, 0, &(struct buffer){h->memory_gpa, HOSTILE_CONSTANT_BYTES, 0}, 1);
		(void)ring_await(h, TX, 0, &used);
	}
}

void kick_for_ever(struct kernel *kernel)
{
	struct hostile *h = &kernel->attacker;

	h->name = "kicks";
	for (unsigned int slot = 0; slot < SLOTS_MAX && hostile_choose(h, slot); slot++)
		device_up(h, UINT64_MAX, UINT16_MAX);
	for (uint32_t i = 0;; i++)
		h->ops->write(h->ctx, i % 4, VIRTIO_MMIO_QUEUE_NOTIFY, i / 4 % 5, 4);
}
