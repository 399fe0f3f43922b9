// SPDX-License-Identifier: Apache-2.0
/* The option parser: every spelling, every mistake, and where options end. */
#include "cli/command.h"
#include "cli/options.h"
#include "tests/unit/cm.h"

#include <errno.h>
#include <string.h>

struct values {
	bool interactive, tty;
	const char *workdir, *memory;
	struct option_list env;
};

static const struct option table[] = {
	{"interactive", 'i', OPTION_FLAG, NULL, "", NULL, offsetof(struct values, interactive)},
	{"tty", 't', OPTION_FLAG, NULL, "", NULL, offsetof(struct values, tty)},
	{"workdir", 'w', OPTION_TEXT, "DIR", "", NULL, offsetof(struct values, workdir)},
	{"memory", 0, OPTION_TEXT, "SIZE", "", NULL, offsetof(struct values, memory)},
	{"env", 'e', OPTION_LIST, "K", "", NULL, offsetof(struct values, env)},
	{0},
};

static struct values values;
static struct operands operands;
static struct err err;

/* Parse words separated by spaces. */
static int parse(enum option_order order, const char *line)
{
	static char text[512], name[] = "run";
	static char *argv[32];
	char *rest = text;
	int argc = 1;

	options_done(table, &values);
	values = (struct values){0};
	err = ERR_INIT;
	strncpy(text, line, sizeof(text) - 1);
	argv[0] = name;
	while (rest && *rest)
		argv[argc++] = strsep(&rest, " ");
	return options_parse(table, order, argc, argv, &values, &operands, &err);
}

static void test_spellings(void **state)
{
	(void)state;
	assert_int_equal(parse(OPTIONS_FIRST, "-it -w /a -e A=1 -eB=2 -e=C=3 --env D=4 --env=E=5 image"), 0);
	assert_true(values.interactive && values.tty);
	assert_string_equal(values.workdir, "/a");
	assert_int_equal(values.env.n_items, 5);
	assert_string_equal(values.env.items[0], "A=1");
	assert_string_equal(values.env.items[1], "B=2");
	assert_string_equal(values.env.items[2], "C=3");
	assert_string_equal(values.env.items[3], "D=4");
	assert_string_equal(values.env.items[4], "E=5");
	assert_int_equal(operands.n_items, 1);
	assert_int_equal(parse(OPTIONS_FIRST, "-itw/a image"), 0);
	assert_true(values.interactive && values.tty);
	assert_string_equal(values.workdir, "/a");
	assert_int_equal(parse(OPTIONS_FIRST, "-w /a --workdir=/b image"), 0);
	assert_string_equal(values.workdir, "/b");
	assert_int_equal(parse(OPTIONS_FIRST, "--workdir= image"), 0);
	assert_string_equal(values.workdir, "");
}

static void test_flags_take_truth_values(void **state)
{
	(void)state;
	assert_int_equal(parse(OPTIONS_FIRST, "--tty=true -i=true x"), 0);
	assert_true(values.tty && values.interactive);
	assert_int_equal(parse(OPTIONS_FIRST, "-t --tty=false x"), 0);
	assert_false(values.tty);
	assert_int_equal(parse(OPTIONS_FIRST, "--tty=0 x"), 0);
	assert_int_equal(parse(OPTIONS_FIRST, "--tty=maybe x"), -EINVAL);
	assert_string_equal(err.text, "--tty takes true or false, not \"maybe\"");
}

static void test_options_end_at_the_image(void **state)
{
	(void)state;
	assert_int_equal(parse(OPTIONS_FIRST, "-i image -t --nonsense -- -w"), 0);
	assert_true(values.interactive);
	assert_false(values.tty);
	assert_int_equal(operands.n_items, 5);
	assert_string_equal(operands.items[1], "-t");
	assert_string_equal(operands.items[3], "--");
	assert_int_equal(parse(OPTIONS_FIRST, "-i -- -t"), 0);
	assert_int_equal(operands.n_items, 1);
	assert_string_equal(operands.items[0], "-t");
	/* A dash alone is a word: standard input, by custom. */
	assert_int_equal(parse(OPTIONS_FIRST, "- -t"), 0);
	assert_int_equal(operands.n_items, 2);
}

static void test_options_anywhere(void **state)
{
	(void)state;
	assert_int_equal(parse(OPTIONS_ANYWHERE, "a -t b --workdir /x c -- -i d"), 0);
	assert_true(values.tty);
	assert_false(values.interactive);
	assert_int_equal(operands.n_items, 5);
	assert_string_equal(operands.items[0], "a");
	assert_string_equal(operands.items[1], "b");
	assert_string_equal(operands.items[2], "c");
	assert_string_equal(operands.items[3], "-i");
	assert_string_equal(operands.items[4], "d");
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *line, *text;
	} cases[] = {
		{"--memry 5 x", "unknown option --memry; did you mean --memory?"},
		{"--workdirr=/ x", "unknown option --workdirr; did you mean --workdir?"},
		{"--zzz x", "unknown option --zzz"},
		{"-ix x", "unknown option -x"},
		{"-w", "--workdir needs a value: --workdir DIR"},
		{"--memory", "--memory needs a value: --memory SIZE"},
		{"--=x y", "unknown option --"},
		/* A prefix is not the option, unlike in getopt_long: scripts should not depend on it. */
		{"--mem 5 x", "unknown option --mem"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(OPTIONS_FIRST, cases[i].line), -EINVAL);
		assert_string_equal(err.text, cases[i].text);
	}
}

static void test_help_is_everywhere(void **state)
{
	(void)state;
	assert_int_equal(parse(OPTIONS_FIRST, "--help"), OPTIONS_HELP);
	assert_int_equal(parse(OPTIONS_FIRST, "-i -h"), OPTIONS_HELP);
	assert_int_equal(parse(OPTIONS_ANYWHERE, "a --help"), OPTIONS_HELP);
	assert_int_equal(parse(OPTIONS_FIRST, "image --help"), 0);
}

static void test_nearest_word(void **state)
{
	static const char *const words[] = {"run", "images", "load", NULL};
	char longest[100];

	(void)state;
	assert_string_equal(nearest_word("imges", words), "images");
	assert_string_equal(nearest_word("runn", words), "run");
	assert_null(nearest_word("busybox", words));
	assert_null(nearest_word("", words));
	memset(longest, 'x', sizeof(longest));
	longest[99] = '\0';
	assert_null(nearest_word(longest, words));
}

/* The tables of the real commands: no letter or name twice, everything explained. */
static void test_tables_are_sound(void **state)
{
	(void)state;
	for (const struct command *const *c = commands; *c; c++) {
		for (const struct option *o = (*c)->options; o->name; o++) {
			assert_true(strlen(o->help) > 10);
			assert_true((o->kind == OPTION_FLAG) == (o->metavar == NULL));
			for (const struct option *p = o + 1; p->name; p++) {
				assert_string_not_equal(o->name, p->name);
				assert_false(o->letter && o->letter == p->letter);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_flags_take_truth_values),
		cmocka_unit_test(test_options_end_at_the_image),
		cmocka_unit_test(test_options_anywhere),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_help_is_everywhere),
		cmocka_unit_test(test_nearest_word),
		cmocka_unit_test(test_tables_are_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
