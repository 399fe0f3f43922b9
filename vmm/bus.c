// SPDX-License-Identifier: Apache-2.0
#include "vmm/bus.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

void bus_init(struct bus *bus, uint64_t absent)
{
	*bus = (struct bus){.absent = absent};
}

void bus_add(struct bus *bus, uint64_t start, uint64_t bytes, const struct bus_ops *ops, void *ctx)
{
	assert(bus->n_ranges < BUS_RANGES_MAX && bytes && bytes - 1 <= UINT64_MAX - start);
	for (unsigned i = 0; i < bus->n_ranges; i++) {
		const struct bus_range *other = &bus->ranges[i];

		assert(start > other->start ? start - other->start >= other->bytes
					    : other->start - start >= bytes);
		(void)other;
	}
	bus->ranges[bus->n_ranges++] = (struct bus_range){start, bytes, ops, ctx};
}

/* The range that holds all of the access, or NULL. A linear search: there are a dozen ranges. */
static const struct bus_range *range_find(const struct bus *bus, uint64_t address, unsigned len)
{
	for (unsigned i = 0; i < bus->n_ranges; i++) {
		const struct bus_range *range = &bus->ranges[i];

		if (address >= range->start && address - range->start < range->bytes &&
			len <= range->bytes - (address - range->start))
			return range;
	}
	return NULL;
}

void bus_read(const struct bus *bus, uint64_t address, uint8_t *data, unsigned len)
{
	const struct bus_range *range = range_find(bus, address, len);
	uint64_t value = bus->absent;

	if (range)
		value = range->ops->read(range->ctx, address - range->start, len);
	for (unsigned i = 0; i < len; i++)
		data[i] = (uint8_t)(i < sizeof(value) ? value >> (8 * i) : 0);
}

void bus_write(const struct bus *bus, uint64_t address, const uint8_t *data, unsigned len)
{
	const struct bus_range *range = range_find(bus, address, len);
	uint64_t value = 0;

	if (!range || len > sizeof(value))
		return;
	for (unsigned i = 0; i < len; i++)
		value |= (uint64_t)data[i] << (8 * i);
	range->ops->write(range->ctx, address - range->start, len, value);
}
