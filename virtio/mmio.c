// SPDX-License-Identifier: Apache-2.0
#include "virtio/mmio.h"

#include "virtio/regs.h"

#include <linux/virtio_ring.h>
#include <string.h>

_Static_assert(VIRTIO_MMIO_NOTIFY_OFFSET == VIRTIO_MMIO_QUEUE_NOTIFY, "section 4.2.2");
_Static_assert(VIRTIO_MMIO_CONFIG_OFFSET == VIRTIO_MMIO_CONFIG, "section 4.2.2");

const struct virtio_mmio_range virtio_mmio_late[VIRTIO_MMIO_LATE_RANGES] = {
	{VIRTIO_MMIO_DRIVER_FEATURES, 8}, /* and DriverFeaturesSel: two writes each */
	{VIRTIO_MMIO_QUEUE_NUM, 4}, /* one write per queue */
	{VIRTIO_MMIO_INTERRUPT_ACK, 4}, /* one write per interrupt */
	{VIRTIO_MMIO_QUEUE_DESC_LOW, 0x28}, /* and QueueDriver, QueueDevice: six writes per queue */
};

#define S_ACKNOWLEDGE VIRTIO_CONFIG_S_ACKNOWLEDGE
#define S_DRIVER VIRTIO_CONFIG_S_DRIVER
#define S_FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define S_DRIVER_OK VIRTIO_CONFIG_S_DRIVER_OK

/* The queue that QueueSel names, or NULL. */
static struct vq_state *queue_selected(struct virtio_device *dev)
{
	return dev->state.queue_sel < dev->n_queues ? &dev->queues[dev->state.queue_sel].state : NULL;
}

static void queue_regs_show(struct virtio_device *dev)
{
	const struct vq_state *queue = queue_selected(dev);

	reg_set(dev, VIRTIO_MMIO_QUEUE_NUM_MAX, queue ? queue->size_max : 0);
	reg_set(dev, VIRTIO_MMIO_QUEUE_READY, queue ? queue->ready : 0);
}

/* The 32 bits of features that sel names (section 4.2.2). */
static void device_features_show(struct virtio_device *dev)
{
	uint32_t sel = dev->state.device_features_sel;

	reg_set(dev, VIRTIO_MMIO_DEVICE_FEATURES, sel < 2 ? (uint32_t)(dev->state.offered >> 32 * sel) : 0);
}

static void driver_features_write(struct virtio_device *dev, uint32_t value)
{
	uint32_t sel = dev->state.driver_features_sel;

	if (sel > 1 || dev->state.status != (S_ACKNOWLEDGE | S_DRIVER))
		return;
	dev->state.accepted &= ~((uint64_t)UINT32_MAX << 32 * sel);
	dev->state.accepted |= (uint64_t)value << 32 * sel;
}

static void addr_low_write(gpa_t *gpa, uint32_t value)
{
	gpa->raw = (gpa->raw & ~(uint64_t)UINT32_MAX) | value;
}

static void addr_high_write(gpa_t *gpa, uint32_t value)
{
	gpa->raw = (gpa->raw & UINT32_MAX) | (uint64_t)value << 32;
}

/*
 * QueueNum, QueueReady and the addresses of the selected queue. Between FEATURES_OK and DRIVER_OK only: what
 * was checked at DRIVER_OK is what is used until reset.
 */
static void queue_write(struct virtio_device *dev, uint32_t offset, uint32_t value)
{
	struct vq_state *queue = queue_selected(dev);

	if (!queue || dev->state.status != (S_ACKNOWLEDGE | S_DRIVER | S_FEATURES_OK))
		return;
	if (offset == VIRTIO_MMIO_QUEUE_READY)
		queue->ready = value & 1;
	else if (queue->ready)
		return;
	else if (offset == VIRTIO_MMIO_QUEUE_NUM)
		queue->size = value > UINT16_MAX ? 0 : (uint16_t)value; /* 0 is refused at DRIVER_OK */
	else if (offset == VIRTIO_MMIO_QUEUE_DESC_LOW)
		addr_low_write(&queue->desc, value);
	else if (offset == VIRTIO_MMIO_QUEUE_DESC_HIGH)
		addr_high_write(&queue->desc, value);
	else if (offset == VIRTIO_MMIO_QUEUE_AVAIL_LOW)
		addr_low_write(&queue->driver, value);
	else if (offset == VIRTIO_MMIO_QUEUE_AVAIL_HIGH)
		addr_high_write(&queue->driver, value);
	else if (offset == VIRTIO_MMIO_QUEUE_USED_LOW)
		addr_low_write(&queue->device, value);
	else if (offset == VIRTIO_MMIO_QUEUE_USED_HIGH)
		addr_high_write(&queue->device, value);
	queue_regs_show(dev);
}

static void status_set(struct virtio_device *dev, uint32_t status)
{
	dev->state.status = status;
	reg_set(dev, VIRTIO_MMIO_STATUS, status);
}

/*
 * The queues stop, and when this returns the loop thread has put an end to everything else. The lock is
 * released while waiting for that: other register writes find the status of the old life, in which none but a
 * reset counts.
 */
