// SPDX-License-Identifier: Apache-2.0
/* Handing work to mvrun-image, the program that reads archives and layers: mvrun itself never parses one. */
#ifndef MVRUN_CLI_IMAGECMD_H
#define MVRUN_CLI_IMAGECMD_H

#include "base/err.h"
#include "oci/runtime/paths.h"

#include <stdbool.h>

#define IMAGE_NAME_MAX 512
#define IMAGE_ARGS_MAX 16

/* True for oci:…, oci-archive:… and docker-archive:…: a place to load from rather than a name. */
bool image_name_is_source(const char *name);

/*
 * Load source into the store at store_path (platform may be NULL). loaded receives what the image can be
 * found by. The loader's own messages go to standard error. 0, or -errno with err set; err is empty where the
 * loader has said already what was wrong.
 */
int image_load_quietly(const struct paths *paths, const char *store_path, const char *platform,
	const char *source, char loaded[static IMAGE_NAME_MAX], struct err *err);

/* Become mvrun-image with these arguments (NULL-terminated, no program name). Returns only on failure. */
int image_exec(const struct paths *paths, const char *const *args, struct err *err);

#endif
