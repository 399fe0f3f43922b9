// SPDX-License-Identifier: Apache-2.0
#include "vmm/x86_64/cpuid.h"

#include <stddef.h>
#include <string.h>

#define BIT(n) (UINT32_C(1) << (n))

#define LEAF_KVM 0x40000000u
#define LEAF_KVM_FEATURES 0x40000001u
#define LEAF_TIMING 0x40000010u
#define LEAF_EXTENDED 0x80000000u

/* Intel SDM 2A, CPUID; AMD APM 3, appendix E; Documentation/virt/kvm/x86/cpuid.rst */
static const uint32_t passed[] = {
	0x0, /* vendor */
	0x1, /* features */
	0x2, /* caches and TLBs, Intel */
	0x4, /* caches, Intel */
	0x6, /* ARAT */
	0x7, /* features */
	0xd, /* XSAVE */
	0x24, /* AVX10 */
	LEAF_KVM, LEAF_KVM_FEATURES, LEAF_EXTENDED, 0x80000001, /* features */
	0x80000002, /* name */
	0x80000003, 0x80000004, 0x80000005, /* caches, AMD */
	0x80000006, /* caches */
	0x80000007, /* invariant TSC */
	0x80000008, /* address sizes, features, core count of AMD */
	0x80000021, /* features, AMD */
};

/* Bits that KVM may offer and this machine does not have. */
static const struct {
	uint32_t function, index;
	uint32_t eax, ebx, ecx, edx;
} hidden[] = {
	/* DTES64, MONITOR, DS-CPL, VMX, SMX, EST, TM2, PDCM, DCA, OSXSAVE (KVM's to set); DS, ACPI, TM, PBE */
	{0x1, 0, 0, 0,
		BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(15) | BIT(18) | BIT(27),
		BIT(21) | BIT(22) | BIT(28) | BIT(29) | BIT(31)},
	/* all but ARAT: no thermal or power management */
	{0x6, 0, ~BIT(2), ~0u, ~0u, ~0u},
	/* SGX, PQM, PQE, processor trace; SGX launch control; hybrid, architectural LBR */
	{0x7, 0, 0, BIT(2) | BIT(12) | BIT(15) | BIT(25), BIT(30), BIT(15) | BIT(19)},
	/* CMP legacy (set below), SVM, OSVW, IBS, SKINIT, WDT, LWP, NodeId, topology, counters */
	{0x80000001, 0, 0, 0,
		BIT(1) | BIT(2) | BIT(9) | BIT(10) | BIT(12) | BIT(13) | BIT(15) | BIT(19) | BIT(22) |
			BIT(23) | BIT(24) | BIT(27) | BIT(28),
		0},
	/* only the invariant TSC */
	{0x80000007, 0, ~0u, ~0u, ~0u, ~BIT(8)},
	/* SEV page mapping, migration control */
	{LEAF_KVM_FEATURES, 0, BIT(16) | BIT(17), 0, 0, 0},
};

/* Help between processors that a single one has no use for: PV unhalt, TLB flush, send IPI, yield. */
#define KVM_FEATURES_SMP (BIT(7) | BIT(9) | BIT(11) | BIT(13))

/*
 * Frequencies in kHz, as VMware defined the leaf: of the TSC (EAX, personalised) and of KVM's APIC timer
 * (EBX).
 */
#define APIC_TIMER_KHZ 1000000

#define KEEP_X2APIC BIT(21)
#define TSC_DEADLINE BIT(24)
#define HYPERVISOR BIT(31)
#define HTT BIT(28)
#define CMP_LEGACY BIT(1)

struct kvm_cpuid_entry2 *cpuid_find(struct cpuid_table *table, uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < table->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &table->entries[i];

		if (entry->function == function &&
			(!(entry->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || entry->index == index))
			return entry;
	}
	return NULL;
}

static bool is_passed(uint32_t function)
{
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
		if (passed[i] == function)
			return true;
	}
	return false;
}

static void leaves_drop(struct cpuid_table *table)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < table->nent; i++) {
		if (is_passed(table->entries[i].function))
			table->entries[kept++] = table->entries[i];
	}
	table->nent = kept;
}

static void bits_hide(struct cpuid_table *table)
{
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		struct kvm_cpuid_entry2 *entry = cpuid_find(table, hidden[i].function, hidden[i].index);

		if (!entry)
			continue;
		entry->eax &= ~hidden[i].eax;
		entry->ebx &= ~hidden[i].ebx;
		entry->ecx &= ~hidden[i].ecx;
		entry->edx &= ~hidden[i].edx;
	}
}

