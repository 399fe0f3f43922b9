// SPDX-License-Identifier: Apache-2.0
#include "base/cleanup.h"
#include "oci/store/layout.h"
#include "oci/store/ref.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LIST_MAX 100000

static struct store_entry *list_grow(struct store_list *list)
{
	struct store_entry *grown;

	/* Room doubles whenever the count is a power of two. */
	if (!(list->n_entries & (list->n_entries - 1))) {
		size_t room = list->n_entries ? list->n_entries * 2 : 1;

		grown = reallocarray(list->entries, room, sizeof(*grown));
		if (!grown || room > LIST_MAX) {
			list->entries = grown ? grown : list->entries;
			return NULL;
		}
		list->entries = grown;
	}
	return memset(&list->entries[list->n_entries++], 0, sizeof(*list->entries));
}

/* Add one image under one name (NULL: none). An image whose record is damaged is listed with what is known. */
static int list_add(struct store *store, struct store_list *list, const struct image_id *id, const char *name)
{
	struct store_entry *entry = list_grow(list);
	char path[STORE_PATH_MAX];
	struct image image;
	struct stat st;

	if (!entry)
		return -ENOMEM;
	entry->image = *id;
	path_image(path, id->manifest, "");
	if (fstatat(store->dir_fd, path, &st, 0) == 0)
		entry->loaded_at = (uint64_t)st.st_mtim.tv_sec;
	if (name) {
		entry->name = strdup(ref_familiar(name));
		if (!entry->name)
			return -ENOMEM;
	}
	if (image_peek(store, id, &image, NULL))
		return 0;
	memcpy(entry->id, image.id, sizeof(entry->id));
	entry->created = ptr_steal(image.created);
	entry->size_bytes = image.size_bytes;
	image_close(&image);
	return 0;
}

static int list_names(struct store *store, struct store_list *list)
{
	auto_fd fd = openat(store->dir_fd, "refs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir dir = fd < 0 ? NULL : fdopendir(dup(fd));
	int ret = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	for (struct dirent *e = readdir(dir); e && !ret; e = readdir(dir)) {
		struct image_id id;

		if (e->d_name[0] == '.' || strlen(e->d_name) > REF_TEXT_MAX)
			continue;
		ref_unescape(e->d_name);
		/* A temporary file of a name that is just being written is no name. */
		if (ref_get(store, e->d_name, &id) == 0)
			ret = list_add(store, list, &id, e->d_name);
	}
	return ret;
}

static bool list_has(const struct store_list *list, size_t n, const char *manifest)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list->entries[i].image.manifest, manifest) == 0)
			return true;
	}
	return false;
}

static int list_nameless(struct store *store, struct store_list *list)
{
	auto_fd fd = openat(store->dir_fd, "images", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir dir = fd < 0 ? NULL : fdopendir(dup(fd));
	size_t named = list->n_entries;
	int ret = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	for (struct dirent *e = readdir(dir); e && !ret; e = readdir(dir)) {
		struct image_id id;

		if (!digest_hex_valid(e->d_name) || list_has(list, named, e->d_name))
			continue;
		memcpy(id.manifest, e->d_name, sizeof(id.manifest));
		ret = list_add(store, list, &id, NULL);
	}
	return ret;
}

static int entry_compare(const void *left, const void *right)
{
	const struct store_entry *a = left, *b = right;

	if (a->loaded_at != b->loaded_at)
		return a->loaded_at > b->loaded_at ? -1 : 1;
	if (a->name && b->name)
		return strcmp(a->name, b->name);
	if (a->name || b->name)
		return a->name ? -1 : 1;
	return strcmp(a->image.manifest, b->image.manifest);
}

int store_list(struct store *store, struct store_list *list, struct err *err)
{
	int ret;

	*list = (struct store_list){0};
	ret = list_names(store, list);
	if (!ret)
		ret = list_nameless(store, list);
	if (ret) {
		store_list_done(list);
		return err_sys(err, ret, "list the images of the store %s", store->path);
	}
	if (list->n_entries)
		qsort(list->entries, list->n_entries, sizeof(*list->entries), entry_compare);
	return 0;
}

void store_list_done(struct store_list *list)
{
	for (size_t i = 0; i < list->n_entries; i++) {
		free(list->entries[i].name);
		free(list->entries[i].created);
	}
	free(list->entries);
	*list = (struct store_list){0};
}
