// SPDX-License-Identifier: Apache-2.0
/* Names given and taken away, and with the last name the image: the only place where the store shrinks. */
#include "base/cleanup.h"
#include "oci/store/layout.h"
#include "oci/store/ref.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/*
 * An ID is a configuration's, and the same configuration may have come with several manifests (its layers
 * packed another way, say). By ID all of them go; by name or digest the one it stands for.
 */
struct target {
	struct image_id id;
	int lease_fd; /* -1: not taken */
};

struct removal {
	struct store *store;
	struct target *targets;
	size_t n_targets;
	char config[DIGEST_HEX_LEN + 1];
	struct store_list list;
	store_report_fn *report;
	void *ctx;
};

static void report(const struct removal *removal, const char *what, const char *name)
{
	if (removal->report)
		removal->report(removal->ctx, what, name);
}

static int folder_sync(const struct store *store, const char *path)
{
	auto_fd fd = openat(store->dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* ---- names ---- */

static int name_format(const char *name, char text[static REF_TEXT_MAX + 1])
{
	struct ref ref;
	int ret = ref_parse(name, &ref);

	return ret ? ret : ref_format(&ref, text);
}

static int name_delete(const struct removal *removal, const char *name, struct err *err)
{
	char text[REF_TEXT_MAX + 1], path[STORE_PATH_MAX];
	int ret = name_format(name, text);

	if (!ret) {
		path_ref(path, text);
		ret = unlinkat(removal->store->dir_fd, path, 0) < 0 ? -errno
								    : folder_sync(removal->store, "refs");
	}
	if (ret)
		return err_sys(err, ret, "remove the name %s from the store %s", name, removal->store->path);
	report(removal, "Untagged", name);
	return 0;
}

static bool is_target(const struct removal *removal, const struct image_id *id)
{
	const struct target *end = removal->targets + removal->n_targets;

	for (const struct target *target = removal->targets; target < end; target++) {
		if (strcmp(target->id.manifest, id->manifest) == 0)
			return true;
	}
	return false;
}

static size_t names_of(const struct removal *removal)
{
	size_t count = 0;

	for (size_t i = 0; i < removal->list.n_entries; i++) {
		const struct store_entry *entry = &removal->list.entries[i];

		count += entry->name && is_target(removal, &entry->image);
	}
	return count;
}

static int names_delete(const struct removal *removal, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < removal->list.n_entries; i++) {
		const struct store_entry *entry = &removal->list.entries[i];

		if (entry->name && is_target(removal, &entry->image))
			ret = name_delete(removal, entry->name, err);
	}
	return ret;
}

/* ---- what is left over ---- */

struct keep {
	char (*hex)[DIGEST_HEX_LEN + 1];
	size_t n, room;
};

static int keep_add(struct keep *keep, const char *hex)
{
	if (keep->n == keep->room) {
		size_t room = keep->room ? keep->room * 2 : 64;
		char(*grown)[DIGEST_HEX_LEN + 1] = reallocarray(keep->hex, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		keep->hex = grown;
		keep->room = room;
	}
	memcpy(keep->hex[keep->n++], hex, DIGEST_HEX_LEN + 1);
	return 0;
}

static int hex_compare(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_HEX_LEN);
}

static bool keep_has(const struct keep *keep, const char *hex)
{
	return keep->n && bsearch(hex, keep->hex, keep->n, sizeof(*keep->hex), hex_compare);
}

static int keep_image(struct keep *keep, const struct image *image)
{
	int ret = keep_add(keep, image->id);

	if (!ret)
		ret = keep_add(keep, image->image.manifest);
	for (size_t i = 0; !ret && i < image->n_layers; i++)
		ret = keep_add(keep, image->layers[i].diff_id);
	return ret;
}

/* What every image mentions. Fails rather than forget something. */
static int keep_collect(struct store *store, struct keep *keep)
{
	auto_fd fd = openat(store->dir_fd, "images", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir dir = fd < 0 ? NULL : fdopendir(dup(fd));
	int ret = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	for (struct dirent *e = readdir(dir); e && !ret; e = readdir(dir)) {
		struct image_id id;
		struct image image;

		if (!digest_hex_valid(e->d_name))
			continue;
		memcpy(id.manifest, e->d_name, sizeof(id.manifest));
		ret = image_peek(store, &id, &image, NULL) ? -EBADMSG : 0;
		if (!ret)
			ret = keep_image(keep, &image);
		image_close(&image);
	}
	if (keep->n)
		qsort(keep->hex, keep->n, sizeof(*keep->hex), hex_compare);
	return ret;
}

/* Delete the files directly below folder whose name begins with a digest that is not to be kept. */
static void sweep_folder(int parent_fd, const char *folder, const struct keep *keep)
{
	auto_fd fd = openat(parent_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_dir dir = fd < 0 ? NULL : fdopendir(dup(fd));

	if (!dir)
		return;
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		char hex[DIGEST_HEX_LEN + 1];

		snprintf(hex, sizeof(hex), "%.64s", e->d_name);
		if (e->d_name[0] != '.' && !(digest_hex_valid(hex) && keep_has(keep, hex)))
			unlinkat(fd, e->d_name, 0);
	}
}

static void sweep_tree(const struct store *store, const char *path, const struct keep *keep)
{
	auto_fd fd = openat(store->dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir dir = fd < 0 ? NULL : fdopendir(dup(fd));

	if (!dir)
		return;
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		if (e->d_name[0] == '.')
			continue;
		sweep_folder(fd, e->d_name, keep);
		/* Only works once it is empty. */
		unlinkat(fd, e->d_name, AT_REMOVEDIR);
	}
}

void store_sweep(struct store *store)
{
	struct keep keep = {0};

	if (keep_collect(store, &keep) == 0) {
		sweep_tree(store, "layers", &keep);
		sweep_tree(store, "blobs/sha256", &keep);
	}
	free(keep.hex);
}

/* ---- images ---- */

/* Take the lease exclusively: -EBUSY while somebody runs the image. An image without a record has no lease. */
static int lease_break(const struct removal *removal, struct target *target, struct err *err)
{
	char path[STORE_PATH_MAX];
	auto_fd fd = -1;

	path_image(path, target->id.manifest, "image.json");
	fd = openat(removal->store->dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "open the record of the image");
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		target->lease_fd = fd_steal(&fd);
		return 0;
	}
	if (errno == EWOULDBLOCK)
		return err_set(err, EBUSY, "image %.12s is in use by a running container", removal->config);
	return err_sys(err, errno, "lock the record of the image");
}

/* All of them before any goes: an image in use stays whole. */
static int leases_break(const struct removal *removal, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < removal->n_targets; i++)
		ret = lease_break(removal, &removal->targets[i], err);
	return ret;
}

