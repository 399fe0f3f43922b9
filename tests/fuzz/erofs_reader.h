// SPDX-License-Identifier: Apache-2.0
/*
 * A strict reader of the file systems that erofs_write() makes, and nothing else: what is not exactly as the format and
 * our writer's own rules want it is a broken requirement. Compares what it finds with the tree that was written.
 */
#ifndef MVRUN_TESTS_FUZZ_EROFS_READER_H
#define MVRUN_TESTS_FUZZ_EROFS_READER_H

#include "oci/image/erofs.h"

#include <stddef.h>
#include <stdint.h>

void erofs_compare(
	const uint8_t *image, size_t bytes, const struct tree *tree, const struct erofs_layout *layout);

#endif
