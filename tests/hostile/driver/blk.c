// SPDX-License-Identifier: Apache-2.0
/* Disks: requests, good and bad ones, and section 1.3 of the catalogue. */
#include "tests/hostile/driver/driver.h"

#include <linux/virtio_blk.h>

#define HEADER_BYTES 16u
#define SECTOR_WORDS (SECTOR_BYTES / 8)
#define BLK_DATA (PLACE_GOOD + 0x1000)
#define BLK_STATUS (PLACE_GOOD + 0x100)

bool disk_is_read_only(const struct hostile *h)
{
	return h->dev.offered >> VIRTIO_BLK_F_RO & 1;
}

static bool accepted(const struct hostile *h, unsigned int feature)
{
	return h->dev.accepted >> feature & 1;
}

uint8_t blk_request(struct hostile *h, const struct blk_try *try, uint32_t *used)
{
	struct virtio_blk_outhdr *header = host_at(h, gpa_at(h, PLACE_GOOD));
	volatile uint8_t *status = host_at(h, gpa_at(h, BLK_STATUS));
	uint16_t first = (uint16_t)(h->dev.queues[0].size - 3), n = 0;
	struct buffer buffers[3];

	*header = (struct virtio_blk_outhdr){.type = try->type, .sector = try->sector};
	*status = BLK_NO_ANSWER;
	if (try->header_bytes)
		buffers[n++] = (struct buffer){gpa_at(h, PLACE_GOOD), try->header_bytes, 0};
	if (try->data.len)
		buffers[n++] = try->data;
	if (try->status_bytes != UINT32_MAX)
		buffers[n++] = (struct buffer){gpa_at(h, BLK_STATUS), try->status_bytes, try->status_flags};
	chain_send(h, 0, first, buffers, n);
	if (!ring_await(h, 0, first, used))
		complain(h, "a request is never returned", try->type);
	return *status;
}

/* An honest request at sector with len bytes of data in the usual place. */
static struct blk_try honest(struct hostile *h, uint32_t type, uint64_t sector, uint32_t len)
{
	return (struct blk_try){
		.type = type,
		.sector = sector,
		.header_bytes = HEADER_BYTES,
		.data = {gpa_at(h, BLK_DATA), len, type == VIRTIO_BLK_T_OUT ? 0 : F_WRITE},
		.status_bytes = 1,
		.status_flags = F_WRITE,
	};
}

