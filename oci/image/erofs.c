// SPDX-License-Identifier: Apache-2.0
#include "oci/image/erofs.h"

#include "base/io.h"
#include "oci/image/erofs_parts.h"
#include "oci/store/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES (1u << 20)
#define XATTR_ROOM (256u << 10) /* above what TAR_XATTRS_MAX bytes can become */

/* A file written from some place on, in order. Gaps are zeros. */
struct writer {
	int fd;
	uint64_t offset; /* of the buffer */
	size_t used;
	uint8_t *buffer;
};

struct image_writer {
	struct tree *tree;
	const struct erofs_layout *layout;
	struct erofs_plan plan;
	struct writer inodes, blocks;
	uint32_t base[IMAGE_LAYERS_MAX]; /* first block of each layer's data */
	uint64_t total_blocks;
	uint8_t *xattrs;
};

/* ---- output ---- */

static int writer_init(struct writer *writer, int fd, uint64_t offset)
{
	*writer = (struct writer){.fd = fd, .offset = offset, .buffer = malloc(BUFFER_BYTES)};
	return writer->buffer ? 0 : -ENOMEM;
}

static int writer_flush(struct writer *writer)
{
	int ret = io_pwrite_all(writer->fd, writer->buffer, writer->used, writer->offset);

	writer->offset += writer->used;
	writer->used = 0;
	return ret;
}

static int writer_put(struct writer *writer, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len) {
		size_t room = BUFFER_BYTES - writer->used, step = len < room ? len : room;

		memcpy(writer->buffer + writer->used, at, step);
		writer->used += step;
		at += step;
		len -= step;
		if (writer->used == BUFFER_BYTES) {
			int ret = writer_flush(writer);

			if (ret)
				return ret;
		}
	}
	return 0;
}

/* Zeros up to a place ahead, less than a block away. */
static int writer_seek(struct writer *writer, uint64_t to)
{
	static const uint8_t zeros[EROFS_BLOCK];

	return writer_put(writer, zeros, (size_t)(to - writer->offset - writer->used));
}

/* ---- inodes ---- */

static uint16_t inode_mode(const struct tree_inode *inode)
{
	static const uint16_t formats[] = {[TAR_FILE] = S_IFREG,
		[TAR_HARDLINK] = S_IFREG,
		[TAR_SYMLINK] = S_IFLNK,
		[TAR_CHAR] = S_IFCHR,
		[TAR_BLOCKDEV] = S_IFBLK,
		[TAR_DIR] = S_IFDIR,
		[TAR_FIFO] = S_IFIFO};

	return (uint16_t)(formats[inode->type] | inode->mode);
}

static uint16_t inode_layout(const struct tree_inode *inode)
{
	if (inode->n_chunks)
		return EROFS_CHUNK_BASED;
	return inode->inlined ? EROFS_FLAT_INLINE : EROFS_FLAT_PLAIN;
}

/* The field that says where the contents are, or which device. */
static uint32_t inode_where(const struct image_writer *image, const struct tree_inode *inode)
{
	switch (inode->type) {
	case TAR_CHAR:
	case TAR_BLOCKDEV:
		return inode->rdev;
	case TAR_DIR:
	case TAR_SYMLINK:
		return image->plan.data_first + inode->data_block;
	case TAR_FILE:
		if (inode->n_chunks)
			return inode->chunk_bits;
		return inode->size ? image->base[inode->layer] + inode->block : 0;
	case TAR_HARDLINK:
	case TAR_FIFO:
		break;
	}
	return 0;
}

static uint16_t xattr_count(const struct tree_inode *inode)
{
	uint32_t header = sizeof(struct erofs_xattr_header);

	return inode->xattr_bytes ? (uint16_t)(1 + (inode->xattr_bytes - header) / 4) : 0;
}

