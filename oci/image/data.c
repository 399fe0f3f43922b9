// SPDX-License-Identifier: Apache-2.0
#include "oci/image/data.h"

#include "base/io.h"
#include "base/num.h"
#include "oci/image/table.h"
#include "oci/store/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES (1u << 20)
#define WRITEBACK_BYTES (UINT64_C(16) << 20)

int data_writer_init(struct data_writer *writer, int fd, uint64_t max_bytes)
{
	*writer = (struct data_writer){.fd = fd, .max_bytes = max_bytes};
	writer->buffer = malloc(BUFFER_BYTES);
	return writer->buffer ? 0 : -ENOMEM;
}

void data_writer_done(struct data_writer *writer)
{
	free(writer->buffer);
	writer->buffer = NULL;
}

static bool block_is_zero(const uint8_t *block)
{
	uint64_t first;

	/* Nearly every block that is not zero shows it in its first bytes. */
	memcpy(&first, block, sizeof(first));
	return !first && memcmp(block, block + 1, TABLE_BLOCK - 1) == 0;
}

/* Write the whole blocks of the buffer, but not those that are zero. */
static int blocks_write(struct data_writer *writer, size_t len)
{
	size_t at = 0;

	while (at < len) {
		size_t start, end;
		int ret;

		while (at < len && block_is_zero(writer->buffer + at))
			at += TABLE_BLOCK;
		start = at;
		while (at < len && !block_is_zero(writer->buffer + at))
			at += TABLE_BLOCK;
		end = at;
		ret = start < end ? io_pwrite_all(writer->fd, writer->buffer + start, end - start,
					    writer->offset + start)
				  : 0;
		if (ret)
			return ret;
	}
	return 0;
}

/* Let the disk work while we do, so that the fsync at the end has little left. */
static void writeback_start(struct data_writer *writer)
{
	if (writer->offset - writer->synced < WRITEBACK_BYTES)
		return;
	sync_file_range(writer->fd, (off_t)writer->synced, (off_t)(writer->offset - writer->synced),
		SYNC_FILE_RANGE_WRITE);
	writer->synced = writer->offset;
}

/* Write the buffer, filled up with zeros to a whole block. */
static int flush(struct data_writer *writer)
{
	size_t whole = (writer->used + TABLE_BLOCK - 1) & ~(size_t)(TABLE_BLOCK - 1);
	int ret;

	memset(writer->buffer + writer->used, 0, whole - writer->used);
	ret = blocks_write(writer, whole);
	writer->offset += whole;
	writer->used = 0;
	writeback_start(writer);
	return ret;
}

static bool room_for(const struct data_writer *writer, uint64_t len)
{
	uint64_t at = writer->offset + writer->used;

	return at <= writer->max_bytes && len <= writer->max_bytes - at;
}

int data_block(struct data_writer *writer, uint32_t *block)
{
	size_t whole = (writer->used + TABLE_BLOCK - 1) & ~(size_t)(TABLE_BLOCK - 1);
	uint64_t number;

	memset(writer->buffer + writer->used, 0, whole - writer->used);
	writer->used = whole;
	if (whole == BUFFER_BYTES) {
		int ret = flush(writer);

		if (ret)
			return ret;
	}
	number = (writer->offset + writer->used) / TABLE_BLOCK;
	if (number >= TABLE_CHUNK_HOLE)
		return -EFBIG;
	*block = (uint32_t)number;
	return 0;
}

int data_write(struct data_writer *writer, const void *data, size_t len)
{
	const uint8_t *at = data;

	if (!room_for(writer, len))
		return -EFBIG;
	while (len) {
		size_t room = BUFFER_BYTES - writer->used, step = len < room ? len : room;

		memcpy(writer->buffer + writer->used, at, step);
		writer->used += step;
		at += step;
		len -= step;
		if (writer->used == BUFFER_BYTES) {
			int ret = flush(writer);

			if (ret)
				return ret;
		}
	}
	return 0;
}

int data_skip(struct data_writer *writer, uint64_t len)
{
	uint64_t in_buffer = BUFFER_BYTES - writer->used, blocks;
	int ret;

	if (!room_for(writer, len))
		return -EFBIG;
	if (len < in_buffer) {
		memset(writer->buffer + writer->used, 0, (size_t)len);
		writer->used += (size_t)len;
		return 0;
	}
	memset(writer->buffer + writer->used, 0, (size_t)in_buffer);
	writer->used = BUFFER_BYTES;
	len -= in_buffer;
	ret = flush(writer);
	blocks = len & ~(uint64_t)(TABLE_BLOCK - 1);
	writer->offset += blocks;
	writer->used = (size_t)(len - blocks);
	memset(writer->buffer, 0, writer->used);
	return ret;
}

int data_writer_finish(struct data_writer *writer, uint64_t *bytes)
{
	int ret = flush(writer);
	uint64_t whole;

	if (ret)
		return ret;
	if (!num_align_up(writer->offset, IMAGE_ALIGN, &whole))
		return -EFBIG;
	if (ftruncate(writer->fd, (off_t)whole) < 0)
		return -errno;
	*bytes = whole;
	return 0;
}
