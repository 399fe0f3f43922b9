// SPDX-License-Identifier: Apache-2.0
/*
 * Names inside a layer. A name that passed is relative to the image's root, has no empty, "." or ".." part
 * and no NUL, and only ever selects a node of a tree in memory: no host path is made from it.
 */
#ifndef MVRUN_OCI_IMAGE_NAME_H
#define MVRUN_OCI_IMAGE_NAME_H

#include <stddef.h>

#define NAME_PATH_MAX 4095
#define NAME_PART_MAX 255

/*
 * Clean a path in place: strip "./", doubled and trailing slashes. "" is the root ("/" and "./" become it).
 * 0; -EPERM for a ".." part or a leading '/' before anything else (what climbs out is refused, not repaired);
 * -ENAMETOOLONG.
 */
int name_clean(char *path);

enum name_kind {
	NAME_PLAIN,
	NAME_WHITEOUT, /* ".wh.X": X of the layers below is gone */
	NAME_OPAQUE, /* ".wh..wh..opq": all that the layers below have in this folder is gone */
	NAME_IGNORED, /* ".wh..wh.X": notes of aufs to itself */
	NAME_BAD, /* ".wh." alone, ".wh..", ".wh...", or a folder on the way that is called like a whiteout */
};

/* What a cleaned path means (image-spec, layer.md, Whiteouts). */
enum name_kind name_classify(const char *path);

/* The last part of a cleaned path. */
const char *name_base(const char *path);

#endif
