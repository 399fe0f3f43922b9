// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/merge_model.h"

#include "oci/image/name.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>

struct model_node *model_find(struct model *model, const char *path, size_t len)
{
	for (size_t i = 0; i < model->n_nodes; i++) {
		if (strlen(model->nodes[i].path) == len && memcmp(model->nodes[i].path, path, len) == 0)
			return &model->nodes[i];
	}
	return NULL;
}

static struct model_node *node_add(struct model *model, const char *path, size_t len)
{
	struct model_node *node = &model->nodes[model->n_nodes++];

	fuzz_require(model->n_nodes <= MODEL_NODES_MAX && len < sizeof(node->path));
	*node = (struct model_node){
		.inode = model->inodes++, .entry = {.type = TAR_DIR, .mode = 0755, .link = ""}};
	memcpy(node->path, path, len);
	return node;
}

/* Everything below a path goes, and with itself, the path, too. */
static void remove_tree(struct model *model, const char *path, bool itself)
{
	char gone[512];
	size_t len = strlen(path), kept = 0;

	memcpy(gone, path, len + 1);
	for (size_t i = 0; i < model->n_nodes; i++) {
		const char *at = model->nodes[i].path;
		bool below = !len || (strncmp(at, gone, len) == 0 && at[len] == '/');

		if (!below && (strcmp(at, gone) != 0 || !itself))
			model->nodes[kept++] = model->nodes[i];
	}
	model->n_nodes = kept;
}

/* The next longer beginning of a path that ends where a part does; false at the whole path. */
static bool prefix_next(const char *path, size_t *len)
{
	const char *slash = strchr(path + *len + (*len != 0), '/');

	if (!slash)
		return false;
	*len = (size_t)(slash - path);
	return true;
}

/* 1: the folder a path lies in is there; 0: it is not; -1: a symbolic link is on the way. */
static int folder_there(struct model *model, const char *path)
{
	size_t len = 0;

	while (prefix_next(path, &len)) {
		const struct model_node *node = model_find(model, path, len);

		if (!node || node->entry.type != TAR_DIR)
			return node && node->entry.type == TAR_SYMLINK ? -1 : 0;
	}
	return 1;
}

static bool whiteout(struct model *model, const struct table_entry *entry)
{
	const char *base = name_base(entry->path);
	int folder = folder_there(model, entry->path);
	char target[512];

	if (folder <= 0)
		return folder == 0;
	if (entry->kind == NAME_OPAQUE) {
		snprintf(target, sizeof(target), "%.*s",
			(int)(base > entry->path ? base - entry->path - 1 : 0), entry->path);
		remove_tree(model, target, false);
		return true;
	}
	snprintf(target, sizeof(target), "%.*s%s", (int)(base - entry->path), entry->path,
		base + strlen(".wh."));
	if (model_find(model, target, strlen(target)))
		remove_tree(model, target, true);
	return true;
}

static bool folders_make(struct model *model, const char *path, uint16_t layer)
{
	size_t len = 0;

	while (prefix_next(path, &len)) {
		struct model_node *node = model_find(model, path, len);

		if (node && node->entry.type == TAR_DIR)
			continue;
		if (node && node->layer == layer)
			return false;
		if (node)
			remove_tree(model, node->path, true);
		node_add(model, path, len)->layer = layer;
	}
	return true;
}

static bool file(struct model *model, const struct table_entry *entry, uint16_t layer)
{
	struct model_node *target = NULL, *old, *node;
	struct model_node copy;

	if (entry->type == TAR_HARDLINK) {
		target = folder_there(model, entry->link) == 1 && *entry->link
				 ? model_find(model, entry->link, strlen(entry->link))
				 : NULL;
		if (!target || target->entry.type == TAR_DIR)
			return false;
		copy = *target;
	}
	if (!folders_make(model, entry->path, layer))
		return false;
	old = model_find(model, entry->path, strlen(entry->path));
	if (target && !strcmp(copy.path, entry->path) && old)
		return true;
	if (old && old->entry.type == TAR_DIR && entry->type == TAR_DIR) {
		old->entry = *entry;
		old->layer = layer;
		return true;
	}
	if (old)
		remove_tree(model, entry->path, true);
	node = node_add(model, entry->path, strlen(entry->path));
	node->entry = target ? copy.entry : *entry;
	node->inode = target ? copy.inode : node->inode;
	node->layer = layer;
	return true;
}

bool model_apply(struct model *model, const struct table *table, uint16_t layer)
{
	struct table_entry entry;
	uint64_t at = 0;

	while (table_next(table, &at, &entry)) {
		if (entry.kind != NAME_PLAIN && !whiteout(model, &entry))
			return false;
	}
	for (at = 0; table_next(table, &at, &entry);) {
		if (entry.kind != NAME_PLAIN)
			continue;
		if (!*entry.path ? entry.type != TAR_DIR : !file(model, &entry, layer))
			return false;
	}
	return true;
}
