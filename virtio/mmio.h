// SPDX-License-Identifier: Apache-2.0
/*
 * The MMIO transport, register layout version 2 (virtio 1.2 section 4.2).
 *
 * Theory of operation. Every register that can be read, and config space, lives in one page of host memory
 * per device, which this transport keeps up to date. The machine maps that page read-only into the guest at
 * the device's address, so reading a register is a memory access; only writes leave the guest and arrive
 * here. docs/decisions/0003-register-page.md says why that is right, InterruptStatus included.
 *
 * Writes whose effect nobody can observe before a later write may be delivered late, as long as all writes
 * of the VM arrive in the order in which they were made. virtio_mmio_late[] names those for which that
 * pays.
 *
 * Everything the guest can do wrong here is ignored (wrong size or alignment, a register that is read-only
 * or unknown, a queue that does not exist, a write at the wrong time), except that a queue set-up that
 * cannot work makes the device say DEVICE_NEEDS_RESET at DRIVER_OK. Queues are frozen from DRIVER_OK to
 * reset.
 */
#ifndef MVRUN_VIRTIO_MMIO_H
#define MVRUN_VIRTIO_MMIO_H

#include "virtio/device.h"

#include <stdint.h>

#define VIRTIO_MMIO_PAGE_BYTES 4096
#define VIRTIO_MMIO_CONFIG_OFFSET 0x100
/* Four-byte writes here, whatever the value, may be turned into a write of 1 to virtio_device.kick_fd. */
#define VIRTIO_MMIO_NOTIFY_OFFSET 0x50

/*
 * Ranges within the page whose writes should be delivered late but in order, where the machine can do that.
 */
struct virtio_mmio_range {
	uint32_t offset;
	uint32_t len_bytes;
};
#define VIRTIO_MMIO_LATE_RANGES 4
extern const struct virtio_mmio_range virtio_mmio_late[VIRTIO_MMIO_LATE_RANGES];

/*
 * The guest wrote len_bytes (1, 2, 4 or 8) of data at offset of the device's page. Any thread. Resetting a
 * running device waits for the loop thread, unless it is called on that.
 */
void virtio_mmio_write(struct virtio_device *dev, uint64_t offset, const void *data, uint32_t len_bytes);

/*
 * The guest reads len_bytes at offset: for machines that cannot map the page. What is no register, or not
 * read the way section 4.2.2 asks for, reads as 0. Any thread.
 */
void virtio_mmio_read(const struct virtio_device *dev, uint64_t offset, void *data, uint32_t len_bytes);

#endif
