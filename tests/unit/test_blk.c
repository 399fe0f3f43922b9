// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cm.h"
#include "base/clock.h"
#include "tests/unit/fake_driver.h"
#include "virtio/blk.h"
#include "virtio/blk_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SECTOR 512u
#define DISK_SECTORS 64u
#define QUEUE 64
#define UNTOUCHED 0xee

struct bench {
	struct fake_driver fake;
	struct virtio_blk blk;
	int fds[3];
	struct blk_segment segments[3];
	uint64_t header, data, status;
	bool no_uring;
};

static struct bench bench_storage;

/* A file whose byte at offset i tells which file and where. */
static int patterned_file(size_t len, unsigned int seed)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	uint8_t *map;

	assert_true(fd >= 0);
	if (!len)
		return fd;
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	for (size_t i = 0; i < len; i++)
		map[i] = (uint8_t)(seed + i + i / SECTOR);
	munmap(map, len);
	return fd;
}

static uint8_t pattern(unsigned int seed, size_t i)
{
	return (uint8_t)(seed + i + i / SECTOR);
}

static struct bench *bench_new(void)
{
	struct bench *bench = &bench_storage;

	memset(bench, 0, sizeof(*bench));
	for (int i = 0; i < 3; i++)
		bench->fds[i] = -1;
	fake_init(&bench->fake);
	return bench;
}

static void bench_start(struct bench *bench, const struct blk_backing *backing, uint32_t block_bytes)
{
	struct virtio_wiring wiring = fake_wiring(&bench->fake);
	struct virtio_blk_options options = {
		.backing = *backing,
		.n_queues = 1,
		.block_bytes = block_bytes,
		.serial = "disk-0",
		.no_uring = bench->no_uring,
	};

	assert_int_equal(virtio_blk_init(&bench->blk, &wiring, &options), 0);
	fake_up(&bench->fake, &bench->blk.dev, 1, QUEUE);
	bench->header = fake_alloc(&bench->fake, 16);
	bench->status = fake_alloc(&bench->fake, 1);
	bench->data = fake_alloc(&bench->fake, 1 << 20);
}

/* One writable file. */
static int setup_file_with(void **state, bool no_uring)
{
	struct bench *bench = bench_new();
	struct blk_backing backing;

	bench->no_uring = no_uring;
	bench->fds[0] = patterned_file(DISK_SECTORS * SECTOR, 1);
	bench->segments[0] = (struct blk_segment){bench->fds[0], 0, DISK_SECTORS * SECTOR};
	assert_int_equal(blk_backing_file(&backing, &bench->segments[0]), 0);
	bench_start(bench, &backing, SECTOR);
	*state = bench;
	return 0;
}

static int setup_file(void **state)
{
	return setup_file_with(state, false);
}

static int setup_file_plain(void **state)
{
	return setup_file_with(state, true);
}

/*
 * Three read-only segments: 4 sectors from the middle of a file; 6 of which the file holds 2.5; 54 of none.
 */
static int setup_segments(void **state)
{
	struct bench *bench = bench_new();
	struct blk_backing backing;

	bench->fds[0] = patterned_file(16 * SECTOR, 1);
	bench->fds[1] = patterned_file(2 * SECTOR + SECTOR / 2, 100);
	bench->fds[2] = patterned_file(0, 0);
	bench->segments[0] = (struct blk_segment){bench->fds[0], 8 * SECTOR, 4 * SECTOR};
	bench->segments[1] = (struct blk_segment){bench->fds[1], 0, 6 * SECTOR};
	bench->segments[2] = (struct blk_segment){bench->fds[2], 0, 54 * SECTOR};
	assert_int_equal(blk_backing_segments(&backing, bench->segments, 3), 0);
	bench_start(bench, &backing, SECTOR);
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	virtio_blk_done(&bench->blk);
	fake_done(&bench->fake);
	for (int i = 0; i < 3; i++) {
		if (bench->fds[i] >= 0)
			close(bench->fds[i]);
	}
	return 0;
}

/* The engine is the first member of what the device keeps. */
static struct blk_engine *engine_of(struct bench *bench)
{
	return (struct blk_engine *)bench->blk.disk;
}

static uint8_t *data_of(struct bench *bench)
{
	return fake_host(&bench->fake, bench->data);
}

