// SPDX-License-Identifier: Apache-2.0
/*
 * From a source to the store.
 *
 * Theory of operation. select.c finds out which images of the source are meant and which variant of each runs
 * here: a list of struct selection. For each, load.c has manifest and configuration read, has layers.c bring
 * every layer into the store (several at once, each under its lock, those that are there already not at all),
 * has the layers' tables merged into one tree that is written as EROFS, and commits, in the order that store.h
 * explains. All that is read or decoded is so by workers (order.h); here it is decided, hashed and named. A
 * failure or a signal at any moment leaves the store as it was, but for whole layers, which are swept.
 */
#ifndef MVRUN_OCI_IMAGE_LOAD_H
#define MVRUN_OCI_IMAGE_LOAD_H

#include "oci/image/answer.h"
#include "oci/image/manifest.h"
#include "oci/image/source.h"
#include "oci/image/table.h"
#include "oci/store/layout.h"
#include "oci/store/ref.h"

#include <stdatomic.h>
#include <stdbool.h>

#define IMAGE_BYTES_DEFAULT (UINT64_C(64) << 30)

enum progress_mode { PROGRESS_NONE, PROGRESS_LINES, PROGRESS_TERMINAL };

struct load_options {
	struct platform platform;
	const char *name; /* to give to the image; NULL: the one the source has */
	uint64_t max_image_bytes;
	bool any_ratio; /* the user named a limit: how much smaller the source is does not matter then */
	enum progress_mode progress;
	int progress_fd; /* -1, or where "done total\n" in bytes is written as it goes */
};

struct load {
	struct load_options options;
	struct ingest ingest;
	struct source source;
	const struct decoder *decoder;
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

/*
 * docker-archive: the images that manifest.json lists, with texts in *answer. The caller ends both, *entries
 * with docker_entries_free(). 0 or -errno with err set.
 */
int docker_manifest_read(const struct load *load, struct answer *answer, struct docker_entry **entries,
	size_t *n, struct err *err);

struct layer_source {
	struct blob_ref blob;
	char digest[DIGEST_HEX_LEN + 1]; /* of the blob; "" if nobody said (docker-archive) */
	char diff_id[DIGEST_HEX_LEN + 1];
	int compression; /* enum compression the media type promises, or -1 */
};

/* A layer on the way into the store. */
struct layer_job {
	struct layer_source source;
	struct table_info info; /* once it is there */
};

/* Bring all layers into the store. On failure err names the layer. */
int layers_load(struct load *load, struct layer_job *jobs, size_t n_jobs, struct err *err);

#endif
