// SPDX-License-Identifier: Apache-2.0
/* mvrun load: options in, mvrun-image does the rest in our place. */
#include "cli/command.h"
#include "cli/imagecmd.h"
#include "cli/values.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

struct load_options {
	struct image_request request; /* but for the source */
	const char *input;
};

#define AT(field) offsetof(struct load_options, field)

static const struct option load_options[] = {
	{"degraded", 0, OPTION_FLAG, NULL,
		"Load although this host cannot confine the decoder fully; says what is missing", NULL,
		AT(request.degraded)},
	{"input", 'i', OPTION_TEXT, "FILE", "Read FILE, as docker load has it", NULL, AT(input)},
	{"max-image-size", 0, OPTION_TEXT, "SIZE", "How much is taken at most, unpacked (64g)", NULL,
		AT(request.max_image_size)},
	{"name", 0, OPTION_TEXT, "NAME[:TAG]", "Name the image, instead of what its source calls it", NULL,
		AT(request.name)},
	{"platform", 0, OPTION_TEXT, "OS/ARCH[/VARIANT]",
		"Which one to take where there are several (this host's)", NULL, AT(request.platform)},
	{"quiet", 'q', OPTION_FLAG, NULL, "Print the image's ID and nothing else", NULL, AT(request.quiet)},
	{"store", 0, OPTION_TEXT, "DIR", "Where images are kept", NULL, AT(request.store)},
	{0},
};

#define SOURCES "oci:DIR, oci-archive:FILE, docker-archive:FILE, FILE"

/* That there is something to read. A directory is: oci:DIR by other means. */
static int input_check(struct err *err)
{
	int flags = fcntl(STDIN_FILENO, F_GETFL);

	/* output_init() has put something unreadable in the place of what was closed. */
	if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY || flags & O_PATH)
		return err_set(err, EBADF, "standard input is closed; name what to load: " SOURCES);
	if (isatty(STDIN_FILENO))
		return err_set(err, EINVAL, "name what to load: " SOURCES);
	return 0;
}

static int source_find(struct load_options *options, const struct operands *operands, struct err *err)
{
	const char *source = options->input;

	if (operands_wrong(operands->n_items, 0, 1, err))
		return -EINVAL;
	if (source && operands->n_items)
		return err_set(err, EINVAL, "two sources: --input and \"%s\"", operands->items[0]);
	if (!source)
		source = operands->n_items ? operands->items[0] : "-";
	options->request.source = source;
	return strcmp(source, "-") != 0 ? 0 : input_check(err);
}

static int options_check(struct load_options *options, const struct operands *operands, struct err *err)
{
	const char *size = options->request.max_image_size;

	if (size && value_image_size(size, err))
		return -EINVAL;
	return source_find(options, operands, err);
}

static int run_load(const struct command *self, int argc, char **argv)
{
	struct load_options options = {0};
	struct operands operands;
	struct err err = ERR_INIT;
	struct paths paths;
	int ret = options_parse(self->options, OPTIONS_ANYWHERE, argc, argv, &options, &operands, &err);

	if (ret == OPTIONS_HELP)
		return help_command(self);
	if (ret || options_check(&options, &operands, &err))
		return command_misused(self, &err);
	if (!paths_find(&paths, &err))
		image_load_exec(&paths, &options.request, &err);
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
