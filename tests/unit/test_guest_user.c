// SPDX-License-Identifier: Apache-2.0
/* Who the container runs as: docker's rules, and files of the image that do not want to be read. */
#include "guest-init/failure.c"
#include "guest-init/path.c"
#include "guest-init/user.c"

#include "tests/unit/cm.h"

#include <stdio.h>
#include <stdlib.h>

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "# a comment: with colons: all: the: way: here\n"
			     "\n"
			     "broken\n"
			     "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
			     "web:x:1000:1001:Web,,,:/home/web:/bin/sh\n"
			     "web:x:1002:1002:second of that name:/elsewhere:/bin/sh\n"
			     "42:x:4242:4243:name is a number:/n:/bin/sh\n"
			     "huge:x:4294967296:0::/:/bin/sh\n"
			     "minus:x:-1:0::/:/bin/sh\n"
			     "nohome:x:1005:1005:::\n"
			     "last:x:1006:1006::/last:/bin/sh";

static const char group[] = "root:x:0:\n"
			    "wheel:x:10:root,web\n"
			    "almost:x:11:webby,aweb,we\n"
			    "web:x:1001:\n"
			    "logs:x:12:daemon,web,root\n"
			    "bad:x:99999999999:web\n"
			    "short:x\n";

static struct user user;
static struct failure failure;

static struct user_text text_of(const char *text)
{
	return (struct user_text){text, strlen(text)};
}

static int resolve(const char *wanted)
{
	memset(&user, 0xee, sizeof(user));
	memset(&failure, 0, sizeof(failure));
	return user_resolve(wanted, text_of(passwd), text_of(group), &user, &failure);
}

static void assert_user(const char *wanted, uid_t uid, gid_t gid, const char *home, const char *groups)
{
	char have[256] = "";

	assert_int_equal(resolve(wanted), 0);
	assert_int_equal(user.uid, uid);
	assert_int_equal(user.gid, gid);
	assert_string_equal(user.home, home);
	for (size_t i = 0; i < user.n_groups; i++)
		snprintf(have + strlen(have), sizeof(have) - strlen(have), "%u ", user.groups[i]);
	assert_string_equal(have, groups);
}

static void test_names_and_numbers(void **state)
{
	(void)state;
	assert_user("", 0, 0, "/root", "10 12 ");
	assert_user("root", 0, 0, "/root", "10 12 ");
	assert_user("0", 0, 0, "/root", "10 12 ");
	assert_user("web", 1000, 1001, "/home/web", "10 12 ");
	/* A number with a line is that line's user, additional groups and all. */
	assert_user("1000", 1000, 1001, "/home/web", "10 12 ");
	/* Without one it is only itself. */
	assert_user("5000", 5000, 0, "/", "");
	assert_user("nohome", 1005, 1005, "/", "");
	assert_user("last", 1006, 1006, "/last", "");
	assert_user("2147483647", 2147483647, 0, "/", "");
}

static void test_a_group_that_is_asked_for_is_the_only_one(void **state)
{
	(void)state;
	assert_user("web:wheel", 1000, 10, "/home/web", "");
	assert_user("web:12", 1000, 12, "/home/web", "");
	assert_user("web:777", 1000, 777, "/home/web", "");
	assert_user("5000:6000", 5000, 6000, "/", "");
	assert_user(":wheel", 0, 10, "/root", "");
	assert_user("web:", 1000, 1001, "/home/web", "10 12 ");
}

/* "42" is the name of one user and no uid of another: the first line that matches either wins. */
static void test_first_match_wins(void **state)
{
	(void)state;
	assert_user("42", 4242, 4243, "/n", "");
	assert_user("1002", 1002, 1002, "/elsewhere", "10 12 ");
}

static void assert_refused(const char *wanted, const char *text)
{
	assert_true(resolve(wanted) < 0);
	assert_int_equal(failure.exit_status, 125);
	assert_string_equal(failure.text, text);
}

