// SPDX-License-Identifier: Apache-2.0
/*
 * Bounded scatter lists over guest memory.
 *
 * A struct giov is a cursor over an array of struct iovec that its owner provides: the pieces were checked by
 * gmem_slice() when they were added, so they can be handed to preadv(), writev() or io_uring as they are. The
 * cursor moves forward as bytes are read, written or skipped; it changes the array under it, never the
 * guest's descriptors, which were copied before. Pieces of length 0 are never in the list.
 */
#ifndef MVRUN_MEM_GIOV_H
#define MVRUN_MEM_GIOV_H

#include "mem/gmem.h"

#include <sys/uio.h>

struct giov {
	struct iovec *iov; /* the first piece not used up yet */
	uint32_t n; /* pieces from there on */
	uint32_t cap; /* room in the array from there on */
	uint64_t len_bytes; /* what the n pieces add up to */
};

/* An empty list in the caller's array, which must outlive it. */
void giov_init(struct giov *g, struct iovec *storage, uint32_t cap);

/*
 * Append len_bytes at gpa. Nothing happens for length 0. 0; -EFAULT if it is not in one region of guest
 * memory; -E2BIG when the array is full.
 */
int giov_add(struct giov *g, const struct gmem *mem, gpa_t gpa, uint32_t len_bytes);

/*
 * Copy up to len_bytes out of (into) guest memory and move on. The count, short only at the end of the
 * list.
 */
size_t giov_read(struct giov *g, void *data, size_t len_bytes);
size_t giov_write(struct giov *g, const void *data, size_t len_bytes);

/* Write up to len_bytes zeros and move on. The count. */
size_t giov_zero(struct giov *g, size_t len_bytes);

/* Move on by len_bytes, at most to the end. */
void giov_skip(struct giov *g, uint64_t len_bytes);

/* Cut the list off behind its first len_bytes; no effect if it is not longer. */
void giov_truncate(struct giov *g, uint64_t len_bytes);

/*
 * Move the first len_bytes (not more than there are) to the end of head, a list with an array of its own. 0,
 * or -E2BIG with head untouched if its array is too small.
 */
int giov_split(struct giov *g, uint64_t len_bytes, struct giov *head);

/* Take the last byte off the list and describe it in *last. 0, or -ENODATA if the list is empty. */
int giov_pop_byte(struct giov *g, struct iovec *last);

/*
 * A window on the first len_bytes (not more than there are), for a system call that must not go further: the
 * first n pieces, the last of them shortened. giov_unlimit() undoes the shortening; nothing else may be done
 * with the list in between.
 */
struct giov_window {
	uint32_t n;
	size_t last_len_bytes; /* what the last piece was before */
};

struct giov_window giov_limit(struct giov *g, uint64_t len_bytes);
void giov_unlimit(struct giov *g, const struct giov_window *window);

#endif
