// SPDX-License-Identifier: Apache-2.0
/*
 * Command-line options, driven by one table per command.
 *
 * The table says everything there is to know about an option: how it is spelled, what it takes, where its
 * value goes and what the help says. Parsing, --help and the checks of the man page all read the same table,
 * so they cannot differ. Values arrive as text: what a text means is for the command to check, in one place.
 *
 * Spellings (getopt_long's and docker's): --name VALUE, --name=VALUE, -n VALUE, -nVALUE, -n=VALUE, several
 * flags in one word (-it), --flag=true|false, and "--" to end the options.
 */
#ifndef MVRUN_CLI_OPTIONS_H
#define MVRUN_CLI_OPTIONS_H

#include "base/err.h"

#include <stddef.h>

enum option_kind {
	OPTION_FLAG, /* bool */
	OPTION_TEXT, /* const char *; the last one counts */
	OPTION_LIST, /* struct option_list; in the order given */
};

struct option_list {
	const char **items; /* heap; the texts are the command line's */
	size_t n_items;
};

struct option {
	const char *name; /* without dashes; NULL ends a table */
	char letter; /* of the short form, or 0 */
	enum option_kind kind;
	const char *metavar; /* what the value is called; NULL for a flag */
	const char *help;
	const char *group; /* heading in the help; NULL: the one before, at first "Options" */
	size_t offset; /* of the value in the command's structure */
};

enum option_order {
	OPTIONS_FIRST, /* the first word that is no option ends the options */
	OPTIONS_ANYWHERE, /* options may stand between and behind the other words */
};

#define OPTIONS_HELP 1

/* The words that are not options; points into argv. */
struct operands {
	char **items;
	size_t n_items;
};

/*
 * Parse argv[1..argc) by table into values, a structure the caller has zeroed. argv may be reordered. 0,
 * OPTIONS_HELP when --help (or -h, where the table has no -h) was seen, or -EINVAL, -ENOMEM with err set to
 * one line.
 */
int options_parse(const struct option *table, enum option_order order, int argc, char **argv, void *values,
	struct operands *operands, struct err *err);

/* Free the lists in values. */
void options_done(const struct option *table, void *values);

/*
 * The candidate nearest to word if it is near enough to be what was meant, else NULL. candidates ends with
 * NULL.
 */
const char *nearest_word(const char *word, const char *const *candidates);

#endif
