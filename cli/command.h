// SPDX-License-Identifier: Apache-2.0
/*
 * The commands of mvrun: one file each, one entry in the table of commands.c.
 */
#ifndef MVRUN_CLI_COMMAND_H
#define MVRUN_CLI_COMMAND_H

#include "base/err.h"
#include "cli/options.h"

#include <stdbool.h>

/* Exit statuses that are not the container's (docker's and podman's). */
#define EXIT_OURS 125
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND 127

struct command {
	const char *name;
	const char *usage; /* what follows the name */
	const char *summary; /* one line for the list of commands */
	const char *description; /* paragraphs below the usage line; "" for none */
	const char *examples; /* lines of shell; "" for none */
	const struct option *options;
	/* argv[0] is the command's name. Returns the exit status. */
	int (*run)(const struct command *self, int argc, char **argv);
};

extern const struct command command_run;
extern const struct command command_load;
extern const struct command command_images;
extern const struct command command_rmi;
extern const struct command command_inspect;
extern const struct command command_doctor;
extern const struct command command_version;
extern const struct command command_help;

/* NULL-terminated, in the order of the help. */
extern const struct command *const commands[];

const struct command *command_by_name(const char *name);

/* The command name that is nearly name, or NULL. */
const char *command_near(const char *name);

/* Write the help of one command, or of mvrun as a whole. Returns the exit status. */
int help_command(const struct command *command);
int help_program(void);

/* Print an error as one line. Returns EXIT_OURS. */
int command_fail(const struct err *err);

/* As command_fail, for a wrong command line: says where the help is. */
int command_misused(const struct command *command, const struct err *err);

/* True and the right error for a command that takes between min and max operands and got n. */
bool operands_wrong(size_t n, size_t min, size_t max, struct err *err);

#endif
