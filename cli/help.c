// SPDX-License-Identifier: Apache-2.0
/* Help, written from the tables that drive parsing. */
#include "cli/command.h"
#include "cli/output.h"

#include <stdio.h>
#include <string.h>

#define HELP_WIDTH 100
#define HELP_COLUMN 28 /* where the explanations of options begin */

/* Write text wrapped between column and HELP_WIDTH; the cursor is at column already. */
static void print_wrapped(const char *text, int column)
{
	int at = column;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (at > column && at + 1 + (int)len > HELP_WIDTH) {
			printf("\n%*s", column, "");
			at = column;
		} else if (at > column) {
			putchar(' ');
			at++;
		}
		fwrite(text, 1, len, stdout);
		at += (int)len;
		text += len;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static void print_option(const struct option *option)
{
	int used = option->letter ? printf("  -%c, --%s", option->letter, option->name)
				  : printf("      --%s", option->name);

	if (option->metavar)
		used += printf(" %s", option->metavar);
	if (used > HELP_COLUMN - 2) {
		putchar('\n');
		used = 0;
	}
	printf("%*s", HELP_COLUMN - used, "");
	print_wrapped(option->help, HELP_COLUMN);
}

static void print_examples(const char *examples)
{
	printf("\nExamples:\n");
	while (*examples) {
		size_t len = strcspn(examples, "\n");

		printf("  %.*s\n", (int)len, examples);
		examples += len + (examples[len] == '\n');
	}
}

int help_command(const struct command *command)
{
	printf("Usage: mvrun %s %s\n\n", command->name, command->usage);
	print_wrapped(command->summary, 0);
	if (command->description[0]) {
		putchar('\n');
		print_wrapped(command->description, 0);
	}
	if (command->options->name && !command->options->group)
		printf("\nOptions:\n");
	for (const struct option *o = command->options; o->name; o++) {
		if (o->group)
			printf("\n%s:\n", o->group);
		print_option(o);
	}
	if (command->examples[0])
		print_examples(command->examples);
	return output_end(0);
}

int help_program(void)
{
	printf("Usage: mvrun COMMAND [OPTIONS] [ARG...]\n"
	       "       mvrun [OPTIONS] IMAGE [COMMAND [ARG...]]     short for 'mvrun run'\n\n"
	       "Run container images, each in a virtual machine of its own.\n\nCommands:\n");
	for (const struct command *const *c = commands; *c; c++)
		printf("  %-10s %s\n", (*c)->name, (*c)->summary);
	print_examples("mvrun load oci-archive:app.tar\n"
		       "mvrun run -it busybox sh\n"
		       "mvrun busybox uname -r\n");
	printf("\n'mvrun COMMAND --help' says more about a command, mvrun(1) more about everything.\n");
	return output_end(0);
}

static const struct option help_options[] = {{0}};

static int run_help(const struct command *self, int argc, char **argv)
{
	struct operands operands;
	const struct command *command;
	struct err err = ERR_INIT;
	int ret = options_parse(self->options, OPTIONS_ANYWHERE, argc, argv, NULL, &operands, &err);

	if (ret == OPTIONS_HELP)
		return help_command(self);
	if (ret || operands_wrong(operands.n_items, 0, 1, &err))
		return command_misused(self, &err);
	if (!operands.n_items)
		return help_program();
	command = command_by_name(operands.items[0]);
	if (command)
		return help_command(command);
	err_set(&err, 0, "there is no command \"%s\"", operands.items[0]);
	return command_misused(self, &err);
}

const struct command command_help = {
	.name = "help",
	.usage = "[COMMAND]",
	.summary = "Say how mvrun or one of its commands is used",
	.description = "",
	.examples = "mvrun help run\n",
	.options = help_options,
	.run = run_help,
};
