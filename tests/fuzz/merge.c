// SPDX-License-Identifier: Apache-2.0
/* Merging layers with whiteouts: the tree is what a model that knows nothing but paths comes to, or both refuse. */
#include "tests/fuzz/layers.h"
#include "tests/fuzz/merge_model.h"

#include "oci/image/tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct model model;

static void node_check(const struct tree_node *node, const char *path)
{
	const struct model_node *want = model_find(&model, path, strlen(path));
	const struct tree_inode *have = node->inode;

	fuzz_require(want && want->entry.type == have->type && want->entry.mode == have->mode);
	fuzz_require(want->entry.uid == have->uid && want->entry.gid == have->gid &&
		     want->entry.mtime == have->mtime);
	fuzz_require(want->entry.xattrs_len == have->xattrs_len);
	if (have->type == TAR_FILE)
		fuzz_require(want->entry.size == have->size && want->entry.block == have->block);
	if (have->type == TAR_SYMLINK)
		fuzz_require(!strcmp(want->entry.link, have->link) && have->size == strlen(have->link));
	fuzz_note_text(path);
	fuzz_note_u64(have->nlink);
}

/* How many names the file has, by the model. */
static uint32_t names_of(const char *path)
{
	int inode = model_find(&model, path, strlen(path))->inode;
	uint32_t n = 0;

	for (size_t i = 0; i < model.n_nodes; i++)
		n += model.nodes[i].inode == inode;
	return n;
}

static size_t folder_check(const struct tree_node *dir, const char *path)
{
	const struct tree_node *before = NULL;
	uint32_t subfolders = 0;
	size_t count = 0;

	for (const struct tree_node *node = dir->child; node; before = node, node = node->next) {
		char sub[512];

		snprintf(sub, sizeof(sub), "%s%s%.*s", path, *path ? "/" : "", node->name_len, node->name);
		fuzz_require(node->parent == dir && node->prev == before);
		if (before) {
			size_t common = before->name_len < node->name_len ? before->name_len : node->name_len;
			int order = memcmp(before->name, node->name, common);

			fuzz_require(order < 0 || (order == 0 && before->name_len < node->name_len));
		}
		node_check(node, sub);
		count++;
		if (tree_is_dir(node)) {
			count += folder_check(node, sub);
			subfolders++;
		} else {
			fuzz_require(node->inode->nlink == names_of(sub));
		}
	}
	fuzz_require(dir->inode->nlink == 2 + subfolders);
	return count;
}

void fuzz_one(const uint8_t *data, size_t len)
{
	struct fuzz_input input = {data, len};
	struct err err = ERR_INIT;
	struct layers layers;
	struct tree tree;
	int ret = 0;

	layers_make(&layers, &input);
	model.n_nodes = 0;
	model.inodes = 0;
	fuzz_require(tree_init(&tree, &err) == 0);
	for (uint16_t i = 0; !ret && i < layers.n_layers; i++) {
		bool good = model_apply(&model, &layers.tables[i], i);

		ret = tree_apply(&tree, &layers.tables[i], i, &err);
		fuzz_require(ret == (good ? 0 : -EBADMSG) && err.code == -ret);
	}
	fuzz_note_text(err.text);
	if (!ret) {
		tree_finish(&tree);
		fuzz_require(folder_check(tree.root, "") == model.n_nodes);
	}
	tree_done(&tree);
	layers_done(&layers);
}
