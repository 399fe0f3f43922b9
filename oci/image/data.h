// SPDX-License-Identifier: Apache-2.0
/*
 * The data of a layer: contents of its files one after another, each from a 4 KiB block on. Blocks of zeros
 * are not written, so the file has holes where the files have nothing to say. One thread.
 */
#ifndef MVRUN_OCI_IMAGE_DATA_H
#define MVRUN_OCI_IMAGE_DATA_H

#include <stddef.h>
#include <stdint.h>

struct data_writer {
	int fd; /* borrowed */
	uint8_t *buffer;
	size_t used;
	uint64_t offset; /* of the buffer in the file, a multiple of the block size */
	uint64_t max_bytes;
	uint64_t synced; /* writing back has been started up to here */
};

/* At most max_bytes in the end. 0 or -ENOMEM. */
int data_writer_init(struct data_writer *writer, int fd, uint64_t max_bytes);
void data_writer_done(struct data_writer *writer);

/* Go on at the next whole block and say which it is. 0, -EFBIG (max_bytes, or 2^32 blocks), -errno. */
int data_block(struct data_writer *writer, uint32_t *block);

int data_write(struct data_writer *writer, const void *data, size_t len);

/* Leave zeros. */
int data_skip(struct data_writer *writer, uint64_t len);

/* Write what is left and bring the file to a multiple of IMAGE_ALIGN, its length in *bytes. */
int data_writer_finish(struct data_writer *writer, uint64_t *bytes);

#endif
