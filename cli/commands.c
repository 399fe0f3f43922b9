// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "cli/command.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

const struct command *const commands[] = {
	&command_run,
	&command_load,
	&command_images,
	&command_rmi,
	&command_inspect,
	&command_doctor,
	&command_version,
	&command_help,
	NULL,
};

const struct command *command_by_name(const char *name)
{
	for (const struct command *const *c = commands; *c; c++) {
		if (!strcmp((*c)->name, name))
			return *c;
	}
	return NULL;
}

const char *command_near(const char *name)
{
	const char *names[sizeof(commands) / sizeof(commands[0])] = {NULL};

	for (size_t i = 0; commands[i]; i++)
		names[i] = commands[i]->name;
	return nearest_word(name, names);
}

int command_fail(const struct err *err)
{
	log_error("%s", err->text);
	return EXIT_OURS;
}

int command_misused(const struct command *command, const struct err *err)
{
	log_error("%s: %s (see 'mvrun %s --help')", command->name, err->text, command->name);
	return EXIT_OURS;
}

bool operands_wrong(size_t n, size_t min, size_t max, struct err *err)
{
	if (n >= min && n <= max)
		return false;
	if (n < min)
		err_set(err, EINVAL, "%s", min == 1 ? "an argument is missing" : "arguments are missing");
	else if (max == 0)
		err_set(err, EINVAL, "takes no arguments");
	else
		err_set(err, EINVAL, "takes at most %zu argument%s, not %zu", max, max == 1 ? "" : "s", n);
	return true;
}
