// SPDX-License-Identifier: Apache-2.0
#include "oci/image/load.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define INDEX_DEPTH_MAX 4
#define INDEXES_MAX 64 /* read for one image */

/* ---- one image out of an index ---- */

struct choice {
	struct load *load;
	struct descriptor best;
	char index[DIGEST_HEX_LEN + 1]; /* the outermost index blob the best is in */
	int score;
	unsigned int indexes;
	bool schema1;
	char seen[256]; /* platforms there are, for the message */
};

static void seen_add(struct choice *choice, const struct platform *platform)
{
	char text[PLATFORM_TEXT_MAX];
	size_t used = strlen(choice->seen);

	platform_format(platform, text);
	if (strstr(choice->seen, text) || used + strlen(text) + 3 > sizeof(choice->seen))
		return;
	snprintf(choice->seen + used, sizeof(choice->seen) - used, "%s%s", used ? ", " : "", text);
}

/* Have a worker read what is behind a descriptor. */
static int document_ask(struct load *load, const char *digest, uint64_t bytes, struct order order, size_t max,
	struct answer *answer, struct err *err)
{
	auto_free char *text = NULL;
	size_t len = 0;
	int ret = source_read_blob(&load->source, digest, bytes, max, &text, &len, err);

	return ret ? ret : decoder_ask(load->decoder, &order, text, len, load->cancel, answer, err);
}

/* A manifest whose descriptor does not say what it is for: its configuration does. */
static int platform_look_up(struct load *load, struct descriptor *d, struct err *err)
{
	auto_free struct manifest *manifest = malloc(sizeof(*manifest));
	auto_answer manifest_answer = {0};
	auto_answer answer = {0};
	enum media_kind kind;
	int ret;

	if (!manifest)
		return err_set(err, ENOMEM, "out of memory");
	ret = document_ask(load, d->digest, d->bytes,
		(struct order){.kind = ORDER_MANIFEST, .what = "the manifest"}, JSON_MANIFEST_MAX,
		&manifest_answer, err);
	if (!ret)
		ret = answer_take_manifest(&manifest_answer, &kind, manifest, err);
	if (!ret)
		ret = document_ask(load, manifest->config, manifest->config_bytes,
			(struct order){.kind = ORDER_PLATFORM, .what = "the configuration"}, JSON_CONFIG_MAX,
			&answer, err);
	if (!ret)
		ret = answer_take_platform(&answer, &d->platform, err);
	d->has_platform = !ret;
	return ret;
}

static int choose(struct choice *choice, const struct descriptor *list, size_t n, unsigned int depth,
	const char *index, struct err *err);

static int choose_nested(struct choice *choice, const struct descriptor *d, unsigned int depth,
	const char *index, struct err *err)
{
	struct order order = {.kind = ORDER_INDEX, .what = "the index"};
	auto_free struct descriptor *list = NULL;
	auto_answer answer = {0};
	enum media_kind kind;
	size_t n;
	int ret;

	if (depth == INDEX_DEPTH_MAX || choice->indexes++ == INDEXES_MAX)
		return err_set(err, EBADMSG, "indexes are nested too deep");
	ret = document_ask(choice->load, d->digest, d->bytes, order, JSON_MANIFEST_MAX, &answer, err);
	if (!ret)
		ret = answer_take_index(&answer, &kind, &list, &n, err);
	if (ret)
		return ret;
	if (kind != MEDIA_INDEX)
		return err_set(err, EBADMSG, "sha256:%.12s... is called an index but is none", d->digest);
	return choose(choice, list, n, depth + 1, *index ? index : d->digest, err);
}

static int choose_manifest(struct choice *choice, struct descriptor d, const char *index, struct err *err)
{
	int score, ret = d.has_platform ? 0 : platform_look_up(choice->load, &d, err);

	if (ret)
		return ret;
	seen_add(choice, &d.platform);
	score = platform_score(&choice->load->options.platform, &d.platform);
	if (score <= choice->score)
		return 0;
	choice->score = score;
	choice->best = d;
	snprintf(choice->index, sizeof(choice->index), "%s", index);
	return 0;
}

static int choose(struct choice *choice, const struct descriptor *list, size_t n, unsigned int depth,
	const char *index, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; i < n && !ret; i++) {
		if (list[i].attestation)
			continue;
		if (list[i].kind == MEDIA_INDEX)
			ret = choose_nested(choice, &list[i], depth, index, err);
		else if (list[i].kind == MEDIA_MANIFEST)
			ret = choose_manifest(choice, list[i], index, err);
		else if (list[i].kind == MEDIA_SCHEMA1)
			choice->schema1 = true;
	}
	return ret;
}

static int nothing_fits(const struct choice *choice, struct err *err)
{
	const char *path = choice->load->source.spec.path;
	char want[PLATFORM_TEXT_MAX];

	platform_format(&choice->load->options.platform, want);
	if (choice->schema1 && !*choice->seen)
		return err_set(err, ENOTSUP,
			"%s has the old Docker format (schema 1): convert it with skopeo", path);
	if (!*choice->seen)
		return err_set(err, EBADMSG, "there is no image in %s", path);
	return err_set(err, ENOENT, "no image for %s in %s; it has %s", want, path, choice->seen);
}

