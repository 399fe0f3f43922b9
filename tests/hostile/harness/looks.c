// SPDX-License-Identifier: Apache-2.0
#include "tests/hostile/harness/looks.h"

#include "tests/hostile/harness/machine.h"

#include <stddef.h>
#include <string.h>

/* The driver's layout: queues one behind the other, each with descriptors, available and used ring. */
#define QUEUES_BYTES 0x10000u
#define QUEUE_BYTES 0x4000u
#define AVAILABLE_AT 0x1000u
#define USED_AT 0x2000u
#define DESCRIPTOR_BYTES 16u
#define ADDRESS_BYTES 8u

/* What is called before loads must not itself be told of its loads. */
#ifdef __clang__
#define UNWATCHED __attribute__((no_sanitize("coverage")))
#else
#define UNWATCHED
#endif

bool looks_inside;
static uint8_t *watched; /* the first byte that may change */
static uint64_t state = 1, n_changed;

UNWATCHED static uint32_t dice(uint32_t n)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33) % n;
}

void looks_watch(uint8_t *memory)
{
	watched = memory ? memory + HOSTILE_CONSTANT_BYTES : NULL;
}

uint64_t looks_changed(void)
{
	return n_changed;
}

/* A bit, or a small number. */
UNWATCHED static void word_change(uint8_t *at)
{
	uint16_t word;

	memcpy(&word, at, sizeof(word));
	word = dice(2) ? word ^ (uint16_t)(1u << dice(16)) : (uint16_t)dice(8);
	memcpy(at, &word, sizeof(word));
	n_changed++;
}

/* bytes at address are about to be loaded. */
UNWATCHED static void looked_at(uintptr_t address, size_t bytes)
{
	size_t offset, in_queue;

	if (!watched || !looks_inside || address < (uintptr_t)watched || bytes < sizeof(uint16_t))
		return;
	offset = address - (uintptr_t)watched;
	in_queue = offset % QUEUE_BYTES;
	/* What descriptors point at changes by itself, and what the device wrote is the device's. */
	if (offset >= QUEUES_BYTES || in_queue >= USED_AT)
		return;
	if (in_queue < AVAILABLE_AT) {
		/* Never an address: one that a device may write to must not come to point at the pattern. */
		if (in_queue % DESCRIPTOR_BYTES >= ADDRESS_BYTES && !dice(6))
			word_change(watched + offset + 2 * dice((uint32_t)bytes / 2));
	} else if (!dice(in_queue - AVAILABLE_AT < 4 ? 64 : 8)) {
		word_change(watched + offset);
	}
}

/* The names are the compiler's. */
void __sanitizer_cov_load1(uint8_t *address);
void __sanitizer_cov_load2(uint16_t *address);
void __sanitizer_cov_load4(uint32_t *address);
void __sanitizer_cov_load8(uint64_t *address);
void __sanitizer_cov_load16(__uint128_t *address);

UNWATCHED void __sanitizer_cov_load1(uint8_t *address)
{
	(void)address;
}

UNWATCHED void __sanitizer_cov_load2(uint16_t *address)
{
	looked_at((uintptr_t)address, sizeof(*address));
}

UNWATCHED void __sanitizer_cov_load4(uint32_t *address)
{
	looked_at((uintptr_t)address, sizeof(*address));
}

UNWATCHED void __sanitizer_cov_load8(uint64_t *address)
{
	looked_at((uintptr_t)address, sizeof(*address));
}

UNWATCHED void __sanitizer_cov_load16(__uint128_t *address)
{
	looked_at((uintptr_t)address, sizeof(*address));
}
