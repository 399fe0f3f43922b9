// SPDX-License-Identifier: Apache-2.0
/*
 * The I/O APIC (Intel 82093AA): where a guest says which processor and vector an interrupt line goes to.
 *
 * Theory of operation. KVM can provide one, but together with the two old interrupt controllers, and a Linux
 * that finds those reads and clears all 24 entries of the I/O APIC three times over: 450 exits. Here KVM
 * keeps the local APICs only (split irqchip), there are no old controllers and as many entries as there are
 * lines to have. A device raises its line by writing to an eventfd; KVM turns that into a message to a local
 * APIC according to its routing table, without us. So this file only keeps the entries, and writes a new
 * routing table when the guest has changed what it would say. All lines are edge-triggered: a masked line
 * loses edges, as the chip does.
 */
#ifndef MVRUN_VMM_X86_64_IOAPIC_H
#define MVRUN_VMM_X86_64_IOAPIC_H

#include "vmm/bus.h"
#include "vmm/kvm.h"
#include "vmm/x86_64/layout.h"

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IOAPIC_ENTRY_MASKED (UINT64_C(1) << 16)

struct ioapic {
	const struct kvm *kvm;
	pthread_mutex_t lock; /* protects what the guest can change */
	uint32_t n_pins;
	uint32_t selected;
	uint32_t id;
	uint64_t entries[LAYOUT_IOAPIC_PINS_MAX];
	bool wired[LAYOUT_IOAPIC_PINS_MAX];
};

extern const struct bus_ops ioapic_ops; /* ctx: struct ioapic */

/* n_pins entries (1 to LAYOUT_IOAPIC_PINS_MAX), all masked, as after reset. */
void ioapic_init(struct ioapic *ioapic, const struct kvm *kvm, unsigned n_pins);

/* Tie an eventfd to a line (KVM_IRQFD). Before the guest runs. 0 or -errno. */
int ioapic_wire(struct ioapic *ioapic, unsigned pin, int irq_fd);

/* What the entry of a line means to KVM. False: the line leads nowhere. */
bool ioapic_route(uint64_t entry, uint32_t pin, struct kvm_irq_routing_entry *route);

#endif
