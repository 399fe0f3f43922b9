// SPDX-License-Identifier: Apache-2.0
/* From an image's configuration and the user's wishes to the spec that guest-init gets. */
#include "base/buf.h"
#include "oci/runtime/capability.h"
#include "oci/runtime/container.h"
#include "proto/frame.h"
#include "tests/unit/cm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char entry[] = "/entry", cmd_a[] = "serve", cmd_b[] = "--fast", env_a[] = "PATH=/image/bin",
	    env_b[] = "MODE=image", env_c[] = "BARE", user[] = "app:www", dir[] = "/srv", stop[] = "SIGQUIT",
	    empty[] = "", word_a[] = "sh", word_b[] = "-c";
static char *entrypoint[] = {entry}, *cmd[] = {cmd_a, cmd_b}, *env[] = {env_a, env_b, env_c};
static char *words[] = {word_a, word_b};

static struct image image_make(void)
{
	return (struct image){.user = user,
		.working_dir = dir,
		.stop_signal = stop,
		.entrypoint = {entrypoint, 1},
		.cmd = {cmd, 2},
		.env = {env, 3}};
}

static struct image image_empty(void)
{
	return (struct image){.user = empty, .working_dir = empty, .stop_signal = empty};
}

static struct container_spec made;
static struct err err;

static int make(const struct container_config *config, const struct image *image)
{
	container_spec_done(&made);
	err = ERR_INIT;
	return container_spec_init(&made, config, image, ID, &err);
}

static void assert_args(const char *joined)
{
	char text[256] = "";

	for (size_t i = 0; i < made.spec.n_args; i++) {
		if (i)
			strncat(text, " ", sizeof(text) - strlen(text) - 1);
		strncat(text, made.spec.args[i], sizeof(text) - strlen(text) - 1);
	}
	assert_null(made.spec.args[made.spec.n_args]);
	assert_string_equal(text, joined);
}

static const char *variable(const char *name)
{
	const char *found = NULL;

	for (size_t i = 0; i < made.spec.n_env; i++) {
		if (!strncmp(made.spec.env[i], name, strlen(name)) && made.spec.env[i][strlen(name)] == '=') {
			assert_null(found);
			found = made.spec.env[i] + strlen(name) + 1;
		}
	}
	assert_null(made.spec.env[made.spec.n_env]);
	return found;
}

/* image-spec, conversion.md, and docker's --entrypoint. */
static void test_command(void **state)
{
	struct image image = image_make();
	struct container_config config = {0};

	(void)state;
	assert_int_equal(make(&config, &image), 0);
	assert_args("/entry serve --fast");
	config.args = words;
	config.n_args = 2;
	assert_int_equal(make(&config, &image), 0);
	assert_args("/entry sh -c");
	config.entrypoint = "/other";
	assert_int_equal(make(&config, &image), 0);
	assert_args("/other sh -c");
	config.n_args = 0;
	assert_int_equal(make(&config, &image), 0);
	assert_args("/other");
	config.entrypoint = "";
	assert_int_equal(make(&config, &image), -EINVAL);
	assert_non_null(strstr(err.text, "no command"));
	config.n_args = 2;
	assert_int_equal(make(&config, &image), 0);
	assert_args("sh -c");
}

