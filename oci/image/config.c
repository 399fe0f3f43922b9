// SPDX-License-Identifier: Apache-2.0
/*
 * The configuration of an image: image-spec, config.md. Every text is copied as it is; the guest interprets
 * it.
 */
#include "oci/image/manifest.h"

#include <errno.h>
#include <string.h>

#define TEXT_MAX (1u << 20)
#define LIST_MAX 16384

static int bad(struct err *err, const char *key)
{
	return err_set(err, EBADMSG, "configuration: \"%s\" is malformed", key);
}

/* Well-formed, and still more than we take: whoever made the image is told which of the two it is. */
static int too_many(struct err *err, const char *key, size_t n)
{
	return err_set(
		err, E2BIG, "configuration: \"%s\" has %zu entries, the limit is %d", key, n, LIST_MAX);
}

static int too_long(struct err *err, const char *key, size_t len)
{
	return err_set(err, E2BIG, "configuration: \"%s\" has a text of %zu bytes, the limit is %u", key, len,
		TEXT_MAX);
}

static int text_copy(const json_t *object, const char *key, char **out, struct err *err)
{
	const char *text = json_text(object, key);

	if (!text)
		return bad(err, key);
	if (strlen(text) > TEXT_MAX)
		return too_long(err, key, strlen(text));
	*out = strdup(text);
	return *out ? 0 : err_set(err, ENOMEM, "out of memory");
}

static int list_add(struct image_strings *list, const char *text)
{
	list->items[list->n_items] = strdup(text);
	return list->items[list->n_items++] ? 0 : -ENOMEM;
}

static int list_alloc(struct image_strings *list, size_t n)
{
	list->items = calloc(n + 1, sizeof(*list->items));
	return list->items ? 0 : -ENOMEM;
}

static int array_copy(const json_t *object, const char *key, struct image_strings *out, struct err *err)
{
	const json_t *array = json_object_get(object, key);
	size_t n = json_array_size(array);
	int ret = 0;

	if (!array || json_is_null(array))
		return 0;
	if (!json_is_array(array))
		return bad(err, key);
	if (n > LIST_MAX)
		return too_many(err, key, n);
	ret = list_alloc(out, n);
	for (size_t i = 0; i < n && !ret; i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (!text)
			return bad(err, key);
		if (strlen(text) > TEXT_MAX)
			return too_long(err, key, strlen(text));
		ret = list_add(out, text);
	}
	return ret ? err_set(err, ENOMEM, "out of memory") : 0;
}

/* The names of an object's members, and with values also what they are, one after the other. */
static int object_copy(
	const json_t *object, const char *key, bool values, struct image_strings *out, struct err *err)
{
	json_t *map = json_object_get(object, key);
	size_t n = json_object_size(map);
	const char *name;
	json_t *value;
	int ret;

	if (!map || json_is_null(map))
		return 0;
	if (!json_is_object(map))
		return bad(err, key);
	if (n > LIST_MAX)
		return too_many(err, key, n);
	ret = list_alloc(out, values ? 2 * n : n);
	json_object_foreach(map, name, value)
	{
		if (values && !json_is_string(value))
			return bad(err, key);
		if (strlen(name) > TEXT_MAX)
			return too_long(err, key, strlen(name));
		if (!ret)
			ret = list_add(out, name);
		if (!ret && values)
			ret = list_add(out, json_string_value(value));
	}
	return ret ? err_set(err, ENOMEM, "out of memory") : 0;
}

static int healthcheck_copy(const json_t *config, struct image *image, struct err *err)
{
	const json_t *check = json_object_get(config, "Healthcheck");

	if (check && !json_is_null(check) && !json_is_object(check))
		return bad(err, "Healthcheck");
	image->healthcheck =
		json_is_object(check) ? json_dumps(check, JSON_COMPACT | JSON_SORT_KEYS) : strdup("");
	if (!image->healthcheck)
		return err_set(err, ENOMEM, "out of memory");
	return strlen(image->healthcheck) > TEXT_MAX
		       ? too_long(err, "Healthcheck", strlen(image->healthcheck))
		       : 0;
}

static int process_read(const json_t *config, struct image *image, struct err *err)
{
	int ret = text_copy(config, "User", &image->user, err);

	if (!ret)
		ret = text_copy(config, "WorkingDir", &image->working_dir, err);
	if (!ret)
		ret = text_copy(config, "StopSignal", &image->stop_signal, err);
	if (!ret)
		ret = array_copy(config, "Entrypoint", &image->entrypoint, err);
	if (!ret)
		ret = array_copy(config, "Cmd", &image->cmd, err);
	if (!ret)
		ret = array_copy(config, "Env", &image->env, err);
	if (!ret)
		ret = object_copy(config, "Volumes", false, &image->volumes, err);
	if (!ret)
		ret = object_copy(config, "ExposedPorts", false, &image->exposed_ports, err);
	if (!ret)
		ret = object_copy(config, "Labels", true, &image->labels, err);
	return ret ? ret : healthcheck_copy(config, image, err);
}

static int platform_copy(const json_t *json, struct image *image, struct err *err)
{
	int ret = text_copy(json, "os", &image->os, err);

	if (!ret)
		ret = text_copy(json, "architecture", &image->architecture, err);
	if (!ret)
		ret = text_copy(json, "variant", &image->variant, err);
	return ret ? ret : text_copy(json, "created", &image->created, err);
}

static int diff_ids_read(const json_t *json, size_t n_layers, struct image *image, struct err *err)
{
	const json_t *rootfs = json_object_get(json, "rootfs");
	const json_t *array = json_object_get(rootfs, "diff_ids");
	const char *type = json_text(rootfs, "type");

	if (!type || strcmp(type, "layers") != 0)
		return bad(err, "rootfs");
	/* No layers at all: Go writes null for an empty list. */
	if (json_array_size(array) != n_layers)
		return err_set(err, EBADMSG, "the configuration has %zu diff IDs for %zu layers",
			json_array_size(array), n_layers);
	image->layers = calloc(n_layers ? n_layers : 1, sizeof(*image->layers));
	if (!image->layers)
		return err_set(err, ENOMEM, "out of memory");
	for (; image->n_layers < n_layers; image->n_layers++) {
		const char *text = json_string_value(json_array_get(array, image->n_layers));

		if (!text || digest_parse(text, image->layers[image->n_layers].diff_id))
			return err_set(err, EBADMSG, "configuration: \"%.80s\" is not a valid diff ID",
				text ? text : "");
	}
	return 0;
}

int config_read(const json_t *json, size_t n_layers, struct image *image, struct err *err)
{
	const json_t *config = json_object_get(json, "config");
	int ret;

	if (config && !json_is_null(config) && !json_is_object(config))
		return bad(err, "config");
	ret = platform_copy(json, image, err);
	if (!ret)
		ret = process_read(config, image, err);
	return ret ? ret : diff_ids_read(json, n_layers, image, err);
}
