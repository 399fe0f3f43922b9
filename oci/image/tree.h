// SPDX-License-Identifier: Apache-2.0
/*
 * The merged tree of an image, in memory.
 *
 * Theory of operation. The layers are applied from the lowest up. Within one layer its whiteouts come first,
 * because they only ever hide what is below (image-spec, layer.md, Whiteouts); then its entries, in the order
 * of the archive, the last of the same name winning. A folder over a folder changes its attributes and keeps
 * what is in it; anything else replaces what was there. Folders nobody described are made, 0755 and root's.
 *
 * A path is walked from the root, part by part, and never through a link: an entry below something that the
 * same layer made anything but a folder is refused; below what a lower layer made, a folder takes its place,
 * as an overlay mount would show it. A hard link shares the node's inode, wherever that came from, and its
 * target must be there already.
 *
 * Nodes point into the tables, which must stay open as long as the tree. Memory is proportional to the number
 * of entries. One thread.
 */
#ifndef MVRUN_OCI_IMAGE_TREE_H
#define MVRUN_OCI_IMAGE_TREE_H

#include "base/err.h"
#include "oci/image/table.h"

#include <stdbool.h>
#include <stdint.h>

#define TREE_ENTRIES_MAX (UINT64_C(4) << 20)

struct tree_inode {
	enum tar_type type; /* never TAR_HARDLINK */
	uint16_t mode; /* permissions */
	uint16_t layer; /* whose data the contents are in */
	uint8_t chunk_bits;
	uint32_t uid, gid, rdev;
	uint32_t mtime_nsec;
	int64_t mtime;
	uint64_t size;
	uint32_t block;
	uint32_t n_chunks;
	const uint32_t *chunks;
	const char *link;
	const uint8_t *xattrs;
	uint32_t xattrs_len;

	/* From tree_finish() on. */
	uint32_t nlink;

	/* The file system writer's (erofs.h). */
	uint32_t ino;
	uint64_t nid;
	uint32_t data_block; /* of a folder or a long symbolic link, counted from the first such block */
	uint32_t xattr_bytes;
	bool extended;
	bool inlined;
	bool placed; /* has its number */
	bool written;
};

struct tree_node {
	struct tree_node *parent;
	struct tree_node *child; /* first; sorted by bytes after tree_finish() */
	struct tree_node *next, *prev; /* siblings */
	struct tree_node *bucket_next;
	struct tree_inode *inode;
	const char *name; /* not NUL-terminated */
	uint16_t name_len;
	uint16_t layer; /* that made it what it is */
};

struct tree_arena {
	struct tree_arena *next;
	size_t used;
};

struct tree {
	struct tree_node *root;
	struct tree_node **buckets;
	uint64_t n_buckets; /* a power of two */
	uint64_t n_nodes;
	uint64_t n_entries; /* applied so far */
	uint64_t hash_key[2];
	struct tree_arena *arena;
	uint16_t layer; /* being applied */
};

int tree_init(struct tree *tree, struct err *err);
void tree_done(struct tree *tree);

/*
 * Apply the next layer. 0 or -errno with err set: -EBADMSG (its entries make no sense together), -EFBIG
 * (TREE_ENTRIES_MAX), -ENOMEM.
 */
int tree_apply(struct tree *tree, const struct table *table, uint16_t layer, struct err *err);

/* After the last layer: sort every folder and count links. */
void tree_finish(struct tree *tree);

/* The folders in preorder, beginning with the root; NULL after the last. */
struct tree_node *tree_next_dir(const struct tree_node *dir);

static inline bool tree_is_dir(const struct tree_node *node)
{
	return node->inode->type == TAR_DIR;
}

#endif
