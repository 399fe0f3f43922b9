// SPDX-License-Identifier: Apache-2.0
/* image.json: written at load by image_record_write(), read at every run by image_peek() and image_open(). */
#include "base/cleanup.h"
#include "base/io.h"
#include "oci/store/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define RECORD_VERSION 1
#define STRINGS_MAX 65536
#define BYTES_MAX (UINT64_C(1) << 44) /* what 32-bit block numbers of 4 KiB can address */

/* The text members of a record and where they go, for both directions. */
static const struct {
	const char *key;
	size_t offset;
} text_members[] = {
	{"os", offsetof(struct image, os)},
	{"architecture", offsetof(struct image, architecture)},
	{"variant", offsetof(struct image, variant)},
	{"created", offsetof(struct image, created)},
	{"user", offsetof(struct image, user)},
	{"working_dir", offsetof(struct image, working_dir)},
	{"stop_signal", offsetof(struct image, stop_signal)},
	{"healthcheck", offsetof(struct image, healthcheck)},
};

static const struct {
	const char *key;
	size_t offset;
} list_members[] = {
	{"entrypoint", offsetof(struct image, entrypoint)},
	{"cmd", offsetof(struct image, cmd)},
	{"env", offsetof(struct image, env)},
	{"volumes", offsetof(struct image, volumes)},
	{"exposed_ports", offsetof(struct image, exposed_ports)},
	{"labels", offsetof(struct image, labels)},
};

#define N_TEXT (sizeof(text_members) / sizeof(text_members[0]))
#define N_LIST (sizeof(list_members) / sizeof(list_members[0]))

static void json_release(json_t **json)
{
	json_decref(*json);
}
#define auto_json __attribute__((cleanup(json_release))) json_t

static char **text_member(const struct image *image, size_t i)
{
	return (char **)((uintptr_t)image + text_members[i].offset);
}

static struct image_strings *list_member(const struct image *image, size_t i)
{
	return (struct image_strings *)((uintptr_t)image + list_members[i].offset);
}

/* ---- write ---- */

static json_t *strings_to_json(const struct image_strings *list)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < list->n_items; i++) {
		if (json_array_append_new(array, json_string(list->items[i])) == 0)
			continue;
		json_decref(array);
		return NULL;
	}
	return array;
}

static json_t *layers_to_json(const struct image *image)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < image->n_layers; i++) {
		const struct image_layer *layer = &image->layers[i];
		json_t *item =
			json_pack("{sssI}", "diff_id", layer->diff_id, "bytes", (json_int_t)layer->bytes);

		if (json_array_append_new(array, item) == 0)
			continue;
		json_decref(array);
		return NULL;
	}
	return array;
}

static json_t *record_to_json(const struct image *image)
{
	json_t *root = json_object();
	int bad = !root;

	bad |= json_object_set_new(root, "version", json_integer(RECORD_VERSION));
	bad |= json_object_set_new(root, "manifest", json_string(image->image.manifest));
	bad |= json_object_set_new(root, "id", json_string(image->id));
	bad |= json_object_set_new(root, "index", json_string(image->index));
	bad |= json_object_set_new(root, "size_bytes", json_integer((json_int_t)image->size_bytes));
	bad |= json_object_set_new(root, "meta_bytes", json_integer((json_int_t)image->meta_bytes));
	for (size_t i = 0; i < N_TEXT; i++) {
		const char *text = *text_member(image, i);

		bad |= json_object_set_new(root, text_members[i].key, json_string(text ? text : ""));
	}
	for (size_t i = 0; i < N_LIST; i++)
		bad |= json_object_set_new(root, list_members[i].key, strings_to_json(list_member(image, i)));
	bad |= json_object_set_new(root, "layers", layers_to_json(image));
	if (!bad)
		return root;
	json_decref(root);
	return NULL;
}

