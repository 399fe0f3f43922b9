// SPDX-License-Identifier: Apache-2.0
/*
 * What the guest's processors answer to CPUID.
 *
 * KVM says what it can provide; of that, what a container's kernel and programs use is passed on. A leaf that
 * is not on the list reads as zeros, so that nothing reaches a guest because a newer KVM has it. Nested
 * virtualisation, the performance counters and processor trace are not offered. Every CPUID instruction is an
 * exit, and every exec of a dynamic program makes dozens, so leaves that only describe what others say better
 * (cache topology of AMD) are out.
 */
#ifndef MVRUN_VMM_X86_64_CPUID_H
#define MVRUN_VMM_X86_64_CPUID_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#define CPUID_ENTRIES_MAX 128

/* A struct kvm_cpuid2 with its entries. */
struct cpuid_table {
	uint32_t nent;
	uint32_t padding;
	struct kvm_cpuid_entry2 entries[CPUID_ENTRIES_MAX];
};

struct cpuid_machine {
	unsigned cpus; /* one package, one thread per core */
	bool has_tsc_deadline; /* KVM_CAP_TSC_DEADLINE_TIMER */
};

/* Turn what KVM supports into what all processors of this machine have in common. */
void cpuid_trim(struct cpuid_table *table, const struct cpuid_machine *machine);

/* Fill in what is processor index's own. tsc_khz is 0 if unknown. */
void cpuid_personalise(struct cpuid_table *table, unsigned index, uint32_t tsc_khz);

/* The entry of a leaf, or NULL. */
struct kvm_cpuid_entry2 *cpuid_find(struct cpuid_table *table, uint32_t function, uint32_t index);

#endif