/* What every word of a disk says that was made for the driver. */
static uint64_t word_of(uint64_t sector, uint32_t word)
{
	return (sector * SECTOR_WORDS + word + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool transfer(struct hostile *h, uint32_t type, uint64_t sector)
{
	struct blk_try try = honest(h, type, sector, SECTOR_BYTES);
	uint32_t used = 0;
	uint8_t status = blk_request(h, &try, &used);

	return status == VIRTIO_BLK_S_OK && used == (type == VIRTIO_BLK_T_IN ? SECTOR_BYTES : 0) + 1;
}

static bool sector_is(struct hostile *h, uint64_t seed)
{
	const volatile uint64_t *data = host_at(h, gpa_at(h, BLK_DATA));

	for (uint32_t i = 0; i < SECTOR_WORDS; i++) {
		if (data[i] != word_of(seed, i))
			return false;
	}
	return true;
}

static void sector_fill(struct hostile *h, uint64_t seed)
{
	volatile uint64_t *data = host_at(h, gpa_at(h, BLK_DATA));

	for (uint32_t i = 0; i < SECTOR_WORDS; i++)
		data[i] = word_of(seed, i);
}

/* A sector of a disk that cannot be written says what it always said; of another, what was just written. */
bool blk_good(struct hostile *h)
{
	uint64_t sector = random_next(h) % h->dev.sectors;
	uint64_t seed = sector;

	if (!disk_is_read_only(h)) {
		seed = random_next(h);
		sector_fill(h, seed);
		if (!transfer(h, VIRTIO_BLK_T_OUT, sector))
			return false;
	}
	sector_fill(h, ~seed);
	return transfer(h, VIRTIO_BLK_T_IN, sector) && sector_is(h, seed);
}

/* ---- the catalogue ---- */

static void expect_status(struct hostile *h, const struct blk_try *try, uint8_t status, const char *what)
{
	uint32_t used = 0;
	uint8_t got = blk_request(h, try, &used);

	expect(h, got == status, what, got);
	/* Whatever failed, no data is said to have been written. */
	expect(h, used <= 1, what, used);
}

static enum outcome b1_sector(struct hostile *h)
{
	const uint64_t sectors[] = {h->dev.sectors, h->dev.sectors + 1, UINT64_MAX, UINT64_MAX - 1,
		UINT64_MAX >> 9, (UINT64_MAX >> 9) + 1, UINT64_C(1) << 55, UINT64_C(1) << 63};

	for (unsigned int i = 0; i < sizeof(sectors) / sizeof(sectors[0]); i++) {
		struct blk_try try = honest(h, VIRTIO_BLK_T_IN, sectors[i], SECTOR_BYTES);

		expect_status(h, &try, VIRTIO_BLK_S_IOERR, "a sector outside of the disk");
		try = honest(h, VIRTIO_BLK_T_OUT, sectors[i], SECTOR_BYTES);
		expect_status(h, &try, VIRTIO_BLK_S_IOERR, "a sector outside of the disk, to write");
	}
	return LIVES;
}

static enum outcome b1_across_the_end(struct hostile *h)
{
	struct blk_try try = honest(h, VIRTIO_BLK_T_IN, h->dev.sectors - 1, 2 * SECTOR_BYTES);

	expect_status(h, &try, VIRTIO_BLK_S_IOERR, "across the end of the disk");
	try = honest(h, VIRTIO_BLK_T_IN, UINT64_MAX, 2 * SECTOR_BYTES);
	expect_status(h, &try, VIRTIO_BLK_S_IOERR, "a range that wraps");
	return LIVES;
}

static enum outcome b1_length(struct hostile *h)
{
	static const uint32_t lengths[] = {1, 511, 513, 1023};

	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct blk_try try = honest(h, VIRTIO_BLK_T_IN, 0, lengths[i]);

		expect_status(h, &try, VIRTIO_BLK_S_IOERR, "a length that is no multiple of 512");
	}
	for (uint32_t type = VIRTIO_BLK_T_IN; type <= VIRTIO_BLK_T_OUT; type++) {
		struct blk_try try = honest(h, type, 0, 0);

		expect_status(h, &try, VIRTIO_BLK_S_IOERR, "no data");
	}
	return LIVES;
}

/* 4 GiB less a sector: as much as the walk allows, outside of memory and so refused. */
static enum outcome b1_four_gib(struct hostile *h)
{
	struct blk_try try = honest(h, VIRTIO_BLK_T_IN, 0, UINT32_MAX & ~511u);

	try.data.gpa = h->memory_gpa;
	expect_status(h, &try, VIRTIO_BLK_S_IOERR, "4 GiB");
	return LIVES;
}

static enum outcome b2_read_only(struct hostile *h)
{
	static const uint32_t types[] = {
		VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_FLUSH};

	if (!disk_is_read_only(h))
		return LIVES;
	/* With and without having been told that the disk is read-only. */
	for (unsigned int told = 0; told < 2; told++) {
		device_up(h, told ? UINT64_MAX : ~(UINT64_C(1) << VIRTIO_BLK_F_RO), UINT16_MAX);
		for (unsigned int i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
			struct blk_try try = honest(h, types[i], 0, SECTOR_BYTES);
			uint32_t used = 0;
			uint8_t status;

			try.data.flags = 0;
			try.data.len = i == 0 ? SECTOR_BYTES : 16;
			status = blk_request(h, &try, &used);
			expect(h, status == VIRTIO_BLK_S_IOERR || status == VIRTIO_BLK_S_UNSUPP,
				"a change of a read-only disk", types[i]);
		}
	}
	return LIVES;
}

/* DISCARD and WRITE_ZEROES with ranges, flags and sizes that cannot be. */
static enum outcome b2_ranges(struct hostile *h)
{
	const struct virtio_blk_discard_write_zeroes bad[] = {
		{h->dev.sectors, 1, 0},
		{h->dev.sectors - 1, 2, 0},
		{UINT64_MAX, 1, 0},
		{0, UINT32_MAX, 0},
		{0, 0, 0},
		{0, 8, 2},
		{0, 8, UINT32_MAX},
		{UINT64_MAX >> 9, UINT32_MAX, 1},
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (uint32_t type = VIRTIO_BLK_T_DISCARD; type <= VIRTIO_BLK_T_WRITE_ZEROES; type += 2) {
			struct blk_try try = honest(h, type, 0, sizeof(bad[i]));
			uint32_t used;

			*(struct virtio_blk_discard_write_zeroes *)host_at(h, gpa_at(h, BLK_DATA)) = bad[i];
			try.data.flags = 0;
			expect(h, blk_request(h, &try, &used) != VIRTIO_BLK_S_OK, "a range that cannot be",
				i);
			try.data.len--;
			expect(h, blk_request(h, &try, &used) != VIRTIO_BLK_S_OK, "a range cut short", i);
		}
	}
	return LIVES;
}

static enum outcome b3_types(struct hostile *h)
{
	/* SCSI_CMD and its answer, everything unassigned, zoned and secure operations. */
	static const uint32_t types[] = {
		2, 3, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18, 20, 22, 24, 26, 0x100, 0x80000000, UINT32_MAX};

	for (unsigned int i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct blk_try try = honest(h, types[i], 0, SECTOR_BYTES);

		expect_status(h, &try, VIRTIO_BLK_S_UNSUPP, "an unknown type");
	}
	return LIVES;
}

static enum outcome b3_get_id(struct hostile *h)
{
	static const uint32_t lengths[] = {0, 1, 19};

	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct blk_try try = honest(h, VIRTIO_BLK_T_GET_ID, 0, lengths[i]);

		expect_status(h, &try, VIRTIO_BLK_S_IOERR, "GET_ID into too little");
	}
	return LIVES;
}

