// SPDX-License-Identifier: Apache-2.0
/* mvrun images: what is in the store. */
#include "cli/command.h"
#include "cli/output.h"
#include "cli/text.h"
#include "oci/store/store.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SHORT_ID_LEN 12
#define CELL_MAX 320
#define COLUMN_GAP 3

struct images_options {
	const char *format, *store;
	bool quiet, no_trunc, all, digests, json;
};

static const struct option images_options[] = {
	{"all", 'a', OPTION_FLAG, NULL, "Accepted for docker's sake: there are no hidden images", NULL,
		offsetof(struct images_options, all)},
	{"digests", 0, OPTION_FLAG, NULL, "Show the digests of the manifests too", NULL,
		offsetof(struct images_options, digests)},
	{"format", 0, OPTION_TEXT, "table|json", "How to print the list (table)", NULL,
		offsetof(struct images_options, format)},
	{"no-trunc", 0, OPTION_FLAG, NULL, "Print whole IDs", NULL,
		offsetof(struct images_options, no_trunc)},
	{"quiet", 'q', OPTION_FLAG, NULL, "Print IDs and nothing else", NULL,
		offsetof(struct images_options, quiet)},
	{"store", 0, OPTION_TEXT, "DIR", "Where images are kept", NULL,
		offsetof(struct images_options, store)},
	{0},
};

/* One line of the table, as text. */
struct row {
	char repository[CELL_MAX];
	char tag[CELL_MAX];
	char digest[DIGEST_HEX_LEN + 16];
	char id[DIGEST_HEX_LEN + 16];
	char age[64];
	char size[32];
};

#define NONE "<none>"

/* "host:5000/app:1.2" is the repository "host:5000/app" and the tag "1.2". */
static void name_split(const char *name, char repository[static CELL_MAX], char tag[static CELL_MAX])
{
	const char *slash = name ? strrchr(name, '/') : NULL;
	const char *colon = name ? strrchr(slash ? slash : name, ':') : NULL;

	if (!name)
		snprintf(repository, CELL_MAX, NONE);
	else
		snprintf(repository, CELL_MAX, "%.*s", (int)(colon ? (size_t)(colon - name) : strlen(name)),
			name);
	snprintf(tag, CELL_MAX, "%s", colon ? colon + 1 : NONE);
}

static void age_format(const struct store_entry *entry, char *out, size_t cap)
{
	uint64_t created, now = (uint64_t)time(NULL);
	char duration[48];

	if (!entry->created || text_parse_time(entry->created, &created)) {
		snprintf(out, cap, "N/A");
		return;
	}
	text_duration(now > created ? now - created : 0, duration, sizeof(duration));
	snprintf(out, cap, "%s ago", duration);
}

static void row_fill(struct row *row, const struct store_entry *entry, const struct images_options *options)
{
	name_split(entry->name, row->repository, row->tag);
	snprintf(row->digest, sizeof(row->digest), DIGEST_PREFIX "%s", entry->image.manifest);
	snprintf(row->id, sizeof(row->id), "%s%.*s", options->no_trunc ? DIGEST_PREFIX : "",
		options->no_trunc ? DIGEST_HEX_LEN : SHORT_ID_LEN, entry->id);
	age_format(entry, row->age, sizeof(row->age));
	text_size(entry->size_bytes, row->size, sizeof(row->size));
}

/* The cells of a row in the order they are shown. */
static size_t row_cells(const struct row *row, bool digests, const char *cells[static 6])
{
	size_t n = 0;

	cells[n++] = row->repository;
	cells[n++] = row->tag;
	if (digests)
		cells[n++] = row->digest;
	cells[n++] = row->id;
	cells[n++] = row->age;
	cells[n++] = row->size;
	return n;
}

static void table_print(const struct row *rows, size_t n_rows, bool digests)
{
	int widths[6] = {0};
	const char *cells[6];

	for (size_t i = 0; i < n_rows; i++) {
		size_t n = row_cells(&rows[i], digests, cells);

		for (size_t c = 0; c < n; c++) {
			if ((int)strlen(cells[c]) > widths[c])
				widths[c] = (int)strlen(cells[c]);
		}
	}
	for (size_t i = 0; i < n_rows; i++) {
		size_t n = row_cells(&rows[i], digests, cells);

		for (size_t c = 0; c + 1 < n; c++)
			printf("%-*s", widths[c] + COLUMN_GAP, cells[c]);
		printf("%s\n", cells[n - 1]);
	}
}

