// SPDX-License-Identifier: Apache-2.0
/*
 * The virtio devices of the machine and how they hang on KVM.
 *
 * Slot 0 is the socket device, 1 the console, 2 the entropy source, then the disks. Each has one page of
 * registers. The pages are adjacent, and one read-only memory slot shows them to the guest: reading a
 * register is a memory access, without an exit. Writes cannot go to a read-only slot and so come out of KVM,
 * by one of three ways:
 *   - QueueNotify: as a signal on the device's eventfd (ioeventfd), picked up by the loop;
 *   - registers that may be late (virtio/mmio.h): into KVM's ring of coalesced writes, without leaving the
 *     kernel. Whoever leaves it for another reason delivers them first;
 *   - all others: as an exit to the vCPU's thread, which takes them to virtio_mmio_write().
 * Interrupts go the other way as eventfds tied to the interrupt controller (irqfd). What this host's KVM
 * lacks is served by the last way.
 */
#ifndef MVRUN_VMM_DEVICES_H
#define MVRUN_VMM_DEVICES_H

#include "base/err.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/rng.h"
#include "virtio/vsock.h"
#include "vmm/machine.h"

#include <stddef.h>
#include <stdint.h>

#define DEVICES_FIXED 3
#define DEVICES_MAX (DEVICES_FIXED + VMM_DISKS_MAX)

struct vm;

struct devices {
	unsigned n_slots;
	struct virtio_device *slots[DEVICES_MAX];
	uint8_t *pages; /* n_slots register pages */
	struct virtio_vsock vsock;
	struct virtio_console console;
	struct virtio_rng rng;
	struct virtio_blk disks[VMM_DISKS_MAX];
	struct blk_segment segments[VMM_SEGMENTS_MAX];
};

/*
 * Make all devices the configuration asks for and tie them to KVM and the MMIO bus. 0 or an error for the
 * user.
 */
int devices_init(struct vm *vm, struct err *err);

#endif
