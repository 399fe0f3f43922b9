// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"
#include "cli/output.h"
#include "proto/frame.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/utsname.h>

struct version_options {
	const char *format;
};

static const struct option version_options[] = {
	{"format", 0, OPTION_TEXT, "text|json", "How to print it (text)", NULL,
		offsetof(struct version_options, format)},
	{0},
};

static int print_json(struct err *err)
{
	struct utsname host;

	if (uname(&host))
		return err_sys(err, errno, "ask the kernel for its name");
	return output_json(json_pack("{s:s, s:i, s:s, s:s}", "Version", MVRUN_VERSION, "GuestProtocol",
				   PROTO_VERSION, "Arch", host.machine, "HostKernel", host.release),
		err);
}

static int run_version(const struct command *self, int argc, char **argv)
{
	struct version_options options = {0};
	struct operands operands;
	struct err err = ERR_INIT;
	bool json = false;
	int ret = options_parse(self->options, OPTIONS_ANYWHERE, argc, argv, &options, &operands, &err);

	if (ret == OPTIONS_HELP)
		return help_command(self);
	if (!ret)
		ret = output_format(options.format, "text", &json, &err);
	if (ret || operands_wrong(operands.n_items, 0, 0, &err))
		return command_misused(self, &err);
	if (json)
		return print_json(&err) ? command_fail(&err) : 0;
	printf("mvrun version " MVRUN_VERSION "\n");
	return output_end(0);
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