static void leaf_add(struct cpuid_table *table, struct kvm_cpuid_entry2 leaf)
{
	if (table->nent < CPUID_ENTRIES_MAX)
		table->entries[table->nent++] = leaf;
}

/* How many bits of an APIC id tell cpus cores apart. */
static uint32_t core_bits(unsigned cpus)
{
	return cpus > 1 ? 32 - (uint32_t)__builtin_clz(cpus - 1) : 0;
}

/* Leaf 0xb: threads (one per core), then cores. The APIC id in EDX is personalised. */
static void topology_add(struct cpuid_table *table, unsigned cpus)
{
	struct kvm_cpuid_entry2 leaf = {.function = 0xb, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX};

	leaf.ebx = 1;
	leaf.ecx = 1 << 8;
	leaf_add(table, leaf);
	leaf.index = 1;
	leaf.eax = core_bits(cpus);
	leaf.ebx = cpus;
	leaf.ecx = 2 << 8 | 1;
	leaf_add(table, leaf);
	leaf.index = 2;
	leaf.eax = 0;
	leaf.ebx = 0;
	leaf.ecx = 2;
	leaf_add(table, leaf);
}

static void topology_set(struct cpuid_table *table, unsigned cpus)
{
	struct kvm_cpuid_entry2 *entry = cpuid_find(table, 0x1, 0);
	uint32_t shared_max = BIT(core_bits(cpus)) - 1;

	if (entry && cpus > 1)
		entry->edx |= HTT;
	entry = cpuid_find(table, 0x80000001, 0);
	if (entry && cpus > 1)
		entry->ecx |= CMP_LEGACY;
	entry = cpuid_find(table, 0x80000008, 0);
	if (entry)
		entry->ecx = core_bits(cpus) << 12 | (cpus - 1);
	for (uint32_t i = 0; i < table->nent; i++) {
		entry = &table->entries[i];
		if (entry->function != 0x4 || !(entry->eax & 0x1f))
			continue;
		/* Levels 1 and 2 belong to a core, those above to the package. */
		entry->eax &= 0x3fff;
		entry->eax |= shared_max << 26;
		if ((entry->eax >> 5 & 7) > 2)
			entry->eax |= shared_max << 14;
	}
	topology_add(table, cpus);
}

/* The highest leaf of a range says how far it is worth asking. */
static void limit_set(struct cpuid_table *table, uint32_t first, uint32_t range_bytes)
{
	struct kvm_cpuid_entry2 *head = cpuid_find(table, first, 0);
	uint32_t last = first;

	if (!head)
		return;
	for (uint32_t i = 0; i < table->nent; i++) {
		const struct kvm_cpuid_entry2 *entry = &table->entries[i];

		if (entry->function >= first && entry->function - first < range_bytes &&
			entry->function > last && (entry->eax || entry->ebx || entry->ecx || entry->edx))
			last = entry->function;
	}
	head->eax = last;
}

void cpuid_trim(struct cpuid_table *table, const struct cpuid_machine *machine)
{
	struct kvm_cpuid_entry2 *entry;

	leaves_drop(table);
	bits_hide(table);
	entry = cpuid_find(table, 0x1, 0);
	if (entry) {
		entry->ecx |= KEEP_X2APIC | HYPERVISOR | (machine->has_tsc_deadline ? TSC_DEADLINE : 0);
		entry->ebx &= 0xff00; /* the size of a cache line; the rest is personalised */
		entry->ebx |= BIT(core_bits(machine->cpus)) << 16;
	}
	entry = cpuid_find(table, LEAF_KVM_FEATURES, 0);
	if (entry && machine->cpus == 1)
		entry->eax &= ~KVM_FEATURES_SMP;
	topology_set(table, machine->cpus);
	leaf_add(table, (struct kvm_cpuid_entry2){.function = LEAF_TIMING, .ebx = APIC_TIMER_KHZ});
	limit_set(table, 0x0, 0x10000);
	limit_set(table, LEAF_KVM, 0x100);
	limit_set(table, LEAF_EXTENDED, 0x10000);
}

void cpuid_personalise(struct cpuid_table *table, unsigned index, uint32_t tsc_khz)
{
	for (uint32_t i = 0; i < table->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &table->entries[i];

		if (entry->function == 0x1)
			entry->ebx = (entry->ebx & 0x00ffffff) | (uint32_t)index << 24;
		else if (entry->function == 0xb)
			entry->edx = index;
		else if (entry->function == LEAF_TIMING)
			entry->eax = tsc_khz;
	}
}
