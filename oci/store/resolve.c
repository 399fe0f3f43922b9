// SPDX-License-Identifier: Apache-2.0
#include "base/cleanup.h"
#include "oci/store/layout.h"
#include "oci/store/ref.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define ID_PREFIX_MIN 4

/* A search by digest over all images. */
struct search {
	const char *prefix;
	size_t len;
	bool index_too; /* an index digest counts, as in name@digest */
	struct image_id found;
	char id[DIGEST_HEX_LEN + 1];
	struct timespec found_at;
	bool any;
	bool ambiguous;
};

static bool later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

static void search_visit(struct search *search, const struct image *image, const struct timespec *loaded_at)
{
	bool hit = strncmp(image->id, search->prefix, search->len) == 0 ||
		   strncmp(image->image.manifest, search->prefix, search->len) == 0 ||
		   (search->index_too && strncmp(image->index, search->prefix, search->len) == 0);

	if (!hit)
		return;
	if (search->any && strcmp(search->id, image->id) != 0)
		search->ambiguous = true;
	/* The same configuration under two manifests (other compression, say): the one loaded last. */
	if (search->any && !later(loaded_at, &search->found_at))
		return;
	search->any = true;
	search->found = image->image;
	search->found_at = *loaded_at;
	memcpy(search->id, image->id, sizeof(search->id));
}

static int search_images(struct store *store, struct search *search, struct err *err)
{
	auto_fd fd = openat(store->dir_fd, "images", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir dir = fd < 0 ? NULL : fdopendir(dup(fd));

	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return err_sys(err, errno, "list the images of the store %s", store->path);
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		struct image_id id;
		struct image image;
		struct stat st;

		if (!digest_hex_valid(e->d_name) || fstatat(fd, e->d_name, &st, 0) < 0)
			continue;
		memcpy(id.manifest, e->d_name, sizeof(id.manifest));
		/* A damaged image cannot be found by its ID; loading it again repairs it. */
		if (image_peek(store, &id, &image, NULL))
			continue;
		search_visit(search, &image, &st.st_mtim);
		image_close(&image);
	}
	return 0;
}

static int not_found(struct store *store, const char *name, struct err *err)
{
	return err_set(err, ENOENT, "image %s is not in the store %s", name, store->path);
}

static int resolve_digest(
	struct store *store, const char *name, struct search *search, struct image_id *out, struct err *err)
{
	int ret = search_images(store, search, err);

	if (ret)
		return ret;
	if (!search->any)
		return not_found(store, name, err);
	if (search->ambiguous)
		return err_set(
			err, EEXIST, "several images have an ID that begins with %s: give more digits", name);
	*out = search->found;
	return 0;
}

/* The digits of an image ID or of the beginning of one, or NULL. */
static const char *id_prefix(const char *name)
{
	size_t len;

	if (strncmp(name, DIGEST_PREFIX, strlen(DIGEST_PREFIX)) == 0)
		name += strlen(DIGEST_PREFIX);
	len = strspn(name, "0123456789abcdef");
	return len >= ID_PREFIX_MIN && len <= DIGEST_HEX_LEN && !name[len] ? name : NULL;
}

int store_resolve(struct store *store, const char *name, struct image_id *out, struct err *err)
{
	const char *prefix = id_prefix(name);
	char text[REF_TEXT_MAX + 1];
	struct search search = {0};
	struct ref ref;
	int ret = ref_parse(name, &ref);

	if (ret == 0 && ref.digest[0]) {
		search = (struct search){.prefix = ref.digest, .len = DIGEST_HEX_LEN, .index_too = true};
		return resolve_digest(store, name, &search, out, err);
	}
	if (ret == 0)
		ret = ref_format(&ref, text);
	if (ret == 0) {
		ret = ref_get(store, text, out);
		if (ret == 0)
			return 0;
		if (ret != -ENOENT)
			return err_sys(err, ret, "read the name %s in the store %s", name, store->path);
	}
	if (prefix) {
		search = (struct search){.prefix = prefix, .len = strlen(prefix)};
		return resolve_digest(store, name, &search, out, err);
	}
	if (ret == -ENOENT)
		return not_found(store, name, err);
	return err_set(err, EINVAL, "\"%s\" is not a valid image name", name);
}
