// SPDX-License-Identifier: Apache-2.0
/*
 * Who answers at which address: one bus for memory-mapped registers, one for x86 ports.
 *
 * Filled before the first vCPU runs and constant after it, so vCPU threads look things up without a lock. An
 * access that no range holds as a whole (unknown, or across an end) reads as the bus's absent value; a write
 * of that kind is dropped. Both are what a guest gets from real hardware and cost the host nothing.
 */
#ifndef MVRUN_VMM_BUS_H
#define MVRUN_VMM_BUS_H

#include <stdint.h>

#define BUS_RANGES_MAX 24

/* Handlers run on vCPU threads, several at once. offset + len lies inside the range; len is 1 to 8. */
struct bus_ops {
	uint64_t (*read)(void *ctx, uint64_t offset, unsigned len);
	void (*write)(void *ctx, uint64_t offset, unsigned len, uint64_t value);
};

struct bus_range {
	uint64_t start, bytes;
	const struct bus_ops *ops;
	void *ctx;
};

struct bus {
	struct bus_range ranges[BUS_RANGES_MAX];
	unsigned n_ranges;
	uint64_t absent;
};

void bus_init(struct bus *bus, uint64_t absent);

/* Ranges must not overlap: that would be our own mistake, and asserts. ops and ctx outlive the bus. */
void bus_add(struct bus *bus, uint64_t start, uint64_t bytes, const struct bus_ops *ops, void *ctx);

/* data is len bytes (1 to 8), little-endian. Any thread once the bus is complete. */
void bus_read(const struct bus *bus, uint64_t address, uint8_t *data, unsigned len);
void bus_write(const struct bus *bus, uint64_t address, const uint8_t *data, unsigned len);

#endif
