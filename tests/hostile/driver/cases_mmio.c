// SPDX-License-Identifier: Apache-2.0
/* Section 1.2 of the catalogue: registers and config space. */
#include "tests/hostile/driver/driver.h"

#define S_FAILED VIRTIO_CONFIG_S_FAILED

static const uint32_t registers_write_only[] = {VIRTIO_MMIO_DEVICE_FEATURES_SEL, VIRTIO_MMIO_DRIVER_FEATURES,
	VIRTIO_MMIO_DRIVER_FEATURES_SEL, VIRTIO_MMIO_QUEUE_SEL, VIRTIO_MMIO_QUEUE_NUM,
	VIRTIO_MMIO_QUEUE_NOTIFY, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_QUEUE_DESC_LOW,
	VIRTIO_MMIO_QUEUE_AVAIL_LOW, VIRTIO_MMIO_QUEUE_USED_LOW};

/* The registers an honest driver would read, mixed into one number. */
static uint64_t registers_sum(struct hostile *h)
{
	uint64_t sum = 0;

	for (uint32_t offset = 0; offset < VIRTIO_MMIO_CONFIG + 0x40; offset += 4)
		sum = sum * 31 + reg_get(h, offset);
	return sum;
}

/* M1: widths and places that no register has. Nothing may come of it, a reset or a status least of all. */
static enum outcome m1_widths(struct hostile *h)
{
	static const unsigned int widths[] = {1, 2, 8};
	uint64_t before = registers_sum(h);

	for (uint32_t offset = 0; offset < VIRTIO_MMIO_CONFIG; offset++) {
		for (unsigned int i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
			h->ops->write(h->ctx, h->dev.slot, offset, 0, widths[i]);
			h->ops->write(h->ctx, h->dev.slot, offset, UINT64_MAX, widths[i]);
			(void)h->ops->read(h->ctx, h->dev.slot, offset, widths[i]);
		}
	}
	expect(h, registers_sum(h) == before, "registers after accesses of wrong width", 0);
	return LIVES;
}

static enum outcome m1_misaligned(struct hostile *h)
{
	uint64_t before = registers_sum(h);

	for (uint32_t offset = 0; offset < VIRTIO_MMIO_CONFIG; offset++) {
		if (offset % 4 == 0)
			continue;
		h->ops->write(h->ctx, h->dev.slot, offset, 0, 4);
		h->ops->write(h->ctx, h->dev.slot, offset, UINT32_MAX, 4);
		(void)h->ops->read(h->ctx, h->dev.slot, offset, 4);
	}
	expect(h, registers_sum(h) == before, "registers after misaligned accesses", 0);
	return LIVES;
}

/* Accesses at and across the end of the window. */
static enum outcome m1_end_of_window(struct hostile *h)
{
	for (uint32_t offset = PAGE_BYTES - 8; offset < PAGE_BYTES; offset++) {
		for (unsigned int width = 1; width <= 8 && offset + width <= PAGE_BYTES + 4; width *= 2) {
			(void)h->ops->read(h->ctx, h->dev.slot, offset, width);
			h->ops->write(h->ctx, h->dev.slot, offset, UINT64_MAX, width);
		}
	}
	return LIVES;
}

/* M1: registers that cannot be written, and those that do not exist. */
static enum outcome m1_read_only(struct hostile *h)
{
	uint64_t before = registers_sum(h);

	for (uint32_t offset = 0; offset < PAGE_BYTES; offset += 4) {
		bool known = offset == VIRTIO_MMIO_STATUS || offset == VIRTIO_MMIO_QUEUE_READY;

		for (unsigned int i = 0; i < sizeof(registers_write_only) / sizeof(registers_write_only[0]);
			i++)
			known |= offset == registers_write_only[i];
		if (!known)
			reg_put(h, offset, ~reg_get(h, offset));
	}
	expect(h, registers_sum(h) == before, "registers that cannot be written", 0);
	return LIVES;
}

