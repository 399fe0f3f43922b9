// SPDX-License-Identifier: Apache-2.0
/* What merging layers means, written down as plainly as possible: a list of paths, searched from end to end. */
#ifndef MVRUN_TESTS_FUZZ_MERGE_MODEL_H
#define MVRUN_TESTS_FUZZ_MERGE_MODEL_H

#include "oci/image/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_NODES_MAX 2048

struct model_node {
	char path[512];
	struct table_entry entry; /* type TAR_DIR and nothing else for a folder nobody described */
	uint16_t layer;
	int inode; /* nodes of one file have the same */
};

struct model {
	struct model_node nodes[MODEL_NODES_MAX];
	size_t n_nodes;
	int inodes;
};

/* Apply a layer. False if it is to be refused. */
bool model_apply(struct model *model, const struct table *table, uint16_t layer);

/* The node of a path, or NULL. */
struct model_node *model_find(struct model *model, const char *path, size_t len);

#endif
