// SPDX-License-Identifier: Apache-2.0
/* The options of run, and what they amount to. */
#ifndef MVRUN_CLI_RUN_OPTIONS_H
#define MVRUN_CLI_RUN_OPTIONS_H

#include "base/err.h"
#include "cli/envfile.h"
#include "cli/options.h"
#include "oci/runtime/container.h"
#include "oci/runtime/machine.h"

#include <stdbool.h>
#include <stddef.h>

/* As written on the command line. */
struct run_options {
	bool rm, interactive, tty, degraded, read_only, init, timings;
	struct option_list env, env_files, tmpfs, cap_add, cap_drop, ulimits, security;
	const char *working_dir, *user, *entrypoint, *name, *hostname, *memory, *cpus, *pids_limit, *kernel;
	const char *console_log, *max_image_size, *platform, *network, *stop_signal, *store;
};

extern const struct option run_option_table[];

/* As checked: what the container and its machine are to be. Points into the options and operands. */
struct run_plan {
	struct container_config container;
	struct machine_config machine; /* without the image */
	const char *architecture; /* the image's is to be this one */
	struct env_list env;
	struct spec_mount *mounts;
	char **mount_texts;
	struct spec_rlimit *rlimits;
};

/*
 * Check every value. 0, or -EINVAL, -ENOMEM with err set to one line. Ended by run_plan_done(), also after a
 * failure.
 */
int run_plan_init(struct run_plan *plan, const struct run_options *options, const struct operands *operands,
	struct err *err);
void run_plan_done(struct run_plan *plan);

#endif