static int image_delete(const struct removal *removal, const struct image_id *id, struct err *err)
{
	char path[STORE_PATH_MAX], trash[STORE_PATH_MAX];
	struct store *store = removal->store;
	int ret = store_mkdir(store, "ingest");

	path_image(path, id->manifest, "");
	snprintf(trash, sizeof(trash), "ingest/%s", id->manifest);
	/* Out of sight in one step; if we die before it is deleted the next load does it. */
	if (!ret) {
		tree_delete(store->dir_fd, trash);
		if (renameat(store->dir_fd, path, store->dir_fd, trash) < 0 && errno != ENOENT)
			ret = -errno;
	}
	if (!ret)
		ret = folder_sync(store, "images");
	if (ret && ret != -ENOENT)
		return err_sys(
			err, ret, "remove image %.12s from the store %s", removal->config, store->path);
	tree_delete(store->dir_fd, trash);
	return 0;
}

static int images_delete(const struct removal *removal, struct err *err)
{
	char id[sizeof(DIGEST_PREFIX) + DIGEST_HEX_LEN];
	int ret = 0;

	for (size_t i = 0; !ret && i < removal->n_targets; i++)
		ret = image_delete(removal, &removal->targets[i].id, err);
	store_sweep(removal->store);
	if (ret)
		return ret;
	snprintf(id, sizeof(id), DIGEST_PREFIX "%s", removal->config);
	report(removal, "Deleted", id);
	return 0;
}

