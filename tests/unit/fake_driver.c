// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/fake_driver.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define RUN_TURNS_MAX 10000

/* Guest memory between inaccessible pages: a step outside ends the test. */
static uint8_t *guarded(size_t len)
{
	uint8_t *area = mmap(NULL, len + 2 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert(area != MAP_FAILED);
	assert(mprotect(area + 4096, len, PROT_READ | PROT_WRITE) == 0);
	return area + 4096;
}

static void guarded_free(uint8_t *area, size_t len)
{
	munmap(area - 4096, len + 2 * 4096);
}

void fake_init(struct fake_driver *fake)
{
	*fake = (struct fake_driver){.next_gpa = FAKE_RAM_BASE};
	fake->ram = guarded(FAKE_RAM_BYTES);
	fake->high = guarded(FAKE_HIGH_BYTES);
	fake->page = guarded(VIRTIO_MMIO_PAGE_BYTES);
	fake->irq_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert(fake->irq_fd >= 0);
	assert(loop_init(&fake->loop) == 0);
	assert(gmem_add(&fake->mem, gpa_of(FAKE_RAM_BASE), fake->ram, FAKE_RAM_BYTES) == 0);
	assert(gmem_add(&fake->mem, gpa_of(FAKE_HIGH_BASE), fake->high, FAKE_HIGH_BYTES) == 0);
}

void fake_done(struct fake_driver *fake)
{
	loop_done(&fake->loop);
	close(fake->irq_fd);
	guarded_free(fake->ram, FAKE_RAM_BYTES);
	guarded_free(fake->high, FAKE_HIGH_BYTES);
	guarded_free(fake->page, VIRTIO_MMIO_PAGE_BYTES);
}

struct virtio_wiring fake_wiring(struct fake_driver *fake)
{
	return (struct virtio_wiring){
		.mem = &fake->mem,
		.loop = &fake->loop,
		.page = fake->page,
		.irq_fd = fake->irq_fd,
	};
}

uint32_t fake_reg(const struct fake_driver *fake, uint32_t offset)
{
	uint32_t value;

	virtio_mmio_read(fake->dev, offset, &value, sizeof(value));
	return value;
}

void fake_set(struct fake_driver *fake, uint32_t offset, uint32_t value)
{
	virtio_mmio_write(fake->dev, offset, &value, sizeof(value));
}

uint32_t fake_status(const struct fake_driver *fake)
{
	return fake_reg(fake, VIRTIO_MMIO_STATUS);
}

uint64_t fake_features(struct fake_driver *fake)
{
	uint64_t features;

	fake_set(fake, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	features = (uint64_t)fake_reg(fake, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
	fake_set(fake, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	return features | fake_reg(fake, VIRTIO_MMIO_DEVICE_FEATURES);
}

void fake_negotiate(struct fake_driver *fake, struct virtio_device *dev, uint64_t mask)
{
	uint64_t accept;

	if (fake->dev != dev)
		fake->dev = dev;
	accept = fake_features(fake) & mask;
	fake_set(fake, VIRTIO_MMIO_STATUS, 0);
	fake_set(fake, VIRTIO_MMIO_STATUS, 1);
	fake_set(fake, VIRTIO_MMIO_STATUS, 3);
	fake_set(fake, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	fake_set(fake, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(accept >> 32));
	fake_set(fake, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	fake_set(fake, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)accept);
	fake_set(fake, VIRTIO_MMIO_STATUS, 11);
}

void fake_queue_place(struct fake_driver *fake, uint16_t queue, uint16_t size)
{
	fake->queues[queue] = (struct fake_queue){
		.size = size,
		.desc_gpa = fake_alloc(fake, 16u * size),
		.avail_gpa = fake_alloc(fake, 6u + 2u * size),
		.used_gpa = fake_alloc(fake, 6u + 8u * size),
	};
}

static void addr_set(struct fake_driver *fake, uint32_t low_offset, uint64_t gpa)
{
	fake_set(fake, low_offset, (uint32_t)gpa);
	fake_set(fake, low_offset + 4, (uint32_t)(gpa >> 32));
}

void fake_queue_configure(struct fake_driver *fake, uint16_t queue)
{
	const struct fake_queue *q = &fake->queues[queue];

	fake_set(fake, VIRTIO_MMIO_QUEUE_SEL, queue);
	fake_set(fake, VIRTIO_MMIO_QUEUE_NUM, q->size);
	addr_set(fake, VIRTIO_MMIO_QUEUE_DESC_LOW, q->desc_gpa);
	addr_set(fake, VIRTIO_MMIO_QUEUE_AVAIL_LOW, q->avail_gpa);
	addr_set(fake, VIRTIO_MMIO_QUEUE_USED_LOW, q->used_gpa);
	fake_set(fake, VIRTIO_MMIO_QUEUE_READY, 1);
}

void fake_driver_ok(struct fake_driver *fake)
{
	fake_set(fake, VIRTIO_MMIO_STATUS, 15);
	fake_run(fake);
}

void fake_up(struct fake_driver *fake, struct virtio_device *dev, uint16_t n_queues, uint16_t size)
{
	fake_negotiate(fake, dev, UINT64_MAX);
	assert(fake_status(fake) == 11);
	for (uint16_t i = 0; i < n_queues; i++) {
		uint32_t max;

		fake_set(fake, VIRTIO_MMIO_QUEUE_SEL, i);
		max = fake_reg(fake, VIRTIO_MMIO_QUEUE_NUM_MAX);
		fake_queue_place(fake, i, size < max ? size : (uint16_t)max);
		fake_queue_configure(fake, i);
	}
	fake_driver_ok(fake);
	assert(fake_status(fake) == 15);
}

uint64_t fake_alloc(struct fake_driver *fake, uint64_t len)
{
	uint64_t gpa = fake->next_gpa;

	fake->next_gpa = (gpa + len + 15) & ~UINT64_C(15);
	assert(fake->next_gpa <= FAKE_RAM_BASE + FAKE_RAM_BYTES);
	memset(fake_host(fake, gpa), 0, len);
	return gpa;
}

void *fake_host(struct fake_driver *fake, uint64_t gpa)
{
	return gpa < FAKE_HIGH_BASE ? fake->ram + (gpa - FAKE_RAM_BASE) : fake->high + (gpa - FAKE_HIGH_BASE);
}

struct vring_desc *fake_desc(struct fake_driver *fake, uint16_t queue, uint16_t index)
{
	return (struct vring_desc *)fake_host(fake, fake->queues[queue].desc_gpa) + index;
}

uint16_t *fake_avail(struct fake_driver *fake, uint16_t queue)
{
	return fake_host(fake, fake->queues[queue].avail_gpa);
}

uint16_t *fake_used(struct fake_driver *fake, uint16_t queue)
{
	return fake_host(fake, fake->queues[queue].used_gpa);
}

uint16_t *fake_used_event(struct fake_driver *fake, uint16_t queue)
{
	return fake_avail(fake, queue) + 2 + fake->queues[queue].size;
}

uint16_t *fake_avail_event(struct fake_driver *fake, uint16_t queue)
{
	return fake_used(fake, queue) + 2 + 4 * (size_t)fake->queues[queue].size;
}

void fake_offer(struct fake_driver *fake, uint16_t queue, uint16_t head)
{
	struct fake_queue *q = &fake->queues[queue];
	uint16_t *avail = fake_avail(fake, queue);

	avail[2 + q->avail_idx % q->size] = head;
	q->avail_idx++;
	__atomic_store_n(&avail[1], q->avail_idx, __ATOMIC_RELEASE);
}

uint16_t fake_add(struct fake_driver *fake, uint16_t queue, const struct fake_buffer *buffers, size_t n)
{
	struct fake_queue *q = &fake->queues[queue];
	uint16_t head = q->next_desc % q->size;

	for (size_t i = 0; i < n; i++) {
		struct vring_desc *desc = fake_desc(fake, queue, q->next_desc % q->size);

		q->next_desc++;
		*desc = (struct vring_desc){
			.addr = buffers[i].gpa,
			.len = buffers[i].len,
			.flags = (uint16_t)((buffers[i].writable ? VRING_DESC_F_WRITE : 0) |
					    (i + 1 < n ? VRING_DESC_F_NEXT : 0)),
			.next = q->next_desc % q->size,
		};
	}
	fake_offer(fake, queue, head);
	return head;
}

bool fake_take(struct fake_driver *fake, uint16_t queue, uint16_t *head, uint32_t *len)
{
	struct fake_queue *q = &fake->queues[queue];
	uint16_t *used = fake_used(fake, queue);
	uint32_t elem[2];

	if (__atomic_load_n(&used[1], __ATOMIC_ACQUIRE) == q->used_seen)
		return false;
	memcpy(elem, used + 2 + 4 * (q->used_seen % q->size), sizeof(elem));
	q->used_seen++;
	/* An honest driver wants to hear of the next one. */
	*fake_used_event(fake, queue) = q->used_seen;
	if (head)
		*head = (uint16_t)elem[0];
	if (len)
		*len = elem[1];
	return true;
}

void fake_run(struct fake_driver *fake)
{
	for (int turns = 0; loop_turn(&fake->loop, 0) > 0; turns++)
		assert(turns < RUN_TURNS_MAX);
}

void fake_kick(struct fake_driver *fake)
{
	fake_set(fake, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	fake_run(fake);
}

uint64_t fake_irqs(struct fake_driver *fake)
{
	uint64_t count = 0;

	if (read(fake->irq_fd, &count, sizeof(count)) < 0)
		return 0;
	return count;
}