static int list_as_table(const struct store_list *list, const struct images_options *options)
{
	struct row *rows = calloc(list->n_entries + 1, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	rows[0] = (struct row){"REPOSITORY", "TAG", "DIGEST", "IMAGE ID", "CREATED", "SIZE"};
	for (size_t i = 0; i < list->n_entries; i++)
		row_fill(&rows[i + 1], &list->entries[i], options);
	table_print(rows, list->n_entries + 1, options->digests);
	free(rows);
	return 0;
}

static json_t *entry_json(const struct store_entry *entry)
{
	char repository[CELL_MAX], tag[CELL_MAX], id[DIGEST_HEX_LEN + 16], digest[DIGEST_HEX_LEN + 16],
		loaded[32];

	name_split(entry->name, repository, tag);
	snprintf(id, sizeof(id), DIGEST_PREFIX "%s", entry->id);
	snprintf(digest, sizeof(digest), DIGEST_PREFIX "%s", entry->image.manifest);
	text_time(entry->loaded_at, loaded, sizeof(loaded));
	return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s, s:I}", "Id", id, "Repository", repository, "Tag",
		tag, "Digest", digest, "Created", entry->created, "Loaded", loaded, "Size",
		(json_int_t)entry->size_bytes);
}

static int list_as_json(const struct store_list *list, struct err *err)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < list->n_entries; i++) {
		if (json_array_append_new(array, entry_json(&list->entries[i]))) {
			json_decref(array);
			array = NULL;
		}
	}
	return output_json(array, err);
}

/* An image with several names has several entries, but one ID to print. */
static void list_as_ids(const struct store_list *list, bool no_trunc)
{
	for (size_t i = 0; i < list->n_entries; i++) {
		bool seen = false;

		for (size_t j = 0; j < i; j++)
			seen |= !strcmp(list->entries[j].id, list->entries[i].id);
		if (!seen)
			printf("%s%.*s\n", no_trunc ? DIGEST_PREFIX : "",
				no_trunc ? DIGEST_HEX_LEN : SHORT_ID_LEN, list->entries[i].id);
	}
}

/* Keep the entries that a user means by NAME[:TAG]. */
static void list_filter(struct store_list *list, const char *wanted)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->n_entries; i++) {
		char repository[CELL_MAX], tag[CELL_MAX];
		struct store_entry swap = list->entries[i];

		name_split(swap.name, repository, tag);
		if (!swap.name || (strcmp(swap.name, wanted) != 0 && strcmp(repository, wanted) != 0))
			continue;
		list->entries[i] = list->entries[kept];
		list->entries[kept++] = swap;
	}
	/* What is left out stays behind n_entries' back: give it to the list's own release first. */
	for (size_t i = kept; i < list->n_entries; i++) {
		free(list->entries[i].name);
		free(list->entries[i].created);
	}
	list->n_entries = kept;
}

static int list_print(struct store_list *list, const struct images_options *options, struct err *err)
{
	if (options->quiet)
		list_as_ids(list, options->no_trunc);
	else if (options->json)
		return list_as_json(list, err);
	else if (list_as_table(list, options))
		return err_sys(err, ENOMEM, "print the list");
	return output_flush(err);
}

static int images_list(const struct images_options *options, const struct operands *operands, struct err *err)
{
	struct store_list list = {0};
	struct store store;
	int ret = store_open(&store, options->store, 0, err);

	if (ret == -ENOENT) {
		/* No store yet is an empty one. */
		*err = ERR_INIT;
		return list_print(&list, options, err);
	}
	if (ret)
		return ret;
	ret = store_list(&store, &list, err);
	if (!ret && operands->n_items)
		list_filter(&list, operands->items[0]);
	if (!ret)
		ret = list_print(&list, options, err);
	store_list_done(&list);
	store_close(&store);
	return ret;
}

static int run_images(const struct command *self, int argc, char **argv)
{
	struct images_options options = {0};
	struct operands operands;
	struct err err = ERR_INIT;
	int ret = options_parse(self->options, OPTIONS_ANYWHERE, argc, argv, &options, &operands, &err);

	if (ret == OPTIONS_HELP)
		return help_command(self);
	if (!ret)
		ret = output_format(options.format, "table", &options.json, &err);
	if (ret || operands_wrong(operands.n_items, 0, 1, &err))
		return command_misused(self, &err);
	return images_list(&options, &operands, &err) ? command_fail(&err) : 0;
}

const struct command command_images = {
	.name = "images",
	.usage = "[OPTIONS] [NAME[:TAG]]",
	.summary = "List the images in the store",
	.description = "",
	.examples = "mvrun images\n"
		    "mvrun images -q --no-trunc\n"
		    "mvrun images --format json | jq '.[].Repository'\n",
	.options = images_options,
	.run = run_images,
};
