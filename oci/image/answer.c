// SPDX-License-Identifier: Apache-2.0
#include "oci/image/answer.h"

#include "base/cleanup.h"
#include "oci/image/name.h"

#include <errno.h>
#include <string.h>

#define TEXT_MAX (1u << 20) /* of one text of a configuration */
#define STRINGS_MAX 32768

static int no_memory(struct err *err)
{
	return err_set(err, ENOMEM, "out of memory");
}

/* ---- indexes ---- */

static void put_platform(struct buf *say, const struct platform *platform)
{
	wire_put_text(say, platform->os);
	wire_put_text(say, platform->arch);
	wire_put_text(say, platform->variant);
}

static void take_platform(struct wire *wire, struct platform *platform)
{
	const char *os = wire_text(wire, PLATFORM_PART_MAX), *arch = wire_text(wire, PLATFORM_PART_MAX);
	const char *variant = wire_text(wire, PLATFORM_PART_MAX);

	if (platform_set(platform, os, arch, variant))
		wire->bad = true;
}

void answer_put_index(struct buf *say, enum media_kind kind, const struct descriptor *entries, size_t n)
{
	wire_put_number(say, kind);
	wire_put_number(say, n);
	for (size_t i = 0; i < n; i++) {
		wire_put_text(say, entries[i].digest);
		wire_put_number(say, entries[i].bytes);
		wire_put_number(say, entries[i].kind);
		wire_put_number(say, entries[i].has_platform);
		wire_put_number(say, entries[i].attestation);
		put_platform(say, &entries[i].platform);
		wire_put_text(say, entries[i].ref);
		wire_put_text(say, entries[i].name);
	}
}

static void take_descriptor(struct wire *wire, struct descriptor *out)
{
	wire_digest(wire, false, out->digest);
	out->bytes = wire_number(wire, INT64_MAX);
	out->kind = (enum media_kind)wire_number(wire, MEDIA_SCHEMA1);
	out->has_platform = wire_number(wire, 1);
	out->attestation = wire_number(wire, 1);
	take_platform(wire, &out->platform);
	out->ref = wire_text(wire, JSON_MANIFEST_MAX);
	out->name = wire_text(wire, JSON_MANIFEST_MAX);
}

int answer_take_index(
	struct answer *answer, enum media_kind *kind, struct descriptor **entries, size_t *n, struct err *err)
{
	struct wire *wire = &answer->wire;
	struct descriptor *list;

	*kind = (enum media_kind)wire_number(wire, MEDIA_SCHEMA1);
	*n = (size_t)wire_number(wire, INDEX_ENTRIES_MAX);
	list = calloc(*n + 1, sizeof(*list));
	if (!list)
		return no_memory(err);
	for (size_t i = 0; i < *n && !wire->bad; i++)
		take_descriptor(wire, &list[i]);
	if (!wire_end(wire)) {
		free(list);
		return answer_bad(err);
	}
	*entries = list;
	return 0;
}

/* ---- manifests ---- */

void answer_put_manifest(struct buf *say, enum media_kind kind, const struct manifest *manifest)
{
	wire_put_number(say, kind);
	wire_put_text(say, manifest->config);
	wire_put_number(say, manifest->config_bytes);
	wire_put_number(say, manifest->n_layers);
	for (size_t i = 0; i < manifest->n_layers; i++) {
		wire_put_text(say, manifest->layers[i].digest);
		wire_put_number(say, manifest->layers[i].bytes);
		wire_put_number(say, (uint64_t)manifest->layers[i].compression);
	}
}

int answer_take_manifest(
	struct answer *answer, enum media_kind *kind, struct manifest *manifest, struct err *err)
{
	struct wire *wire = &answer->wire;

	*manifest = (struct manifest){0};
	*kind = (enum media_kind)wire_number(wire, MEDIA_SCHEMA1);
	wire_digest(wire, false, manifest->config);
	manifest->config_bytes = wire_number(wire, JSON_CONFIG_MAX);
	manifest->n_layers = (size_t)wire_number(wire, IMAGE_LAYERS_MAX);
	for (size_t i = 0; i < manifest->n_layers && !wire->bad; i++) {
		wire_digest(wire, false, manifest->layers[i].digest);
		manifest->layers[i].bytes = wire_number(wire, INT64_MAX);
		manifest->layers[i].compression = (int)wire_number(wire, COMPRESSION_ZSTD);
	}
	return wire_end(wire) ? 0 : answer_bad(err);
}

