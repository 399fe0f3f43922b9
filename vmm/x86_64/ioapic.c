// SPDX-License-Identifier: Apache-2.0
#include "vmm/x86_64/ioapic.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* 82093AA, section 3: two registers in memory, through which the others are reached. */
#define REG_SELECT 0x00
#define REG_WINDOW 0x10
#define INDEX_ID 0x00
#define INDEX_VERSION 0x01
#define INDEX_ARBITRATION 0x02
#define INDEX_ENTRIES 0x10
#define VERSION 0x11
#define VERSION_LAST_SHIFT 16 /* the number of the last entry */
#define ID_BITS UINT32_C(0xff000000)

/* 3.2.4, redirection table entry */
#define ENTRY_VECTOR 0xffu
#define ENTRY_DELIVERY(entry) ((unsigned)((entry) >> 8) & 7)
#define ENTRY_LOGICAL (UINT64_C(1) << 11)
#define ENTRY_READ_ONLY (UINT64_C(1) << 12 | UINT64_C(1) << 14) /* delivery status, remote IRR */
#define ENTRY_DESTINATION_SHIFT 56
enum { DELIVER_FIXED, DELIVER_LOWEST };

/* Intel SDM 3A 11.11, message address and data */
#define MSI_ADDRESS UINT32_C(0xfee00000)
#define MSI_DESTINATION_SHIFT 12
#define MSI_REDIRECTION_HINT (UINT32_C(1) << 3)
#define MSI_LOGICAL (UINT32_C(1) << 2)
#define MSI_DELIVERY_SHIFT 8

void ioapic_init(struct ioapic *ioapic, const struct kvm *kvm, unsigned n_pins)
{
	assert(n_pins && n_pins <= LAYOUT_IOAPIC_PINS_MAX);
	*ioapic = (struct ioapic){.kvm = kvm, .n_pins = n_pins};
	pthread_mutex_init(&ioapic->lock, NULL);
	for (unsigned pin = 0; pin < n_pins; pin++)
		ioapic->entries[pin] = IOAPIC_ENTRY_MASKED;
}

int ioapic_wire(struct ioapic *ioapic, unsigned pin, int irq_fd)
{
	struct kvm_irqfd wire = {.fd = (uint32_t)irq_fd, .gsi = pin};

	if (pin >= ioapic->n_pins)
		return -EINVAL;
	ioapic->wired[pin] = true;
	return kvm_call(ioapic->kvm->vm_fd, KVM_IRQFD, &wire);
}

bool ioapic_route(uint64_t entry, uint32_t pin, struct kvm_irq_routing_entry *route)
{
	unsigned delivery = ENTRY_DELIVERY(entry);
	uint32_t destination = (uint32_t)(entry >> ENTRY_DESTINATION_SHIFT);

	if (entry & IOAPIC_ENTRY_MASKED || (delivery != DELIVER_FIXED && delivery != DELIVER_LOWEST))
		return false;
	*route = (struct kvm_irq_routing_entry){.gsi = pin, .type = KVM_IRQ_ROUTING_MSI};
	route->u.msi.address_lo = MSI_ADDRESS | destination << MSI_DESTINATION_SHIFT |
				  (delivery == DELIVER_LOWEST ? MSI_REDIRECTION_HINT : 0) |
				  (entry & ENTRY_LOGICAL ? MSI_LOGICAL : 0);
	route->u.msi.data = (uint32_t)(entry & ENTRY_VECTOR) | delivery << MSI_DELIVERY_SHIFT;
	return true;
}

/* Tell KVM where all lines lead now. The lock is held. */
static void routes_write(struct ioapic *ioapic)
{
	struct { /* struct kvm_irq_routing with its entries */
		uint32_t nr, flags;
		struct kvm_irq_routing_entry entries[LAYOUT_IOAPIC_PINS_MAX];
	} table;

	table.nr = table.flags = 0;
	for (uint32_t pin = 0; pin < ioapic->n_pins; pin++) {
		if (ioapic->wired[pin] && ioapic_route(ioapic->entries[pin], pin, &table.entries[table.nr]))
			table.nr++;
	}
	/* Fails for want of memory only; the lines then lead where they led before. */
	(void)kvm_call(ioapic->kvm->vm_fd, KVM_SET_GSI_ROUTING, &table);
}

static bool routes_same(uint64_t old, uint64_t new, uint32_t pin)
{
	struct kvm_irq_routing_entry a, b;
	bool has_a = ioapic_route(old, pin, &a), has_b = ioapic_route(new, pin, &b);

	if (has_a != has_b)
		return false;
	return !has_a || (a.u.msi.address_lo == b.u.msi.address_lo && a.u.msi.data == b.u.msi.data);
}

static void entry_write(struct ioapic *ioapic, uint32_t index, uint32_t value)
{
	uint32_t pin = (index - INDEX_ENTRIES) / 2;
	uint64_t old, new;

	if (index < INDEX_ENTRIES || pin >= ioapic->n_pins)
		return;
	old = ioapic->entries[pin];
	if (index & 1)
		new = (old & UINT32_MAX) | (uint64_t)value << 32;
	else
		new = (old & ~(uint64_t)UINT32_MAX) | (value & ~ENTRY_READ_ONLY);
	ioapic->entries[pin] = new;
	if (ioapic->wired[pin] && !routes_same(old, new, pin))
		routes_write(ioapic);
}

static uint32_t window_read(const struct ioapic *ioapic)
{
	uint32_t index = ioapic->selected;
	uint32_t pin = (index - INDEX_ENTRIES) / 2;

	if (index == INDEX_ID || index == INDEX_ARBITRATION)
		return ioapic->id;
	if (index == INDEX_VERSION)
		return VERSION | (ioapic->n_pins - 1) << VERSION_LAST_SHIFT;
	if (index < INDEX_ENTRIES || pin >= ioapic->n_pins)
		return 0;
	return (uint32_t)(ioapic->entries[pin] >> (index & 1 ? 32 : 0));
}

static uint64_t ioapic_read(void *ctx, uint64_t offset, unsigned len)
{
	struct ioapic *ioapic = ctx;
	uint64_t value = 0;

	if (len != sizeof(uint32_t))
		return 0;
	pthread_mutex_lock(&ioapic->lock);
	if (offset == REG_SELECT)
		value = ioapic->selected;
	else if (offset == REG_WINDOW)
		value = window_read(ioapic);
	pthread_mutex_unlock(&ioapic->lock);
	return value;
}

static void ioapic_write(void *ctx, uint64_t offset, unsigned len, uint64_t value)
{
	struct ioapic *ioapic = ctx;

	if (len != sizeof(uint32_t))
		return;
	pthread_mutex_lock(&ioapic->lock);
	if (offset == REG_SELECT)
		ioapic->selected = (uint32_t)value & 0xff;
	else if (offset == REG_WINDOW && ioapic->selected == INDEX_ID)
		ioapic->id = (uint32_t)value & ID_BITS;
	else if (offset == REG_WINDOW)
		entry_write(ioapic, ioapic->selected, (uint32_t)value);
	pthread_mutex_unlock(&ioapic->lock);
}

const struct bus_ops ioapic_ops = {ioapic_read, ioapic_write};
