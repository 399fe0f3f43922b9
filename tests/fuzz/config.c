// SPDX-License-Identifier: Apache-2.0
/* An image's configuration: texts and lists within limits, and as many diff IDs as there are layers. */
#include "tests/fuzz/fuzz.h"

#include "oci/image/manifest.h"
#include "oci/store/store.h"

#include <errno.h>
#include <string.h>

#define TEXT_MAX (1u << 20)
#define LIST_MAX 16384

static void text_check(const char *text)
{
	fuzz_require(text && strlen(text) <= TEXT_MAX);
	fuzz_note_text(text);
}

static void list_check(const struct image_strings *list, size_t max)
{
	fuzz_require(list->n_items <= max);
	for (size_t i = 0; i < list->n_items; i++)
		text_check(list->items[i]);
}

static void image_check(const struct image *image, size_t n_layers)
{
	const char *const texts[] = {image->os, image->architecture, image->variant, image->created,
		image->user, image->working_dir, image->stop_signal, image->healthcheck};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		text_check(texts[i]);
	list_check(&image->entrypoint, LIST_MAX);
	list_check(&image->cmd, LIST_MAX);
	list_check(&image->env, LIST_MAX);
	list_check(&image->volumes, LIST_MAX);
	list_check(&image->exposed_ports, LIST_MAX);
	list_check(&image->labels, 2 * LIST_MAX);
	fuzz_require(image->labels.n_items % 2 == 0 && image->n_layers == n_layers);
	for (size_t i = 0; i < n_layers; i++)
		fuzz_require(digest_hex_valid(image->layers[i].diff_id));
}

/* The first byte is how many layers the manifest has. */
void fuzz_one(const uint8_t *data, size_t len)
{
	struct image image = {.lease_fd = -1};
	struct err err = ERR_INIT;
	json_t *json;
	int ret;

	if (!len)
		return;
	json = json_parse((const char *)data + 1, len - 1, "it", &err);
	if (!json)
		return;
	ret = config_read(json, data[0] % 8, &image, &err);
	fuzz_require(ret == 0 || ret == -EBADMSG);
	fuzz_require(err.code == -ret && (!ret || err.text[0]));
	if (!ret)
		image_check(&image, data[0] % 8);
	fuzz_note_text(err.text);
	image_close(&image);
	json_decref(json);
}