static void life_end(struct virtio_device *dev)
{
	device_stop_queues(dev);
	if (!(dev->state.status & S_DRIVER_OK))
		return;
	dev->pending = VIRTIO_PENDING_RESET;
	if (pthread_equal(pthread_self(), dev->loop_thread)) {
		dev->pending = 0;
		if (dev->ops->reset)
			dev->ops->reset(dev);
		return;
	}
	device_kick(dev);
	while (dev->pending & VIRTIO_PENDING_RESET)
		pthread_cond_wait(&dev->quiet, &dev->lock);
}

/* Section 2.4: back to the state after init, except that ConfigGeneration and config space go on. */
static void device_reset(struct virtio_device *dev)
{
	life_end(dev);
	for (uint16_t i = 0; i < dev->n_queues; i++)
		dev->queues[i].state = (struct vq_state){.size_max = dev->queues[i].state.size_max};
	dev->state = (struct virtio_state){
		.offered = dev->state.offered,
		.generation = dev->state.generation,
	};
	irq_bits_clear(dev, UINT32_MAX);
	device_features_show(dev);
	queue_regs_show(dev);
	status_set(dev, 0);
}

/* Section 3.1.1 step 5: only features that were offered, and VERSION_1 among them. */
static bool features_fit(const struct virtio_device *dev)
{
	return !(dev->state.accepted & ~dev->state.offered) && virtio_accepted(dev, VIRTIO_F_VERSION_1);
}

/* Section 3.1.1 step 8. A queue that cannot work leaves the device needing a reset. */
static void driver_ok(struct virtio_device *dev)
{
	bool event_idx = virtio_accepted(dev, VIRTIO_RING_F_EVENT_IDX);

	status_set(dev, dev->state.status | S_DRIVER_OK);
	for (uint16_t i = 0; i < dev->n_queues; i++) {
		struct vq *vq = &dev->queues[i];

		if (vq->state.ready && vq_start(vq, dev->wiring.mem, event_idx)) {
			device_stop_queues(dev);
			device_needs_reset(dev);
			return;
		}
	}
	irq_bits_set(dev, VIRTIO_MMIO_INT_VRING);
	dev->pending |= VIRTIO_PENDING_ACTIVATE;
	device_kick(dev);
}

/*
 * Section 2.1: 0 resets, FAILED is for good, and otherwise there are four legal edges, each of which adds one
 * bit. A driver repeats the bits it has set before and may show DEVICE_NEEDS_RESET back to us.
 */
static void status_write(struct virtio_device *dev, uint32_t value)
{
	uint32_t now = dev->state.status;

	if (!value) {
		device_reset(dev);
		return;
	}
	if (now & VIRTIO_CONFIG_S_FAILED)
		return;
	if (value & VIRTIO_CONFIG_S_FAILED) {
		life_end(dev);
		status_set(dev, now | VIRTIO_CONFIG_S_FAILED);
		return;
	}
	if (now == 0 && value == S_ACKNOWLEDGE)
		status_set(dev, value);
	else if (now == S_ACKNOWLEDGE && value == (now | S_DRIVER))
		status_set(dev, value);
	else if (now == (S_ACKNOWLEDGE | S_DRIVER) && value == (now | S_FEATURES_OK) && features_fit(dev))
		status_set(dev, value);
	else if (now == (S_ACKNOWLEDGE | S_DRIVER | S_FEATURES_OK) && value == (now | S_DRIVER_OK))
		driver_ok(dev);
}

static void reg_write(struct virtio_device *dev, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		dev->state.device_features_sel = value;
		device_features_show(dev);
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		dev->state.driver_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		driver_features_write(dev, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		dev->state.queue_sel = value;
		queue_regs_show(dev);
		break;
	case VIRTIO_MMIO_STATUS:
		status_write(dev, value);
		break;
	default:
		queue_write(dev, offset, value);
		break;
	}
}

void virtio_mmio_write(struct virtio_device *dev, uint64_t offset, const void *data, uint32_t len_bytes)
{
	uint32_t value;

	/* No device has a config field that the driver may write. */
	if (len_bytes != sizeof(value) || offset % sizeof(value) || offset >= VIRTIO_MMIO_CONFIG)
		return;
	memcpy(&value, data, sizeof(value));
	if (offset == VIRTIO_MMIO_QUEUE_NOTIFY) {
		device_kick(dev);
		return;
	}
	/* The used-buffer bit stays: see docs/decisions/0003-register-page.md. */
	if (offset == VIRTIO_MMIO_INTERRUPT_ACK) {
		irq_bits_clear(dev, value & VIRTIO_MMIO_INT_CONFIG);
		return;
	}
	pthread_mutex_lock(&dev->lock);
	reg_write(dev, (uint32_t)offset, value);
	pthread_mutex_unlock(&dev->lock);
}

void virtio_mmio_read(const struct virtio_device *dev, uint64_t offset, void *data, uint32_t len_bytes)
{
	memset(data, 0, len_bytes);
	if (offset >= VIRTIO_MMIO_PAGE_BYTES || len_bytes > VIRTIO_MMIO_PAGE_BYTES - offset)
		return;
	if (offset >= VIRTIO_MMIO_CONFIG) {
		memcpy(data, (const uint8_t *)dev->wiring.page + offset, len_bytes);
	} else if (len_bytes == sizeof(uint32_t) && offset % sizeof(uint32_t) == 0) {
		uint32_t value = __atomic_load_n(reg_at(dev, (uint32_t)offset), __ATOMIC_RELAXED);

		memcpy(data, &value, sizeof(value));
	}
}