/* ---- configurations ---- */

int answer_take_platform(struct answer *answer, struct platform *platform, struct err *err)
{
	struct wire *wire = &answer->wire;
	const char *os = wire_text(wire, JSON_CONFIG_MAX), *arch = wire_text(wire, JSON_CONFIG_MAX);
	const char *variant = wire_text(wire, JSON_CONFIG_MAX);

	if (!wire_end(wire))
		return answer_bad(err);
	return platform_set(platform, os, arch, variant)
		       ? err_set(err, EBADMSG, "configuration: malformed platform")
		       : 0;
}

/* Texts and lists of a configuration, in the order in which they are sent. */
static void config_texts(const struct image *image, char *const *texts[static 8])
{
	char *const *const all[8] = {&image->os, &image->architecture, &image->variant, &image->created,
		&image->user, &image->working_dir, &image->stop_signal, &image->healthcheck};

	memcpy(texts, all, sizeof(all));
}

static void config_lists(const struct image *image, const struct image_strings *lists[static 6])
{
	const struct image_strings *const all[6] = {&image->entrypoint, &image->cmd, &image->env,
		&image->volumes, &image->exposed_ports, &image->labels};

	memcpy(lists, all, sizeof(all));
}

void answer_put_config(struct buf *say, const struct image *image)
{
	const struct image_strings *lists[6];
	char *const *texts[8];

	config_texts(image, texts);
	config_lists(image, lists);
	for (size_t i = 0; i < 8; i++)
		wire_put_text(say, *texts[i]);
	for (size_t i = 0; i < 6; i++) {
		wire_put_number(say, lists[i]->n_items);
		for (size_t j = 0; j < lists[i]->n_items; j++)
			wire_put_text(say, lists[i]->items[j]);
	}
	for (size_t i = 0; i < image->n_layers; i++)
		wire_put_text(say, image->layers[i].diff_id);
}

static int take_strings(struct wire *wire, struct image_strings *out)
{
	size_t n = (size_t)wire_number(wire, STRINGS_MAX);

	out->items = calloc(n + 1, sizeof(*out->items));
	for (; out->items && out->n_items < n && !wire->bad; out->n_items++) {
		out->items[out->n_items] = strdup(wire_text(wire, TEXT_MAX));
		if (!out->items[out->n_items])
			return -ENOMEM;
	}
	return out->items ? 0 : -ENOMEM;
}

int answer_take_config(struct answer *answer, size_t n_layers, struct image *image, struct err *err)
{
	struct wire *wire = &answer->wire;
	char **const texts[] = {&image->os, &image->architecture, &image->variant, &image->created,
		&image->user, &image->working_dir, &image->stop_signal, &image->healthcheck};
	struct image_strings *const lists[] = {&image->entrypoint, &image->cmd, &image->env, &image->volumes,
		&image->exposed_ports, &image->labels};
	int ret = 0;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		*texts[i] = strdup(wire_text(wire, TEXT_MAX));
		ret = *texts[i] ? ret : -ENOMEM;
	}
	for (size_t i = 0; !ret && i < sizeof(lists) / sizeof(lists[0]); i++)
		ret = take_strings(wire, lists[i]);
	image->layers = calloc(n_layers + 1, sizeof(*image->layers));
	if (ret || !image->layers)
		return no_memory(err);
	for (; image->n_layers < n_layers; image->n_layers++)
		wire_digest(wire, false, image->layers[image->n_layers].diff_id);
	/* Keys and values come in pairs. */
	return wire_end(wire) && image->labels.n_items % 2 == 0 ? 0 : answer_bad(err);
}

/* ---- docker archives ---- */

static int put_texts(struct buf *say, const json_t *array, size_t max, struct err *err)
{
	size_t n = json_array_size(array);

	if (n > max)
		n = max;
	wire_put_number(say, n);
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (!text)
			return err_set(err, EBADMSG, "manifest.json is malformed");
		wire_put_text(say, text);
	}
	return 0;
}

