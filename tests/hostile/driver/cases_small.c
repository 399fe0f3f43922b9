// SPDX-License-Identifier: Apache-2.0
/* Section 1.3 of the catalogue: entropy and console. */
#include "tests/hostile/driver/driver.h"

#define RNG_REQUEST_MAX 0x10000u
#define FLOOD_BYTES 0x20000u
#define FLOODS 24u
#define CONSOLE_RX 0
#define CONSOLE_TX 1

/* R1: whatever is asked for, one request gives 64 KiB at most, and so many requests take their time. */
static enum outcome r1_large(struct hostile *h)
{
	uint64_t gpa = gpa_at(h, PLACE_FREE);
	uint32_t used = 0;

	chain_send(h, 0, 0, &(struct buffer){gpa, 2 * RNG_REQUEST_MAX, F_WRITE}, 1);
	expect(h, ring_await(h, 0, 0, &used) && used && used <= RNG_REQUEST_MAX, "a large request", used);
	return LIVES;
}

static enum outcome r1_flood(struct hostile *h)
{
	uint64_t gpa = gpa_at(h, PLACE_FREE);
	uint16_t size = h->dev.queues[0].size;

	/* More than the device gives in one go: some have to wait, and a reset does not wait for them. */
	for (uint16_t i = 0; i < size; i++) {
		desc_put(h, 0, i, (struct vring_desc){gpa, RNG_REQUEST_MAX, F_WRITE, 0});
		ring_offer(h, 0, i);
	}
	ring_kick(h, 0);
	settle(h);
	device_reset(h);
	return EITHER;
}

/* C1: a flood, as chains of all sizes, without a line's end. */
static enum outcome c1_flood(struct hostile *h)
{
	uint64_t gpa = gpa_at(h, PLACE_FREE);
	uint8_t *data = host_at(h, gpa);
	uint32_t used;

	for (uint32_t i = 0; i < FLOOD_BYTES; i++)
		data[i] = (uint8_t)(i % 3 ? 0x1b : 0);
	for (uint32_t i = 0; i < FLOODS; i++) {
		const struct buffer chain[] = {
			{gpa, FLOOD_BYTES - i, 0}, {gpa + i, 1, 0}, {gpa, FLOOD_BYTES / 2, 0}};

		chain_send(h, CONSOLE_TX, 0, chain, 3);
		expect(h, ring_await(h, CONSOLE_TX, 0, &used) && !used, "a flood", i);
	}
	return LIVES;
}

/* C1: as much as 32 bits can say at once; memory is not that large, so all of it is the same. */
static enum outcome c1_huge(struct hostile *h)
{
	uint64_t gpa = gpa_at(h, PLACE_FREE);
	uint32_t bytes = (uint32_t)(HOSTILE_MEMORY_BYTES - PLACE_FREE);
	uint16_t n = h->dev.queues[CONSOLE_TX].size;
	uint32_t used;

	for (uint16_t i = 0; i < n; i++)
		desc_put(h, CONSOLE_TX, i,
			(struct vring_desc){
				gpa, bytes, (uint16_t)(i + 1 < n ? F_NEXT : 0), (uint16_t)(i + 1)});
	ring_offer(h, CONSOLE_TX, 0);
	ring_kick(h, CONSOLE_TX);
	expect(h, ring_await(h, CONSOLE_TX, 0, &used) && !used, "hundreds of MiB at once", bytes);
	return LIVES;
}

/* C2: input nobody has asked for, then buffers for it, one byte each. */
static enum outcome c2_input(struct hostile *h)
{
	static const char text[] = "0123456789abcdef";
	uint16_t size = h->dev.queues[CONSOLE_RX].size;
	uint32_t got = 0, used;
	uint16_t head;

	if (!h->ops->console_send)
		return LIVES;
	h->ops->console_send(h->ctx, text, sizeof(text) - 1);
	settle(h);
	for (uint16_t i = 0; i < size && got < sizeof(text) - 1; i++) {
		desc_put(h, CONSOLE_RX, i, (struct vring_desc){gpa_at(h, PLACE_FREE) + i, 1, F_WRITE, 0});
		ring_offer(h, CONSOLE_RX, i);
		ring_kick(h, CONSOLE_RX);
		settle(h);
		while (ring_take(h, CONSOLE_RX, &head, &used))
			got += used;
	}
	expect(h, got == sizeof(text) - 1, "input byte by byte", got);
	return LIVES;
}

/* C2: a receive buffer that is not there, with input for it. */
static enum outcome c2_bad_buffer(struct hostile *h)
{
	if (!h->ops->console_send)
		return LIVES;
	h->ops->console_send(h->ctx, "x", 1);
	chain_send(h, CONSOLE_RX, 0, &(struct buffer){memory_end(h) - 1, 2, F_WRITE}, 1);
	return BREAKS;
}

/* Buffers for input that cannot take any. */
static enum outcome c2_read_only_buffer(struct hostile *h)
{
	uint32_t used = 1;

	if (!h->ops->console_send)
		return LIVES;
	chain_send(h, CONSOLE_RX, 0, &(struct buffer){h->memory_gpa, 64, 0}, 1);
	expect(h, ring_await(h, CONSOLE_RX, 0, &used) && !used, "a receive buffer that may only be read",
		used);
	return LIVES;
}

/* C4: there are no control queues, so their numbers mean nothing. */
static enum outcome c4_control(struct hostile *h)
{
	for (uint32_t i = 2; i < 8; i++) {
		reg_put(h, VIRTIO_MMIO_QUEUE_SEL, i);
		expect(h, !reg_get(h, VIRTIO_MMIO_QUEUE_NUM_MAX), "a control queue", i);
		ring_kick(h, i);
	}
	return LIVES;
}

const struct hostile_case cases_small[] = {
	{"R1 large", VIRTIO_ID_RNG, r1_large},
	{"R1 flood", VIRTIO_ID_RNG, r1_flood},
	{"C1 flood", VIRTIO_ID_CONSOLE, c1_flood},
	{"C1 huge", VIRTIO_ID_CONSOLE, c1_huge},
	{"C2 input", VIRTIO_ID_CONSOLE, c2_input},
	{"C2 bad buffer", VIRTIO_ID_CONSOLE, c2_bad_buffer},
	{"C2 read-only buffer", VIRTIO_ID_CONSOLE, c2_read_only_buffer},
	{"C4 control", VIRTIO_ID_CONSOLE, c4_control},
	CASES_END,
};
