// SPDX-License-Identifier: Apache-2.0
#include "virtio/device.h"

#include "base/cleanup.h"
#include "virtio/mmio.h"
#include "virtio/regs.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MMIO_MAGIC 0x74726976u /* "virt" */
#define MMIO_VERSION 2u
#define MMIO_VENDOR 0x6e75726du /* "mrun" */
#define FEATURE(bit) (UINT64_C(1) << (bit))

/* An eventfd that is full has been signalled already, so no failure here loses anything. */
static void event_signal(int fd)
{
	uint64_t one = 1;
	ssize_t n;

	do
		n = write(fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}

void device_kick(struct virtio_device *dev)
{
	event_signal(dev->kick_fd);
}

void device_interrupt(struct virtio_device *dev)
{
	event_signal(dev->wiring.irq_fd);
}

void device_stop_queues(struct virtio_device *dev)
{
	for (uint16_t i = 0; i < dev->n_queues; i++)
		vq_stop(&dev->queues[i]);
}

void device_needs_reset(struct virtio_device *dev)
{
	dev->state.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	reg_set(dev, VIRTIO_MMIO_STATUS, dev->state.status);
	if (!(dev->state.status & STATUS_LIVE))
		return;
	irq_bits_set(dev, VIRTIO_MMIO_INT_CONFIG);
	device_interrupt(dev);
}

/* Loop thread: the device cannot go on. */
static void device_break(struct virtio_device *dev)
{
	device_stop_queues(dev);
	if (dev->ops->reset)
		dev->ops->reset(dev);
	device_needs_reset(dev);
}

bool virtio_enter(struct virtio_device *dev)
{
	uint32_t pending;

	pthread_mutex_lock(&dev->lock);
	pending = dev->pending;
	dev->pending = 0;
	if (pending & VIRTIO_PENDING_RESET) {
		if (dev->ops->reset)
			dev->ops->reset(dev);
		pthread_cond_broadcast(&dev->quiet);
	}
	if (pending & VIRTIO_PENDING_ACTIVATE && dev->ops->activate && dev->ops->activate(dev))
		device_break(dev);
	return status_is_live(dev->state.status);
}

void virtio_leave(struct virtio_device *dev, int ret)
{
	bool interrupt = false;

	if (status_is_live(dev->state.status)) {
		for (uint16_t i = 0; i < dev->n_queues; i++)
			interrupt |= vq_wants_interrupt(&dev->queues[i]);
		if (interrupt)
			device_interrupt(dev);
		if (ret < 0)
			device_break(dev);
		else if (ret > 0)
			device_kick(dev);
	}
	pthread_mutex_unlock(&dev->lock);
}

/*
 * The doorbell is watched edge-triggered: each signal of an eventfd is an event of its own, so the counter
 * need not be read, and at 2^64 it will not be full in anybody's lifetime.
 */
static void on_kick(struct loop_source *source, uint32_t events)
{
	struct virtio_device *dev = source->ctx;
	int ret = 0;

	(void)events;
	if (virtio_enter(dev))
		ret = dev->ops->service(dev);
	virtio_leave(dev, ret);
}

/* All that never changes; the rest of the page is zero, which is what write-only registers read as. */
static void page_fill(struct virtio_device *dev, const struct virtio_model *model)
{
	memset(dev->wiring.page, 0, VIRTIO_MMIO_PAGE_BYTES);
	reg_set(dev, VIRTIO_MMIO_MAGIC_VALUE, MMIO_MAGIC);
	reg_set(dev, VIRTIO_MMIO_VERSION, MMIO_VERSION);
	reg_set(dev, VIRTIO_MMIO_DEVICE_ID, model->ops->id);
	reg_set(dev, VIRTIO_MMIO_VENDOR_ID, MMIO_VENDOR);
	reg_set(dev, VIRTIO_MMIO_DEVICE_FEATURES, (uint32_t)dev->state.offered);
	reg_set(dev, VIRTIO_MMIO_QUEUE_NUM_MAX, dev->queues[0].state.size_max);
	/* Section 4.2.2: a shared memory region that does not exist has length and address of all ones. */
	for (uint32_t reg = VIRTIO_MMIO_SHM_LEN_LOW; reg <= VIRTIO_MMIO_SHM_BASE_HIGH; reg += sizeof(reg))
		reg_set(dev, reg, UINT32_MAX);
	if (model->config_len_bytes)
		memcpy((uint8_t *)dev->wiring.page + VIRTIO_MMIO_CONFIG_OFFSET, model->config,
			model->config_len_bytes);
}

int virtio_device_init(
	struct virtio_device *dev, const struct virtio_wiring *wiring, const struct virtio_model *model)
{
	auto_fd kick_fd = -1;
	int ret;

	if ((uintptr_t)wiring->page % VIRTIO_MMIO_PAGE_BYTES || model->n_queues > VIRTIO_QUEUES_MAX ||
		model->config_len_bytes > VIRTIO_MMIO_PAGE_BYTES - VIRTIO_MMIO_CONFIG_OFFSET)
		return -EINVAL;
	kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (kick_fd < 0)
		return -errno;
	*dev = (struct virtio_device){
		.ops = model->ops,
		.wiring = *wiring,
		.state.offered =
			model->features | FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_RING_F_EVENT_IDX),
		.n_queues = model->n_queues,
	};
	for (uint16_t i = 0; i < model->n_queues; i++)
		dev->queues[i].state.size_max = model->queue_size[i];
	ret = loop_add(wiring->loop, &dev->kick, kick_fd, EPOLLIN | EPOLLET, on_kick, dev);
	if (ret)
		return ret;
	pthread_mutex_init(&dev->lock, NULL);
	pthread_cond_init(&dev->quiet, NULL);
	dev->loop_thread = pthread_self();
	dev->kick_fd = fd_steal(&kick_fd);
	page_fill(dev, model);
	return 0;
}

