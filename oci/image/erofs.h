// SPDX-License-Identifier: Apache-2.0
/*
 * A merged tree written as an EROFS image whose files lie elsewhere.
 *
 * Theory of operation. The guest sees one disk: this image, padded to IMAGE_ALIGN, and behind it the data of
 * the layers, one after another. The image has everything but the contents of regular files; their inodes
 * give block numbers on the whole disk ("flat plain", or for sparse files "chunk based"). From the start:
 *
 *	block 0		1024 bytes left free, superblock, the root's inode
 *	inodes		folders in preorder, each followed by the inodes of what is in it; extended
 *			attributes, chunk maps, and short ends of folders and symbolic links stand right
 *			behind the inode
 *	blocks		the rest of folders and of long symbolic links
 *
 * Nothing depends on time, memory layout or the order of names in the archives: the same layers and UUID give
 * the same bytes. Only features every kernel since 5.15 has are used (Documentation/filesystems/erofs.rst,
 * and fs/erofs/erofs_fs.h for the format, which is what the structures in erofs_format.h are written after).
 */
#ifndef MVRUN_OCI_IMAGE_EROFS_H
#define MVRUN_OCI_IMAGE_EROFS_H

#include "oci/image/tree.h"

struct erofs_layout {
	const uint64_t *layer_bytes; /* of each layer's data on the disk, multiples of IMAGE_ALIGN */
	const uint16_t
		*layer_same; /* layer i lies where layer_same[i] does: i itself unless it occurs twice */
	uint16_t n_layers;
	uint8_t uuid[16];
};

/*
 * Write the tree (tree_finish() was called; once per tree) to the empty file fd (borrowed); *meta_bytes is
 * the file's size then, a multiple of IMAGE_ALIGN. 0 or -errno with err set: -EFBIG (more than 2^32 blocks),
 * -ENOMEM, or what writing gave.
 */
int erofs_write(
	struct tree *tree, const struct erofs_layout *layout, int fd, uint64_t *meta_bytes, struct err *err);

#endif
