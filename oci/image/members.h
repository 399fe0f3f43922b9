// SPDX-License-Identifier: Apache-2.0
/* What is in an archive of images, and where: names and ranges of the file. */
#ifndef MVRUN_OCI_IMAGE_MEMBERS_H
#define MVRUN_OCI_IMAGE_MEMBERS_H

#include "base/err.h"
#include "oci/image/blob.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMBERS_MAX 100000

struct member {
	char *name; /* cleaned (name.h) */
	char *link; /* of a symbolic or hard link, else NULL */
	bool symlink;
	uint64_t offset, bytes;
};

struct members {
	struct member *items; /* sorted by name, no two the same */
	size_t n;
};

/*
 * Read the names in an uncompressed archive, skipping contents. members starts empty; members_done() releases
 * it in any case. 0 or -errno with err set.
 */
int members_read(struct members *members, const struct blob_ref *archive, struct err *err);
void members_done(struct members *members);

/* Find a file, through links inside the archive. NULL if there is none. */
const struct member *members_find(const struct members *members, const char *name);

#endif
