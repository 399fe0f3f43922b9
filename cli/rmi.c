// SPDX-License-Identifier: Apache-2.0
/* mvrun rmi: remove images. */
#include "base/log.h"
#include "cli/command.h"
#include "cli/output.h"
#include "oci/store/store.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct rmi_options {
	const char *store;
	bool force;
};

static const struct option rmi_options[] = {
	{"force", 'f', OPTION_FLAG, NULL, "Remove an image that has several names, and ignore missing ones",
		NULL, offsetof(struct rmi_options, force)},
	{"store", 0, OPTION_TEXT, "DIR", "Where images are kept", NULL, offsetof(struct rmi_options, store)},
	{0},
};

static void on_removed(void *ctx, const char *what, const char *name)
{
	(void)ctx;
	printf("%s: %s\n", what, name);
}

/* Each by itself, so that one that cannot go does not keep the others. Returns the exit status. */
static int remove_all(struct store *store, const struct operands *names, bool force)
{
	int status = 0;

	for (size_t i = 0; i < names->n_items; i++) {
		struct err err = ERR_INIT;
		int ret = store_remove(store, names->items[i], force, on_removed, NULL, &err);

		output_flush(NULL);
		if (!ret || (ret == -ENOENT && force))
			continue;
		log_error("%s", err.text);
		status = 1;
	}
	return status;
}

static int run_rmi(const struct command *self, int argc, char **argv)
{
	struct rmi_options options = {0};
	struct operands operands;
	struct err err = ERR_INIT;
	struct store store;
	int status,
		ret = options_parse(self->options, OPTIONS_ANYWHERE, argc, argv, &options, &operands, &err);

	if (ret == OPTIONS_HELP)
		return help_command(self);
	if (ret || operands_wrong(operands.n_items, 1, SIZE_MAX, &err))
		return command_misused(self, &err);
	ret = store_open(&store, options.store, 0, &err);
	if (ret == -ENOENT && options.force)
		return 0;
	if (ret) {
		command_fail(&err);
		return 1;
	}
	status = remove_all(&store, &operands, options.force);
	store_close(&store);
	return output_end(status);
}

const struct command command_rmi = {
	.name = "rmi",
	.usage = "[OPTIONS] IMAGE...",
	.summary = "Remove images by name or ID",
	.description =
		"An image that a container is running from is not removed. The exit status is 1 if any image "
		"could not be removed.",
	.examples = "mvrun rmi busybox\n"
		    "mvrun rmi $(mvrun images -q)\n",
	.options = rmi_options,
	.run = run_rmi,
};
