// SPDX-License-Identifier: Apache-2.0
#include "oci/image/tree.h"

#include "oci/image/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define ARENA_BYTES (1u << 20)
#define BUCKETS_FIRST 4096
#define IMPLICIT_MODE 0755

/* ---- memory ---- */

static void *arena_alloc(struct tree *tree, size_t len)
{
	size_t head = (sizeof(struct tree_arena) + 15) & ~(size_t)15;
	void *at;

	len = (len + 15) & ~(size_t)15;
	if (!tree->arena || tree->arena->used + len > ARENA_BYTES) {
		struct tree_arena *arena = malloc(ARENA_BYTES);

		if (!arena)
			return NULL;
		*arena = (struct tree_arena){.next = tree->arena, .used = head};
		tree->arena = arena;
	}
	at = (uint8_t *)tree->arena + tree->arena->used;
	tree->arena->used += len;
	return memset(at, 0, len);
}

static struct tree_inode *inode_new(struct tree *tree)
{
	return arena_alloc(tree, sizeof(struct tree_inode));
}

/* ---- index of all nodes by parent and name ---- */

#define ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))

static void sip_round(uint64_t v[static 4])
{
	v[0] += v[1];
	v[1] = ROTL(v[1], 13) ^ v[0];
	v[0] = ROTL(v[0], 32);
	v[2] += v[3];
	v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTL(v[1], 17) ^ v[2];
	v[2] = ROTL(v[2], 32);
}

