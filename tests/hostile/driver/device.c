// SPDX-License-Identifier: Apache-2.0
/* Registers, rings, and the way from reset to DRIVER_OK as an honest driver goes it. */
#include "tests/hostile/driver/driver.h"

#define FEATURES_ALL UINT64_MAX

uint32_t reg_get(struct hostile *h, uint32_t offset)
{
	return (uint32_t)h->ops->read(h->ctx, h->dev.slot, offset, 4);
}

void reg_put(struct hostile *h, uint32_t offset, uint32_t value)
{
	h->ops->write(h->ctx, h->dev.slot, offset, value, 4);
}

uint32_t status_get(struct hostile *h)
{
	return reg_get(h, VIRTIO_MMIO_STATUS);
}

void settle(struct hostile *h)
{
	(void)h->ops->wait(h->ctx, 0);
}

void complain(struct hostile *h, const char *what, uint64_t detail)
{
	h->n_failures++;
	h->ops->failed(h->ctx, h->name, what, detail);
}

void device_reset(struct hostile *h)
{
	reg_put(h, VIRTIO_MMIO_STATUS, 0);
	expect(h, status_get(h) == 0, "status after a reset", status_get(h));
	for (int i = 0; i < HOSTILE_QUEUES; i++)
		h->dev.queues[i] = (struct hostile_queue){0};
	h->dev.rx_posted = 0;
}

static void feature_word(struct hostile *h, uint32_t sel, uint32_t value)
{
	reg_put(h, VIRTIO_MMIO_DRIVER_FEATURES_SEL, sel);
	reg_put(h, VIRTIO_MMIO_DRIVER_FEATURES, value);
}

void device_negotiate(struct hostile *h, uint64_t features)
{
	h->dev.accepted = features & h->dev.offered;
	device_reset(h);
	reg_put(h, VIRTIO_MMIO_STATUS, 1);
	reg_put(h, VIRTIO_MMIO_STATUS, STATUS_DRIVER);
	feature_word(h, 1, (uint32_t)(h->dev.accepted >> 32));
	feature_word(h, 0, (uint32_t)h->dev.accepted);
	reg_put(h, VIRTIO_MMIO_STATUS, STATUS_FEATURES_OK);
}

static void zero(struct hostile *h, uint64_t gpa, uint64_t bytes)
{
	volatile uint64_t *words = host_at(h, gpa);

	for (uint64_t i = 0; i < bytes / sizeof(*words); i++)
		words[i] = 0;
}

void queue_place(struct hostile *h, uint16_t queue, uint16_t size)
{
	uint64_t gpa = gpa_at(h, PLACE_QUEUES + (uint64_t)queue * RING_BYTES);

	zero(h, gpa, RING_BYTES);
	h->dev.queues[queue] = (struct hostile_queue){
		.size = size,
		.desc_gpa = gpa,
		.avail_gpa = gpa + RING_AVAIL,
		.used_gpa = gpa + RING_USED,
	};
}

static void address_tell(struct hostile *h, uint32_t low, uint64_t gpa)
{
	reg_put(h, low, (uint32_t)gpa);
	reg_put(h, low + 4, (uint32_t)(gpa >> 32));
}

void queue_tell(struct hostile *h, uint16_t queue)
{
	const struct hostile_queue *q = &h->dev.queues[queue];

	reg_put(h, VIRTIO_MMIO_QUEUE_SEL, queue);
	reg_put(h, VIRTIO_MMIO_QUEUE_NUM, q->size);
	address_tell(h, VIRTIO_MMIO_QUEUE_DESC_LOW, q->desc_gpa);
	address_tell(h, VIRTIO_MMIO_QUEUE_AVAIL_LOW, q->avail_gpa);
	address_tell(h, VIRTIO_MMIO_QUEUE_USED_LOW, q->used_gpa);
	reg_put(h, VIRTIO_MMIO_QUEUE_READY, 1);
}

bool device_up(struct hostile *h, uint64_t features, uint16_t size)
{
	device_negotiate(h, features | UINT64_C(1) << VIRTIO_F_VERSION_1);
	for (uint16_t i = 0; i < h->dev.n_queues; i++) {
		uint16_t max = h->dev.size_max[i];

		queue_place(h, i, size < max ? size : max);
		queue_tell(h, i);
	}
	reg_put(h, VIRTIO_MMIO_STATUS, STATUS_UP);
	return status_get(h) == STATUS_UP;
}

/* ---- rings ---- */

volatile struct vring_desc *desc_at(struct hostile *h, uint16_t queue, uint16_t index)
{
	return (volatile struct vring_desc *)host_at(h, h->dev.queues[queue].desc_gpa) + index;
}

void desc_put(struct hostile *h, uint16_t queue, uint16_t index, struct vring_desc desc)
{
	volatile struct vring_desc *to = desc_at(h, queue, index);

	to->addr = desc.addr;
	to->len = desc.len;
	to->flags = desc.flags;
	to->next = desc.next;
}

