// SPDX-License-Identifier: Apache-2.0
/*
 * Names inside a container's root: links of any kind never lead out, and what is missing is made in the right
 * place.
 */
#include "guest-init/path.c"

#include "guest-init/devices.c"
#include "guest-init/etc.c"
#include "guest-init/failure.c"
#include "guest-init/root.c"
#include "tests/unit/cm.h"

#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

struct place {
	char base[32]; /* holds root/ and outside/ */
	int base_fd;
	int root_fd;
};

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int place_make(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	strcat(place->base, "/tmp/guest-path-XXXXXX");
	if (!mkdtemp(place->base))
		return -1;
	place->base_fd = open(place->base, O_PATH | O_DIRECTORY);
	mkdirat(place->base_fd, "root", 0755);
	mkdirat(place->base_fd, "outside", 0755);
	place->root_fd = openat(place->base_fd, "root", O_PATH | O_DIRECTORY);
	*state = place;
	return 0;
}

static int place_remove(void **state)
{
	struct place *place = *state;

	close(place->base_fd);
	close(place->root_fd);
	nftw(place->base, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(place);
	return 0;
}

/* Whether path below the base exists, without following a link at its end. */
static bool there(const struct place *place, const char *path)
{
	struct stat st;

	return !fstatat(place->base_fd, path, &st, AT_SYMLINK_NOFOLLOW);
}

static void assert_made(const struct place *place, const char *path, const char *where)
{
	struct stat made, expected;
	int fd = path_make(place->root_fd, path, PATH_DIRECTORY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &made), 0);
	assert_int_equal(fstatat(place->base_fd, where, &expected, 0), 0);
	assert_true(made.st_ino == expected.st_ino);
	close(fd);
}

static void test_missing_directories_are_made(void **state)
{
	const struct place *place = *state;
	int fd;

	assert_made(place, "/", "root");
	assert_made(place, "/a/b//c/", "root/a/b/c");
	assert_made(place, "/a/b", "root/a/b");
	assert_made(place, "/a/new/../other/./x", "root/a/other/x");
	assert_made(place, "/../../up", "root/up");
	fd = path_make(place->root_fd, "/f/file", PATH_FILE);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(path_make(place->root_fd, "/f/file", PATH_DIRECTORY), -ENOTDIR);
	assert_int_equal(path_make(place->root_fd, "/f/file/x", PATH_DIRECTORY), -ENOTDIR);
}

static void link_make(const struct place *place, const char *target, const char *path)
{
	assert_int_equal(symlinkat(target, place->root_fd, path), 0);
}

static void test_links_stay_inside(void **state)
{
	const struct place *place = *state;

	link_make(place, "../outside", "climbs");
	link_make(place, "/../../../../../outside", "far");
	link_make(place, "/tmp", "absolute");
	assert_made(place, "/climbs/x", "root/outside/x");
	assert_made(place, "/far/y", "root/outside/y");
	assert_made(place, "/absolute/z", "root/tmp/z");
	assert_false(there(place, "outside/x"));
	assert_false(there(place, "outside/y"));
}

static void test_dangling_links_are_followed(void **state)
{
	const struct place *place = *state;
	int fd;

	assert_made(place, "/etc", "root/etc");
	link_make(place, "../run/systemd/resolve/stub.conf", "etc/resolv.conf");
	fd = path_make(place->root_fd, "/etc/resolv.conf", PATH_FILE);
	assert_true(fd >= 0);
	close(fd);
	assert_true(there(place, "root/run/systemd/resolve/stub.conf"));
	link_make(place, "second", "first");
	link_make(place, "/deep/third", "second");
	assert_made(place, "/first/x/y", "root/deep/third/x/y");
}

static void test_link_loops_end(void **state)
{
	const struct place *place = *state;

	link_make(place, "loop2", "loop1");
	link_make(place, "loop1", "loop2");
	assert_int_equal(path_make(place->root_fd, "/loop1/x", PATH_DIRECTORY), -ELOOP);
	/*
	 * A link whose target goes through itself is one that the kernel cannot see as a loop before it is
	 * made.
	 */
	link_make(place, "grow/grow", "grow");
	assert_int_equal(path_make(place->root_fd, "/grow", PATH_DIRECTORY), -ELOOP);
}

static void test_magic_links_lead_nowhere(void **state)
{
	const struct place *place = *state;
	int proc_fd = open("/proc", O_PATH | O_DIRECTORY);

	(void)place;
	assert_int_equal(path_open(proc_fd, "/self/fd/0", O_PATH), -ELOOP);
	assert_int_equal(path_open(proc_fd, "/self/root", O_PATH), -ELOOP);
	assert_int_equal(path_open(proc_fd, "/self/cwd/etc", O_PATH), -ELOOP);
	close(proc_fd);
}

static void test_plain_paths_have_no_links(void **state)
{
	const struct place *place = *state;
	int fd;

	assert_made(place, "/real/dir", "root/real/dir");
	link_make(place, "real", "link");
	link_make(place, "../../../..", "far");
	fd = path_open_plain(place->root_fd, "/real/dir", O_PATH);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(path_open_plain(place->root_fd, "/link", O_PATH | O_DIRECTORY), -ELOOP);
	assert_int_equal(path_open_plain(place->root_fd, "/link/dir", O_PATH), -ELOOP);
	assert_int_equal(path_open_plain(place->root_fd, "/far", O_PATH), -ELOOP);
	assert_int_equal(path_open_plain(place->root_fd, "/missing", O_PATH), -ENOENT);
}

