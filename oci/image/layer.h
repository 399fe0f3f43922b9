// SPDX-License-Identifier: Apache-2.0
/*
 * One layer, decoded once: archive in, data and table out.
 *
 * The archive is read as it comes, in one pass. Names select nothing on the host; they are checked and written
 * down. Whether they make sense together (a file below a symbolic link, a hard link to nothing) shows when the
 * layers are merged (tree.h).
 */
#ifndef MVRUN_OCI_IMAGE_LAYER_H
#define MVRUN_OCI_IMAGE_LAYER_H

#include "base/err.h"

#include <stdint.h>

/*
 * Convert the archive that comes out of a pipe into two empty files (all borrowed), of at most max_bytes each.
 * 0 or -errno with err set.
 */
int layer_convert(int tar_fd, uint64_t max_bytes, int data_fd, int table_fd, struct err *err);

#endif
