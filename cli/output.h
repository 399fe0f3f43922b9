// SPDX-License-Identifier: Apache-2.0
/*
 * What commands print on standard output, and what becomes of them when it cannot be written: one line on
 * standard error that says why, and EXIT_OURS. Main thread.
 */
#ifndef MVRUN_CLI_OUTPUT_H
#define MVRUN_CLI_OUTPUT_H

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>

/*
 * Fill the places of standard streams that are closed, so that no file of ours gets their numbers and with it
 * what was meant for them. Reading and writing fail as if they were still closed. Before anything is opened.
 */
void output_init(void);

/*
 * --format FORMAT, for a command that can print as plain (its own word for it, the default) or as json. 0, or
 * -EINVAL with err set.
 */
int output_format(const char *format, const char *plain, bool *json, struct err *err);

/* Print json, which is released; NULL counts as out of memory. 0 or -errno with err set. */
int output_json(json_t *json, struct err *err);

/*
 * Write out what is buffered. 0, or -errno with err set when any of standard output's bytes were lost, now or
 * earlier.
 */
int output_flush(struct err *err);

/* The end of a command that would exit with status: the same, or EXIT_OURS where 0 would hide lost output. */
int output_end(int status);

#endif