static void sip_word(uint64_t v[static 4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
}

/* SipHash-1-3 under a random key, so that an image cannot choose names that all collide. */
static uint64_t key_hash(
	const struct tree *tree, const struct tree_node *parent, const char *name, size_t len)
{
	uint64_t v[4] = {tree->hash_key[0] ^ 0x736f6d6570736575, tree->hash_key[1] ^ 0x646f72616e646f6d,
		tree->hash_key[0] ^ 0x6c7967656e657261, tree->hash_key[1] ^ 0x7465646279746573};
	uint64_t word;

	sip_word(v, (uintptr_t)parent);
	for (; len >= 8; len -= 8, name += 8) {
		memcpy(&word, name, 8);
		sip_word(v, word);
	}
	word = 0;
	memcpy(&word, name, len);
	sip_word(v, word | (uint64_t)len << 56);
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct tree_node **bucket_of(
	const struct tree *tree, const struct tree_node *parent, const char *name, size_t len)
{
	return &tree->buckets[key_hash(tree, parent, name, len) & (tree->n_buckets - 1)];
}

static struct tree_node *child_find(
	const struct tree *tree, const struct tree_node *parent, const char *name, size_t len)
{
	struct tree_node *node = *bucket_of(tree, parent, name, len);

	while (node &&
		(node->parent != parent || node->name_len != len || memcmp(node->name, name, len) != 0))
		node = node->bucket_next;
	return node;
}

static int buckets_grow(struct tree *tree)
{
	struct tree_node **old = tree->buckets;
	uint64_t n_old = tree->n_buckets;

	tree->buckets = calloc((size_t)n_old * 2, sizeof(void *));
	if (!tree->buckets) {
		tree->buckets = old;
		return -ENOMEM;
	}
	tree->n_buckets = n_old * 2;
	for (uint64_t i = 0; i < n_old; i++) {
		for (struct tree_node *node = old[i], *after; node; node = after) {
			struct tree_node **bucket = bucket_of(tree, node->parent, node->name, node->name_len);

			after = node->bucket_next;
			node->bucket_next = *bucket;
			*bucket = node;
		}
	}
	free(old);
	return 0;
}

static struct tree_node *child_add(
	struct tree *tree, struct tree_node *parent, const char *name, size_t len, struct tree_inode *inode)
{
	struct tree_node *node = arena_alloc(tree, sizeof(*node));
	struct tree_node **bucket;

	if (!node || (tree->n_nodes >= tree->n_buckets && buckets_grow(tree)))
		return NULL;
	bucket = bucket_of(tree, parent, name, len);
	*node = (struct tree_node){.parent = parent,
		.next = parent->child,
		.bucket_next = *bucket,
		.inode = inode,
		.name = name,
		.name_len = (uint16_t)len,
		.layer = tree->layer};
	if (parent->child)
		parent->child->prev = node;
	parent->child = node;
	*bucket = node;
	tree->n_nodes++;
	return node;
}

/* Take one node without children out of its folder and the index. Its memory stays in the arena. */
static void leaf_remove(struct tree *tree, struct tree_node *node)
{
	struct tree_node **at = bucket_of(tree, node->parent, node->name, node->name_len);

	while (*at != node)
		at = &(*at)->bucket_next;
	*at = node->bucket_next;
	if (node->prev)
		node->prev->next = node->next;
	else
		node->parent->child = node->next;
	if (node->next)
		node->next->prev = node->prev;
	tree->n_nodes--;
}

/* Remove what is below a node, from the bottom up and without recursion. */
static void children_remove(struct tree *tree, struct tree_node *top)
{
	struct tree_node *node = top;

	for (;;) {
		while (node->child)
			node = node->child;
		if (node == top)
			return;
		struct tree_node *parent = node->parent;

		leaf_remove(tree, node);
		node = parent;
	}
}

static void node_remove(struct tree *tree, struct tree_node *node)
{
	children_remove(tree, node);
	leaf_remove(tree, node);
}

/* ---- walking ---- */

static const char *kind_of(const struct tree_node *node)
{
	return node->inode->type == TAR_SYMLINK ? "a symbolic link" : "no folder";
}

static struct tree_node *implicit_dir(
	struct tree *tree, struct tree_node *parent, const char *name, size_t len)
{
	struct tree_inode *inode = inode_new(tree);

	if (!inode)
		return NULL;
	inode->type = TAR_DIR;
	inode->mode = IMPLICIT_MODE;
	inode->layer = tree->layer;
	return child_add(tree, parent, name, len, inode);
}

/* The folder an entry is to be in, made where it is missing. */
static int parent_make(struct tree *tree, const char *path, struct tree_node **parent, struct err *err)
{
	const char *base = name_base(path);
	struct tree_node *at = tree->root;

	for (const char *part = path; part < base;) {
		size_t len = strcspn(part, "/");
		struct tree_node *child = child_find(tree, at, part, len);

		if (child && !tree_is_dir(child)) {
			if (child->layer == tree->layer)
				return err_set(err, EBADMSG, "\"%.200s\" lies below \"%.*s\", which is %s",
					path, (int)(part - path + (ptrdiff_t)len), path, kind_of(child));
			node_remove(tree, child);
			child = NULL;
		}
		if (!child)
			child = implicit_dir(tree, at, part, len);
		if (!child)
			return err_set(err, ENOMEM, "out of memory");
		at = child;
		part += len + 1;
	}
	*parent = at;
	return 0;
}

/*
 * The node a path names, or NULL in *node if there is none; its folder in *parent (NULL: not even that).
 * -ELOOP if the way there leads through a symbolic link.
 */
static int node_find(struct tree *tree, const char *path, struct tree_node **parent, struct tree_node **node)
{
	const char *base = name_base(path);
	struct tree_node *at = tree->root;

	*parent = *node = NULL;
	for (const char *part = path; part < base;) {
		size_t len = strcspn(part, "/");

		at = child_find(tree, at, part, len);
		if (!at || !tree_is_dir(at))
			return at && at->inode->type == TAR_SYMLINK ? -ELOOP : 0;
		part += len + 1;
	}
	*parent = at;
	*node = child_find(tree, at, base, strlen(base));
	return 0;
}

/* ---- entries ---- */

static void inode_fill(struct tree_inode *inode, const struct table_entry *entry, uint16_t layer)
{
	*inode = (struct tree_inode){.type = entry->type,
		.mode = entry->mode,
		.layer = layer,
		.chunk_bits = entry->chunk_bits,
		.uid = entry->uid,
		.gid = entry->gid,
		.rdev = entry->rdev,
		.mtime_nsec = entry->mtime_nsec,
		.mtime = entry->mtime,
		.size = entry->size,
		.block = entry->block,
		.n_chunks = entry->n_chunks,
		.chunks = entry->chunks,
		.link = entry->link,
		.xattrs = entry->xattrs,
		.xattrs_len = entry->xattrs_len};
	if (entry->type == TAR_SYMLINK)
		inode->size = strlen(entry->link);
}

/* What the layers below have under this name, or in this folder, is gone. */
static int whiteout_apply(struct tree *tree, const struct table_entry *entry, struct err *err)
{
	struct tree_node *parent, *node;
	const char *target = name_base(entry->path) + strlen(".wh.");
	int ret = node_find(tree, entry->path, &parent, &node);

	if (ret)
		return err_set(
			err, EBADMSG, "the whiteout \"%.200s\" lies below a symbolic link", entry->path);
	if (!parent)
		return 0;
	if (entry->kind == NAME_OPAQUE) {
		children_remove(tree, parent);
		return 0;
	}
	node = child_find(tree, parent, target, strlen(target));
	if (node)
		node_remove(tree, node);
	return 0;
}

static int root_apply(struct tree *tree, const struct table_entry *entry, struct err *err)
{
	if (entry->type != TAR_DIR)
		return err_set(err, EBADMSG, "the root of the image is no folder");
	inode_fill(tree->root->inode, entry, tree->layer);
	return 0;
}

static int hardlink_target(
	struct tree *tree, const struct table_entry *entry, struct tree_node **target, struct err *err)
{
	struct tree_node *parent;

	if (node_find(tree, entry->link, &parent, target))
		return err_set(err, EBADMSG, "\"%.200s\" is a hard link through a symbolic link: \"%.200s\"",
			entry->path, entry->link);
	if (!*target)
		return err_set(err, EBADMSG, "\"%.200s\" is a hard link to \"%.200s\", which is not there",
			entry->path, entry->link);
	if (tree_is_dir(*target))
		return err_set(err, EBADMSG, "\"%.200s\" is a hard link to a folder", entry->path);
	return 0;
}

static int entry_apply(struct tree *tree, const struct table_entry *entry, struct err *err)
{
	const char *base = name_base(entry->path);
	struct tree_node *parent = NULL, *old, *target = NULL;
	struct tree_inode *inode;
	int ret = entry->type == TAR_HARDLINK ? hardlink_target(tree, entry, &target, err) : 0;

	if (!ret)
		ret = parent_make(tree, entry->path, &parent, err);
	if (ret)
		return ret;
	old = child_find(tree, parent, base, strlen(base));
	if (old && old == target)
		return 0;
	if (old && tree_is_dir(old) && entry->type == TAR_DIR) {
		inode_fill(old->inode, entry, tree->layer);
		old->layer = tree->layer;
		return 0;
	}
	/* The target's inode outlives its node, should that be in what is replaced. */
	inode = target ? target->inode : inode_new(tree);
	if (inode && !target)
		inode_fill(inode, entry, tree->layer);
	if (old)
		node_remove(tree, old);
	if (!inode || !child_add(tree, parent, base, strlen(base), inode))
		return err_set(err, ENOMEM, "out of memory");
	return 0;
}

int tree_apply(struct tree *tree, const struct table *table, uint16_t layer, struct err *err)
{
	struct table_entry entry;
	uint64_t at = 0;
	int ret = 0;

	tree->layer = layer;
	tree->n_entries += table->info.n_entries;
	if (tree->n_entries > TREE_ENTRIES_MAX)
		return err_set(err, EFBIG, "the image has more than %llu files: refused",
			(unsigned long long)TREE_ENTRIES_MAX);
	while (!ret && table_next(table, &at, &entry)) {
		if (entry.kind != NAME_PLAIN)
			ret = whiteout_apply(tree, &entry, err);
	}
	at = 0;
	while (!ret && table_next(table, &at, &entry)) {
		if (entry.kind == NAME_PLAIN)
			ret = *entry.path ? entry_apply(tree, &entry, err) : root_apply(tree, &entry, err);
	}
	return ret;
}

/* ---- begin and end ---- */

int tree_init(struct tree *tree, struct err *err)
{
	struct tree_inode *inode;

	*tree = (struct tree){.n_buckets = BUCKETS_FIRST};
	if (getrandom(tree->hash_key, sizeof(tree->hash_key), 0) != sizeof(tree->hash_key))
		return err_sys(err, errno, "get random bytes");
	tree->buckets = calloc(BUCKETS_FIRST, sizeof(void *));
	tree->root = arena_alloc(tree, sizeof(*tree->root));
	inode = inode_new(tree);
	if (!tree->buckets || !tree->root || !inode) {
		tree_done(tree);
		return err_set(err, ENOMEM, "out of memory");
	}
	inode->type = TAR_DIR;
	inode->mode = IMPLICIT_MODE;
	tree->root->inode = inode;
	tree->root->name = "";
	return 0;
}

void tree_done(struct tree *tree)
{
	while (tree->arena) {
		struct tree_arena *next = tree->arena->next;

		free(tree->arena);
		tree->arena = next;
	}
	free(tree->buckets);
	tree->buckets = NULL;
	tree->root = NULL;
}

struct tree_node *tree_next_dir(const struct tree_node *dir)
{
	struct tree_node *node = dir->child;

	for (;;) {
		while (node && !tree_is_dir(node))
			node = node->next;
		if (node)
			return node;
		if (!dir->parent)
			return NULL;
		node = dir->next;
		dir = dir->parent;
	}
}

static int name_compare(const struct tree_node *a, const struct tree_node *b)
{
	size_t len = a->name_len < b->name_len ? a->name_len : b->name_len;
	int order = memcmp(a->name, b->name, len);

	return order ? order : (int)a->name_len - (int)b->name_len;
}

static struct tree_node *lists_merge(struct tree_node *a, struct tree_node *b)
{
	struct tree_node *head = NULL, **tail = &head;

	while (a && b) {
		struct tree_node **least = name_compare(a, b) < 0 ? &a : &b;

		*tail = *least;
		tail = &(*least)->next;
		*least = (*least)->next;
	}
	*tail = a ? a : b;
	return head;
}

/* Merge sort from the bottom up: slot i holds a sorted list of 2^i nodes or nothing. */
static void children_sort(struct tree_node *dir)
{
	struct tree_node *slots[64] = {0}, *sorted = NULL, *prev = NULL;

	for (struct tree_node *node = dir->child, *after; node; node = after) {
		size_t i = 0;

		after = node->next;
		node->next = NULL;
		for (; slots[i]; i++) {
			node = lists_merge(slots[i], node);
			slots[i] = NULL;
		}
		slots[i] = node;
	}
	for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++)
		sorted = lists_merge(slots[i], sorted);
	dir->child = sorted;
	for (; sorted; prev = sorted, sorted = sorted->next)
		sorted->prev = prev;
}

void tree_finish(struct tree *tree)
{
	for (struct tree_node *dir = tree->root; dir; dir = tree_next_dir(dir)) {
		dir->inode->nlink += 2;
		children_sort(dir);
		for (struct tree_node *node = dir->child; node; node = node->next) {
			if (tree_is_dir(node))
				dir->inode->nlink++;
			else
				node->inode->nlink++;
		}
	}
}
