// SPDX-License-Identifier: Apache-2.0
/*
 * Folders: a row of blocks, each beginning with its entries and ending with their names. The first entry's
 * name offset tells how many entries there are; the kernel searches by bisection, first the blocks, then in
 * one.
 */
#include "oci/image/erofs_parts.h"

#include <string.h>

void erofs_dir_begin(struct erofs_dir_cursor *cursor, const struct tree_node *dir)
{
	*cursor = (struct erofs_dir_cursor){.dir = dir, .next = dir->child};
}

static bool dot_comes_first(const char *dots, size_t len, const struct tree_node *node)
{
	size_t common = len < node->name_len ? len : node->name_len;
	int order = memcmp(dots, node->name, common);

	return order < 0 || (order == 0 && len < node->name_len);
}

bool erofs_dir_next(struct erofs_dir_cursor *cursor, struct erofs_dir_entry *entry)
{
	const struct tree_node *dir = cursor->dir, *node = cursor->next;
	uint16_t dots = (uint16_t)(cursor->dots + 1);

	if (dots <= 2 && (!node || dot_comes_first("..", dots, node))) {
		const struct tree_node *meant = dots == 1 || !dir->parent ? dir : dir->parent;

		*entry = (struct erofs_dir_entry){.inode = meant->inode, .name = "..", .name_len = dots};
		cursor->dots++;
		return true;
	}
	if (!node)
		return false;
	*entry = (struct erofs_dir_entry){
		.inode = node->inode, .name = node->name, .name_len = node->name_len};
	cursor->next = node->next;
	return true;
}

/* Move the cursor over the entries of one block: how many they are and how much of the block they take. */
static uint32_t block_measure(struct erofs_dir_cursor *cursor, uint32_t *n_entries)
{
	uint32_t used = 0;

	*n_entries = 0;
	for (;;) {
		struct erofs_dir_cursor before = *cursor;
		struct erofs_dir_entry entry;
		uint32_t need;

		if (!erofs_dir_next(cursor, &entry))
			return used;
		need = (uint32_t)sizeof(struct erofs_dirent) + entry.name_len;
		if (used + need > EROFS_BLOCK) {
			*cursor = before;
			return used;
		}
		used += need;
		++*n_entries;
	}
}

uint64_t erofs_dir_bytes(const struct tree_node *dir)
{
	struct erofs_dir_cursor cursor;
	uint64_t blocks = 0;
	uint32_t last = 0, used, n;

	erofs_dir_begin(&cursor, dir);
	while ((used = block_measure(&cursor, &n)) != 0) {
		last = used;
		blocks++;
	}
	/* Every folder has "." and "..", so there is a block. */
	return (blocks - 1) * EROFS_BLOCK + last;
}

static uint8_t file_type(const struct tree_inode *inode)
{
	static const uint8_t types[] = {[TAR_FILE] = 1,
		[TAR_HARDLINK] = 0,
		[TAR_DIR] = 2,
		[TAR_CHAR] = 3,
		[TAR_BLOCKDEV] = 4,
		[TAR_FIFO] = 5,
		[TAR_SYMLINK] = 7};

	return types[inode->type];
}

uint32_t erofs_dir_block(struct erofs_dir_cursor *cursor, uint8_t block[static EROFS_BLOCK])
{
	struct erofs_dir_cursor first = *cursor;
	uint32_t n, used = block_measure(cursor, &n);
	uint32_t name_at = n * (uint32_t)sizeof(struct erofs_dirent);

	memset(block, 0, EROFS_BLOCK);
	for (uint32_t i = 0; i < n; i++) {
		struct erofs_dir_entry entry;
		struct erofs_dirent out;

		if (!erofs_dir_next(&first, &entry))
			break;
		out = (struct erofs_dirent){.nid_low = (uint32_t)entry.inode->nid,
			.nid_high = (uint32_t)(entry.inode->nid >> 32),
			.nameoff = (uint16_t)name_at,
			.file_type = file_type(entry.inode)};
		memcpy(block + i * sizeof(out), &out, sizeof(out));
		memcpy(block + name_at, entry.name, entry.name_len);
		name_at += entry.name_len;
	}
	return used;
}
