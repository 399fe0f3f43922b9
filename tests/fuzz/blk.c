// SPDX-License-Identifier: Apache-2.0
/*
 * The block device under a hostile driver. Its files lie between canaries that must survive, a read-only disk stays as
 * it is, and a request whose status byte says OK had one.
 */
#include "tests/fuzz/guest.h"

#include "base/io.h"
#include "virtio/blk.h"

#include <linux/virtio_blk.h>
#include <string.h>
#include <sys/stat.h>

#define DISK_BYTES (8u << 10)
#define CANARY_BYTES 512u
#define FILE_BYTES (DISK_BYTES + 2 * CANARY_BYTES)

static uint8_t original[FILE_BYTES];

/* Once, with bytes that tell where they are. */
static void original_make(void)
{
	static bool made;

	for (size_t i = 0; !made && i < sizeof(original); i++)
		original[i] = (uint8_t)(i * 7 ^ i >> 9);
	made = true;
}

/* A request as a driver makes it: header, data, status, with numbers from the input. */
static void move_request(struct guest *guest)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
		VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES, 2, UINT32_MAX};
	uint8_t kind = fuzz_u8(&guest->input);
	struct virtio_blk_outhdr header = {.type = types[kind % 8], .sector = fuzz_u8(&guest->input)};
	uint64_t header_gpa = guest_buffer(guest), data_gpa = guest_buffer(guest);
	uint32_t sectors = fuzz_u8(&guest->input) % 16;
	bool reads = header.type == VIRTIO_BLK_T_IN || header.type == VIRTIO_BLK_T_GET_ID;
	struct fake_buffer buffers[3] = {{header_gpa, sizeof(header), false},
		{data_gpa, sectors * 512, reads}, {guest_buffer(guest), 1, true}};

	if (kind & 8)
		header.sector = fuzz_u64(&guest->input);
	if (header.type == VIRTIO_BLK_T_DISCARD || header.type == VIRTIO_BLK_T_WRITE_ZEROES) {
		struct virtio_blk_discard_write_zeroes range = {
			.sector = header.sector, .num_sectors = sectors, .flags = kind >> 4 & 3};

		guest_write(guest, data_gpa, &range, sizeof(range));
		buffers[1].len = sizeof(range);
	} else if (header.type == VIRTIO_BLK_T_GET_ID) {
		buffers[1].len = BLK_SERIAL_BYTES;
	}
	guest_write(guest, header_gpa, &header, sizeof(header));
	if (kind & 0x40 || !buffers[1].len)
		guest_offer(guest, 0, (const struct fake_buffer[]){buffers[0], buffers[2]}, 2);
	else
		guest_offer(guest, 0, buffers, 3);
}

static void file_check(int fd, bool read_only)
{
	uint8_t now[FILE_BYTES];
	struct stat st;

	fuzz_require(fstat(fd, &st) == 0 && st.st_size == FILE_BYTES);
	fuzz_require(io_pread_exact(fd, now, sizeof(now), 0) == 0);
	fuzz_require(memcmp(now, original, CANARY_BYTES) == 0);
	fuzz_require(memcmp(now + CANARY_BYTES + DISK_BYTES, original + CANARY_BYTES + DISK_BYTES,
			     CANARY_BYTES) == 0);
	fuzz_require(!read_only || memcmp(now, original, sizeof(now)) == 0);
	fuzz_note(now, sizeof(now));
}

/* The first byte: read-only in two pieces, or writable; and the block size. */
void fuzz_one(const uint8_t *data, size_t len)
{
	static struct virtio_blk blk;
	struct guest *guest = guest_begin(data, len);
	uint8_t shape = fuzz_u8(&guest->input);
	struct virtio_blk_options options = {
		.n_queues = 1, .block_bytes = shape & 2 ? 4096 : 512, .serial = "serial", .no_uring = true};
	struct virtio_wiring wiring = fake_wiring(&guest->fake);
	int fd;

	original_make();
	fd = fuzz_file(0, original, sizeof(original));
	const struct blk_segment pieces[2] = {{fd, CANARY_BYTES, DISK_BYTES / 4},
		{fd, CANARY_BYTES + DISK_BYTES / 4, DISK_BYTES - DISK_BYTES / 4}};
	const struct blk_segment whole = {fd, CANARY_BYTES, DISK_BYTES};
	fuzz_require((shape & 1 ? blk_backing_segments(&options.backing, pieces, 2)
				: blk_backing_file(&options.backing, &whole)) == 0);
	blk = (struct virtio_blk){0};
	fuzz_require(virtio_blk_init(&blk, &wiring, &options) == 0);
	guest->move = move_request;
	guest_play(guest, &blk.dev, 1);
	virtio_blk_done(&blk);
	file_check(fd, shape & 1);
}
