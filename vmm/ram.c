// SPDX-License-Identifier: Apache-2.0
#include "vmm/ram.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>

/* Both a guard and what rounding each part up to a huge page can take. */
#define GAP_BYTES RAM_HUGE_BYTES

static uint64_t huge_up(uint64_t value)
{
	return (value + RAM_HUGE_BYTES - 1) & ~(RAM_HUGE_BYTES - 1);
}

int ram_init(struct gmem *mem, const struct kvm *kvm, const struct ram_part *parts, unsigned n_parts,
	struct err *err)
{
	uint64_t total = 2 * GAP_BYTES; /* the first guard, and alignment */
	uint8_t *at;
	void *reserved;
	int ret;

	for (unsigned i = 0; i < n_parts; i++)
		total += huge_up(parts[i].bytes) + GAP_BYTES;
	reserved = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserved == MAP_FAILED)
		return err_sys(
			err, errno, "reserve %" PRIu64 " MiB of address space for guest memory", total >> 20);
	(void)madvise(reserved, total, MADV_DONTDUMP);
	at = (uint8_t *)huge_up((uintptr_t)reserved) + GAP_BYTES;
	for (unsigned i = 0; i < n_parts; i++) {
		if (mprotect(at, parts[i].bytes, PROT_READ | PROT_WRITE) < 0)
			return err_sys(
				err, errno, "map %" PRIu64 " MiB of guest memory", parts[i].bytes >> 20);
		ret = gmem_add(mem, gpa_of(parts[i].base_gpa), at, parts[i].bytes);
		if (ret)
			return err_sys(err, ret, "list guest memory");
		ret = kvm_map(kvm, i, parts[i].base_gpa, at, parts[i].bytes, false);
		if (ret)
			return err_sys(
				err, ret, "give the guest %" PRIu64 " MiB of memory", parts[i].bytes >> 20);
		at += huge_up(parts[i].bytes) + GAP_BYTES;
	}
	return 0;
}

void ram_refuse_huge(const struct gmem *mem)
{
	for (uint32_t i = 0; i < mem->n_regions; i++)
		(void)madvise(mem->regions[i].host, mem->regions[i].len_bytes, MADV_NOHUGEPAGE);
}

void ram_prefer_huge(const struct gmem *mem, uint64_t gpa, uint64_t bytes)
{
	for (uint32_t i = 0; i < mem->n_regions; i++) {
		const struct gmem_region *region = &mem->regions[i];
		uint64_t start = (gpa & ~(RAM_HUGE_BYTES - 1)) - region->base.raw;
		uint64_t end = huge_up(gpa + bytes) - region->base.raw;

		if (gpa < region->base.raw || gpa - region->base.raw >= region->len_bytes)
			continue;
		if (end > region->len_bytes)
			end = region->len_bytes;
		(void)madvise(region->host + start, end - start, MADV_HUGEPAGE);
	}
}