static int extended_put(struct image_writer *image, const struct tree_inode *inode)
{
	struct erofs_inode_extended out = {.i_format = EROFS_EXTENDED | inode_layout(inode),
		.i_xattr_icount = xattr_count(inode),
		.i_mode = inode_mode(inode),
		.i_size = inode->size,
		.i_u = inode_where(image, inode),
		.i_ino = inode->ino + 1,
		.i_uid = inode->uid,
		.i_gid = inode->gid,
		.i_mtime = (uint64_t)inode->mtime,
		.i_mtime_nsec = inode->mtime_nsec,
		.i_nlink = inode->nlink};

	return writer_put(&image->inodes, &out, sizeof(out));
}

static int compact_put(struct image_writer *image, const struct tree_inode *inode)
{
	struct erofs_inode_compact out = {.i_format = EROFS_COMPACT | inode_layout(inode),
		.i_xattr_icount = xattr_count(inode),
		.i_mode = inode_mode(inode),
		.i_nlink = (uint16_t)inode->nlink,
		.i_size = (uint32_t)inode->size,
		.i_u = inode_where(image, inode),
		.i_ino = inode->ino + 1,
		.i_uid = (uint16_t)inode->uid,
		.i_gid = (uint16_t)inode->gid};

	return writer_put(&image->inodes, &out, sizeof(out));
}

static int chunks_put(struct image_writer *image, const struct tree_inode *inode)
{
	for (uint32_t i = 0; i < inode->n_chunks; i++) {
		uint32_t block = inode->chunks[i];
		int ret;

		if (block != TABLE_CHUNK_HOLE)
			block += image->base[inode->layer];
		ret = writer_put(&image->inodes, &block, sizeof(block));
		if (ret)
			return ret;
	}
	return 0;
}

static int symlink_put(struct image_writer *image, const struct tree_inode *inode)
{
	uint64_t to = (uint64_t)(image->plan.data_first + inode->data_block) * EROFS_BLOCK;
	int ret;

	if (inode->inlined)
		return writer_put(&image->inodes, inode->link, (size_t)inode->size);
	ret = writer_seek(&image->blocks, to);
	return ret ? ret : writer_put(&image->blocks, inode->link, (size_t)inode->size);
}

static int dir_put(struct image_writer *image, const struct tree_node *dir)
{
	const struct tree_inode *inode = dir->inode;
	uint64_t whole = inode->inlined ? inode->size / EROFS_BLOCK : UINT64_MAX;
	uint64_t to = (uint64_t)(image->plan.data_first + inode->data_block) * EROFS_BLOCK;
	uint8_t block[EROFS_BLOCK];
	struct erofs_dir_cursor cursor;
	uint32_t used;
	int ret = whole ? writer_seek(&image->blocks, to) : 0;

	erofs_dir_begin(&cursor, dir);
	for (uint64_t n = 0; !ret && (used = erofs_dir_block(&cursor, block)) != 0; n++)
		ret = n < whole ? writer_put(&image->blocks, block, EROFS_BLOCK)
				: writer_put(&image->inodes, block, used);
	return ret;
}

static int inode_put(struct image_writer *image, struct tree_node *node)
{
	struct tree_inode *inode = node->inode;
	int ret;

	/* A hard link met before. */
	if (inode->written)
		return 0;
	inode->written = true;
	ret = writer_seek(&image->inodes, inode->nid * EROFS_SLOT);
	if (!ret)
		ret = inode->extended ? extended_put(image, inode) : compact_put(image, inode);
	if (!ret && inode->xattr_bytes) {
		erofs_xattr_fill(inode, image->xattrs, inode->xattr_bytes);
		ret = writer_put(&image->inodes, image->xattrs, inode->xattr_bytes);
	}
	if (!ret && inode->n_chunks)
		ret = chunks_put(image, inode);
	if (!ret && inode->type == TAR_SYMLINK)
		ret = symlink_put(image, inode);
	if (!ret && inode->type == TAR_DIR)
		ret = dir_put(image, node);
	return ret;
}

static int inodes_put(struct image_writer *image)
{
	int ret = 0;

	for (struct tree_node *dir = image->tree->root; dir && !ret; dir = tree_next_dir(dir)) {
		ret = inode_put(image, dir);
		for (struct tree_node *node = dir->child; node && !ret; node = node->next) {
			if (!tree_is_dir(node))
				ret = inode_put(image, node);
		}
	}
	if (!ret)
		ret = writer_flush(&image->inodes);
	return ret ? ret : writer_flush(&image->blocks);
}

