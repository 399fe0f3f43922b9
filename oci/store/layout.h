// SPDX-License-Identifier: Apache-2.0
/*
 * Inside the store: paths below its directory, locks, and how a finished file gets its name.
 *
 * For oci/store and the loader of oci/image; a run uses store.h only. A loader works within one struct
 * ingest, which holds the store lock shared, so nothing it has found in the store goes away before
 * ingest_close().
 */
#ifndef MVRUN_OCI_STORE_LAYOUT_H
#define MVRUN_OCI_STORE_LAYOUT_H

#include "oci/store/store.h"

#define STORE_PATH_MAX 384
#define INGEST_NAME_MAX 32

struct ingest {
	struct store *store;
	int store_lock_fd;
	int dir_fd; /* flock exclusive: alive */
	char name[INGEST_NAME_MAX]; /* below ingest/ */
};

/*
 * Begin to add something: take the store lock shared (waits for a removal that is under way), delete what
 * dead loaders left behind, make a folder of our own. 0 or -errno with err set.
 */
int ingest_open(struct store *store, struct ingest *ingest, struct err *err);

/* End: delete whatever is left in our folder and drop the locks. */
void ingest_close(struct ingest *ingest);

/* A new file in our folder, for reading and writing. The fd, or -errno with err set. Any thread. */
int ingest_create(const struct ingest *ingest, const char *name, struct err *err);

/*
 * Make the complete file (or folder) name of our folder durable under path in the store: sync, rename over
 * nothing, sync the folder it is now in. A file that is there already is left as it is (-EEXIST, err not
 * set). Any thread.
 */
int ingest_commit(const struct ingest *ingest, const char *name, const char *path, struct err *err);

/* As ingest_commit() for a folder, but what is there already, and unusable, is replaced. */
int ingest_replace(const struct ingest *ingest, const char *name, const char *path, struct err *err);

/* Store JSON (or other small data) under its digest. Nothing happens if it is there. */
int ingest_put_blob(
	const struct ingest *ingest, const char *hex, const void *data, size_t len, struct err *err);

/*
 * The right to convert a layer, so that loads at the same time do it once: waits for another holder. Returns
 * a descriptor that layer_unlock() ends, or -errno with err set (-EINTR: a signal came). Any thread; never
 * hold two.
 */
int layer_lock(const struct ingest *ingest, const char *diff_id, struct err *err);
void layer_unlock(const struct ingest *ingest, const char *diff_id, int fd);

/*
 * Make the file path, in a folder that exists, hold exactly data, durably and at once: readers see the old
 * contents or the new ones. Who dies in it leaves nothing but what the next loader deletes. 0 or -errno.
 */
int store_replace(const struct store *store, const char *path, const void *data, size_t len);

/* Point a formatted reference (ref_format()) at an image, durably. */
int ref_put(struct store *store, const char *text, const struct image_id *id, struct err *err);

/* What a formatted reference points at. 0, -ENOENT, -EBADMSG (the file is garbled), -errno. No message. */
int ref_get(const struct store *store, const char *text, struct image_id *out);

/*
 * Delete the layers and blobs that no image mentions. The caller holds the store lock exclusively. Best
 * effort: what cannot be deleted stays for the next time, and an image record that cannot be read stops it.
 */
void store_sweep(struct store *store);

/* Take the store lock. how is LOCK_SH or LOCK_EX, with LOCK_NB or not. The fd, or -errno. No message. */
int store_lock(const struct store *store, int how);

/* Delete a folder below parent_fd with everything in it, following nothing. 0 or -errno. */
int tree_delete(int parent_fd, const char *name);

/* Make a folder below the store if it is not there, durably. 0 or -errno. */
int store_mkdir(const struct store *store, const char *path);

/* The folder a path is in, "." if it names none. */
void path_parent(const char *path, char parent[static STORE_PATH_MAX]);

/* Paths below the store. The digests were checked before. */
void path_layer(char path[static STORE_PATH_MAX], const char *diff_id, const char *suffix);
void path_blob(char path[static STORE_PATH_MAX], const char *hex);
void path_image(char path[static STORE_PATH_MAX], const char *manifest, const char *file);
void path_ref(char path[static STORE_PATH_MAX], const char *text);

/* Write image.json from a record (segments and lease are ignored). 0 or -errno with err set. */
int image_record_write(int dir_fd, const char *name, const struct image *image, struct err *err);

#endif