static void test_what_is_refused(void **state)
{
	char long_name[300];

	(void)state;
	assert_refused("nobody", "unable to find user nobody: no matching entries in passwd file");
	assert_refused("huge", "unable to find user huge: no matching entries in passwd file");
	assert_refused("minus", "unable to find user minus: no matching entries in passwd file");
	assert_refused("-1", "unable to find user -1: no matching entries in passwd file");
	assert_refused("0x0", "unable to find user 0x0: no matching entries in passwd file");
	assert_refused(" 0", "unable to find user  0: no matching entries in passwd file");
	assert_refused("4294967296", "user id 4294967296 is out of range (0 to 2147483647)");
	assert_refused("4294967295", "user id 4294967295 is out of range (0 to 2147483647)");
	assert_refused(
		"18446744073709551616", "user id 18446744073709551616 is out of range (0 to 2147483647)");
	assert_refused("web:nogroup", "unable to find group nogroup: no matching entries in group file");
	assert_refused("web:2147483648", "group id 2147483648 is out of range (0 to 2147483647)");
	assert_refused("a\nb", "unable to find user a?b: no matching entries in passwd file");
	memset(long_name, 'a', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	assert_true(resolve(long_name) < 0);
}

static void test_no_files(void **state)
{
	struct user_text none = {NULL, 0};

	(void)state;
	assert_int_equal(user_resolve("", none, none, &user, &failure), 0);
	assert_int_equal(user.uid, 0);
	assert_string_equal(user.home, "/");
	assert_int_equal(user_resolve("7:8", none, none, &user, &failure), 0);
	assert_int_equal(user.gid, 8);
	assert_true(user_resolve("root", none, none, &user, &failure) < 0);
}

static void test_hostile_lines(void **state)
{
	static char home[2 * USER_HOME_MAX + 64], members[USER_GROUPS_MAX * 24 + 64];
	static const char nul_home[] = "root:x:0:0::/a\0b:\n";
	size_t used = 0;

	(void)state;
	snprintf(home, sizeof(home), "root:x:0:0::/");
	memset(home + strlen(home), 'h', USER_HOME_MAX);
	assert_true(user_resolve("", text_of(home), text_of(""), &user, &failure) < 0);
	assert_true(user_resolve("", (struct user_text){nul_home, sizeof(nul_home) - 1}, text_of(""), &user,
			    &failure) < 0);
	for (int i = 0; i < USER_GROUPS_MAX; i++)
		used += (size_t)snprintf(members + used, sizeof(members) - used, "g%d:x:%d:root\n", i, i + 1);
	assert_int_equal(user_resolve("", text_of(passwd), text_of(members), &user, &failure), 0);
	assert_int_equal(user.n_groups, USER_GROUPS_MAX);
	snprintf(members + used, sizeof(members) - used, "one:x:5000:root\n");
	assert_true(user_resolve("", text_of(passwd), text_of(members), &user, &failure) < 0);
}

/* The same through a root directory: links stay inside, and what is no file is not read. */
static void test_lookup_stays_in_the_root(void **state)
{
	char root[] = "/tmp/guest-user-XXXXXX", path[64];
	int root_fd, fd;

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/etc", root);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/etc/real", root);
	fd = open(path, O_WRONLY | O_CREAT, 0644);
	assert_true(write(fd, "app:x:77:78::/app:\n", 19) == 19);
	close(fd);
	snprintf(path, sizeof(path), "%s/etc/passwd", root);
	assert_int_equal(symlink("/../../etc/real", path), 0);
	root_fd = open(root, O_PATH | O_DIRECTORY);
	assert_int_equal(user_lookup(root_fd, "app", &user, &failure), 0);
	assert_int_equal(user.uid, 77);
	/* The host has a root, this image has not. */
	assert_true(user_lookup(root_fd, "root", &user, &failure) < 0);
	snprintf(path, sizeof(path), "%s/etc/group", root);
	assert_int_equal(mkfifo(path, 0644), 0);
	assert_true(user_lookup(root_fd, "app", &user, &failure) < 0);
	assert_string_equal(failure.text, "the image's /etc/group is not a regular file");
	close(root_fd);
	snprintf(path, sizeof(path), "rm -rf %s", root);
	assert_int_equal(system(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_numbers),
		cmocka_unit_test(test_a_group_that_is_asked_for_is_the_only_one),
		cmocka_unit_test(test_first_match_wins),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_no_files),
		cmocka_unit_test(test_hostile_lines),
		cmocka_unit_test(test_lookup_stays_in_the_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