static uint8_t status_of(struct bench *bench)
{
	return *(uint8_t *)fake_host(&bench->fake, bench->status);
}

static void header_set(struct bench *bench, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr header = {.type = type, .sector = sector};

	memcpy(fake_host(&bench->fake, bench->header), &header, sizeof(header));
	*(uint8_t *)fake_host(&bench->fake, bench->status) = UNTOUCHED;
}

/* Kick and wait for one answer. The used length. */
static uint32_t complete(struct bench *bench)
{
	uint64_t deadline_ms = clock_now_ms() + 5000;
	uint32_t len = 0;

	fake_kick(&bench->fake);
	while (!fake_take(&bench->fake, 0, NULL, &len)) {
		assert_true(clock_now_ms() < deadline_ms);
		loop_turn(&bench->fake.loop, 100);
	}
	return len;
}

/* A whole request with len bytes of data. *used (may be NULL): the used length. The status. */
static uint8_t request(struct bench *bench, uint32_t type, uint64_t sector, uint32_t len, uint32_t *used)
{
	bool to_guest = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	struct fake_buffer buffers[3] = {
		{bench->header, 16, false}, {bench->data, len, to_guest}, {bench->status, 1, true}};
	uint32_t n;

	header_set(bench, type, sector);
	if (!len)
		buffers[1] = buffers[2];
	fake_add(&bench->fake, 0, buffers, len ? 3 : 2);
	n = complete(bench);
	if (used)
		*used = n;
	return status_of(bench);
}

static void test_config_space(void **state)
{
	struct bench *bench = *state;
	struct virtio_blk_config config;
	uint64_t features = bench->blk.dev.state.offered;

	virtio_mmio_read(&bench->blk.dev, VIRTIO_MMIO_CONFIG, &config, sizeof(config));
	assert_int_equal(config.capacity, DISK_SECTORS);
	assert_int_equal(config.blk_size, SECTOR);
	assert_int_equal(config.seg_max, BLK_QUEUE_SIZE - 2);
	assert_int_equal(config.physical_block_exp, 3);
	assert_true(features >> VIRTIO_BLK_F_FLUSH & 1);
	assert_true(features >> VIRTIO_BLK_F_DISCARD & 1);
	assert_false(features >> VIRTIO_BLK_F_RO & 1);
	assert_false(features >> VIRTIO_BLK_F_MQ & 1);
	assert_false(features >> VIRTIO_RING_F_INDIRECT_DESC & 1);
	assert_false(features >> VIRTIO_F_RING_PACKED & 1);
	assert_false(features >> VIRTIO_F_IN_ORDER & 1);
}