static uint16_t *ring_avail(struct hostile *h, uint16_t queue)
{
	return host_at(h, h->dev.queues[queue].avail_gpa);
}

static uint16_t *ring_used(struct hostile *h, uint16_t queue)
{
	return host_at(h, h->dev.queues[queue].used_gpa);
}

void ring_set_idx(struct hostile *h, uint16_t queue, uint16_t idx)
{
	h->dev.queues[queue].avail_idx = idx;
	__atomic_store_n(&ring_avail(h, queue)[1], idx, __ATOMIC_SEQ_CST);
}

void ring_set_used_event(struct hostile *h, uint16_t queue, uint16_t value)
{
	__atomic_store_n(&ring_avail(h, queue)[2 + h->dev.queues[queue].size], value, __ATOMIC_SEQ_CST);
}

void ring_offer(struct hostile *h, uint16_t queue, uint16_t head)
{
	struct hostile_queue *q = &h->dev.queues[queue];

	__atomic_store_n(&ring_avail(h, queue)[2 + q->avail_idx % q->size], head, __ATOMIC_RELAXED);
	ring_set_idx(h, queue, (uint16_t)(q->avail_idx + 1));
}

void ring_kick(struct hostile *h, uint32_t value)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	reg_put(h, VIRTIO_MMIO_QUEUE_NOTIFY, value);
}

void chain_send(struct hostile *h, uint16_t queue, uint16_t first, const struct buffer *buffers, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		desc_put(h, queue, (uint16_t)(first + i),
			(struct vring_desc){
				.addr = buffers[i].gpa,
				.len = buffers[i].len,
				.flags = (uint16_t)(buffers[i].flags | (i + 1 < n ? F_NEXT : 0)),
				.next = (uint16_t)(first + i + 1),
			});
	ring_offer(h, queue, first);
	ring_kick(h, queue);
}

bool ring_take(struct hostile *h, uint16_t queue, uint16_t *head, uint32_t *len)
{
	struct hostile_queue *q = &h->dev.queues[queue];
	uint16_t *used = ring_used(h, queue);
	uint32_t *element = (uint32_t *)(void *)(used + 2) + 2 * (q->used_seen % q->size);

	if (__atomic_load_n(&used[1], __ATOMIC_ACQUIRE) == q->used_seen)
		return false;
	*head = (uint16_t)__atomic_load_n(&element[0], __ATOMIC_RELAXED);
	*len = __atomic_load_n(&element[1], __ATOMIC_RELAXED);
	q->used_seen++;
	return true;
}

bool ring_await(struct hostile *h, uint16_t queue, uint16_t head, uint32_t *len)
{
	uint32_t dropped;
	uint16_t got;

	for (unsigned int round = 0; h->ops->wait(h->ctx, round); round++) {
		while (ring_take(h, queue, &got, len ? len : &dropped)) {
			if (got == head)
				return true;
		}
		if (status_get(h) & S_BROKEN)
			return false;
	}
	return false;
}

bool device_await_broken(struct hostile *h)
{
	for (unsigned int round = 0; h->ops->wait(h->ctx, round); round++) {
		if (status_get(h) & S_BROKEN)
			return true;
	}
	return false;
}

/* ---- choosing a device ---- */

static void config_read(struct hostile *h)
{
	struct hostile_device *dev = &h->dev;

	if (dev->id == VIRTIO_ID_BLOCK)
		dev->sectors = reg_get(h, VIRTIO_MMIO_CONFIG) | (uint64_t)reg_get(h, VIRTIO_MMIO_CONFIG + 4)
									<< 32;
	if (dev->id == VIRTIO_ID_VSOCK)
		dev->cid = reg_get(h, VIRTIO_MMIO_CONFIG);
}

bool hostile_choose(struct hostile *h, unsigned int slot)
{
	struct hostile_device *dev = &h->dev;

	*dev = (struct hostile_device){.slot = slot};
	if (reg_get(h, VIRTIO_MMIO_MAGIC_VALUE) != 0x74726976 || reg_get(h, VIRTIO_MMIO_VERSION) != 2)
		return false;
	dev->id = reg_get(h, VIRTIO_MMIO_DEVICE_ID);
	reg_put(h, VIRTIO_MMIO_STATUS, 0);
	reg_put(h, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	dev->offered = (uint64_t)reg_get(h, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
	reg_put(h, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	dev->offered |= reg_get(h, VIRTIO_MMIO_DEVICE_FEATURES);
	while (dev->n_queues < HOSTILE_QUEUES) {
		reg_put(h, VIRTIO_MMIO_QUEUE_SEL, dev->n_queues);
		dev->size_max[dev->n_queues] = (uint16_t)reg_get(h, VIRTIO_MMIO_QUEUE_NUM_MAX);
		if (!dev->size_max[dev->n_queues])
			break;
		dev->n_queues++;
	}
	config_read(h);
	return dev->id != 0;
}
