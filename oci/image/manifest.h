// SPDX-License-Identifier: Apache-2.0
/*
 * Manifests, indexes and configurations: JSON in, checked plain structs out (image-spec: descriptor.md,
 * manifest.md, image-index.md, config.md; and Docker's schema 2, which differs in names only).
 */
#ifndef MVRUN_OCI_IMAGE_MANIFEST_H
#define MVRUN_OCI_IMAGE_MANIFEST_H

#include "base/err.h"
#include "oci/image/json.h"
#include "oci/image/platform.h"
#include "oci/store/image.h"

#include <stdbool.h>
#include <stdint.h>

#define INDEX_ENTRIES_MAX 1000
#define NAMES_MAX 64 /* of one image in a docker archive */

enum media_kind {
	MEDIA_OTHER, /* artefacts we do not know: fine in an index, where they are passed over */
	MEDIA_MANIFEST,
	MEDIA_INDEX,
	MEDIA_SCHEMA1, /* Docker's first: refused */
};

struct descriptor {
	char digest[DIGEST_HEX_LEN + 1];
	uint64_t bytes;
	enum media_kind kind;
	bool has_platform;
	bool attestation; /* platform unknown/unknown: something about an image, not an image */
	struct platform platform;
	const char *ref; /* annotation org.opencontainers.image.ref.name, or ""; borrowed */
	const char *name; /* annotation io.containerd.image.name, or "" */
};

struct manifest_layer {
	char digest[DIGEST_HEX_LEN + 1];
	uint64_t bytes;
	int compression; /* enum compression that the media type promises */
};

struct manifest {
	char config[DIGEST_HEX_LEN + 1];
	uint64_t config_bytes;
	struct manifest_layer layers[IMAGE_LAYERS_MAX];
	size_t n_layers;
};

/* What a document says it is, by its members where it has no mediaType. MEDIA_OTHER: neither. */
enum media_kind manifest_kind(const json_t *document);

/* The entries of an index. The caller frees *entries. 0 or -EBADMSG, -ENOTSUP, -EFBIG with err set. */
int index_read(const json_t *index, struct descriptor **entries, size_t *n_entries, struct err *err);

/* 0 or -EBADMSG, -ENOTSUP, -EFBIG with err set. */
int manifest_read(const json_t *json, struct manifest *out, struct err *err);

/*
 * Fill in what a configuration says about the process and the platform, and the diff IDs (image->layers; as
 * many as expected). image is otherwise empty; image_close() releases it in any case. 0 or -EBADMSG, -ENOMEM
 * with err set.
 */
int config_read(const json_t *json, size_t n_layers, struct image *image, struct err *err);

#endif
