// SPDX-License-Identifier: Apache-2.0
#include "cli/options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_MAX 64
#define WORD_MAX 40

struct parser {
	const struct option *table;
	char **argv;
	int argc;
	int at; /* the next word */
	void *values;
	struct err *err;
};

static void *value_of(const struct option *option, void *values)
{
	return (char *)values + option->offset;
}

static const struct option *option_by_name(const struct option *table, const char *name, size_t len)
{
	for (; table->name; table++) {
		if (!strncmp(table->name, name, len) && !table->name[len])
			return table;
	}
	return NULL;
}

static const struct option *option_by_letter(const struct option *table, char letter)
{
	for (; table->name; table++) {
		if (table->letter == letter)
			return table;
	}
	return NULL;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Levenshtein distance of words of less than WORD_MAX bytes, one row at a time. */
static size_t word_distance(const char *a, const char *b)
{
	size_t row[WORD_MAX], len = strlen(b);

	for (size_t j = 0; j <= len; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= len; j++) {
			size_t above = row[j];

			row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[len];
}

const char *nearest_word(const char *word, const char *const *candidates)
{
	const char *best = NULL;
	size_t best_distance = strlen(word) / 3 + 1;

	if (strlen(word) >= WORD_MAX)
		return NULL;
	for (; *candidates; candidates++) {
		size_t distance;

		if (strlen(*candidates) >= WORD_MAX)
			continue;
		distance = word_distance(word, *candidates);
		if (distance <= best_distance && distance < strlen(*candidates)) {
			/* Strictly nearer from now on: of equals the first stays. */
			best = *candidates;
			if (!distance)
				break;
			best_distance = distance - 1;
		}
	}
	return best;
}

static int unknown_option(struct parser *p, const char *name, size_t len)
{
	const char *candidates[TABLE_MAX + 1], *near;
	char word[WORD_MAX] = "";
	size_t n = 0;

	for (const struct option *o = p->table; o->name && n < TABLE_MAX; o++)
		candidates[n++] = o->name;
	candidates[n] = NULL;
	if (len < sizeof(word))
		memcpy(word, name, len);
	near = nearest_word(word, candidates);
	if (near)
		return err_set(
			p->err, EINVAL, "unknown option --%.*s; did you mean --%s?", (int)len, name, near);
	return err_set(p->err, EINVAL, "unknown option --%.*s", (int)len, name);
}

static int flag_set(struct parser *p, const struct option *option, const char *text)
{
	static const char *const yes[] = {"true", "1", "t", "T", "TRUE", "True"};
	static const char *const no[] = {"false", "0", "f", "F", "FALSE", "False"};
	bool *flag = value_of(option, p->values);

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (!text || !strcmp(text, yes[i])) {
			*flag = true;
			return 0;
		}
		if (!strcmp(text, no[i])) {
			*flag = false;
			return 0;
		}
	}
	return err_set(p->err, EINVAL, "--%s takes true or false, not \"%s\"", option->name, text);
}

static int list_add(struct option_list *list, const char *text)
{
	const char **grown = realloc(list->items, (list->n_items + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	grown[list->n_items++] = text;
	list->items = grown;
	return 0;
}

static int value_set(struct parser *p, const struct option *option, const char *text)
{
	switch (option->kind) {
	case OPTION_FLAG:
		return flag_set(p, option, text);
	case OPTION_TEXT:
		*(const char **)value_of(option, p->values) = text;
		return 0;
	case OPTION_LIST:
		if (list_add(value_of(option, p->values), text))
			return err_sys(p->err, ENOMEM, "--%s", option->name);
		return 0;
	}
	return -EINVAL;
}

/* The value is in the next word. */
static int value_take(struct parser *p, const struct option *option)
{
	if (p->at == p->argc)
		return err_set(p->err, EINVAL, "--%s needs a value: --%s %s", option->name, option->name,
			option->metavar);
	return value_set(p, option, p->argv[p->at++]);
}

static int parse_long(struct parser *p, const char *word)
{
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	const struct option *option = option_by_name(p->table, word, len);

	if (!option && len == 4 && !strncmp(word, "help", 4))
		return OPTIONS_HELP;
	if (!option)
		return unknown_option(p, word, len);
	if (equals)
		return value_set(p, option, equals + 1);
	if (option->kind == OPTION_FLAG)
		return value_set(p, option, NULL);
	return value_take(p, option);
}

/* One word of letters: flags, of which the last may be an option whose value is the rest of the word. */
static int parse_letters(struct parser *p, const char *word)
{
	for (; *word; word++) {
		const struct option *option = option_by_letter(p->table, *word);
		int ret;

		if (!option && *word == 'h')
			return OPTIONS_HELP;
		if (!option)
			return err_set(p->err, EINVAL, "unknown option -%c", *word);
		if (word[1] == '=')
			return value_set(p, option, word + 2);
		if (option->kind != OPTION_FLAG)
			return word[1] ? value_set(p, option, word + 1) : value_take(p, option);
		ret = value_set(p, option, NULL);
		if (ret)
			return ret;
	}
	return 0;
}

int options_parse(const struct option *table, enum option_order order, int argc, char **argv, void *values,
	struct operands *operands, struct err *err)
{
	struct parser p = {.table = table, .argv = argv, .argc = argc, .at = 1, .values = values, .err = err};

	/* The operands move to the front of argv, behind the command's name. */
	*operands = (struct operands){.items = argv + 1};
	while (p.at < argc) {
		char *word = argv[p.at++];
		int ret;

		if (word[0] != '-' || !word[1]) {
			operands->items[operands->n_items++] = word;
			if (order == OPTIONS_ANYWHERE)
				continue;
			break;
		}
		if (!strcmp(word, "--"))
			break;
		ret = word[1] == '-' ? parse_long(&p, word + 2) : parse_letters(&p, word + 1);
		if (ret)
			return ret;
	}
	while (p.at < argc)
		operands->items[operands->n_items++] = argv[p.at++];
	return 0;
}

void options_done(const struct option *table, void *values)
{
	for (; table->name; table++) {
		if (table->kind == OPTION_LIST) {
			struct option_list *list = value_of(table, values);

			free(list->items);
			*list = (struct option_list){0};
		}
	}
}
