// SPDX-License-Identifier: Apache-2.0
/* Handing work to mvrun-image, the program that reads archives and layers: mvrun itself never parses one. */
#ifndef MVRUN_CLI_IMAGECMD_H
#define MVRUN_CLI_IMAGECMD_H

#include "base/err.h"
#include "oci/runtime/paths.h"

#include <stdbool.h>

#define IMAGE_NAME_MAX 512

/* What the loader is asked to do; NULL stands for its default. */
struct image_request {
	const char *source;
	const char *store;
	const char *name;
	const char *platform;
	const char *max_image_size;
	bool quiet;
	bool degraded; /* parts of the decoder's confinement that this host cannot do may be missing */
};

/* True for oci:…, oci-archive:… and docker-archive:…: a place to load from rather than a name. */
bool image_name_is_source(const char *name);

/*
 * Load an image; the request is quiet. loaded receives what the image can be found by. The loader's own
 * messages go to standard error. 0, or -errno with err set; err is empty where the loader has said already
 * what was wrong.
 */
int image_load(const struct paths *paths, const struct image_request *request,
	char loaded[static IMAGE_NAME_MAX], struct err *err);

/* Become the loader. Returns only on failure. */
int image_load_exec(const struct paths *paths, const struct image_request *request, struct err *err);

#endif
