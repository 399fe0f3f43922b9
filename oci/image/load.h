// SPDX-License-Identifier: Apache-2.0
/*
 * From a source to the store.
 *
 * Theory of operation. select.c finds out which images of the source are meant and which variant of each runs
 * here: a list of struct selection. For each, load.c reads manifest and configuration, has layers.c bring
 * every layer into the store (several at once, each under its lock, those that are there already not at all),
 * merges the layers' tables into one tree, writes it as EROFS, and commits, in the order that store.h
 * explains. A failure or a signal at any moment leaves the store as it was, but for whole layers, which are
 * swept.
 */
#ifndef MVRUN_OCI_IMAGE_LOAD_H
#define MVRUN_OCI_IMAGE_LOAD_H

#include "oci/image/layer.h"
#include "oci/image/manifest.h"
#include "oci/image/source.h"
#include "oci/image/tree.h"
#include "oci/store/layout.h"
#include "oci/store/ref.h"

#include <stdatomic.h>
#include <stdbool.h>

#define IMAGE_BYTES_DEFAULT (UINT64_C(64) << 30)
#define NAMES_MAX 64 /* of one image in a docker-archive */

enum progress_mode { PROGRESS_NONE, PROGRESS_LINES, PROGRESS_TERMINAL };

struct load_options {
	struct platform platform;
	const char *name; /* to give to the image; NULL: the one the source has */
	uint64_t max_image_bytes;
	enum progress_mode progress;
	int progress_fd; /* -1, or where "done total\n" in bytes is written as it goes */
};

struct load {
	struct load_options options;
	struct ingest ingest;
	struct source source;
	const atomic_int *cancel; /* the number of the signal that came, or 0 */
};

/* One image that is meant. */
struct selection {
	struct descriptor
		manifest; /* OCI: digest and size of its manifest; ref and name are not valid here */
	char index[DIGEST_HEX_LEN + 1]; /* the index it came from, or "" */
	size_t docker_entry; /* docker-archive: its place in manifest.json */
	char (*names)[REF_TEXT_MAX + 1]; /* complete references; the selection's */
	size_t n_names;
};

/* Called for every image that is now in the store. name: as docker shows it, NULL if it has none. */
typedef void load_report_fn(void *ctx, const char *name, const char *id);

/*
 * Load what load->source has and the reference in its spec means. load->ingest is open. 0 or -errno with err
 * set; what was reported before a failure stays.
 */
int load_run(struct load *load, load_report_fn *report, void *ctx, struct err *err);

/* Which images are meant. The caller ends *list with selections_free(). */
int select_images(struct load *load, struct selection **list, size_t *n, struct err *err);
void selections_free(struct selection *list, size_t n);

/* docker-archive: the entry of manifest.json, and the names of its parts. Borrowed from the JSON. */
int docker_manifest_read(const struct load *load, json_t **json, struct err *err);

/* A layer on the way into the store. */
struct layer_job {
	struct layer_source source;
	struct table_info info; /* once it is there */
};

/* Bring all layers into the store. On failure err names the layer. */
int layers_load(struct load *load, struct layer_job *jobs, size_t n_jobs, struct err *err);

#endif