static enum outcome b3_status(struct hostile *h)
{
	struct blk_try try = honest(h, VIRTIO_BLK_T_IN, 0, SECTOR_BYTES);
	uint32_t used = 1;

	/* Without a place for the status it may be the last byte of the data. */
	try.status_bytes = UINT32_MAX;
	expect(h, blk_request(h, &try, &used) == BLK_NO_ANSWER, "no status descriptor", used);
	try.data.len = 0;
	expect(h, blk_request(h, &try, &used) == BLK_NO_ANSWER && !used, "a header alone", used);
	try = honest(h, VIRTIO_BLK_T_IN, 0, SECTOR_BYTES);
	try.status_bytes = 0;
	expect(h, blk_request(h, &try, &used) == BLK_NO_ANSWER && !used, "an empty status", used);
	try = honest(h, VIRTIO_BLK_T_OUT, 0, SECTOR_BYTES);
	try.status_flags = 0;
	expect(h, blk_request(h, &try, &used) == BLK_NO_ANSWER && !used, "a read-only status", used);
	return LIVES;
}

static enum outcome b3_header(struct hostile *h)
{
	for (uint32_t bytes = 0; bytes < HEADER_BYTES; bytes++) {
		struct blk_try try = honest(h, VIRTIO_BLK_T_IN, 0, SECTOR_BYTES);

		try.header_bytes = bytes;
		expect_status(h, &try, VIRTIO_BLK_S_IOERR, "a header cut short");
	}
	return LIVES;
}

/* B7, R: what was not negotiated is not done. */
static enum outcome b7_flush(struct hostile *h)
{
	struct blk_try try;
	uint32_t used;
	uint8_t status;

	device_up(h, ~(UINT64_C(1) << VIRTIO_BLK_F_FLUSH), UINT16_MAX);
	try = honest(h, VIRTIO_BLK_T_FLUSH, 0, 0);
	expect_status(h, &try, VIRTIO_BLK_S_UNSUPP, "a flush that was not negotiated");
	device_up(h, UINT64_MAX, UINT16_MAX);
	status = blk_request(h, &try, &used);
	expect(h, status == (accepted(h, VIRTIO_BLK_F_FLUSH) ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_UNSUPP),
		"a flush", status);
	return LIVES;
}

/*
 * Q18: a reset while as much is under way as there can be. The old rings must not change after it, although
 * new ones are in use.
 */
static enum outcome q18_reset_in_flight(struct hostile *h)
{
	uint64_t aside = gpa_at(h, PLACE_FREE);
	volatile uint8_t *data = host_at(h, aside);
	uint16_t per_chain = 3, n = (uint16_t)(h->dev.size_max[0] / per_chain), head = 0;
	uint32_t used;

	for (unsigned int round = 0; round < 4; round++) {
		if (h->ops->disk_cold)
			h->ops->disk_cold(h->ctx);
		device_up(h, UINT64_MAX, UINT16_MAX);
		*(struct virtio_blk_outhdr *)host_at(h, gpa_at(h, PLACE_GOOD)) =
			(struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN, .sector = random_below(h, 8)};
		for (uint16_t i = 0; i < n; i++) {
			const struct buffer chain[] = {{gpa_at(h, PLACE_GOOD), HEADER_BYTES, 0},
				{aside + 0x1000, 0x10000, F_WRITE}, {gpa_at(h, BLK_STATUS), 1, F_WRITE}};

			chain_send(h, 0, (uint16_t)(i * per_chain), chain, per_chain);
		}
		if (round & 1)
			settle(h);
		device_reset(h);
		for (uint32_t i = 0; i < 0x12000; i++)
			data[i] = 0x77;
		expect(h, hostile_revive(h), "life after requests were cut off", round);
		settle(h);
		expect(h, !ring_take(h, 0, &head, &used), "a request of an old life in a new ring", head);
		for (uint32_t i = 0; i < 0x12000; i++)
			expect(h, data[i] == 0x77, "memory changed by requests of an old life", i);
	}
	return LIVES;
}

const struct hostile_case cases_blk[] = {
	{"B1 sector", VIRTIO_ID_BLOCK, b1_sector},
	{"B1 end", VIRTIO_ID_BLOCK, b1_across_the_end},
	{"B1 length", VIRTIO_ID_BLOCK, b1_length},
	{"B1 4 GiB", VIRTIO_ID_BLOCK, b1_four_gib},
	{"B2 read-only", VIRTIO_ID_BLOCK, b2_read_only},
	{"B2 ranges", VIRTIO_ID_BLOCK, b2_ranges},
	{"B3 types", VIRTIO_ID_BLOCK, b3_types},
	{"B3 GET_ID", VIRTIO_ID_BLOCK, b3_get_id},
	{"B3 status", VIRTIO_ID_BLOCK, b3_status},
	{"B3 header", VIRTIO_ID_BLOCK, b3_header},
	{"B7 flush", VIRTIO_ID_BLOCK, b7_flush},
	{"Q18 in flight", VIRTIO_ID_BLOCK, q18_reset_in_flight},
	CASES_END,
};