static void test_environment(void **state)
{
	static const char *const wishes[] = {"MODE=user", "A=1", "A=2", "GONE=1", "GONE", "PATHX=1"};
	struct image image = image_make(), bare = image_empty();
	struct container_config config = {.args = words, .n_args = 1, .env = wishes, .n_env = 6};

	(void)state;
	assert_int_equal(make(&config, &image), 0);
	assert_string_equal(variable("PATH"), "/image/bin");
	assert_string_equal(variable("MODE"), "user");
	assert_string_equal(variable("A"), "2");
	assert_null(variable("GONE"));
	assert_null(variable("BARE"));
	assert_string_equal(variable("PATHX"), "1");
	assert_string_equal(variable("HOSTNAME"), "0123456789ab");
	assert_null(variable("TERM"));
	config.terminal = true;
	config.hostname = "web";
	assert_int_equal(make(&config, &bare), 0);
	assert_string_equal(variable("TERM"), "xterm");
	assert_string_equal(variable("HOSTNAME"), "web");
	assert_string_equal(variable("PATH"), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	config.n_env = CONTAINER_ENV_MAX + 1;
	assert_int_equal(make(&config, &bare), -EINVAL);
}

static void test_user_directory_signal(void **state)
{
	struct image image = image_make(), bare = image_empty();
	struct container_config config = {.args = words, .n_args = 1};
	static char wrong[] = "SIGNOTHING", relative[] = "srv";

	(void)state;
	assert_int_equal(make(&config, &image), 0);
	assert_string_equal(made.spec.user, "app:www");
	assert_string_equal(made.spec.cwd, "/srv");
	assert_int_equal(made.stop_signal, SIGQUIT);
	assert_int_equal(make(&config, &bare), 0);
	assert_string_equal(made.spec.user, "");
	assert_string_equal(made.spec.cwd, "/");
	assert_int_equal(made.stop_signal, SIGTERM);
	config.user = "root";
	config.working_dir = "/x";
	config.stop_signal = SIGINT;
	image.stop_signal = wrong;
	assert_int_equal(make(&config, &image), 0);
	assert_string_equal(made.spec.user, "root");
	assert_string_equal(made.spec.cwd, "/x");
	assert_int_equal(made.stop_signal, SIGINT);
	config.stop_signal = 0;
	assert_int_equal(make(&config, &image), -EINVAL);
	config.working_dir = "x";
	image.stop_signal = empty;
	assert_int_equal(make(&config, &image), -EINVAL);
	config.working_dir = NULL;
	image.working_dir = relative;
	assert_int_equal(make(&config, &image), -EINVAL);
	assert_non_null(strstr(err.text, "not an absolute path"));
}

static const struct spec_mount *mount_at(const char *target)
{
	const struct spec_mount *found = NULL;

	for (size_t i = 0; i < made.spec.n_mounts; i++) {
		if (!strcmp(made.spec.mounts[i].target, target)) {
			assert_null(found);
			found = &made.spec.mounts[i];
		}
	}
	return found;
}

static void test_mounts_and_limits(void **state)
{
	static const struct spec_mount mine[] = {
		{"/dev/shm", "tmpfs", "tmpfs", "size=1m", 0}, {"/run", "tmpfs", "tmpfs", "", 0}};
	static const struct spec_rlimit limits[] = {{RLIMIT_NOFILE, 5, 6}, {RLIMIT_CORE, 0, 0}};
	struct image bare = image_empty();
	struct container_config config = {.args = words, .n_args = 1};

	(void)state;
	assert_int_equal(make(&config, &bare), 0);
	assert_string_equal(mount_at("/dev/shm")->data, "mode=1777,size=65536k");
	assert_non_null(mount_at("/proc"));
	assert_non_null(mount_at("/sys/fs/cgroup"));
	assert_int_equal(made.spec.n_rlimits, 1);
	config.mounts = mine;
	config.n_mounts = 2;
	config.rlimits = limits;
	config.n_rlimits = 2;
	assert_int_equal(make(&config, &bare), 0);
	assert_string_equal(mount_at("/dev/shm")->data, "size=1m");
	assert_non_null(mount_at("/run"));
	assert_int_equal(made.spec.n_rlimits, 2);
	assert_int_equal(made.spec.rlimits[0].soft, 5);
	assert_int_equal(made.spec.rlimits[1].resource, RLIMIT_CORE);
}

static void test_flags(void **state)
{
	struct image bare = image_empty();
	struct container_config config = {.args = words, .n_args = 1, .cpu_milli = 2000};

	(void)state;
	assert_int_equal(make(&config, &bare), 0);
	assert_int_equal(made.spec.flags, SPEC_ETC_FILES | SPEC_CREATE_CWD | SPEC_SECCOMP_DEFAULT);
	assert_int_equal(made.spec.cpu_max_milli, 0);
	config = (struct container_config){.args = words,
		.n_args = 1,
		.cpu_milli = 1500,
		.stdin_open = true,
		.terminal = true,
		.read_only = true,
		.init = true,
		.no_new_privs = true,
		.seccomp_off = true};
	assert_int_equal(make(&config, &bare), 0);
	assert_int_equal(made.spec.flags, SPEC_ETC_FILES | SPEC_CREATE_CWD | SPEC_STDIN_OPEN | SPEC_TERMINAL |
						  SPEC_READ_ONLY | SPEC_INIT | SPEC_NO_NEW_PRIVS);
	assert_int_equal(made.spec.cpu_max_milli, 1500);
}

/* What is made here is what the guest's side takes. */
static void test_survives_the_wire(void **state)
{
	struct image image = image_make();
	struct container_config config = {.capabilities = capability_default()};
	struct spec back;
	struct buf buf;

	(void)state;
	assert_int_equal(make(&config, &image), 0);
	buf_init(&buf, PROTO_SPEC_MAX);
	assert_int_equal(spec_encode(&made.spec, &buf), 0);
	assert_int_equal(spec_decode(buf.data, buf.len, &back), 0);
	assert_string_equal(back.args[0], "/entry");
	assert_int_equal(back.n_mounts, made.spec.n_mounts);
	assert_true(back.capabilities == 0xa80425fb);
	spec_done(&back);
	buf_done(&buf);
}

static void test_names(void **state)
{
	char id[CONTAINER_ID_LEN + 1], long_name[66];

	(void)state;
	assert_int_equal(container_id_new(id), 0);
	assert_int_equal(strspn(id, "0123456789abcdef"), CONTAINER_ID_LEN);
	assert_true(container_name_valid("web-1_a.b"));
	assert_false(container_name_valid(""));
	assert_false(container_name_valid("-web"));
	assert_false(container_name_valid(".."));
	assert_false(container_name_valid("a/b"));
	assert_false(container_name_valid("a b"));
	memset(long_name, 'a', sizeof(long_name));
	long_name[65] = '\0';
	assert_false(container_name_valid(long_name));
	long_name[64] = '\0';
	assert_true(container_name_valid(long_name));
}

static int suite_end(void **state)
{
	(void)state;
	container_spec_done(&made);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_user_directory_signal),
		cmocka_unit_test(test_mounts_and_limits),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_survives_the_wire),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, suite_end);
}
