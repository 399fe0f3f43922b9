// SPDX-License-Identifier: Apache-2.0
#include "mem/gmem.h"

#include <errno.h>
#include <string.h>

static bool regions_overlap(const struct gmem_region *a, gpa_t base, uint64_t len_bytes)
{
	if (base.raw >= a->base.raw)
		return base.raw - a->base.raw < a->len_bytes;
	return a->base.raw - base.raw < len_bytes;
}

int gmem_add(struct gmem *mem, gpa_t base, void *host, uint64_t len_bytes)
{
	if (!host || !len_bytes || len_bytes - 1 > UINT64_MAX - base.raw)
		return -EINVAL;
	for (uint32_t i = 0; i < mem->n_regions; i++) {
		if (regions_overlap(&mem->regions[i], base, len_bytes))
			return -EINVAL;
	}
	if (mem->n_regions == GMEM_REGIONS_MAX)
		return -ENOSPC;
	mem->regions[mem->n_regions++] = (struct gmem_region){base, len_bytes, host};
	return 0;
}

void *gmem_slice(const struct gmem *mem, gpa_t gpa, uint64_t len_bytes)
{
	if (!len_bytes)
		return NULL;
	for (uint32_t i = 0; i < mem->n_regions; i++) {
		const struct gmem_region *region = &mem->regions[i];
		uint64_t offset = gpa.raw - region->base.raw;

		if (gpa.raw < region->base.raw || offset >= region->len_bytes)
			continue;
		return len_bytes <= region->len_bytes - offset ? region->host + offset : NULL;
	}
	return NULL;
}

int gmem_read(const struct gmem *mem, gpa_t gpa, void *data, size_t len_bytes)
{
	const void *host = gmem_slice(mem, gpa, len_bytes);

	if (!len_bytes)
		return 0;
	if (!host)
		return -EFAULT;
	memcpy(data, host, len_bytes);
	/* The copy is what counts from here on: the compiler may not go back to the source for it. */
	__asm__ volatile("" : : : "memory");
	return 0;
}

int gmem_write(const struct gmem *mem, gpa_t gpa, const void *data, size_t len_bytes)
{
	void *host = gmem_slice(mem, gpa, len_bytes);

	if (!len_bytes)
		return 0;
	if (!host)
		return -EFAULT;
	memcpy(host, data, len_bytes);
	return 0;
}