int image_record_write(int dir_fd, const char *name, const struct image *image, struct err *err)
{
	auto_fd fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	auto_json *root = record_to_json(image);
	auto_free char *text = root ? json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	int ret;

	if (!text)
		return err_set(err, ENOMEM, "out of memory");
	if (strlen(text) > IMAGE_RECORD_MAX)
		return err_set(err, EFBIG, "the configuration of the image is too large");
	ret = fd < 0 ? -errno : io_write_all(fd, text, strlen(text));
	return ret ? err_sys(err, ret, "write the record of the image") : 0;
}

/* ---- read ---- */

static int strings_from_json(const json_t *array, struct image_strings *out)
{
	size_t n = json_array_size(array);

	if (!json_is_array(array) || n > STRINGS_MAX)
		return -EBADMSG;
	if (!n)
		return 0;
	out->items = calloc(n, sizeof(*out->items));
	if (!out->items)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (!text)
			return -EBADMSG;
		out->items[out->n_items] = strdup(text);
		if (!out->items[out->n_items])
			return -ENOMEM;
		out->n_items++;
	}
	return 0;
}

static int hex_from_json(
	const json_t *root, const char *key, bool optional, char hex[static DIGEST_HEX_LEN + 1])
{
	const char *text = json_string_value(json_object_get(root, key));

	if (!text || (!digest_hex_valid(text) && !(optional && !*text)))
		return -EBADMSG;
	memcpy(hex, text, strlen(text) + 1);
	return 0;
}

static int bytes_from_json(const json_t *root, const char *key, uint64_t *out)
{
	const json_t *number = json_object_get(root, key);

	if (!json_is_integer(number) || json_integer_value(number) < 0 ||
		(uint64_t)json_integer_value(number) > BYTES_MAX)
		return -EBADMSG;
	*out = (uint64_t)json_integer_value(number);
	return 0;
}

static int layers_from_json(const json_t *array, struct image *image)
{
	size_t n = json_array_size(array);

	if (!json_is_array(array) || n > IMAGE_LAYERS_MAX)
		return -EBADMSG;
	image->layers = calloc(n ? n : 1, sizeof(*image->layers));
	if (!image->layers)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct image_layer *layer = &image->layers[i];
		const json_t *item = json_array_get(array, i);
		int ret = hex_from_json(item, "diff_id", false, layer->diff_id);

		if (!ret)
			ret = bytes_from_json(item, "bytes", &layer->bytes);
		if (!ret && layer->bytes % IMAGE_ALIGN)
			ret = -EBADMSG;
		if (ret)
			return ret;
		image->n_layers++;
	}
	return 0;
}

static int record_from_json(const json_t *root, struct image *image)
{
	json_int_t version = json_integer_value(json_object_get(root, "version"));
	int ret = version == RECORD_VERSION ? 0 : -EBADMSG;

	if (!ret)
		ret = hex_from_json(root, "manifest", false, image->image.manifest);
	if (!ret)
		ret = hex_from_json(root, "id", false, image->id);
	if (!ret)
		ret = hex_from_json(root, "index", true, image->index);
	if (!ret)
		ret = bytes_from_json(root, "size_bytes", &image->size_bytes);
	if (!ret)
		ret = bytes_from_json(root, "meta_bytes", &image->meta_bytes);
	if (!ret && (!image->meta_bytes || image->meta_bytes % IMAGE_ALIGN))
		ret = -EBADMSG;
	for (size_t i = 0; !ret && i < N_TEXT; i++) {
		const char *text = json_string_value(json_object_get(root, text_members[i].key));

		if (!text)
			return -EBADMSG;
		*text_member(image, i) = strdup(text);
		if (!*text_member(image, i))
			return -ENOMEM;
	}
	for (size_t i = 0; !ret && i < N_LIST; i++)
		ret = strings_from_json(json_object_get(root, list_members[i].key), list_member(image, i));
	return ret ? ret : layers_from_json(json_object_get(root, "layers"), image);
}

