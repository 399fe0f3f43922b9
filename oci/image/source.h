// SPDX-License-Identifier: Apache-2.0
/*
 * Where an image is loaded from: an OCI layout in a folder, or an archive (OCI layout, docker-archive, or
 * both at once, as docker save writes it), as a file or on standard input, possibly compressed as a whole.
 *
 * Theory of operation. An archive is indexed once, by a worker (order.h): names and where their contents lie
 * in the file. After that every blob, wherever it comes from, is a range of a file descriptor, which several
 * threads can read at once. Only what cannot be read so, a pipe or a compressed archive, is first copied to an
 * unnamed file in the store. Names from inside the archive or the layout never select a file of the host but
 * those directly named by a digest, and symbolic links are not followed to them.
 */
#ifndef MVRUN_OCI_IMAGE_SOURCE_H
#define MVRUN_OCI_IMAGE_SOURCE_H

#include "oci/image/decoder.h"
#include "oci/image/members.h"
#include "oci/store/layout.h"

#include <stdbool.h>

enum transport {
	TRANSPORT_AUTO, /* find out */
	TRANSPORT_OCI, /* oci:DIR[:TAG] */
	TRANSPORT_OCI_ARCHIVE, /* oci-archive:FILE[:TAG] */
	TRANSPORT_DOCKER_ARCHIVE, /* docker-archive:FILE[:NAME[:TAG]|:@INDEX] */
};

struct source_spec {
	enum transport transport;
	char path[4096]; /* "-": standard input */
	char reference[512]; /* TAG, NAME or @INDEX; "" if none */
};

/* Take "transport:path[:reference]" or a bare path apart. 0 or -EINVAL, -ENAMETOOLONG with err set. */
int source_parse(const char *text, struct source_spec *spec, struct err *err);

struct source {
	struct source_spec spec;
	enum transport transport; /* what it turned out to be; never TRANSPORT_AUTO */
	int fd; /* of the folder, or of the archive */
	struct members members; /* of an archive */
};

/* What opening needs. */
struct source_tools {
	const struct decoder *decoder;
	const struct ingest *ingest; /* where a copy is put if one is needed */
	uint64_t max_bytes; /* of the copy */
	bool any_ratio;
	const atomic_int *cancel;
};

/* Open a source. 0 or -errno with err set. */
int source_open(struct source *source, const struct source_spec *spec, const struct source_tools *tools,
	struct err *err);
void source_close(struct source *source);

/*
 * A blob by its digest, or a file by its name ("manifest.json", "0a1b.../layer.tar"). blob->fd is a
 * descriptor of its own, the caller's to close. -ENOENT with err set if there is none.
 */
int source_blob(const struct source *source, const char *hex, struct blob_ref *blob, struct err *err);
int source_file(const struct source *source, const char *name, struct blob_ref *blob, struct err *err);

/*
 * Read a small blob or file into heap memory with a NUL behind, the caller's. For a blob the size (unless it
 * is UINT64_MAX) and the digest are checked.
 */
int source_read_blob(const struct source *source, const char *hex, uint64_t bytes, size_t max, char **text,
	size_t *len, struct err *err);
int source_read_file(
	const struct source *source, const char *name, size_t max, char **text, size_t *len, struct err *err);

#endif