/* ---- the whole ---- */

/* CRC-32C, bit by bit: it is computed once per image, over 3 KiB. Not inverted at the end, as EROFS has it. */
static uint32_t crc32c(const uint8_t *data, size_t len)
{
	uint32_t crc = UINT32_MAX;

	while (len--) {
		crc ^= *data++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
	}
	return crc;
}

/* Last, because the checksum is over what stands behind the superblock in its block. */
static int super_put(struct image_writer *image, int fd)
{
	uint8_t block[EROFS_BLOCK];
	struct erofs_super super = {.magic = EROFS_MAGIC,
		.feature_compat = EROFS_COMPAT_SB_CHKSUM | EROFS_COMPAT_MTIME,
		.blkszbits = EROFS_BLOCK_BITS,
		.root_nid = (uint16_t)image->tree->root->inode->nid,
		.inos = image->plan.n_inodes,
		.build_time = (uint64_t)image->plan.build_time,
		.build_time_nsec = image->plan.build_time_nsec,
		.blocks = (uint32_t)image->total_blocks,
		.feature_incompat = image->plan.chunked ? EROFS_INCOMPAT_CHUNKED_FILE : 0};
	int ret = io_pread_exact(fd, block, sizeof(block), 0);

	if (ret)
		return ret;
	memcpy(super.uuid, image->layout->uuid, sizeof(super.uuid));
	memcpy(block + EROFS_SUPER_OFFSET, &super, sizeof(super));
	super.checksum = crc32c(block + EROFS_SUPER_OFFSET, EROFS_BLOCK - EROFS_SUPER_OFFSET);
	return io_pwrite_all(fd, &super, sizeof(super), EROFS_SUPER_OFFSET);
}

/* Where the data of each layer begins on the disk. */
static int bases_set(struct image_writer *image)
{
	const struct erofs_layout *layout = image->layout;
	uint64_t block = image->plan.meta_bytes / EROFS_BLOCK;

	for (uint16_t i = 0; i < layout->n_layers; i++) {
		if (layout->layer_same[i] != i) {
			image->base[i] = image->base[layout->layer_same[i]];
			continue;
		}
		image->base[i] = (uint32_t)block;
		block += layout->layer_bytes[i] / EROFS_BLOCK;
		if (block >= UINT32_MAX)
			return -EFBIG;
	}
	image->total_blocks = block;
	return 0;
}

static int image_write(struct image_writer *image, int fd)
{
	int ret = erofs_plan(image->tree, &image->plan);

	if (!ret)
		ret = bases_set(image);
	if (!ret && ftruncate(fd, (off_t)image->plan.meta_bytes) < 0)
		ret = -errno;
	if (!ret)
		ret = writer_init(&image->inodes, fd, EROFS_SUPER_OFFSET + sizeof(struct erofs_super));
	if (!ret)
		ret = writer_init(&image->blocks, fd, (uint64_t)image->plan.data_first * EROFS_BLOCK);
	if (!ret)
		ret = inodes_put(image);
	return ret ? ret : super_put(image, fd);
}

int erofs_write(
	struct tree *tree, const struct erofs_layout *layout, int fd, uint64_t *meta_bytes, struct err *err)
{
	struct image_writer *image = calloc(1, sizeof(*image));
	int ret = -ENOMEM;

	if (image) {
		image->tree = tree;
		image->layout = layout;
		image->xattrs = malloc(XATTR_ROOM);
		ret = image->xattrs ? image_write(image, fd) : -ENOMEM;
		*meta_bytes = image->plan.meta_bytes;
		free(image->inodes.buffer);
		free(image->blocks.buffer);
		free(image->xattrs);
	}
	free(image);
	if (ret == -EFBIG)
		return err_set(err, EFBIG, "the image does not fit a disk of 16 TiB");
	return ret ? err_sys(err, ret, "write the file system of the image") : 0;
}
