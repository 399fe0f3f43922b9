// SPDX-License-Identifier: Apache-2.0
/* mvrun load: options in, mvrun-image does the rest in our place. */
#include "cli/command.h"
#include "cli/imagecmd.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

struct load_options {
	const char *input, *name, *platform, *store;
	bool quiet;
};

static const struct option load_options[] = {
	{"input", 'i', OPTION_TEXT, "FILE", "Read FILE, as docker load has it", NULL,
		offsetof(struct load_options, input)},
	{"name", 0, OPTION_TEXT, "NAME[:TAG]", "Name the image, instead of what its source calls it", NULL,
		offsetof(struct load_options, name)},
	{"platform", 0, OPTION_TEXT, "OS/ARCH[/VARIANT]",
		"Which one to take where there are several (this host's)", NULL,
		offsetof(struct load_options, platform)},
	{"quiet", 'q', OPTION_FLAG, NULL, "Print the image's ID and nothing else", NULL,
		offsetof(struct load_options, quiet)},
	{"store", 0, OPTION_TEXT, "DIR", "Where images are kept", NULL, offsetof(struct load_options, store)},
	{0},
};

static int source_find(const struct load_options *options, const struct operands *operands,
	const char **source, struct err *err)
{
	if (operands_wrong(operands->n_items, 0, 1, err))
		return -EINVAL;
	if (options->input && operands->n_items)
		return err_set(err, EINVAL, "two sources: --input and \"%s\"", operands->items[0]);
	*source = options->input ? options->input : operands->n_items ? operands->items[0] : "-";
	if ((*source)[0] == '-' && !(*source)[1] && isatty(STDIN_FILENO))
		return err_set(err, EINVAL,
			"name what to load: oci:DIR, oci-archive:FILE, docker-archive:FILE, FILE");
	return 0;
}

static int load_exec(const struct load_options *options, const char *source, struct err *err)
{
	const char *args[IMAGE_ARGS_MAX], *const pairs[][2] = {{"--name", options->name},
						  {"--platform", options->platform},
						  {"--store", options->store}};
	struct paths paths;
	size_t n = 0;
	int ret = paths_find(&paths, err);

	if (ret)
		return ret;
	args[n++] = "load";
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (pairs[i][1]) {
			args[n++] = pairs[i][0];
			args[n++] = pairs[i][1];
		}
	}
	if (options->quiet)
		args[n++] = "--quiet";
	/* Not to be taken for an option, whatever it is called. */
	args[n++] = "--";
	args[n++] = source;
	args[n] = NULL;
	return image_exec(&paths, args, err);
}

static int run_load(const struct command *self, int argc, char **argv)
{
	struct load_options options = {0};
	struct operands operands;
	struct err err = ERR_INIT;
	const char *source = NULL;
	int ret = options_parse(self->options, OPTIONS_ANYWHERE, argc, argv, &options, &operands, &err);

	if (ret == OPTIONS_HELP)
		return help_command(self);
	if (ret || source_find(&options, &operands, &source, &err))
		return command_misused(self, &err);
	load_exec(&options, source, &err);
	return command_fail(&err);
}

const struct command command_load = {
	.name = "load",
	.usage = "[OPTIONS] [SOURCE]",
	.summary = "Bring an image from disk into the store",
	.description =
		"SOURCE is oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:TAG], or a file or "
		"directory of one of these kinds. Without SOURCE, or with -, standard input is read.",
	.examples = "mvrun load oci-archive:app.tar\n"
		    "mvrun load --name app:1.2 oci:build/image:latest\n"
		    "docker save app | mvrun load\n",
	.options = load_options,
	.run = run_load,
};
