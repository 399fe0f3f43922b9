// SPDX-License-Identifier: Apache-2.0
/* Files of environment variables, as docker's and podman's --env-file reads them. */
#ifndef MVRUN_CLI_ENVFILE_H
#define MVRUN_CLI_ENVFILE_H

#include "base/err.h"

#include <stddef.h>

#define ENVFILE_MAX_BYTES (1u << 20)

struct env_list {
	const char **items; /* heap; "K=V" sets a variable, "K" removes it */
	size_t n_items;
	char **owned; /* heap texts behind some of the items */
	size_t n_owned;
};

#define ENV_LIST_INIT ((struct env_list){0})

/*
 * Add what -e was given: "K=V" as it is; "K" takes the value from our own environment, or removes the
 * variable where there is none. The text must outlive the list. 0 or -errno with err set.
 */
int env_list_add(struct env_list *list, const char *text, struct err *err);

/*
 * Add the variables of a file: one per line, blank lines and those that begin with # ignored, leading white
 * space ignored, everything behind the first '=' taken as it is. 0 or -errno with err set (and the line's
 * number).
 */
int env_list_add_file(struct env_list *list, const char *path, struct err *err);

void env_list_done(struct env_list *list);

#endif
