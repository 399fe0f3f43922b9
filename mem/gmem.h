// SPDX-License-Identifier: Apache-2.0
/*
 * Guest memory: the one boundary between guest-physical addresses and host memory.
 *
 * Theory of operation. A struct gmem is a short table of the guest's RAM regions, filled while the machine is
 * built and constant from then on, so any thread may use it without a lock. gmem_slice() is the only function
 * in the program that turns a guest-physical address into a pointer. It answers for one region only (two
 * regions that touch in the guest need not touch in the host) and checks by subtraction, so that no address
 * and length a guest can choose wraps. Nothing but RAM is ever in the table: a descriptor that names a
 * register window is refused like any other hole, and so no device can be made to talk to another.
 *
 * The guest may change its memory at any instant. Whatever is to be decided upon is therefore copied out once
 * by gmem_read() (or by the queue, or by giov_read()) and only the copy is looked at.
 */
#ifndef MVRUN_MEM_GMEM_H
#define MVRUN_MEM_GMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GMEM_REGIONS_MAX 8

/* A guest-physical address: a struct, so that arithmetic on it does not compile by accident. */
typedef struct {
	uint64_t raw;
} gpa_t;

static inline gpa_t gpa_of(uint64_t raw)
{
	return (gpa_t){raw};
}

struct gmem_region {
	gpa_t base;
	uint64_t len_bytes;
	uint8_t *host;
};

struct gmem {
	uint32_t n_regions;
	struct gmem_region regions[GMEM_REGIONS_MAX];
};

/*
 * Add len_bytes of RAM at base, backed by host (borrowed, at least as long, mapped while mem is in use).
 * 0; -EINVAL for nothing, a range that wraps or one that overlaps another; -ENOSPC when the table is full.
 */
int gmem_add(struct gmem *mem, gpa_t base, void *host, uint64_t len_bytes);

/* The host address of len_bytes at gpa, all within one region; NULL if it is not, or if len_bytes is 0. */
void *gmem_slice(const struct gmem *mem, gpa_t gpa, uint64_t len_bytes);

/* Copy len_bytes out of, or into, guest memory. 0, or -EFAULT with nothing copied. A length of 0 is fine. */
int gmem_read(const struct gmem *mem, gpa_t gpa, void *data, size_t len_bytes);
int gmem_write(const struct gmem *mem, gpa_t gpa, const void *data, size_t len_bytes);

#endif