/* Read the record behind fd. -EBADMSG: not one that this version writes. */
static int record_read(int fd, struct image *image)
{
	auto_free char *text = NULL;
	auto_json *root = NULL;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size <= 0 || st.st_size > IMAGE_RECORD_MAX)
		return -EBADMSG;
	text = malloc((size_t)st.st_size);
	if (!text)
		return -ENOMEM;
	n = io_read_capped(fd, text, (size_t)st.st_size);
	if (n < 0)
		return (int)n;
	root = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
	return root ? record_from_json(root, image) : -EBADMSG;
}

static int segment_open(const struct store *store, const char *path, uint64_t bytes, struct image *image)
{
	auto_fd fd = openat(store->dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != bytes)
		return -EBADMSG;
	image->segments[image->n_segments++] = (struct image_segment){.fd = fd_steal(&fd), .bytes = bytes};
	return 0;
}

static int segments_open(const struct store *store, struct image *image)
{
	char path[STORE_PATH_MAX];
	int ret;

	image->segments = calloc(image->n_layers + 1, sizeof(*image->segments));
	if (!image->segments)
		return -ENOMEM;
	path_image(path, image->image.manifest, "meta.erofs");
	ret = segment_open(store, path, image->meta_bytes, image);
	for (size_t i = 0; !ret && i < image->n_layers; i++) {
		if (!image->layers[i].bytes)
			continue;
		path_layer(path, image->layers[i].diff_id, ".data");
		ret = segment_open(store, path, image->layers[i].bytes, image);
	}
	return ret;
}

static int damaged(const struct store *store, const struct image_id *id, int code, struct err *err)
{
	if (code == -ENOMEM)
		return err_set(err, ENOMEM, "out of memory");
	return err_set(err, EBADMSG, "image %.12s in the store %s is damaged (%s): load it again",
		id->manifest, store->path, code == -ENOENT ? "a part is missing" : strerror(-code));
}

static int gone(const struct image_id *id, struct err *err)
{
	return err_set(err, ENOENT, "image %.12s is not in the store any more", id->manifest);
}

static int image_read(
	struct store *store, const struct image_id *id, bool lease, struct image *image, struct err *err)
{
	char path[STORE_PATH_MAX];
	auto_fd fd = -1;
	struct stat st;
	int ret;

	*image = (struct image){.lease_fd = -1};
	path_image(path, id->manifest, "image.json");
	fd = openat(store->dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return gone(id, err);
	if (fd < 0 || (lease && flock(fd, LOCK_SH) < 0) || fstat(fd, &st) < 0)
		return err_sys(err, errno, "open image %.12s in the store %s", id->manifest, store->path);
	if (!st.st_nlink)
		return gone(id, err);
	ret = record_read(fd, image);
	if (!ret && strcmp(image->image.manifest, id->manifest) != 0)
		ret = -EBADMSG;
	if (!ret && lease)
		ret = segments_open(store, image);
	if (ret) {
		image_close(image);
		return damaged(store, id, ret, err);
	}
	if (lease)
		image->lease_fd = fd_steal(&fd);
	return 0;
}

int image_open(struct store *store, const struct image_id *id, struct image *image, struct err *err)
{
	return image_read(store, id, true, image, err);
}

int image_peek(struct store *store, const struct image_id *id, struct image *image, struct err *err)
{
	return image_read(store, id, false, image, err);
}

void image_close(struct image *image)
{
	for (size_t i = 0; i < N_TEXT; i++)
		free(*text_member(image, i));
	for (size_t i = 0; i < N_LIST; i++) {
		struct image_strings *list = list_member(image, i);

		for (size_t j = 0; j < list->n_items; j++)
			free(list->items[j]);
		free(list->items);
	}
	for (size_t i = 0; i < image->n_segments; i++)
		fd_release(&image->segments[i].fd);
	free(image->segments);
	free(image->layers);
	fd_release(&image->lease_fd);
	*image = (struct image){.lease_fd = -1};
}
