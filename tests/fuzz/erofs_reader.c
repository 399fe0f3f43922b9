// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/erofs_reader.h"

#include "oci/image/erofs_format.h"
#include "oci/store/image.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct reader {
	const uint8_t *image;
	size_t bytes;
	const struct erofs_layout *layout;
	struct erofs_super super;
	uint64_t inodes; /* found */
};

/* An inode as it stands on disk. */
struct found {
	uint16_t layout; /* the data layout bits of i_format */
	uint16_t mode;
	uint32_t nlink, where, ino, uid, gid, nsec;
	uint64_t size, mtime;
	const uint8_t *xattrs; /* behind the inode */
	size_t xattrs_len;
	const uint8_t *behind; /* those */
};

static const uint8_t *at(const struct reader *reader, uint64_t offset, uint64_t len)
{
	fuzz_require(offset <= reader->bytes && len <= reader->bytes - offset);
	return reader->image + offset;
}

static uint32_t crc32c(const uint8_t *data, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < 8 * len; i++) {
		uint32_t bit = (crc ^ (uint32_t)(data[i / 8] >> i % 8)) & 1;

		crc = crc >> 1 ^ bit * UINT32_C(0x82f63b78);
	}
	return crc;
}

static void super_read(struct reader *reader)
{
	struct erofs_super *super = &reader->super;
	uint8_t block[EROFS_BLOCK - EROFS_SUPER_OFFSET];

	memcpy(block, at(reader, EROFS_SUPER_OFFSET, sizeof(block)), sizeof(block));
	memcpy(super, block, sizeof(*super));
	memset(block + 4, 0, 4);
	fuzz_require(super->magic == EROFS_MAGIC && super->checksum == crc32c(block, sizeof(block)));
	fuzz_require(super->blkszbits == EROFS_BLOCK_BITS && !super->sb_extslots && !super->meta_blkaddr);
	fuzz_require(memcmp(super->uuid, reader->layout->uuid, 16) == 0);
	fuzz_require(!(super->feature_incompat & ~(uint32_t)EROFS_INCOMPAT_CHUNKED_FILE));
}

static struct found inode_read(const struct reader *reader, uint64_t nid)
{
	const uint8_t *raw = at(reader, nid * EROFS_SLOT, sizeof(struct erofs_inode_compact));
	struct erofs_inode_compact compact;
	struct erofs_inode_extended extended;
	uint16_t icount;
	struct found found;

	memcpy(&compact, raw, sizeof(compact));
	fuzz_require(!(compact.i_format & ~0xf));
	if (compact.i_format & EROFS_EXTENDED) {
		memcpy(&extended, at(reader, nid * EROFS_SLOT, sizeof(extended)), sizeof(extended));
		found = (struct found){.mode = extended.i_mode,
			.nlink = extended.i_nlink,
			.where = extended.i_u,
			.ino = extended.i_ino,
			.uid = extended.i_uid,
			.gid = extended.i_gid,
			.nsec = extended.i_mtime_nsec,
			.size = extended.i_size,
			.mtime = extended.i_mtime};
		found.xattrs = raw + sizeof(extended);
	} else {
		found = (struct found){.mode = compact.i_mode,
			.nlink = compact.i_nlink,
			.where = compact.i_u,
			.ino = compact.i_ino,
			.uid = compact.i_uid,
			.gid = compact.i_gid,
			.nsec = reader->super.build_time_nsec,
			.size = compact.i_size,
			.mtime = reader->super.build_time};
		found.xattrs = raw + sizeof(compact);
	}
	icount = compact.i_xattr_icount;
	found.layout = compact.i_format & 0xe;
	found.xattrs_len = icount ? sizeof(struct erofs_xattr_header) + 4u * (icount - 1u) : 0;
	found.behind = found.xattrs + found.xattrs_len;
	(void)at(reader, (uint64_t)(found.behind - reader->image), 0);
	return found;
}

/* ---- attributes ---- */

/* Whether the entry at `entry` on disk is this name and value. */
static bool xattr_is(const uint8_t *entry, const char *name, const uint8_t *value, uint32_t len)
{
	static const char *const prefixes[] = {"", "user.", "system.posix_acl_access",
		"system.posix_acl_default", "trusted.", "", "security."};
	struct erofs_xattr_entry head;
	size_t prefix;

	memcpy(&head, entry, sizeof(head));
	fuzz_require(head.e_name_index < 7 && prefixes[head.e_name_index][0]);
	prefix = strlen(prefixes[head.e_name_index]);
	return strncmp(name, prefixes[head.e_name_index], prefix) == 0 &&
	       strlen(name) == prefix + head.e_name_len &&
	       memcmp(name + prefix, entry + sizeof(head), head.e_name_len) == 0 &&
	       head.e_value_size == len && memcmp(value, entry + sizeof(head) + head.e_name_len, len) == 0;
}

