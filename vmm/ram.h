// SPDX-License-Identifier: Apache-2.0
/*
 * The guest's RAM as host memory.
 *
 * One reservation without access holds all of it, with unmapped guards before, between and behind its parts,
 * so that a host pointer that runs off an end faults instead of reaching the monitor's own memory. Pages come
 * when they are touched first. Every part begins at a 2 MiB boundary in host and guest, so that a huge page
 * of the host can be a huge page of the guest's second-level table.
 */
#ifndef MVRUN_VMM_RAM_H
#define MVRUN_VMM_RAM_H

#include "base/err.h"
#include "mem/gmem.h"
#include "vmm/kvm.h"

#include <stdint.h>

#define RAM_PARTS_MAX 2
#define RAM_HUGE_BYTES (UINT64_C(2) << 20)

/* Where the architecture wants RAM: bases are multiples of RAM_HUGE_BYTES, lengths of the page size. */
struct ram_part {
	uint64_t base_gpa;
	uint64_t bytes;
};

/*
 * Reserve host memory for the parts, give it to KVM as memory slots 0 and up and list it in *mem. It is never
 * unmapped: it lives as long as the process. Not part of core dumps. 0 or an error for the user.
 */
int ram_init(struct gmem *mem, const struct kvm *kvm, const struct ram_part *parts, unsigned n_parts,
	struct err *err);

/* Never back this guest's memory with huge pages, whatever the host's default. */
void ram_refuse_huge(const struct gmem *mem);

/* Ask for huge pages for all that overlap the range, inside the part that holds gpa; only a hint. */
void ram_prefer_huge(const struct gmem *mem, uint64_t gpa, uint64_t bytes);

#endif
