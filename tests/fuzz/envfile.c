// SPDX-License-Identifier: Apache-2.0
/* Files of environment variables: every item has a name, lists stay in order, errors name the line. */
#include "tests/fuzz/fuzz.h"

#include "cli/envfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void items_check(const struct env_list *list, size_t lines)
{
	fuzz_require(list->n_items <= lines && list->n_owned <= list->n_items + lines);
	for (size_t i = 0; i < list->n_items; i++) {
		fuzz_require(list->items[i] && list->items[i][0] && list->items[i][0] != '=');
		fuzz_require(!strchr(list->items[i], '\n'));
		fuzz_note_text(list->items[i]);
	}
}

static size_t lines_of(const uint8_t *data, size_t len)
{
	size_t lines = 1;

	for (size_t i = 0; i < len; i++)
		lines += data[i] == '\n';
	return lines;
}

void fuzz_one(const uint8_t *data, size_t len)
{
	struct env_list list = ENV_LIST_INIT;
	struct err err = ERR_INIT;
	char *text = fuzz_text(data, len), path[32];
	int ret;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fuzz_file(0, data, len));
	ret = env_list_add_file(&list, path, &err);
	fuzz_require(err.code == -ret && (!ret || strstr(err.text, path)));
	if (!ret)
		items_check(&list, lines_of(data, len));
	fuzz_note_u64((uint64_t)ret);
	env_list_done(&list);
	/* The same text behind -e. */
	list = ENV_LIST_INIT;
	err = ERR_INIT;
	ret = env_list_add(&list, text, &err);
	fuzz_require(err.code == -ret && (!ret || err.text[0]));
	fuzz_require(ret || (list.n_items == 1 && list.items[0][0] != '='));
	env_list_done(&list);
	free(text);
}