/* Attributes that are left out: those of overlays, and those whose names have no number. */
static bool xattr_dropped(const char *name)
{
	static const char *const kept[] = {"user.", "trusted.", "security."};

	if (strncmp(name, "user.overlay.", 13) == 0 || strncmp(name, "trusted.overlay.", 16) == 0)
		return true;
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		if (strncmp(name, kept[i], strlen(kept[i])) == 0 && name[strlen(kept[i])])
			return false;
	}
	return strcmp(name, "system.posix_acl_access") != 0 && strcmp(name, "system.posix_acl_default") != 0;
}

static void xattrs_compare(const struct found *found, const struct tree_inode *inode)
{
	const uint8_t *disk = found->xattrs + sizeof(struct erofs_xattr_header),
		      *end = found->xattrs + found->xattrs_len;
	const uint8_t *want = inode->xattrs;

	while (inode->xattrs_len && want < inode->xattrs + inode->xattrs_len) {
		const char *name = (const char *)want;
		const uint8_t *value = want + strlen(name) + 1 + 4;
		struct erofs_xattr_entry head;
		uint32_t len;

		memcpy(&len, value - 4, sizeof(len));
		want = value + len;
		if (xattr_dropped(name))
			continue;
		fuzz_require(found->xattrs_len && (size_t)(end - disk) >= sizeof(head) &&
			     xattr_is(disk, name, value, len));
		memcpy(&head, disk, sizeof(head));
		disk += (sizeof(head) + head.e_name_len + head.e_value_size + 3u) & ~3u;
	}
	fuzz_require(!found->xattrs_len || disk == end);
}

/* ---- contents ---- */

static uint64_t layer_block(const struct reader *reader, uint16_t layer)
{
	uint64_t block = reader->bytes / EROFS_BLOCK;

	layer = reader->layout->layer_same[layer];
	for (uint16_t i = 0; i < layer; i++)
		block +=
			reader->layout->layer_same[i] == i ? reader->layout->layer_bytes[i] / EROFS_BLOCK : 0;
	return block;
}

static void file_compare(
	const struct reader *reader, const struct found *found, const struct tree_inode *inode)
{
	uint64_t base = layer_block(reader, inode->layer);

	if (!inode->n_chunks) {
		fuzz_require(found->layout == EROFS_FLAT_PLAIN);
		fuzz_require(!inode->size || found->where == base + inode->block);
		return;
	}
	fuzz_require(found->layout == EROFS_CHUNK_BASED && found->where == inode->chunk_bits);
	fuzz_require(reader->super.feature_incompat & EROFS_INCOMPAT_CHUNKED_FILE);
	(void)at(reader, (uint64_t)(found->behind - reader->image), inode->n_chunks * UINT64_C(4));
	for (uint32_t i = 0; i < inode->n_chunks; i++) {
		uint32_t block;

		memcpy(&block, found->behind + 4 * (size_t)i, sizeof(block));
		fuzz_require(block ==
			     (inode->chunks[i] == TABLE_CHUNK_HOLE ? UINT32_MAX : base + inode->chunks[i]));
	}
}

/* The bytes of a folder or a symbolic link, wherever they lie; the caller frees them. */
static uint8_t *bytes_read(const struct reader *reader, const struct found *found)
{
	uint64_t tail = found->layout == EROFS_FLAT_INLINE ? found->size % EROFS_BLOCK : 0,
		 head = found->size - tail;
	uint8_t *bytes = malloc(found->size + 1);

	fuzz_require(bytes && (found->layout == EROFS_FLAT_PLAIN || tail));
	if (head)
		memcpy(bytes, at(reader, (uint64_t)found->where * EROFS_BLOCK, head), head);
	if (tail) {
		uint64_t behind = (uint64_t)(found->behind - reader->image);

		memcpy(bytes + head, at(reader, behind, tail), tail);
		/* The kernel reads it with one block. */
		fuzz_require(behind / EROFS_BLOCK == (behind + tail - 1) / EROFS_BLOCK);
	}
	return bytes;
}

static void node_compare(struct reader *reader, uint64_t nid, const struct tree_node *node);

struct entry {
	uint64_t nid;
	uint8_t type;
	const uint8_t *name;
	size_t name_len;
};

/* Entry `index` of a block that has used bytes. */
static struct entry entry_read(const uint8_t *block, size_t used, unsigned index, unsigned count)
{
	struct erofs_dirent dirent, next;
	struct entry entry;
	size_t end = used;

