// SPDX-License-Identifier: Apache-2.0
/*
 * The image store: a directory of files, no daemon, safe against being killed at any moment.
 *
 *	VERSION				"mvrun store 1"
 *	lock				flock: shared by loads, exclusive by removal
 *	blobs/sha256/hh/<hex>		manifest and configuration JSON, byte for byte as found
 *	layers/hh/<diff ID>.data	file contents of a layer, 4 KiB aligned, a multiple of 512 KiB long
 *	layers/hh/<diff ID>.tab		what is in it: the table of entries (oci/image/table.h)
 *	images/<manifest>/image.json	all that a run needs to know, in one small record
 *	images/<manifest>/meta.erofs	the merged tree; its inodes point into the layers' data
 *	refs/<escaped name>		"sha256:<manifest>\n"
 *	ingest/<random>/		work in progress, locked by its owner
 *
 * Theory of operation. A file that has its final name is complete, checked and durable, and never changes: it
 * was written below ingest/, checked, synced, renamed into place, and its directory was synced. What a name
 * refers to is written before the name. So there is no journal and no recovery: whatever a killed process
 * leaves below ingest/ is unlocked (flock dies with its owner) and the next load deletes it.
 *
 * Users of an image hold its image.json open with a shared flock, the lease; it is dropped by image_close()
 * or by the kernel when the process is gone. Removal takes the store lock exclusively, so no load runs, and
 * then the lease exclusively without waiting, so an image in use is never removed. It unlinks the names
 * first, then the image, then the layers and blobs no remaining image mentions. Who opens image.json while it
 * is being removed finds, once it has the lease, that the file has no name any more, and looks again. Lock
 * order: store lock, ingest directory, one layer lock, lease. Nobody waits for a layer lock while holding
 * another.
 *
 * Nothing here is thread-safe except where said: one struct store per thread, or one user at a time.
 */
#ifndef MVRUN_OCI_STORE_STORE_H
#define MVRUN_OCI_STORE_STORE_H

#include "base/err.h"
#include "oci/store/image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_CREATE 0x1 /* make the store if it is not there */

struct store {
	int dir_fd;
	char path[4096]; /* for messages */
};

/*
 * Open the store at path; NULL means $MVRUN_STORE, else /var/lib/mvrun for root and
 * ${XDG_DATA_HOME:-~/.local/share}/mvrun for others. Without STORE_CREATE a missing store is -ENOENT.
 */
int store_open(struct store *store, const char *path, int flags, struct err *err);
void store_close(struct store *store);

/*
 * Find an image by what a user calls it, in this order: a name with or without tag (as docker completes it:
 * busybox is docker.io/library/busybox:latest); name@sha256:<digest>; an image ID or a unique prefix of one
 * of at least four digits, with or without "sha256:". -ENOENT: there is none; -EEXIST: the prefix is
 * ambiguous; -EINVAL: not a reference at all.
 */
int store_resolve(struct store *store, const char *name, struct image_id *out, struct err *err);

/*
 * Open an image for use: record parsed and checked, segments open, lease taken. The caller's until
 * image_close(). -ENOENT if it is gone.
 */
int image_open(struct store *store, const struct image_id *id, struct image *image, struct err *err);
void image_close(struct image *image);

/* The record alone: no segments, no lease. Ended by image_close() as well. */
int image_peek(struct store *store, const struct image_id *id, struct image *image, struct err *err);

struct store_entry {
	struct image_id image;
	char *name; /* as docker shows it ("busybox:latest"); NULL for an image without a name */
	char id[DIGEST_HEX_LEN + 1]; /* configuration digest, what users call the image ID */
	char *created; /* RFC 3339, as the image says; may be NULL */
	uint64_t loaded_at; /* seconds since 1970 */
	uint64_t size_bytes; /* all layers and the tree */
};

struct store_list {
	struct store_entry *entries;
	size_t n_entries;
};

/* Every name, and every image without a name; newest first, then by name. Ended by store_list_done(). */
int store_list(struct store *store, struct store_list *list, struct err *err);
void store_list_done(struct store_list *list);

/* Called once for every name ("Untagged", "busybox:latest") and image ("Deleted", "sha256:...") removed. */
typedef void store_report_fn(void *ctx, const char *what, const char *name);

/*
 * Remove a name, and with its last name the image and what only it used. By ID all names of the image go,
 * which needs force when there are several, and all manifests that share its configuration. -EBUSY when the image is in use (force does not change that) or,
 * without force, has several names; -ENOENT.
 */
int store_remove(struct store *store, const char *name, bool force, store_report_fn *report, void *ctx,
	struct err *err);

/* Give an image one more name; an image that had that name loses it. */
int store_tag(struct store *store, const struct image_id *id, const char *name, struct err *err);

#endif
