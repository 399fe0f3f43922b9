// SPDX-License-Identifier: Apache-2.0
/* Requests that must succeed: how the driver knows that a device still does its work. */
#include "tests/hostile/driver/driver.h"

#define CONSOLE_RX 0
#define CONSOLE_TX 1
#define RNG_BYTES 32u
#define LINE_BYTES 16u

uint16_t queue_main(const struct hostile *h)
{
	return h->dev.id == VIRTIO_ID_CONSOLE || h->dev.id == VIRTIO_ID_VSOCK ? 1 : 0;
}

uint16_t queue_main_flags(const struct hostile *h)
{
	return queue_main(h) ? 0 : F_WRITE;
}

/* The last descriptor of a queue, which cases leave alone. */
static uint16_t desc_last(const struct hostile *h, uint16_t queue)
{
	return (uint16_t)(h->dev.queues[queue].size - 1);
}

/* Bytes come, as many as were asked for, and not the same ones as before. */
static bool rng_good(struct hostile *h)
{
	uint64_t *data = host_at(h, gpa_at(h, PLACE_GOOD));
	uint16_t head = desc_last(h, 0);
	uint64_t last = data[0];
	uint32_t used = 0;

	data[0] = data[RNG_BYTES / 8 - 1] = 0;
	chain_send(h, 0, head, &(struct buffer){gpa_at(h, PLACE_GOOD), RNG_BYTES, F_WRITE}, 1);
	if (!ring_await(h, 0, head, &used) || used != RNG_BYTES)
		return false;
	return data[0] && data[0] != last && data[RNG_BYTES / 8 - 1];
}

static void line_make(struct hostile *h, char *line)
{
	uint32_t value = ++h->serial;

	for (uint32_t i = 0; i < LINE_BYTES - 1; i++, value /= 10)
		line[LINE_BYTES - 2 - i] = (char)(i < 10 ? '0' + value % 10 : '>');
	line[LINE_BYTES - 1] = '\n';
}

/*
 * A line goes out, and where the machine has a far end, it arrives there and one that is sent back comes
 * in.
 */
static bool console_good(struct hostile *h)
{
	uint64_t out_gpa = gpa_at(h, PLACE_GOOD), in_gpa = out_gpa + PAGE_BYTES;
	char *out = host_at(h, out_gpa), *in = host_at(h, in_gpa);
	uint16_t head = desc_last(h, CONSOLE_TX);
	uint32_t used = 1;

	line_make(h, out);
	chain_send(h, CONSOLE_TX, head, &(struct buffer){out_gpa, LINE_BYTES, 0}, 1);
	if (!ring_await(h, CONSOLE_TX, head, &used) || used)
		return false;
	if (!h->ops->console_got)
		return true;
	if (!h->ops->console_got(h->ctx, out, LINE_BYTES))
		return false;
	head = desc_last(h, CONSOLE_RX);
	h->ops->console_send(h->ctx, out, LINE_BYTES);
	chain_send(h, CONSOLE_RX, head, &(struct buffer){in_gpa, LINE_BYTES, F_WRITE}, 1);
	if (!ring_await(h, CONSOLE_RX, head, &used) || used != LINE_BYTES)
		return false;
	for (uint32_t i = 0; i < LINE_BYTES; i++) {
		if (in[i] != out[i])
			return false;
	}
	return true;
}

bool device_good(struct hostile *h)
{
	switch (h->dev.id) {
	case VIRTIO_ID_BLOCK:
		return blk_good(h);
	case VIRTIO_ID_CONSOLE:
		return console_good(h);
	case VIRTIO_ID_RNG:
		return rng_good(h);
	case VIRTIO_ID_VSOCK:
		return vsock_good(h);
	default:
		return false;
	}
}

bool hostile_revive(struct hostile *h)
{
	bool good;

	h->n_revivals++;
	if (!device_up(h, UINT64_MAX, UINT16_MAX)) {
		complain(h, "the device does not come up after a reset", status_get(h));
		return false;
	}
	good = device_good(h);
	expect(h, good, "the device does not do its work after a reset", status_get(h));
	return good;
}