int answer_put_docker(struct buf *say, const json_t *json, struct err *err)
{
	size_t n = json_array_size(json);

	if (!n || n > INDEX_ENTRIES_MAX)
		return err_set(err, EBADMSG, "manifest.json lists %zu images", n);
	wire_put_number(say, n);
	for (size_t i = 0; i < n; i++) {
		const json_t *entry = json_array_get(json, i);
		const json_t *layers = json_object_get(entry, "Layers");
		const char *config = json_string_value(json_object_get(entry, "Config"));
		int ret;

		if (!config || (layers && !json_is_array(layers) && !json_is_null(layers)))
			return err_set(err, EBADMSG, "manifest.json is malformed");
		wire_put_text(say, config);
		ret = put_texts(say, json_object_get(entry, "RepoTags"), NAMES_MAX, err);
		/* One more than there may be, so that it shows. */
		if (!ret)
			ret = put_texts(say, layers, IMAGE_LAYERS_MAX + 1, err);
		if (ret)
			return ret;
	}
	return 0;
}

static int take_texts(struct wire *wire, size_t max, const char ***out, size_t *n_out)
{
	size_t n = (size_t)wire_number(wire, max);

	*out = calloc(n + 1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		(*out)[i] = wire_text(wire, JSON_MANIFEST_MAX);
	*n_out = n;
	return 0;
}

void docker_entries_free(struct docker_entry *entries, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(entries[i].tags);
		free(entries[i].layers);
	}
	free(entries);
}

int answer_take_docker(struct answer *answer, struct docker_entry **entries, size_t *n, struct err *err)
{
	struct wire *wire = &answer->wire;
	size_t count = (size_t)wire_number(wire, INDEX_ENTRIES_MAX);
	struct docker_entry *list = calloc(count + 1, sizeof(*list));
	int ret = list ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && !ret && !wire->bad; i++) {
		list[i].config = wire_text(wire, JSON_MANIFEST_MAX);
		ret = take_texts(wire, NAMES_MAX, &list[i].tags, &list[i].n_tags);
		if (!ret)
			ret = take_texts(wire, IMAGE_LAYERS_MAX + 1, &list[i].layers, &list[i].n_layers);
	}
	if (!ret && count && wire_end(wire)) {
		*entries = list;
		*n = count;
		return 0;
	}
	if (list)
		docker_entries_free(list, count);
	return ret ? no_memory(err) : answer_bad(err);
}

/* ---- archives ---- */

void answer_put_members(struct buf *say, const struct members *members)
{
	wire_put_number(say, members->n);
	for (size_t i = 0; i < members->n; i++) {
		const struct member *member = &members->items[i];

		wire_put_text(say, member->name);
		wire_put_number(say, member->link ? member->symlink ? 2 : 1 : 0);
		wire_put_text(say, member->link ? member->link : "");
		wire_put_number(say, member->offset);
		wire_put_number(say, member->bytes);
	}
}

static bool name_good(const char *name)
{
	char work[NAME_PATH_MAX + 1];

	memcpy(work, name, strlen(name) + 1);
	return *name && name_clean(work) == 0 && strcmp(work, name) == 0;
}

static int take_member(struct wire *wire, uint64_t bytes, struct member *out)
{
	const char *name = wire_text(wire, NAME_PATH_MAX);
	uint64_t kind = wire_number(wire, 2);
	const char *link = wire_text(wire, NAME_PATH_MAX);

	out->offset = wire_number(wire, bytes);
	out->bytes = wire_number(wire, bytes - out->offset);
	out->symlink = kind == 2;
	out->name = strdup(name);
	out->link = kind ? strdup(link) : NULL;
	if (!name_good(name))
		wire->bad = true;
	return out->name && (!kind || out->link) ? 0 : -ENOMEM;
}

int answer_take_members(struct answer *answer, uint64_t bytes, struct members *members, struct err *err)
{
	struct wire *wire = &answer->wire;
	size_t n = (size_t)wire_number(wire, MEMBERS_MAX);

	*members = (struct members){.items = calloc(n + 1, sizeof(*members->items))};
	if (!members->items)
		return no_memory(err);
	while (members->n < n && !wire->bad) {
		struct member *member = &members->items[members->n++];

		if (take_member(wire, bytes, member))
			return no_memory(err);
		/* Looking them up relies on the order. */
		if (members->n > 1 && strcmp(member[-1].name, member->name) >= 0)
			wire->bad = true;
	}
	return wire_end(wire) ? 0 : answer_bad(err);
}