/* Everything of the image but the names that are to stay. only: the one name to remove, NULL for all. */
static int removal_run(struct removal *removal, const char *only, struct err *err)
{
	bool last = !only || names_of(removal) <= 1;
	int ret = last ? leases_break(removal, err) : 0;

	if (!ret)
		ret = only ? name_delete(removal, only, err) : names_delete(removal, err);
	return ret || !last ? ret : images_delete(removal, err);
}

static void removal_done(struct removal *removal)
{
	for (size_t i = 0; i < removal->n_targets; i++)
		fd_release(&removal->targets[i].lease_fd);
	free(removal->targets);
	store_list_done(&removal->list);
}

static void target_add(struct removal *removal, const struct image_id *id)
{
	removal->targets[removal->n_targets++] = (struct target){.id = *id, .lease_fd = -1};
}

/* The other manifests of the same configuration. */
static void targets_complete(struct removal *removal)
{
	for (size_t i = 0; i < removal->list.n_entries; i++) {
		const struct store_entry *entry = &removal->list.entries[i];

		if (strcmp(entry->id, removal->config) == 0 && !is_target(removal, &entry->image))
			target_add(removal, &entry->image);
	}
}

/* Find the image and whether it was meant by one of its names (*only, then) or by its ID. */
static int removal_prepare(struct removal *removal, const char *name, const char **only, struct err *err)
{
	char text[REF_TEXT_MAX + 1];
	struct image_id found, id;
	struct ref ref;
	int ret = store_resolve(removal->store, name, &found, err);

	if (!ret)
		ret = store_list(removal->store, &removal->list, err);
	if (ret)
		return ret;
	removal->targets = calloc(removal->list.n_entries + 1, sizeof(*removal->targets));
	if (!removal->targets)
		return err_sys(err, ENOMEM, "remove image %s", name);
	target_add(removal, &found);
	memcpy(removal->config, found.manifest, sizeof(removal->config));
	for (size_t i = 0; i < removal->list.n_entries; i++) {
		const struct store_entry *entry = &removal->list.entries[i];

		if (!is_target(removal, &entry->image))
			continue;
		if (entry->id[0])
			memcpy(removal->config, entry->id, sizeof(removal->config));
		if (entry->name && name_format(name, text) == 0 && ref_get(removal->store, text, &id) == 0 &&
			strcmp(ref_familiar(text), entry->name) == 0)
			*only = entry->name;
	}
	if (!*only && (ref_parse(name, &ref) || !ref.digest[0]))
		targets_complete(removal);
	return 0;
}

int store_remove(struct store *store, const char *name, bool force, store_report_fn *report_fn, void *ctx,
	struct err *err)
{
	struct removal removal = {.store = store, .report = report_fn, .ctx = ctx};
	auto_fd lock = store_lock(store, LOCK_EX);
	const char *only = NULL;
	int ret;

	if (lock < 0)
		return err_sys(err, lock, "lock the store %s", store->path);
	ret = removal_prepare(&removal, name, &only, err);
	if (!ret && !only && !force && names_of(&removal) > 1)
		ret = err_set(err, EBUSY,
			"image %.12s has several names: remove them one by one, or use --force",
			removal.config);
	if (!ret)
		ret = removal_run(&removal, only, err);
	removal_done(&removal);
	return ret;
}

int store_tag(struct store *store, const struct image_id *id, const char *name, struct err *err)
{
	auto_fd lock = store_lock(store, LOCK_SH);
	char text[REF_TEXT_MAX + 1];
	struct image image;
	int ret;

	if (lock < 0)
		return err_sys(err, lock, "lock the store %s", store->path);
	ret = name_format(name, text);
	if (ret)
		return err_set(err, -ret, "\"%s\" is not a valid image name", name);
	/* Held shared, the store lock keeps the image from going away between the look and the name. */
	ret = image_peek(store, id, &image, err);
	if (ret)
		return ret;
	image_close(&image);
	return ref_put(store, text, id, err);
}