/* ---- names ---- */

/* Last part of the path without what file names end in: a name for an image that has only a tag. */
static void name_from_path(const char *path, char out[static 128])
{
	static const char *const endings[] = {".gz", ".zst", ".tar", ".tgz", ".oci"};
	size_t len = strlen(path), start;

	while (len && path[len - 1] == '/')
		len--;
	for (start = len; start && path[start - 1] != '/';)
		start--;
	snprintf(out, 128, "%.*s", (int)(len - start < 127 ? len - start : 127), path + start);
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		len = strlen(out);
		if (len > strlen(endings[i]) && strcmp(out + len - strlen(endings[i]), endings[i]) == 0)
			out[len - strlen(endings[i])] = '\0';
	}
	for (char *at = out; *at; at++) {
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at | 0x20);
	}
}

static int name_complete(const char *text, char out[static REF_TEXT_MAX + 1])
{
	struct ref ref;
	int ret = ref_parse(text, &ref);

	return ret ? ret : ref_format(&ref, out);
}

/*
 * The name an entry of an OCI layout gives its image: containerd's annotation, or a complete name in the OCI
 * one, or a mere tag there together with the name of the folder or file. False if nothing is usable.
 */
static bool name_of(const struct load *load, const struct descriptor *d, char out[static REF_TEXT_MAX + 1])
{
	char text[REF_TEXT_MAX + 160], base[128];

	if (*d->name && name_complete(d->name, out) == 0)
		return true;
	if (!*d->ref)
		return false;
	if (strpbrk(d->ref, ":/"))
		return name_complete(d->ref, out) == 0;
	name_from_path(load->source.spec.path, base);
	if (!*base || snprintf(text, sizeof(text), "%s:%s", base, d->ref) >= (int)sizeof(text))
		return false;
	return name_complete(text, out) == 0;
}

static int selection_name(struct selection *selection, const char *name)
{
	char(*grown)[REF_TEXT_MAX + 1] =
		reallocarray(selection->names, selection->n_names + 1, sizeof(*selection->names));

	if (!grown)
		return -ENOMEM;
	selection->names = grown;
	snprintf(grown[selection->n_names++], sizeof(*grown), "%s", name);
	return 0;
}

void selections_free(struct selection *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i].names);
	free(list);
}

/* ---- OCI layouts ---- */

static bool same_image(const struct descriptor *a, const struct descriptor *b)
{
	return strcmp(a->ref, b->ref) == 0 && strcmp(a->name, b->name) == 0;
}

/* What the user wrote after the path means an entry by its tag or by a name, or by its place ("@0"). */
static bool entry_meant(const struct load *load, const struct descriptor *d, size_t place)
{
	const char *want = load->source.spec.reference;
	char complete[REF_TEXT_MAX + 1], wanted[REF_TEXT_MAX + 1], at[32];

	snprintf(at, sizeof(at), "@%zu", place);
	if (!*want || strcmp(want, d->ref) == 0 || strcmp(want, d->name) == 0 || strcmp(want, at) == 0)
		return true;
	return name_of(load, d, complete) && name_complete(want, wanted) == 0 &&
	       strcmp(complete, wanted) == 0;
}

/* Choose from the entries that are the same image, the first of which is given, and mark them as done. */
static int group_select(struct load *load, struct descriptor *list, size_t n, size_t first, bool *done,
	struct selection *out, struct err *err)
{
	auto_free struct descriptor *group = calloc(n, sizeof(*group));
	struct choice choice = {.load = load};
	char name[REF_TEXT_MAX + 1];
	size_t n_group = 0;
	int ret;

	if (!group)
		return err_set(err, ENOMEM, "out of memory");
	for (size_t i = first; i < n; i++) {
		if (done[i] || !same_image(&list[i], &list[first]))
			continue;
		done[i] = true;
		group[n_group++] = list[i];
	}
	ret = choose(&choice, group, n_group, 0, "", err);
	if (!ret && !choice.score)
		ret = nothing_fits(&choice, err);
	if (ret)
		return ret;
	out->manifest = choice.best;
	memcpy(out->index, choice.index, sizeof(out->index));
	if (name_of(load, &list[first], name) && selection_name(out, name))
		return err_set(err, ENOMEM, "out of memory");
	return 0;
}

static int oci_select_from(struct load *load, struct descriptor *list, size_t n, struct selection *out,
	size_t *n_out, struct err *err)
{
	auto_free bool *done = calloc(n ? n : 1, sizeof(*done));
	int ret = 0;

	if (!done)
		return err_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		done[i] = list[i].attestation || !entry_meant(load, &list[i], i);
	for (size_t i = 0; i < n && !ret; i++) {
		if (!done[i])
			ret = group_select(load, list, n, i, done, &out[(*n_out)++], err);
	}
	if (!ret && !*n_out && *load->source.spec.reference)
		ret = err_set(err, ENOENT, "there is no %s in %s", load->source.spec.reference,
			load->source.spec.path);
	else if (!ret && !*n_out)
		ret = err_set(err, EBADMSG, "there is no image in %s", load->source.spec.path);
	return ret;
}

