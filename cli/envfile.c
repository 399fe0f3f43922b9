// SPDX-License-Identifier: Apache-2.0
#include "cli/envfile.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\r\v\f"

static int no_memory(struct err *err)
{
	return err_sys(err, ENOMEM, "read the environment");
}

static int list_append(struct env_list *list, const char *text)
{
	const char **grown = realloc(list->items, (list->n_items + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	list->items = grown;
	grown[list->n_items++] = text;
	return 0;
}

/* Append a heap text that the list is to free, also when this fails. */
static int list_append_owned(struct env_list *list, char *text)
{
	char **grown = text ? realloc(list->owned, (list->n_owned + 1) * sizeof(*grown)) : NULL;

	if (!grown) {
		free(text);
		return -ENOMEM;
	}
	list->owned = grown;
	grown[list->n_owned++] = text;
	return list_append(list, text);
}

/* "K" alone: what it is here, or that it is not to be there. */
static int list_inherit(struct env_list *list, const char *name)
{
	const char *value = getenv(name);
	char *text;

	if (!value)
		return list_append_owned(list, strdup(name));
	if (asprintf(&text, "%s=%s", name, value) < 0)
		return -ENOMEM;
	return list_append_owned(list, text);
}

int env_list_add(struct env_list *list, const char *text, struct err *err)
{
	int ret;

	if (!*text || *text == '=')
		return err_set(err, EINVAL, "the environment variable \"%s\" has no name", text);
	ret = strchr(text, '=') ? list_append(list, text) : list_inherit(list, text);
	return ret ? no_memory(err) : 0;
}

/* A name with white space in it is a mistake: "export K=V", or "K = V". */
static bool name_valid(const char *line)
{
	size_t len = strcspn(line, "=");

	return len > 0 && strcspn(line, BLANKS) >= len;
}

static int add_line(struct env_list *list, const char *line, const char *path, size_t number, struct err *err)
{
	int ret;

	line += strspn(line, BLANKS);
	if (!*line || *line == '#')
		return 0;
	if (!name_valid(line))
		return err_set(
			err, EINVAL, "%s, line %zu: not a variable (NAME=VALUE or NAME)", path, number);
	ret = strchr(line, '=') ? list_append_owned(list, strdup(line)) : list_inherit(list, line);
	return ret ? no_memory(err) : 0;
}

int env_list_add_file(struct env_list *list, const char *path, struct err *err)
{
	auto_free char *text = NULL;
	size_t len, number = 0;
	char *line, *next;
	int ret = io_read_file(AT_FDCWD, path, ENVFILE_MAX_BYTES, &text, &len);

	if (ret == -EFBIG)
		return err_set(err, EFBIG, "the environment file %s is larger than 1 MiB", path);
	if (ret)
		return err_sys(err, ret, "read the environment file %s", path);
	if (strlen(text) != len)
		return err_set(err, EINVAL, "the environment file %s has a NUL byte in it", path);
	for (line = text; line && !ret; line = next) {
		char *end = strchr(line, '\n');

		next = end ? end + 1 : NULL;
		if (end && end > line && end[-1] == '\r')
			end--;
		if (end)
			*end = '\0';
		ret = add_line(list, line, path, ++number, err);
	}
	return ret;
}

void env_list_done(struct env_list *list)
{
	for (size_t i = 0; i < list->n_owned; i++)
		free(list->owned[i]);
	free(list->owned);
	free(list->items);
	*list = (struct env_list){0};
}
