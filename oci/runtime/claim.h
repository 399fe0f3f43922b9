// SPDX-License-Identifier: Apache-2.0
/*
 * A container's name, held for as long as the container lives.
 *
 * The claim is a flock on a file below $MVRUN_STATE/containers (else /run/mvrun for root,
 * $XDG_RUNTIME_DIR/mvrun for others). The lock dies with its owner, so a file left behind by a killed process
 * or a power cut means nothing: the next who wants the name takes it over.
 */
#ifndef MVRUN_OCI_RUNTIME_CLAIM_H
#define MVRUN_OCI_RUNTIME_CLAIM_H

#include "base/err.h"

struct claim {
	int fd; /* the locked file, -1: nothing claimed */
	int dir_fd;
	char name[65];
};

#define CLAIM_INIT ((struct claim){.fd = -1, .dir_fd = -1})

/*
 * Take a valid name (container_name_valid). -EEXIST when it is in use; other errors with what to do about them.
 */
int claim_take(struct claim *claim, const char *name, struct err *err);

/*
 * The file of a valid name, for reading: somebody's claim if it is locked. A descriptor, -ENOENT if there is none, other
 * errors with err set.
 */
int claim_open(const char *name, struct err *err);

/* Give it back. Harmless when nothing was claimed. */
void claim_drop(struct claim *claim);

/* Where state is kept. 0, or -ENOENT when there is no place for it, with err set. */
int state_path(char *path, unsigned long cap, struct err *err);

#endif
