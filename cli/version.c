// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"
#include "proto/frame.h"

#include <errno.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

struct version_options {
	const char *format;
};

static const struct option version_options[] = {
	{"format", 0, OPTION_TEXT, "text|json", "How to print it (text)", NULL,
		offsetof(struct version_options, format)},
	{0},
};

static int print_json(void)
{
	struct utsname host;
	json_t *version = NULL;
	int ret = uname(&host);

	if (!ret)
		version = json_pack("{s:s, s:i, s:s, s:s}", "Version", MVRUN_VERSION, "GuestProtocol",
			PROTO_VERSION, "Arch", host.machine, "HostKernel", host.release);
	if (!version || json_dumpf(version, stdout, JSON_INDENT(2)))
		ret = -1;
	putchar('\n');
	json_decref(version);
	return ret || fflush(stdout) ? EXIT_OURS : 0;
}

static int run_version(const struct command *self, int argc, char **argv)
{
	struct version_options options = {0};
	struct operands operands;
	struct err err = ERR_INIT;
	int ret = options_parse(self->options, OPTIONS_ANYWHERE, argc, argv, &options, &operands, &err);

	if (ret == OPTIONS_HELP)
		return help_command(self);
	if (!ret && options.format && strcmp(options.format, "json") != 0 &&
		strcmp(options.format, "text") != 0)
		ret = err_set(&err, EINVAL, "--format takes text or json, not \"%s\"", options.format);
	if (ret || operands_wrong(operands.n_items, 0, 0, &err))
		return command_misused(self, &err);
	if (options.format && !strcmp(options.format, "json"))
		return print_json();
	return printf("mvrun version " MVRUN_VERSION "\n") < 0 || fflush(stdout) ? EXIT_OURS : 0;
}

const struct command command_version = {
	.name = "version",
	.usage = "[OPTIONS]",
	.summary = "Print the version",
	.description = "",
	.examples = "mvrun version --format json\n",
	.options = version_options,
	.run = run_version,
};