	memcpy(&dirent, block + index * sizeof(dirent), sizeof(dirent));
	if (index + 1 < count) {
		memcpy(&next, block + (index + 1) * sizeof(next), sizeof(next));
		end = next.nameoff;
	}
	fuzz_require(dirent.nameoff < end && end <= used);
	entry = (struct entry){.nid = (uint64_t)dirent.nid_high << 32 | dirent.nid_low,
		.type = dirent.file_type,
		.name = block + dirent.nameoff,
		.name_len = end - dirent.nameoff};
	/* The last name of a full block ends at the first NUL. */
	if (index + 1 == count)
		entry.name_len = strnlen((const char *)entry.name, entry.name_len);
	return entry;
}

static const struct tree_node *child_named(const struct tree_node *dir, const struct entry *entry)
{
	for (const struct tree_node *node = dir->child; node; node = node->next) {
		if (node->name_len == entry->name_len &&
			memcmp(node->name, entry->name, entry->name_len) == 0)
			return node;
	}
	return NULL;
}

static void entry_compare(struct reader *reader, const struct tree_node *dir, const struct entry *entry)
{
	static const uint8_t types[] = {1, 0, 7, 3, 4, 2, 5}; /* by enum tar_type */
	bool dot = entry->name_len == 1 && entry->name[0] == '.';
	bool dots = entry->name_len == 2 && memcmp(entry->name, "..", 2) == 0;
	const struct tree_node *node = dot    ? dir
				       : dots ? (dir->parent ? dir->parent : dir)
					      : child_named(dir, entry);

	fuzz_require(node && entry->nid == node->inode->nid && entry->type == types[node->inode->type]);
	if (!dot && !dots)
		node_compare(reader, entry->nid, node);
}

static void folder_compare(struct reader *reader, const struct found *found, const struct tree_node *dir)
{
	uint8_t *bytes = bytes_read(reader, found);
	struct entry last = {0};
	size_t entries = 0, children = 2;

	for (uint64_t start = 0; start < found->size; start += EROFS_BLOCK) {
		size_t used = found->size - start < EROFS_BLOCK ? (size_t)(found->size - start) : EROFS_BLOCK;
		struct erofs_dirent first;
		unsigned count;

		memcpy(&first, bytes + start, sizeof(first));
		count = first.nameoff / (unsigned)sizeof(first);
		fuzz_require(count && first.nameoff % sizeof(first) == 0 && first.nameoff < used);
		for (unsigned i = 0; i < count; i++, entries++) {
			struct entry entry = entry_read(bytes + start, used, i, count);
			size_t common = entry.name_len < last.name_len ? entry.name_len : last.name_len;
			int order = last.name ? memcmp(last.name, entry.name, common) : -1;

			/* The kernel looks names up by bisection. */
			fuzz_require(order < 0 || (order == 0 && last.name_len < entry.name_len));
			entry_compare(reader, dir, &entry);
			last = entry;
		}
	}
	for (const struct tree_node *node = dir->child; node; node = node->next)
		children++;
	fuzz_require(entries == children);
	free(bytes);
}

/* ---- nodes ---- */

static void node_compare(struct reader *reader, uint64_t nid, const struct tree_node *node)
{
	static const uint32_t formats[] = {S_IFREG, 0, S_IFLNK, S_IFCHR, S_IFBLK, S_IFDIR, S_IFIFO};
	const struct tree_inode *inode = node->inode;
	struct found found = inode_read(reader, nid);

	fuzz_require(found.mode == (formats[inode->type] | inode->mode) && found.nlink == inode->nlink);
	fuzz_require(found.uid == inode->uid && found.gid == inode->gid);
	fuzz_require(found.mtime == (uint64_t)inode->mtime && found.nsec == inode->mtime_nsec);
	fuzz_require(found.ino && found.ino <= reader->super.inos);
	xattrs_compare(&found, inode);
	if (inode->type == TAR_DIR) {
		folder_compare(reader, &found, node);
		return;
	}
	fuzz_require(found.size == inode->size);
	if (inode->type == TAR_SYMLINK) {
		uint8_t *target = bytes_read(reader, &found);

		fuzz_require(memcmp(target, inode->link, inode->size) == 0);
		free(target);
	} else if (inode->type == TAR_FILE) {
		file_compare(reader, &found, inode);
	} else if (inode->type != TAR_FIFO) {
		fuzz_require(found.where == inode->rdev);
	}
}

void erofs_compare(
	const uint8_t *image, size_t bytes, const struct tree *tree, const struct erofs_layout *layout)
{
	struct reader reader = {.image = image, .bytes = bytes, .layout = layout};

	fuzz_require(bytes && bytes % IMAGE_ALIGN == 0);
	super_read(&reader);
	fuzz_require(reader.super.blocks == layer_block(&reader, (uint16_t)(layout->n_layers - 1)) +
						    layout->layer_bytes[layout->n_layers - 1] / EROFS_BLOCK ||
		     layout->layer_same[layout->n_layers - 1] != layout->n_layers - 1);
	node_compare(&reader, reader.super.root_nid, tree->root);
}
