// SPDX-License-Identifier: Apache-2.0
/*
 * What workers found, as messages: one function that puts it, one that takes it and believes nothing.
 *
 * Takers return 0, or -EPROTO (-ENOMEM) with err set; texts they give lie in the answer. A taker makes sure of
 * all that the code behind it relies on: counts, lengths, digests, names that stay inside, ranges inside the
 * file. Whether it is true of the image is another matter: see order.h.
 */
#ifndef MVRUN_OCI_IMAGE_ANSWER_H
#define MVRUN_OCI_IMAGE_ANSWER_H

#include "oci/image/decoder.h"
#include "oci/image/manifest.h"
#include "oci/image/members.h"

void answer_put_index(struct buf *say, enum media_kind kind, const struct descriptor *entries, size_t n);
/* The caller frees *entries, whose ref and name lie in the answer. */
int answer_take_index(struct answer *answer, enum media_kind *kind, struct descriptor **entries, size_t *n,
	struct err *err);

void answer_put_manifest(struct buf *say, enum media_kind kind, const struct manifest *manifest);
int answer_take_manifest(
	struct answer *answer, enum media_kind *kind, struct manifest *manifest, struct err *err);

int answer_take_platform(struct answer *answer, struct platform *platform, struct err *err);

/* Of an image what config_read() sets. image_close() releases it in any case. */
void answer_put_config(struct buf *say, const struct image *image);
int answer_take_config(struct answer *answer, size_t n_layers, struct image *image, struct err *err);

/* An image of a docker archive: names of files in it, and what the image is called. */
struct docker_entry {
	const char *config;
	const char **tags;
	size_t n_tags;
	const char **layers;
	size_t n_layers;
};

/* manifest.json, checked. 0 or -errno with err set. */
int answer_put_docker(struct buf *say, const json_t *json, struct err *err);
int answer_take_docker(struct answer *answer, struct docker_entry **entries, size_t *n, struct err *err);
void docker_entries_free(struct docker_entry *entries, size_t n);

void answer_put_members(struct buf *say, const struct members *members);
/* Members of an archive of so many bytes. members_done() releases them in any case. */
int answer_take_members(struct answer *answer, uint64_t bytes, struct members *members, struct err *err);

#endif
