// SPDX-License-Identifier: Apache-2.0
/*
 * One image as a run needs it: identity, the process to start, the segments of its disk.
 *
 * All of it comes from image.json, written at load from the image's own configuration. Every string is
 * hostile text: length-capped, without NUL, otherwise to be treated as opaque bytes that only the guest
 * interprets.
 */
#ifndef MVRUN_OCI_STORE_IMAGE_H
#define MVRUN_OCI_STORE_IMAGE_H

#include "oci/store/digest.h"

#include <stddef.h>
#include <stdint.h>

#define IMAGE_LAYERS_MAX 240
#define IMAGE_SEGMENTS_MAX 236 /* the tree and 235 layers that have contents: what one VM can be given */
#define IMAGE_RECORD_MAX (16u << 20)

/* Every segment of a disk starts and ends on this: what one block of dm-verity leaf hashes covers. */
#define IMAGE_ALIGN (512u << 10)

/* What names an image in the store: the digest of its manifest. */
struct image_id {
	char manifest[DIGEST_HEX_LEN + 1];
};

struct image_strings {
	char **items;
	size_t n_items;
};

struct image_layer {
	char diff_id[DIGEST_HEX_LEN + 1];
	uint64_t bytes; /* of its data; 0 for a layer without file contents */
};

struct image_segment {
	int fd; /* read-only, the image's */
	uint64_t bytes; /* a multiple of IMAGE_ALIGN */
};

struct image {
	struct image_id image;
	char id[DIGEST_HEX_LEN + 1]; /* digest of the configuration: the image ID of docker and podman */
	char index[DIGEST_HEX_LEN + 1]; /* digest of the index it was chosen from, or "" */
	char *os;
	char *architecture;
	char *variant; /* "" if none */
	char *created; /* RFC 3339 text or "" */
	char *user; /* "" if none; likewise the following */
	char *working_dir;
	char *stop_signal;
	char *healthcheck; /* the JSON object of docker's format, or "" */
	struct image_strings entrypoint;
	struct image_strings cmd;
	struct image_strings env;
	struct image_strings volumes;
	struct image_strings exposed_ports;
	struct image_strings labels; /* key, value, key, value ... */
	uint64_t size_bytes;
	uint64_t meta_bytes; /* of meta.erofs */
	struct image_layer *layers;
	size_t n_layers;

	/*
	 * The disk, in order: meta.erofs, then the data of every layer that has any. Empty after
	 * image_peek().
	 */
	struct image_segment *segments;
	size_t n_segments;
	int lease_fd;
};

#endif
