// SPDX-License-Identifier: Apache-2.0
#include "oci/image/erofs_parts.h"

#include "base/num.h"
#include "oci/store/image.h"

#include <errno.h>

/* An end that is longer goes into a block of its own: keeping it whole within a block would waste more. */
#define INLINE_MAX 2048

struct planner {
	struct erofs_plan *plan;
	uint64_t at; /* next free byte of the inode area */
};

/* ---- times ---- */

/*
 * Compact inodes have no time of their own but the superblock's. So that one should be the time most inodes
 * have; this finds it if it is more than half of them (Boyer and Moore's vote).
 */
struct vote {
	int64_t time;
	uint32_t nsec;
	uint64_t count;
};

static void vote_cast(struct vote *vote, const struct tree_inode *inode)
{
	if (!vote->count)
		*vote = (struct vote){.time = inode->mtime, .nsec = inode->mtime_nsec};
	if (vote->time == inode->mtime && vote->nsec == inode->mtime_nsec)
		vote->count++;
	else
		vote->count--;
}

static void times_plan(struct tree *tree, struct erofs_plan *plan)
{
	struct vote vote = {0};

	for (struct tree_node *dir = tree->root; dir; dir = tree_next_dir(dir)) {
		vote_cast(&vote, dir->inode);
		for (struct tree_node *node = dir->child; node; node = node->next) {
			if (!tree_is_dir(node))
				vote_cast(&vote, node->inode);
		}
	}
	plan->build_time = vote.time;
	plan->build_time_nsec = vote.nsec;
}

/* ---- places ---- */

static bool needs_extended(const struct erofs_plan *plan, const struct tree_inode *inode)
{
	return inode->mtime != plan->build_time || inode->mtime_nsec != plan->build_time_nsec ||
	       inode->uid > UINT16_MAX || inode->gid > UINT16_MAX || inode->nlink > UINT16_MAX ||
	       inode->size > UINT32_MAX;
}

/* Find room for an inode whose first `together` bytes must lie in one block, then `more` bytes. */
static void inode_place(struct planner *planner, struct tree_inode *inode, uint64_t together, uint64_t more)
{
	uint64_t at = (planner->at + EROFS_SLOT - 1) & ~(uint64_t)(EROFS_SLOT - 1);
	uint64_t in_block = at & (EROFS_BLOCK - 1);

	if (together <= EROFS_BLOCK && in_block + together > EROFS_BLOCK)
		at += EROFS_BLOCK - in_block;
	inode->nid = at / EROFS_SLOT;
	inode->ino = (uint32_t)planner->plan->n_inodes++;
	inode->placed = true;
	planner->at = at + together + more;
}

static void blocks_place(struct planner *planner, struct tree_inode *inode, uint64_t bytes)
{
	inode->data_block = planner->plan->n_data_blocks;
	planner->plan->n_data_blocks += (uint32_t)((bytes + EROFS_BLOCK - 1) / EROFS_BLOCK);
}

/* Folders and symbolic links: contents in blocks, what is over directly behind the inode. */
static void inline_place(struct planner *planner, struct tree_inode *inode, uint64_t head)
{
	uint64_t tail = inode->size % EROFS_BLOCK;

	inode->inlined = tail && tail <= INLINE_MAX && head + tail <= EROFS_BLOCK;
	if (inode->inlined) {
		blocks_place(planner, inode, inode->size - tail);
		inode_place(planner, inode, head + tail, 0);
	} else {
		blocks_place(planner, inode, inode->size);
		inode_place(planner, inode, head, 0);
	}
}

static void inode_plan(struct planner *planner, struct tree_node *node)
{
	struct tree_inode *inode = node->inode;
	uint64_t head;

	if (inode->placed)
		return;
	if (tree_is_dir(node))
		inode->size = erofs_dir_bytes(node);
	inode->extended = needs_extended(planner->plan, inode);
	inode->xattr_bytes = erofs_xattr_bytes(inode);
	head = erofs_inode_bytes(inode) + inode->xattr_bytes;
	if (inode->type == TAR_DIR || inode->type == TAR_SYMLINK) {
		inline_place(planner, inode, head);
	} else {
		inode_place(planner, inode, head, inode->n_chunks * UINT64_C(4));
		planner->plan->chunked |= inode->n_chunks != 0;
	}
}

int erofs_plan(struct tree *tree, struct erofs_plan *plan)
{
	struct planner planner = {.plan = plan, .at = EROFS_SUPER_OFFSET + sizeof(struct erofs_super)};
	uint64_t first, end;

	*plan = (struct erofs_plan){0};
	times_plan(tree, plan);
	for (struct tree_node *dir = tree->root; dir; dir = tree_next_dir(dir)) {
		inode_plan(&planner, dir);
		for (struct tree_node *node = dir->child; node; node = node->next) {
			if (!tree_is_dir(node))
				inode_plan(&planner, node);
		}
	}
	plan->inode_end = planner.at;
	first = (planner.at + EROFS_BLOCK - 1) / EROFS_BLOCK;
	end = first + plan->n_data_blocks;
	if (end >= UINT32_MAX || !num_align_up(end * EROFS_BLOCK, IMAGE_ALIGN, &plan->meta_bytes))
		return -EFBIG;
	plan->data_first = (uint32_t)first;
	return 0;
}