static void test_read_write(void **state)
{
	struct bench *bench = *state;
	uint32_t used;
	uint8_t back[4 * SECTOR];

	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 3, 4 * SECTOR, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 4 * SECTOR + 1);
	for (size_t i = 0; i < 4 * SECTOR; i++)
		assert_int_equal(data_of(bench)[i], pattern(1, 3 * SECTOR + i));
	memset(data_of(bench), 0x5a, 2 * SECTOR);
	assert_int_equal(request(bench, VIRTIO_BLK_T_OUT, 62, 2 * SECTOR, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 1);
	assert_int_equal(pread(bench->fds[0], back, 4 * SECTOR, 60 * SECTOR), 4 * SECTOR);
	assert_int_equal(back[2 * SECTOR - 1], pattern(1, 62 * SECTOR - 1));
	assert_int_equal(back[2 * SECTOR], 0x5a);
	assert_int_equal(back[4 * SECTOR - 1], 0x5a);
	assert_int_equal(request(bench, VIRTIO_BLK_T_FLUSH, 0, 0, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 1);
}

static void test_scattered(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffers[34] = {{bench->header, 16, false}};
	uint8_t *data = data_of(bench);

	/* 32 pieces of 48 bytes, 64 apart, then the status. */
	for (uint32_t i = 0; i < 32; i++)
		buffers[i + 1] = (struct fake_buffer){bench->data + 64 * i, 48, true};
	buffers[33] = (struct fake_buffer){bench->status, 1, true};
	memset(data, UNTOUCHED, 4096);
	header_set(bench, VIRTIO_BLK_T_IN, 1);
	fake_add(&bench->fake, 0, buffers, 34);
	assert_int_equal(complete(bench), 32 * 48 + 1);
	assert_int_equal(status_of(bench), VIRTIO_BLK_S_OK);
	for (size_t i = 0; i < 32 * 48; i++)
		assert_int_equal(data[i / 48 * 64 + i % 48], pattern(1, SECTOR + i));
	assert_int_equal(data[48], UNTOUCHED);
	assert_int_equal(data[63], UNTOUCHED);
}

/*
 * The layout of the chain is the driver's affair (section 2.7.4.3): header in 16 pieces, status behind
 * data.
 */
static void test_any_layout(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffers[17];

	for (uint32_t i = 0; i < 16; i++)
		buffers[i] = (struct fake_buffer){bench->header + i, 1, false};
	buffers[16] = (struct fake_buffer){bench->data, SECTOR + 1, true};
	header_set(bench, VIRTIO_BLK_T_IN, 0);
	data_of(bench)[SECTOR] = UNTOUCHED;
	fake_add(&bench->fake, 0, buffers, 17);
	assert_int_equal(complete(bench), SECTOR + 1);
	assert_int_equal(data_of(bench)[SECTOR - 1], pattern(1, SECTOR - 1));
	assert_int_equal(data_of(bench)[SECTOR], VIRTIO_BLK_S_OK);
}

/* B1: ranges. */
static void test_bad_ranges(void **state)
{
	struct bench *bench = *state;
	const uint64_t sectors[] = {DISK_SECTORS, DISK_SECTORS + 1, UINT64_MAX, UINT64_MAX - 1,
		UINT64_MAX / SECTOR, UINT64_MAX / SECTOR + 1, UINT64_C(1) << 63, UINT64_C(1) << 55};
	uint32_t used;

	for (size_t i = 0; i < sizeof(sectors) / sizeof(sectors[0]); i++) {
		data_of(bench)[0] = UNTOUCHED;
		assert_int_equal(
			request(bench, VIRTIO_BLK_T_IN, sectors[i], SECTOR, &used), VIRTIO_BLK_S_IOERR);
		assert_int_equal(used, 1);
		assert_int_equal(data_of(bench)[0], UNTOUCHED);
		assert_int_equal(
			request(bench, VIRTIO_BLK_T_OUT, sectors[i], SECTOR, NULL), VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(
		request(bench, VIRTIO_BLK_T_IN, DISK_SECTORS - 1, 2 * SECTOR, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 0, 0, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 0, SECTOR - 1, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 0, SECTOR + 1, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(bench, VIRTIO_BLK_T_OUT, 0, 1, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, DISK_SECTORS - 1, SECTOR, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(fake_status(&bench->fake), 15);
}

/* B1: as much as fits into one chain, of a disk that would have it. */
static void test_huge_request(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffers[40] = {{bench->header, 16, false}};
	struct blk_backing backing;
	struct blk_segment segment = {bench->fds[0], 0, UINT64_C(1) << 40};

	assert_int_equal(blk_backing_segments(&backing, &segment, 1), 0);
	bench->blk.options.backing = backing;
	for (int i = 1; i < 39; i++)
		buffers[i] = (struct fake_buffer){FAKE_RAM_BASE, FAKE_RAM_BYTES, true};
	buffers[39] = (struct fake_buffer){bench->status, 1, true};
	header_set(bench, VIRTIO_BLK_T_IN, 0);
	fake_add(&bench->fake, 0, buffers, 40);
	assert_int_equal(complete(bench), 1);
	assert_int_equal(status_of(bench), VIRTIO_BLK_S_IOERR);
}

/* B3: types, and where the status goes. */
static void test_types_and_status(void **state)
{
	struct bench *bench = *state;
	const uint32_t types[] = {2, 3, 5, 7, 9, 10, 12, 14, 15, 16, 0x80000000, UINT32_MAX};
	struct fake_buffer header_only = {bench->header, 16, false};
	struct fake_buffer short_header[] = {{bench->header, 15, false}, {bench->status, 1, true}};
	struct fake_buffer empty_status[] = {
		{bench->header, 16, false}, {bench->data, SECTOR, true}, {bench->status, 0, true}};
	struct fake_buffer readable_status[] = {
		{bench->header, 16, false}, {bench->data, SECTOR, false}, {bench->status, 1, false}};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		assert_int_equal(request(bench, types[i], 0, SECTOR, NULL), VIRTIO_BLK_S_UNSUPP);

	header_set(bench, VIRTIO_BLK_T_IN, 0);
	fake_add(&bench->fake, 0, &header_only, 1);
	assert_int_equal(complete(bench), 0);
	fake_add(&bench->fake, 0, short_header, 2);
	assert_int_equal(complete(bench), 1);
	assert_int_equal(status_of(bench), VIRTIO_BLK_S_IOERR);

	header_set(bench, VIRTIO_BLK_T_IN, 0);
	data_of(bench)[0] = UNTOUCHED;
	fake_add(&bench->fake, 0, empty_status, 3);
	assert_int_equal(complete(bench), 0);
	assert_int_equal(status_of(bench), UNTOUCHED);
	assert_int_equal(data_of(bench)[0], UNTOUCHED);

	/* Q9: nothing is written to what is read-only. */
	fake_add(&bench->fake, 0, readable_status, 3);
	assert_int_equal(complete(bench), 0);
	assert_int_equal(status_of(bench), UNTOUCHED);
	assert_int_equal(data_of(bench)[0], UNTOUCHED);
	assert_int_equal(fake_status(&bench->fake), 15);
}

static void test_get_id(void **state)
{
	struct bench *bench = *state;
	uint32_t used;

	assert_int_equal(request(bench, VIRTIO_BLK_T_GET_ID, 0, 20, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 21);
	assert_memory_equal(data_of(bench), "disk-0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	data_of(bench)[0] = UNTOUCHED;
	assert_int_equal(request(bench, VIRTIO_BLK_T_GET_ID, 0, 1, &used), VIRTIO_BLK_S_IOERR);
	assert_int_equal(used, 1);
	assert_int_equal(data_of(bench)[0], UNTOUCHED);
}

/* Q1: an address outside of memory fails this request, and the queue goes on. */
static void test_bad_address_is_an_io_error(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffers[] = {
		{bench->header, 16, false}, {FAKE_HIGH_BASE - 1, SECTOR, true}, {bench->status, 1, true}};
	struct fake_buffer bad_status[] = {
		{bench->header, 16, false}, {bench->data, SECTOR, true}, {1, 1, true}};

	header_set(bench, VIRTIO_BLK_T_IN, 0);
	fake_add(&bench->fake, 0, buffers, 3);
	assert_int_equal(complete(bench), 1);
	assert_int_equal(status_of(bench), VIRTIO_BLK_S_IOERR);
	fake_add(&bench->fake, 0, bad_status, 3);
	assert_int_equal(complete(bench), 0);
	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 0, SECTOR, NULL), VIRTIO_BLK_S_OK);
}

static void test_malformed_ring_needs_reset(void **state)
{
	struct bench *bench = *state;

	fake_offer(&bench->fake, 0, QUEUE);
	fake_kick(&bench->fake);
	assert_int_equal(fake_status(&bench->fake), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
	fake_up(&bench->fake, &bench->blk.dev, 1, QUEUE);
	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 0, SECTOR, NULL), VIRTIO_BLK_S_OK);
}

static void test_segments(void **state)
{
	struct bench *bench = *state;
	const uint8_t *data = data_of(bench);

	/* Across all three: sectors 2 and 3 of the first, all of the second, two of the third. */
	memset(data_of(bench), UNTOUCHED, 11 * SECTOR);
	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 2, 10 * SECTOR, NULL), VIRTIO_BLK_S_OK);
	for (size_t i = 0; i < 2 * SECTOR; i++)
		assert_int_equal(data[i], pattern(1, 10 * SECTOR + i));
	for (size_t i = 0; i < 2 * SECTOR + SECTOR / 2; i++)
		assert_int_equal(data[2 * SECTOR + i], pattern(100, i));
	for (size_t i = 4 * SECTOR + SECTOR / 2; i < 10 * SECTOR; i++)
		assert_int_equal(data[i], 0);
	assert_int_equal(data[10 * SECTOR], UNTOUCHED);
	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 63, SECTOR, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 64, SECTOR, NULL), VIRTIO_BLK_S_IOERR);
}

/* The same, with pieces of guest memory that end in the middle of segments. */
static void test_segments_scattered(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffers[] = {{bench->header, 16, false}, {bench->data, 3 * SECTOR + 7, true},
		{bench->data + 8192, SECTOR - 7, true}, {bench->data + 16384, 5 * SECTOR, true},
		{bench->status, 1, true}};
	uint8_t flat[9 * SECTOR];
	uint8_t *data = data_of(bench);

	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 1, sizeof(flat), NULL), VIRTIO_BLK_S_OK);
	memcpy(flat, data, sizeof(flat));
	memset(data, UNTOUCHED, 32768);
	header_set(bench, VIRTIO_BLK_T_IN, 1);
	fake_add(&bench->fake, 0, buffers, 5);
	assert_int_equal(complete(bench), sizeof(flat) + 1);
	assert_memory_equal(data, flat, 3 * SECTOR + 7);
	assert_memory_equal(data + 8192, flat + 3 * SECTOR + 7, SECTOR - 7);
	assert_memory_equal(data + 16384, flat + 4 * SECTOR, 5 * SECTOR);
	assert_int_equal(data[3 * SECTOR + 7], UNTOUCHED);
}