/* M2: queues that do not exist have size 0, are never ready and take no values. */
static enum outcome m2_queue_sel(struct hostile *h)
{
	const uint32_t selected[] = {h->dev.n_queues, h->dev.n_queues + 1u, 7, 8, 255, 256, 0x10000,
		0x7fffffff, 0x80000000, UINT32_MAX - 1, UINT32_MAX};

	for (unsigned int i = 0; i < sizeof(selected) / sizeof(selected[0]); i++) {
		reg_put(h, VIRTIO_MMIO_QUEUE_SEL, selected[i]);
		expect(h, !reg_get(h, VIRTIO_MMIO_QUEUE_NUM_MAX), "the size of no queue", selected[i]);
		for (uint32_t offset = VIRTIO_MMIO_QUEUE_NUM; offset < VIRTIO_MMIO_CONFIG; offset += 4) {
			if (offset != VIRTIO_MMIO_STATUS)
				reg_put(h, offset, UINT32_MAX);
		}
		expect(h, !reg_get(h, VIRTIO_MMIO_QUEUE_READY), "no queue is ready", selected[i]);
		ring_kick(h, selected[i]);
	}
	return LIVES;
}

/* The same before the queues are set up, where values would be taken. */
static enum outcome m2_queue_sel_early(struct hostile *h)
{
	device_negotiate(h, UINT64_MAX);
	m2_queue_sel(h);
	reg_put(h, VIRTIO_MMIO_STATUS, STATUS_UP);
	expect(h, status_get(h) == STATUS_UP, "the status", status_get(h));
	settle(h);
	return EITHER;
}

/* Bring the device to one of the states of section 2.1 that an honest driver goes through. */
static void state_reach(struct hostile *h, uint32_t status)
{
	if (status >= STATUS_FEATURES_OK)
		device_negotiate(h, UINT64_MAX);
	else
		device_reset(h);
	if (status == 1 || status == STATUS_DRIVER)
		reg_put(h, VIRTIO_MMIO_STATUS, 1);
	if (status == STATUS_DRIVER || status == STATUS_UP)
		reg_put(h, VIRTIO_MMIO_STATUS, status);
	expect(h, status_get(h) == status, "the state to begin with", status);
}

/* What the status is after value was written in state now, in which no features have been accepted yet. */
static uint32_t state_after(uint32_t now, uint32_t value)
{
	if (!value)
		return 0;
	if (value & S_FAILED)
		return now | S_FAILED;
	if ((now == 0 && value == 1) || (now == 1 && value == STATUS_DRIVER) ||
		(now == STATUS_FEATURES_OK && value == STATUS_UP))
		return value;
	return now;
}

/* M4: every value in every state. There are four legal edges; FEATURES_OK needs features. */
static enum outcome m4_every_edge(struct hostile *h)
{
	static const uint32_t states[] = {0, 1, STATUS_DRIVER, STATUS_FEATURES_OK, STATUS_UP};
	static const uint32_t high[] = {0x100, 0x80000000, 0xffffff00};

	for (unsigned int i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		for (uint32_t value = 0; value < 256 + sizeof(high) / sizeof(high[0]); value++) {
			uint32_t written = value < 256 ? value : high[value - 256] | STATUS_UP;

			state_reach(h, states[i]);
			reg_put(h, VIRTIO_MMIO_STATUS, written);
			expect(h, status_get(h) == state_after(states[i], written), "the status after a jump",
				(uint64_t)states[i] << 32 | written);
		}
	}
	return EITHER;
}

