// SPDX-License-Identifier: Apache-2.0
/* mvrun doctor: what this host can do, and what to do about what it cannot. */
#include "cli/command.h"
#include "cli/output.h"
#include "oci/runtime/host_check.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

struct doctor_options {
	const char *format, *store;
	bool json;
};

static const struct option doctor_options[] = {
	{"format", 0, OPTION_TEXT, "text|json", "How to print the findings (text)", NULL,
		offsetof(struct doctor_options, format)},
	{"json", 0, OPTION_FLAG, NULL, "The same as --format json", NULL,
		offsetof(struct doctor_options, json)},
	{"store", 0, OPTION_TEXT, "DIR", "Where images are kept", NULL,
		offsetof(struct doctor_options, store)},
	{0},
};

static const char *const status_names[] = {
	[CHECK_OK] = "ok",
	[CHECK_INFO] = "info",
	[CHECK_FAILED] = "failed",
};

static void print_text(const struct check_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct check *check = &list->checks[i];

		printf("[%-6s] %-15s %s\n", status_names[check->status], check->name, check->detail);
		if (check->fix[0])
			printf("         %-15s -> %s\n", "", check->fix);
	}
	printf("\n%s\n", host_fit(list) ? "mvrun run works on this host."
					: "mvrun run does not work on this host: see what failed above.");
}

static int print_json(const struct check_list *list, struct err *err)
{
	json_t *checks = json_array();

	for (size_t i = 0; checks && i < list->n; i++) {
		const struct check *check = &list->checks[i];
		json_t *item = json_pack("{s:s, s:s, s:s, s:s}", "Name", check->name, "Status",
			status_names[check->status], "Detail", check->detail, "Fix", check->fix);

		if (json_array_append_new(checks, item)) {
			json_decref(checks);
			checks = NULL;
		}
	}
	return output_json(json_pack("{s:b, s:o}", "Ok", host_fit(list), "Checks", checks), err);
}

static int run_doctor(const struct command *self, int argc, char **argv)
{
	struct doctor_options options = {0};
	struct operands operands;
	struct check_list list;
	struct err err = ERR_INIT;
	bool json = false;
	int ret = options_parse(self->options, OPTIONS_ANYWHERE, argc, argv, &options, &operands, &err);

	if (ret == OPTIONS_HELP)
		return help_command(self);
	if (!ret)
		ret = output_format(options.format, "text", &json, &err);
	if (ret || operands_wrong(operands.n_items, 0, 0, &err))
		return command_misused(self, &err);
	host_check(&list, options.store);
	if (options.json || json) {
		ret = print_json(&list, &err);
	} else {
		print_text(&list);
		ret = output_flush(&err);
	}
	if (ret)
		return command_fail(&err);
	return host_fit(&list) ? 0 : 1;
}

const struct command command_doctor = {
	.name = "doctor",
	.usage = "[OPTIONS]",
	.summary = "Say what this host can do, and what to do about what it cannot",
	.description = "The exit status is 0 if 'mvrun run' can work here, 1 if not.",
	.examples = "mvrun doctor\n"
		    "mvrun doctor --json | jq -r '.Checks[] | select(.Status == \"failed\") | .Fix'\n",
	.options = doctor_options,
	.run = run_doctor,
};
