// SPDX-License-Identifier: Apache-2.0
/*
 * mvrun: containers in virtual machines, the command line.
 *
 * Theory of operation. main finds the command in a table and calls it; a first word that is no command is an
 * image (or an option of run), so "mvrun busybox true" is "mvrun run busybox true". There is no other global
 * state than the log level. `run` is the path whose cost is counted: it opens, starts the virtual machine
 * monitor, and does everything that can wait while the guest boots (oci/runtime/session.c).
 */
#include "base/log.h"
#include "cli/command.h"
#include "cli/output.h"

#include <stdlib.h>
#include <string.h>

static int run_short(int argc, char **argv)
{
	/* argv[-1] is not ours: run's own argv begins at the program's name. */
	argv[0] = (char *)(uintptr_t)command_run.name;
	return command_run.run(&command_run, argc, argv);
}

int main(int argc, char **argv)
{
	const struct command *command;
	const char *debug = getenv("MVRUN_DEBUG");

	output_init();
	log_init("mvrun", debug && *debug && strcmp(debug, "0") != 0 ? LOG_DEBUG : LOG_WARN);
	if (argc < 2) {
		help_program();
		return EXIT_OURS;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return help_program();
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-v"))
		return command_version.run(&command_version, 1, argv + 1);
	command = command_by_name(argv[1]);
	if (!command)
		return run_short(argc, argv);
	return command->run(command, argc - 1, argv + 1);
}
