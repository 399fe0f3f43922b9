// SPDX-License-Identifier: Apache-2.0
/*
 * What the parts of the EROFS writer share: erofs_plan.c (where things go), erofs_dir.c, erofs_xattr.c,
 * erofs.c.
 */
#ifndef MVRUN_OCI_IMAGE_EROFS_PARTS_H
#define MVRUN_OCI_IMAGE_EROFS_PARTS_H

#include "oci/image/erofs.h"
#include "oci/image/erofs_format.h"

struct erofs_plan {
	uint64_t inode_end; /* bytes from the start of the disk */
	uint64_t n_inodes;
	uint32_t n_data_blocks; /* of folders and long links */
	uint32_t data_first; /* block where they begin */
	uint64_t meta_bytes;
	int64_t build_time;
	uint32_t build_time_nsec;
	bool chunked; /* there is a sparse file */
};

/*
 * Decide where every inode and every block of a folder goes. -EFBIG when it does not fit 32-bit block
 * numbers.
 */
int erofs_plan(struct tree *tree, struct erofs_plan *plan);

/* How many bytes an inode takes, and how many more directly behind it and its attributes. */
static inline uint32_t erofs_inode_bytes(const struct tree_inode *inode)
{
	return inode->extended ? sizeof(struct erofs_inode_extended) : sizeof(struct erofs_inode_compact);
}

/* The entries of a folder in the order EROFS wants them: by bytes, "." and ".." among them. */
struct erofs_dir_cursor {
	const struct tree_node *dir;
	const struct tree_node *next;
	unsigned int dots; /* how many of "." and ".." came already */
};

struct erofs_dir_entry {
	const struct tree_inode *inode;
	const char *name;
	uint16_t name_len;
};

void erofs_dir_begin(struct erofs_dir_cursor *cursor, const struct tree_node *dir);
bool erofs_dir_next(struct erofs_dir_cursor *cursor, struct erofs_dir_entry *entry);

/* The size of a folder as EROFS has it. */
uint64_t erofs_dir_bytes(const struct tree_node *dir);

/*
 * Lay out the next block of a folder, zero-filled. Returns how much of it is used, 0 when there is no entry
 * left. The cursor stands at the first entry that did not fit.
 */
uint32_t erofs_dir_block(struct erofs_dir_cursor *cursor, uint8_t block[static EROFS_BLOCK]);

/* Attributes of an inode as they stand on disk: their size (0 if there are none), and the bytes themselves. */
uint32_t erofs_xattr_bytes(const struct tree_inode *inode);
void erofs_xattr_fill(const struct tree_inode *inode, uint8_t *out, uint32_t len);

#endif