static void assert_refused(const struct place *place, const char *type, const char *target, const char *words)
{
	struct spec_mount mount = {.type = type, .target = target};
	struct failure failure = {0};

	assert_true(is_fundamental(&mount));
	assert_true(fundament_check(place->root_fd, &mount, &failure) < 0);
	assert_int_equal(failure.exit_status, FAILURE_SETUP);
	assert_string_equal(failure.text, words);
}

/* Through a link of the image /proc would come to lie on the root itself. */
static void test_fundamental_mounts_take_no_links(void **state)
{
	const struct place *place = *state;
	struct failure failure = {0};
	struct spec_mount elsewhere = {.type = "tmpfs", .target = "/proc"};
	int file = openat(place->root_fd, "sys", O_WRONLY | O_CREAT, 0600);

	assert_true(file >= 0);
	link_make(place, "../../../..", "proc");
	link_make(place, "../../../..", "dev");
	assert_refused(place, "proc", "/proc",
		"the image's /proc is a symbolic link; it must be a directory, or not be there");
	assert_refused(place, "tmpfs", "/dev",
		"the image's /dev is a symbolic link; it must be a directory, or not be there");
	assert_refused(
		place, "sysfs", "/sys", "the image's /sys is no directory; it must be one, or not be there");
	/* What nothing else builds on may go through one, and what is missing is made. */
	assert_false(is_fundamental(&elsewhere));
	assert_int_equal(unlinkat(place->root_fd, "proc", 0), 0);
	assert_int_equal(fundament_check(place->root_fd,
				 &(struct spec_mount){.type = "proc", .target = "/proc"}, &failure),
		0);
	close(file);
}

#define MOUNTS_SKIPPED 77

static int mounts_try(const struct place *place, const char *target)
{
	struct spec_mount mounts[] = {
		{.type = "proc", .target = target, .source = "proc", .data = ""},
		{.type = "tmpfs", .target = "/climbs/tmp", .source = "tmpfs", .data = ""},
	};
	struct spec spec = {.mounts = mounts, .n_mounts = 2};
	struct failure failure = {0};

	char proc[64], tmp[64];

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return MOUNTS_SKIPPED;
	/* The fixture's descriptors lie in the namespace that was left. */
	if (chdir(place->base) < 0)
		return 1;
	if (root_mount_all(open("root", O_PATH | O_DIRECTORY), &spec, &failure) < 0)
		return strstr(failure.text, "/far is a symbolic link") ? 2 : 3;
	snprintf(proc, sizeof(proc), "%s/root/proc/self/stat", place->base);
	snprintf(tmp, sizeof(tmp), "%s/root/outside/tmp", place->base);
	return access(proc, F_OK) == 0 && access(tmp, F_OK) == 0 ? 0 : 4;
}

static int mounts_result(const struct place *place, const char *target)
{
	int status = 0;
	pid_t child = fork();

	if (!child)
		_exit(mounts_try(place, target));
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == MOUNTS_SKIPPED)
		skip();
	return status;
}

/* For real, in a mount namespace of a child's. */
static void test_mounts_lie_where_they_are_said_to(void **state)
{
	const struct place *place = *state;

	if (geteuid())
		skip();
	link_make(place, "../outside", "climbs");
	link_make(place, "/", "far");
	assert_int_equal(mounts_result(place, "/proc"), 0);
	assert_int_equal(mounts_result(place, "/far"), 2 << 8);
	assert_false(there(place, "outside/tmp"));
}

static void test_too_long(void **state)
{
	const struct place *place = *state;
	static char path[2 * PATH_LENGTH_MAX];

	for (size_t i = 0; i < sizeof(path) - 1; i++)
		path[i] = i % 2 ? 'a' : '/';
	assert_int_equal(path_make(place->root_fd, path, PATH_DIRECTORY), -ENAMETOOLONG);
}

/* A process that does nothing but rename a file, somewhere else, until it is killed. */
static pid_t renamer_start(const struct place *place)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	close(openat(place->base_fd, "outside/a", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	for (;;) {
		renameat(place->base_fd, "outside/a", place->base_fd, "outside/b");
		renameat(place->base_fd, "outside/b", place->base_fd, "outside/a");
	}
}

static void test_renames_elsewhere_do_no_harm(void **state)
{
	struct place *place = *state;
	char path[128] = "";
	int failed = 0;
	pid_t renamer;

	/* Some way, so that something comes between. */
	assert_int_equal(mkdirat(place->root_fd, "d", 0755), 0);
	while (strlen(path) + 6 < sizeof(path))
		strcat(path, "d/../");
	renamer = renamer_start(place);
	for (int i = 0; i < 5000; i++) {
		int fd = path_open(place->root_fd, path, O_PATH);

		failed += fd < 0;
		if (fd >= 0)
			close(fd);
	}
	kill(renamer, SIGKILL);
	waitpid(renamer, NULL, 0);
	assert_int_equal(failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_missing_directories_are_made, place_make, place_remove),
		cmocka_unit_test_setup_teardown(test_links_stay_inside, place_make, place_remove),
		cmocka_unit_test_setup_teardown(test_dangling_links_are_followed, place_make, place_remove),
		cmocka_unit_test_setup_teardown(test_link_loops_end, place_make, place_remove),
		cmocka_unit_test_setup_teardown(test_magic_links_lead_nowhere, place_make, place_remove),
		cmocka_unit_test_setup_teardown(test_plain_paths_have_no_links, place_make, place_remove),
		cmocka_unit_test_setup_teardown(
			test_fundamental_mounts_take_no_links, place_make, place_remove),
		cmocka_unit_test_setup_teardown(
			test_mounts_lie_where_they_are_said_to, place_make, place_remove),
		cmocka_unit_test_setup_teardown(test_too_long, place_make, place_remove),
		cmocka_unit_test_setup_teardown(test_renames_elsewhere_do_no_harm, place_make, place_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