void virtio_device_done(struct virtio_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	device_stop_queues(dev);
	if (dev->ops->reset)
		dev->ops->reset(dev);
	dev->state.status = 0;
	pthread_mutex_unlock(&dev->lock);
	loop_del(dev->wiring.loop, &dev->kick);
	fd_release(&dev->kick_fd);
	pthread_cond_destroy(&dev->quiet);
	pthread_mutex_destroy(&dev->lock);
}

/*
 * A reader compares the generation before and after; it moves twice so that neither a read that began before
 * the change nor one that ended in the middle of it compares equal to one that saw all of it.
 */
static void config_store(struct virtio_device *dev, uint32_t offset, const void *data, uint32_t len_bytes)
{
	reg_set(dev, VIRTIO_MMIO_CONFIG_GENERATION, ++dev->state.generation);
	__sync_synchronize();
	memcpy((uint8_t *)dev->wiring.page + VIRTIO_MMIO_CONFIG_OFFSET + offset, data, len_bytes);
	__sync_synchronize();
	reg_set(dev, VIRTIO_MMIO_CONFIG_GENERATION, ++dev->state.generation);
}

void virtio_config_change(struct virtio_device *dev, uint32_t offset, const void *data, uint32_t len_bytes)
{
	pthread_mutex_lock(&dev->lock);
	config_store(dev, offset, data, len_bytes);
	pthread_mutex_unlock(&dev->lock);
	/*
	 * An acknowledgement that is still held back belongs to an earlier change and must not wipe out this
	 * one. One that is written after this line was written by a driver that has yet to read what is
	 * already in place (docs/decisions/0003-register-page.md).
	 */
	if (dev->wiring.flush_writes)
		dev->wiring.flush_writes(dev->wiring.flush_ctx);
	pthread_mutex_lock(&dev->lock);
	if (status_is_live(dev->state.status)) {
		irq_bits_set(dev, VIRTIO_MMIO_INT_CONFIG);
		device_interrupt(dev);
	}
	pthread_mutex_unlock(&dev->lock);
}