/* B2: nothing that writes. */
static void test_read_only(void **state)
{
	struct bench *bench = *state;

	assert_true(bench->blk.dev.state.offered >> VIRTIO_BLK_F_RO & 1);
	memset(data_of(bench), UNTOUCHED, SECTOR);
	assert_int_equal(request(bench, VIRTIO_BLK_T_OUT, 0, SECTOR, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(bench, VIRTIO_BLK_T_DISCARD, 0, 16, NULL), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(request(bench, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, NULL), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(request(bench, VIRTIO_BLK_T_FLUSH, 0, 0, NULL), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 0, SECTOR, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(data_of(bench)[0], pattern(1, 8 * SECTOR));
}

static uint8_t clear(struct bench *bench, uint32_t type, uint64_t sector, uint32_t n, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes range = {.sector = sector, .num_sectors = n, .flags = flags};

	memcpy(data_of(bench), &range, sizeof(range));
	return request(bench, type, 0, sizeof(range), NULL);
}

static void test_discard_and_zeroes(void **state)
{
	struct bench *bench = *state;
	uint8_t byte[3];

	for (uint32_t type = VIRTIO_BLK_T_DISCARD; type <= VIRTIO_BLK_T_WRITE_ZEROES; type += 2) {
		uint64_t at = type == VIRTIO_BLK_T_DISCARD ? 8 : 24;

		assert_int_equal(clear(bench, type, at, 8, 0), VIRTIO_BLK_S_OK);
		assert_int_equal(pread(bench->fds[0], byte, 1, (off_t)(at * SECTOR - 1)), 1);
		assert_int_equal(pread(bench->fds[0], byte + 1, 1, (off_t)(at * SECTOR)), 1);
		assert_int_equal(pread(bench->fds[0], byte + 2, 1, (off_t)((at + 8) * SECTOR)), 1);
		assert_int_equal(byte[0], pattern(1, at * SECTOR - 1));
		assert_int_equal(byte[1], 0);
		assert_int_equal(byte[2], pattern(1, (at + 8) * SECTOR));
		assert_int_equal(clear(bench, type, DISK_SECTORS, 1, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(clear(bench, type, 0, 0, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(clear(bench, type, UINT64_MAX, 2, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(clear(bench, type, 0, UINT32_MAX, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(clear(bench, type, 0, 1, 2), VIRTIO_BLK_S_UNSUPP);
		assert_int_equal(request(bench, type, 0, 17, NULL), VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(bench, type, 0, 32, NULL), VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(clear(bench, VIRTIO_BLK_T_DISCARD, 0, 1, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(clear(bench, VIRTIO_BLK_T_WRITE_ZEROES, 40, 1, 1), VIRTIO_BLK_S_OK);
}

/* B6: a file that got shorter. */
static void test_file_shrinks(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(ftruncate(bench->fds[0], 10 * SECTOR), 0);
	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 9, SECTOR, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 9, 2 * SECTOR, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 10, SECTOR, NULL), VIRTIO_BLK_S_IOERR);
}

/* B6: the host refuses. A descriptor without the right to write stands for a disk that fails. */
static void test_host_errors(void **state)
{
	struct bench *bench = *state;
	char path[64];
	int writable = bench->fds[0];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", writable);
	bench->fds[0] = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(bench->fds[0] >= 0);
	close(writable);
	bench->segments[0].fd = bench->fds[0];
	assert_int_equal(request(bench, VIRTIO_BLK_T_OUT, 0, SECTOR, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 0, SECTOR, NULL), VIRTIO_BLK_S_OK);
}

/* B7 and B6: a flush that failed stays failed, even when the disk seems well again. */
static void test_flush_error_is_sticky(void **state)
{
	struct bench *bench = *state;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(request(bench, VIRTIO_BLK_T_FLUSH, 0, 0, NULL), VIRTIO_BLK_S_OK);
	bench->segments[0].fd = ends[1]; /* cannot be flushed: EINVAL */
	assert_int_equal(request(bench, VIRTIO_BLK_T_FLUSH, 0, 0, NULL), VIRTIO_BLK_S_IOERR);
	bench->segments[0].fd = bench->fds[0];
	assert_int_equal(request(bench, VIRTIO_BLK_T_FLUSH, 0, 0, NULL), VIRTIO_BLK_S_IOERR);
	fake_up(&bench->fake, &bench->blk.dev, 1, QUEUE);
	assert_int_equal(request(bench, VIRTIO_BLK_T_FLUSH, 0, 0, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 0, SECTOR, NULL), VIRTIO_BLK_S_OK);
	close(ends[0]);
	close(ends[1]);
}

/* Without FLUSH accepted there is no flush, and writes work. */
static void test_driver_without_flush(void **state)
{
	struct bench *bench = *state;

	bench->fake.next_gpa = bench->data + (1 << 20);
	fake_negotiate(&bench->fake, &bench->blk.dev, ~(UINT64_C(1) << VIRTIO_BLK_F_FLUSH));
	fake_queue_place(&bench->fake, 0, QUEUE);
	fake_queue_configure(&bench->fake, 0);
	fake_driver_ok(&bench->fake);
	assert_int_equal(request(bench, VIRTIO_BLK_T_FLUSH, 0, 0, NULL), VIRTIO_BLK_S_UNSUPP);
	data_of(bench)[0] = 0x77;
	assert_int_equal(request(bench, VIRTIO_BLK_T_OUT, 5, SECTOR, NULL), VIRTIO_BLK_S_OK);
	memset(data_of(bench), 0, SECTOR);
	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 5, SECTOR, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(data_of(bench)[0], 0x77);
}

/* A batch is one interrupt. */
static void test_batch(void **state)
{
	struct bench *bench = *state;
	unsigned int done = 0;

	fake_irqs(&bench->fake);
	for (uint32_t i = 0; i < 20; i++) {
		uint64_t header = fake_alloc(&bench->fake, 16);
		struct virtio_blk_outhdr request_header = {.type = VIRTIO_BLK_T_IN, .sector = i};
		struct fake_buffer buffers[] = {{header, 16, false}, {bench->data + i * SECTOR, SECTOR, true},
			{bench->status, 1, true}};

		memcpy(fake_host(&bench->fake, header), &request_header, sizeof(request_header));
		fake_add(&bench->fake, 0, buffers, 3);
	}
	fake_kick(&bench->fake);
	while (done < 20) {
		done += fake_take(&bench->fake, 0, NULL, NULL);
		loop_turn(&bench->fake.loop, 0);
	}
	for (size_t i = 0; i < 20 * SECTOR; i++)
		assert_int_equal(data_of(bench)[i], pattern(1, i));
}

/*
 * Q18 and Q19: a disk that does not answer, for which a pipe stands: reads through io_uring stay under way.
 * There are never more of them than there are requests, and a reset ends them all before the guest goes on.
 */
static void test_reset_with_requests_in_flight(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffers[] = {
		{bench->header, 16, false}, {bench->data, SECTOR, true}, {bench->status, 1, true}};
	struct blk_engine *engine = engine_of(bench);
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	bench->segments[0].fd = ends[0];
	engine->no_nowait[BLK_IO_READ] =
		true; /* a pipe cannot be read at a position, but io_uring does not mind */
	header_set(bench, VIRTIO_BLK_T_IN, 0);
	for (int i = 0; i < 20; i++)
		fake_add(&bench->fake, 0, buffers, 3);
	/* The same head again and again: nothing stops a guest from that. */
	for (int i = 0; i < 40; i++)
		fake_offer(&bench->fake, 0, 0);
	fake_kick(&bench->fake);
	for (int i = 0; i < 40; i++)
		fake_offer(&bench->fake, 0, 0);
	fake_kick(&bench->fake);
	if (!engine->ring_up) {
		print_message("io_uring is not available here\n");
		close(ends[0]);
		close(ends[1]);
		skip();
	}
	fake_kick(&bench->fake);
	fake_kick(&bench->fake);
	assert_int_equal(engine->in_flight, BLK_REQUESTS_MAX);
	assert_false(fake_take(&bench->fake, 0, NULL, NULL));
	memset(data_of(bench), UNTOUCHED, SECTOR);

	fake_set(&bench->fake, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(engine->in_flight, 0);
	/* What comes now comes too late. */
	assert_int_equal(write(ends[1], "late", 4), 4);
	fake_run(&bench->fake);
	assert_int_equal(data_of(bench)[0], UNTOUCHED);
	assert_int_equal(status_of(bench), UNTOUCHED);

	bench->segments[0].fd = bench->fds[0];
	fake_up(&bench->fake, &bench->blk.dev, 1, QUEUE);
	assert_int_equal(fake_used(&bench->fake, 0)[1], 0);
	assert_int_equal(request(bench, VIRTIO_BLK_T_IN, 0, SECTOR, NULL), VIRTIO_BLK_S_OK);
	close(ends[0]);
	close(ends[1]);
}

struct rewriter {
	volatile struct vring_desc *desc;
	volatile struct virtio_blk_outhdr *header;
	int stop;
};

/* Another vCPU, which changes its mind all the time. The race is the point: ThreadSanitizer need not look at this side. */
__attribute__((no_sanitize("thread"))) static void *rewrite(void *ctx)
{
	struct rewriter *rewriter = ctx;

	while (!__atomic_load_n(&rewriter->stop, __ATOMIC_RELAXED)) {
		rewriter->desc->len = 2 * SECTOR;
		rewriter->header->sector = UINT64_MAX;
		rewriter->header->sector = 0;
		rewriter->desc->len = SECTOR;
	}
	return NULL;
}

/* Q10: what was checked is what is used, so each answer is that to one consistent request. */
static void test_guest_rewrites_while_we_read(void **state)
{
	struct bench *bench = *state;
	struct rewriter rewriter = {.header = fake_host(&bench->fake, bench->header)};
	struct fake_buffer buffers[] = {
		{bench->header, 16, false}, {bench->data, SECTOR, true}, {bench->status, 1, true}};
	unsigned int one = 0, two = 0, refused = 0, total = 0;
	uint64_t deadline_ms = clock_now_ms() + 2000;
	pthread_t thread;

	bench->fake.queues[0].next_desc = 0;
	rewriter.desc = fake_desc(&bench->fake, 0, 1);
	assert_int_equal(pthread_create(&thread, NULL, rewrite, &rewriter), 0);
	/* Until all three were seen, or the other thread does not get a processor for so long. */
	while ((one < 100 || two < 100 || !refused) && clock_now_ms() < deadline_ms) {
		uint32_t used;

		bench->fake.queues[0].next_desc = 0;
		memset(data_of(bench), UNTOUCHED, 2 * SECTOR + 1);
		header_set(bench, VIRTIO_BLK_T_IN, 0);
		fake_add(&bench->fake, 0, buffers, 3);
		used = complete(bench);
		one += used == SECTOR + 1;
		two += used == 2 * SECTOR + 1;
		refused += used == 1;
		total++;
		assert_int_equal(status_of(bench), used == 1 ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
		for (uint32_t at = 0; at <= 2 * SECTOR; at += SECTOR)
			assert_int_equal(data_of(bench)[at], at + 1 < used ? pattern(1, at) : UNTOUCHED);
	}
	__atomic_store_n(&rewriter.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(one + two + refused, total);
	print_message("%u of one sector, %u of two, %u refused\n", one, two, refused);
}

/* A real file whose pages are not in the cache goes through io_uring and gives the same bytes. */
static void test_uncached_file(void **state)
{
	struct bench *bench = *state;
	char path[] = "/var/tmp/mvrun-test-blk-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	static uint8_t block[1 << 20];

	assert_true(fd >= 0);
	unlink(path);
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = pattern(9, i);
	for (int i = 0; i < 4; i++)
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	assert_int_equal(fsync(fd), 0);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	bench->segments[0] = (struct blk_segment){fd, 0, 4 << 20};
	assert_int_equal(blk_backing_segments(&bench->blk.options.backing, bench->segments, 1), 0);
	for (uint32_t at = 0; at < 4 << 20; at += 1 << 18) {
		assert_int_equal(
			request(bench, VIRTIO_BLK_T_IN, at / SECTOR, 1 << 18, NULL), VIRTIO_BLK_S_OK);
		assert_memory_equal(data_of(bench), block + at % sizeof(block), 1 << 18);
	}
	print_message("io_uring %s\n", engine_of(bench)->ring_up ? "was used" : "was not used");
	close(fd);
}

static void test_backing_refuses(void **state)
{
	struct blk_backing backing;
	struct blk_segment good = {0, 0, SECTOR};
	struct blk_segment bad[] = {{-1, 0, SECTOR}, {0, 0, 0}, {0, 0, 100}, {0, 100, SECTOR},
		{0, UINT64_C(1) << 63, SECTOR}, {0, SECTOR, INT64_MAX - 511}};
	struct blk_segment big[] = {{0, 0, UINT64_C(1) << 62}, {0, 0, UINT64_C(1) << 62}};

	(void)state;
	assert_int_equal(blk_backing_segments(&backing, &good, 0), -EINVAL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(blk_backing_segments(&backing, &bad[i], 1), -EINVAL);
		assert_int_equal(blk_backing_file(&backing, &bad[i]), -EINVAL);
	}
	assert_int_equal(blk_backing_segments(&backing, big, 2), -EINVAL);
	assert_int_equal(blk_backing_segments(&backing, &good, 1), 0);
	assert_int_equal(backing.capacity_bytes, SECTOR);
}

static void test_options_refused(void **state)
{
	struct bench *bench = *state;
	struct virtio_wiring wiring = fake_wiring(&bench->fake);
	struct virtio_blk_options good = bench->blk.options, bad;
	struct virtio_blk blk = {0};

	bad = good, bad.n_queues = 0;
	assert_int_equal(virtio_blk_init(&blk, &wiring, &bad), -EINVAL);
	bad = good, bad.n_queues = BLK_QUEUES_MAX + 1;
	assert_int_equal(virtio_blk_init(&blk, &wiring, &bad), -EINVAL);
	bad = good, bad.block_bytes = 1024;
	assert_int_equal(virtio_blk_init(&blk, &wiring, &bad), -EINVAL);
	bad = good, bad.block_bytes = 4096, bad.backing.capacity_bytes = 4096 + 512;
	assert_int_equal(virtio_blk_init(&blk, &wiring, &bad), -EINVAL);
}

#define TEST(name, how) cmocka_unit_test_setup_teardown(name, how, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_config_space, setup_file),
		TEST(test_read_write, setup_file),
		TEST(test_read_write, setup_file_plain),
		TEST(test_scattered, setup_file),
		TEST(test_any_layout, setup_file),
		TEST(test_bad_ranges, setup_file),
		TEST(test_huge_request, setup_file),
		TEST(test_types_and_status, setup_file),
		TEST(test_get_id, setup_file),
		TEST(test_bad_address_is_an_io_error, setup_file),
		TEST(test_malformed_ring_needs_reset, setup_file),
		TEST(test_segments, setup_segments),
		TEST(test_segments_scattered, setup_segments),
		TEST(test_read_only, setup_segments),
		TEST(test_discard_and_zeroes, setup_file),
		TEST(test_file_shrinks, setup_file),
		TEST(test_file_shrinks, setup_file_plain),
		TEST(test_host_errors, setup_file),
		TEST(test_flush_error_is_sticky, setup_file),
		TEST(test_flush_error_is_sticky, setup_file_plain),
		TEST(test_driver_without_flush, setup_file),
		TEST(test_batch, setup_file),
		TEST(test_batch, setup_file_plain),
		TEST(test_reset_with_requests_in_flight, setup_file),
		TEST(test_guest_rewrites_while_we_read, setup_file),
		TEST(test_uncached_file, setup_file),
		TEST(test_backing_refuses, setup_file),
		TEST(test_options_refused, setup_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
