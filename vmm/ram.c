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

void ram_prefer_huge(const struct gmem *mem, uint64_t gpa, uint64_t bytes)
{
	uint64_t start = gpa & ~(RAM_HUGE_BYTES - 1);
	uint64_t len = huge_up(gpa + bytes) - start;
	void *host = gmem_slice(mem, gpa_of(start), len);

	if (host)
		(void)madvise(host, len, MADV_HUGEPAGE);
}