static int oci_select(struct load *load, struct selection **out, size_t *n_out, struct err *err)
{
	struct order order = {.kind = ORDER_INDEX, .what = "index.json"};
	auto_free struct descriptor *list = NULL;
	auto_free char *text = NULL;
	auto_answer answer = {0};
	enum media_kind kind;
	size_t len, n;
	int ret = source_read_file(&load->source, "index.json", JSON_MANIFEST_MAX, &text, &len, err);

	if (!ret)
		ret = decoder_ask(load->decoder, &order, text, len, load->cancel, &answer, err);
	if (!ret)
		ret = answer_take_index(&answer, &kind, &list, &n, err);
	if (ret)
		return ret;
	*out = calloc(n ? n : 1, sizeof(**out));
	if (!*out)
		return err_set(err, ENOMEM, "out of memory");
	return oci_select_from(load, list, n, *out, n_out, err);
}

/* ---- docker-archive ---- */

int docker_manifest_read(const struct load *load, struct answer *answer, struct docker_entry **entries,
	size_t *n, struct err *err)
{
	struct order order = {.kind = ORDER_DOCKER, .what = "manifest.json"};
	auto_free char *text = NULL;
	size_t len;
	int ret = source_read_file(&load->source, "manifest.json", JSON_MANIFEST_MAX, &text, &len, err);

	if (!ret)
		ret = decoder_ask(load->decoder, &order, text, len, load->cancel, answer, err);
	return ret ? ret : answer_take_docker(answer, entries, n, err);
}

/* Take the names of one entry; of a reference that was given, that one only. False if the entry is not meant. */
static int docker_entry_select(const struct load *load, const struct docker_entry *entry, size_t place,
	struct selection *out, bool *meant, struct err *err)
{
	const char *want = load->source.spec.reference;
	char name[REF_TEXT_MAX + 1], wanted[REF_TEXT_MAX + 1], at[32];

	snprintf(at, sizeof(at), "@%zu", place);
	*meant = !*want || strcmp(want, at) == 0;
	if (!*meant && *want != '@' && name_complete(want, wanted))
		return err_set(err, EINVAL, "\"%.200s\" is not a valid image name", want);
	for (size_t i = 0; i < entry->n_tags; i++) {
		bool all = *meant && (!*want || *want == '@');

		if (name_complete(entry->tags[i], name))
			return err_set(err, EBADMSG, "manifest.json: \"%.200s\" is not a valid image name",
				entry->tags[i]);
		if (!all && (*want == '@' || strcmp(name, wanted) != 0))
			continue;
		*meant = true;
		if (selection_name(out, name))
			return err_set(err, ENOMEM, "out of memory");
	}
	out->docker_entry = place;
	return 0;
}

static int docker_select(struct load *load, struct selection **out, size_t *n_out, struct err *err)
{
	struct docker_entry *entries = NULL;
	auto_answer answer = {0};
	size_t n = 0;
	int ret = docker_manifest_read(load, &answer, &entries, &n, err);

	if (ret)
		return ret;
	*out = calloc(n, sizeof(**out));
	if (!*out) {
		docker_entries_free(entries, n);
		return err_set(err, ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < n && !ret; i++) {
		bool meant;

		ret = docker_entry_select(load, &entries[i], i, &(*out)[*n_out], &meant, err);
		if (meant || ret)
			++*n_out;
	}
	docker_entries_free(entries, n);
	if (!ret && !*n_out)
		ret = err_set(err, ENOENT, "there is no %s in %s", load->source.spec.reference,
			load->source.spec.path);
	return ret;
}

/* ---- all ---- */

int select_images(struct load *load, struct selection **list, size_t *n, struct err *err)
{
	struct selection *found = NULL;
	size_t count = 0;
	char name[REF_TEXT_MAX + 1];
	int ret;

	if (load->source.transport == TRANSPORT_DOCKER_ARCHIVE)
		ret = docker_select(load, &found, &count, err);
	else
		ret = oci_select(load, &found, &count, err);
	if (!ret && load->options.name && count > 1)
		ret = err_set(err, EINVAL,
			"there are %zu images in %s: --name needs one, choose it with :TAG", count,
			load->source.spec.path);
	if (!ret && load->options.name) {
		found[0].n_names = 0;
		if (name_complete(load->options.name, name))
			ret = err_set(
				err, EINVAL, "\"%.200s\" is not a valid image name", load->options.name);
		else if (selection_name(&found[0], name))
			ret = err_set(err, ENOMEM, "out of memory");
	}
	if (ret) {
		selections_free(found, count);
		return ret;
	}
	*list = found;
	*n = count;
	return 0;
}
