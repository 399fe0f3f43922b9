// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"
#include "cli/output.h"
#include "jail/confine.h"
#include "oci/runtime/running.h"

#include <errno.h>
#include <stddef.h>

struct inspect_options {
	const char *format;
};

static const struct option inspect_options[] = {
	{"format", 'f', OPTION_TEXT, "json", "How to print it (json)", NULL,
		offsetof(struct inspect_options, format)},
	{0},
};

static json_t *parts_json(uint32_t parts)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < JAIL_PARTS; i++) {
		if (parts & 1u << i)
			json_array_append_new(list, json_string(jail_part_name(1u << i)));
	}
	return list;
}

/* What the monitor reached, and what the kernel says of it now. */
static json_t *jail_json(const struct running *running)
{
	const uint32_t missing = running->jail_best & ~running->jail_reached;
	struct confinement now;
	json_t *jail;

	if (!running->monitor_pid || running_confinement(running, &now))
		return json_null();
	jail = json_pack("{s:o, s:o, s:b}", "Parts", parts_json(running->jail_reached), "Missing",
		parts_json(missing), "Degraded", (missing & ~(uint32_t)JAIL_CGROUP) != 0);
	json_object_update_new(jail, json_pack("{s:I, s:I, s:b, s:I}", "Uid", (json_int_t)now.uid,
					     "SeccompMode", (json_int_t)now.seccomp, "NoNewPrivileges",
					     now.no_new_privs, "Capabilities", (json_int_t)now.capabilities));
	return jail;
}

static json_t *container_json(const char *name, const struct running *running)
{
	return json_pack("{s:s, s:s, s:{s:s, s:i, s:i}, s:o}", "Id", running->id, "Name", name, "State",
		"Status", running->monitor_pid ? "running" : "created", "Pid", (int)running->pid,
		"MonitorPid", (int)running->monitor_pid, "Jail", jail_json(running));
}

static int run_inspect(const struct command *self, int argc, char **argv)
{
	struct inspect_options options = {0};
	struct operands operands;
	struct err err = ERR_INIT;
	struct running running;
	json_t *list;
	bool json;
	int ret = options_parse(self->options, OPTIONS_ANYWHERE, argc, argv, &options, &operands, &err);

	if (ret == OPTIONS_HELP)
		return help_command(self);
	if (!ret)
		ret = output_format(options.format, "json", &json, &err);
	if (ret || operands_wrong(operands.n_items, 1, SIZE_MAX, &err))
		return command_misused(self, &err);
	list = json_array();
	for (size_t i = 0; !ret && i < operands.n_items; i++) {
		ret = running_find(operands.items[i], &running, &err);
		if (!ret)
			json_array_append_new(list, container_json(operands.items[i], &running));
	}
	if (!ret)
		return output_json(list, &err) ? command_fail(&err) : 0;
	json_decref(list);
	return command_fail(&err);
}

const struct command command_inspect = {
	.name = "inspect",
	.usage = "[OPTIONS] CONTAINER...",
	.summary = "Show what is known of running containers, as JSON",
	.description = "CONTAINER is the name that --name gave. Jail says how the container's machine "
		       "monitor is confined: "
		       "the parts it reached, what this host could not do (with run --degraded), and what "
		       "the kernel says "
		       "of the process now.",
	.examples = "mvrun inspect web\n",
	.options = inspect_options,
	.run = run_inspect,
};
