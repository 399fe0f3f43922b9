// SPDX-License-Identifier: Apache-2.0
/* mvrun run: one container in the foreground. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "cli/command.h"
#include "cli/imagecmd.h"
#include "cli/run_options.h"
#include "oci/runtime/paths.h"
#include "oci/runtime/session.h"
#include "oci/store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BOOT_TIMEOUT_S 60
#define BOOT_TIMEOUT_MAX_S 86400

/* Slow hosts (emulated ones above all) may need more time than anybody else should wait. */
static uint64_t boot_patience_ms(void)
{
	const char *text = getenv("MVRUN_BOOT_TIMEOUT_S");
	uint64_t seconds = BOOT_TIMEOUT_S;

	if (text && *text && (num_parse_u64(text, BOOT_TIMEOUT_MAX_S, &seconds) || !seconds))
		seconds = BOOT_TIMEOUT_S;
	return seconds * 1000;
}

/* A word that is nearly a command was probably meant as one. */
static void image_missing(const char *name, const struct store *store, struct err *err)
{
	const char *near = command_near(name);

	if (near && !strpbrk(name, ":/@"))
		err_set(err, ENOENT, "there is no image \"%s\" in %s; did you mean 'mvrun %s'?", name,
			store->path, near);
	else
		err_set(err, ENOENT,
			"there is no image \"%s\" in %s; 'mvrun load' brings one in, or run it from oci:DIR, "
			"oci-archive:FILE or docker-archive:FILE",
			name, store->path);
}

/* Find what the user named, loading it first where it names a place and not an image. */
static int image_find(struct store *store, const struct run_options *options, const char *name,
	const struct paths *paths, struct image *image, struct err *err)
{
	char loaded[IMAGE_NAME_MAX];
	struct image_id id;
	int ret;

	if (image_name_is_source(name)) {
		const struct image_request request = {.source = name,
			.store = store->path,
			.platform = options->platform,
			.max_image_size = options->max_image_size,
			.quiet = true,
			.degraded = options->degraded};

		ret = image_load(paths, &request, loaded, err);
		if (ret)
			return ret;
		name = loaded;
	}
	ret = store_resolve(store, name, &id, err);
	if (ret == -ENOENT) {
		image_missing(name, store, err);
		return -ENOENT;
	}
	if (ret)
		return ret;
	return image_open(store, &id, image, err);
}

/* Sources are loaded into the store, so it is made; a name means nothing in a store that is not there. */
static int store_find(
	struct store *store, const struct run_options *options, const char *name, struct err *err)
{
	int ret = store_open(store, options->store, image_name_is_source(name) ? STORE_CREATE : 0, err);

	if (ret == -ENOENT)
		image_missing(name, store, err);
	return ret;
}

/* An image for another processor could not run one instruction; one the user did not mean should not. */
static int platform_check(const struct image *image, const char *architecture, struct err *err)
{
	if (!strcmp(image->os, "linux") && !strcmp(image->architecture, architecture))
		return 0;
	return err_set(err, EINVAL, "the image is for the platform %s/%s, not linux/%s", image->os,
		image->architecture, architecture);
}

static int run_image(
	struct run_options *options, const struct operands *operands, uint64_t started_us, struct err *err)
{
	struct run_plan plan;
	struct paths paths;
	struct store store;
	struct image image = {0};
	int status = EXIT_OURS;

	if (run_plan_init(&plan, options, operands, err))
		goto out;
	if (paths_find(&paths, err) || store_find(&store, options, operands->items[0], err))
		goto out;
	if (!image_find(&store, options, operands->items[0], &paths, &image, err)) {
		struct session_config session = {
			.container = &plan.container,
			.machine = &plan.machine,
			.paths = &paths,
			.name = options->name,
			.patience_ms = boot_patience_ms(),
			.started_us = started_us,
			.timings = options->timings,
		};

		plan.machine.image = &image;
		if (!platform_check(&image, plan.architecture, err))
			status = session_run(&session, err);
		image_close(&image);
	}
	store_close(&store);
out:
	run_plan_done(&plan);
	return status;
}

static int run_run(const struct command *self, int argc, char **argv)
{
	uint64_t started_us = clock_now_us();
	struct run_options options = {0};
	struct operands operands;
	struct err err = ERR_INIT;
	int status = EXIT_OURS;
	int ret = options_parse(self->options, OPTIONS_FIRST, argc, argv, &options, &operands, &err);

	if (!ret && !operands.n_items)
		ret = err_set(&err, EINVAL, "an image is missing");
	if (ret == OPTIONS_HELP)
		status = help_command(self);
	else if (ret)
		status = command_misused(self, &err);
	else
		status = run_image(&options, &operands, started_us, &err);
	if (!ret && err.text[0])
		command_fail(&err);
	options_done(self->options, &options);
	return status;
}

const struct command command_run = {
	.name = "run",
	.usage = "[OPTIONS] IMAGE [COMMAND [ARG...]]",
	.summary = "Run a command in a container of its own virtual machine",
	.description =
		"IMAGE is the name or ID of a loaded image, or oci:DIR[:TAG], oci-archive:FILE[:TAG] or "
		"docker-archive:FILE[:TAG], which is loaded first. COMMAND takes the place of the image's "
		"own. The "
		"exit status is the command's; 128+n if signal n ended it, 127 if it was not found, 126 if "
		"it could "
		"not be executed, 125 if mvrun failed.",
	.examples = "mvrun run busybox uname -r\n"
		    "mvrun run -it --rm debian bash\n"
		    "mvrun run -m 2g --cpus 2 -e MODE=fast -w /src app:1.2 make\n"
		    "tar c . | mvrun run -i busybox tar t\n"
		    "mvrun oci-archive:app.tar\n",
	.options = run_option_table,
	.run = run_run,
};
