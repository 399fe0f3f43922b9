// SPDX-License-Identifier: Apache-2.0
/*
 * The register page, shared by device.c (which makes it) and mmio.c (which changes it). Not for devices.
 *
 * Stores are single aligned words, because the guest reads the page at any moment; the device lock is held
 * except where said.
 */
#ifndef MVRUN_VIRTIO_REGS_H
#define MVRUN_VIRTIO_REGS_H

#include "virtio/device.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#define STATUS_LIVE VIRTIO_CONFIG_S_DRIVER_OK
#define STATUS_DEAD (VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)

static inline uint32_t *reg_at(const struct virtio_device *dev, uint32_t offset)
{
	return (uint32_t *)dev->wiring.page + offset / sizeof(uint32_t);
}

static inline void reg_set(struct virtio_device *dev, uint32_t offset, uint32_t value)
{
	__atomic_store_n(reg_at(dev, offset), value, __ATOMIC_RELAXED);
}

/* Bits of InterruptStatus, atomically. Lock not needed. */
static inline void irq_bits_set(struct virtio_device *dev, uint32_t bits)
{
	__atomic_fetch_or(reg_at(dev, VIRTIO_MMIO_INTERRUPT_STATUS), bits, __ATOMIC_SEQ_CST);
}

static inline void irq_bits_clear(struct virtio_device *dev, uint32_t bits)
{
	__atomic_fetch_and(reg_at(dev, VIRTIO_MMIO_INTERRUPT_STATUS), ~bits, __ATOMIC_SEQ_CST);
}

static inline bool status_is_live(uint32_t status)
{
	return status & STATUS_LIVE && !(status & STATUS_DEAD);
}

/* Make the loop thread look at the device. Any thread, lock not needed. */
void device_kick(struct virtio_device *dev);

/* Raise the interrupt. Any thread, lock not needed. */
void device_interrupt(struct virtio_device *dev);

/* Stop all queues: requests not yet taken are left alone from now on. */
void device_stop_queues(struct virtio_device *dev);

/* Say DEVICE_NEEDS_RESET (section 2.1.2) with the queues stopped already. */
void device_needs_reset(struct virtio_device *dev);

#endif