static void accept_words(struct hostile *h, uint32_t low, uint32_t high)
{
	reg_put(h, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	reg_put(h, VIRTIO_MMIO_DRIVER_FEATURES, low);
	reg_put(h, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	reg_put(h, VIRTIO_MMIO_DRIVER_FEATURES, high);
}

/* M4: each feature that was not offered, and VERSION_1 missing. */
static enum outcome m4_features(struct hostile *h)
{
	uint32_t version = 1u << (VIRTIO_F_VERSION_1 - 32);

	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t features = UINT64_C(1) << bit | UINT64_C(1) << VIRTIO_F_VERSION_1;
		bool fine = h->dev.offered >> bit & 1;

		state_reach(h, STATUS_DRIVER);
		accept_words(h, (uint32_t)features, (uint32_t)(features >> 32));
		reg_put(h, VIRTIO_MMIO_STATUS, STATUS_FEATURES_OK);
		expect(h, status_get(h) == (fine ? STATUS_FEATURES_OK : STATUS_DRIVER), "FEATURES_OK", bit);
	}
	state_reach(h, STATUS_DRIVER);
	accept_words(h, (uint32_t)h->dev.offered, (uint32_t)(h->dev.offered >> 32) & ~version);
	reg_put(h, VIRTIO_MMIO_STATUS, STATUS_FEATURES_OK);
	expect(h, status_get(h) == STATUS_DRIVER, "FEATURES_OK without VERSION_1", status_get(h));
	/* Words that do not exist are not the words that do. */
	for (uint32_t sel = 2; sel; sel *= 2) {
		reg_put(h, VIRTIO_MMIO_DRIVER_FEATURES_SEL, sel);
		reg_put(h, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
		reg_put(h, VIRTIO_MMIO_DEVICE_FEATURES_SEL, sel);
		expect(h, !reg_get(h, VIRTIO_MMIO_DEVICE_FEATURES), "features of no word", sel);
	}
	return EITHER;
}

/* M4: features written after FEATURES_OK change nothing: EVENT_IDX stays what it was. */
static enum outcome m4_features_late(struct hostile *h)
{
	accept_words(h, 0, 0);
	accept_words(h, UINT32_MAX, UINT32_MAX);
	expect(h, device_good(h), "features written late", status_get(h));
	return LIVES;
}

/* M5: from FAILED only a reset leads on. */
static enum outcome m5_failed(struct hostile *h)
{
	reg_put(h, VIRTIO_MMIO_STATUS, STATUS_UP | S_FAILED);
	expect(h, status_get(h) == (STATUS_UP | S_FAILED), "FAILED", status_get(h));
	for (uint32_t value = 1; value < 256; value++) {
		reg_put(h, VIRTIO_MMIO_STATUS, value);
		expect(h, status_get(h) == (STATUS_UP | S_FAILED), "FAILED is for good", value);
	}
	ring_offer(h, queue_main(h), 0);
	ring_kick(h, queue_main(h));
	settle(h);
	return EITHER;
}

/* Config space is the same however it is read, and cannot be written. */
static enum outcome m3_config(struct hostile *h)
{
	for (uint32_t offset = VIRTIO_MMIO_CONFIG; offset + 8 <= PAGE_BYTES; offset += 8) {
		uint64_t whole = h->ops->read(h->ctx, h->dev.slot, offset, 8), parts = 0;

		h->ops->write(h->ctx, h->dev.slot, offset, ~whole, 8);
		for (unsigned int i = 0; i < 8; i++) {
			h->ops->write(h->ctx, h->dev.slot, offset + i, 0xa5, 1);
			parts |= (h->ops->read(h->ctx, h->dev.slot, offset + i, 1) & 0xff) << (8 * i);
		}
		expect(h, parts == whole, "config space", offset);
	}
	return LIVES;
}

#define CASE(name, fn)                                                                                       \
	{                                                                                                    \
		name, 0, fn                                                                                  \
	}

const struct hostile_case cases_mmio[] = {
	CASE("M1 widths", m1_widths),
	CASE("M1 misaligned", m1_misaligned),
	CASE("M1 end of window", m1_end_of_window),
	CASE("M1 read-only", m1_read_only),
	CASE("M2 QueueSel", m2_queue_sel),
	CASE("M2 QueueSel early", m2_queue_sel_early),
	CASE("M3 config space", m3_config),
	CASE("M4 every edge", m4_every_edge),
	CASE("M4 features", m4_features),
	CASE("M4 features late", m4_features_late),
	CASE("M5 FAILED", m5_failed),
	CASES_END,
};
