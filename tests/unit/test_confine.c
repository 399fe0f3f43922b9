// SPDX-License-Identifier: Apache-2.0
/* The steps of the jail (jail/confine.h, jail/child.h), each in a process of its own, against the kernel. */
#include "tests/unit/cm.h"

#include "jail/child.h"
#include "jail/confine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ORDINARY 1000
#define NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

/* In a child: say which line was not as it should be, by the exit status. */
#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			_exit(__LINE__ % 251 + 1);                                                           \
	} while (0)

static void child_expect(pid_t pid)
{
	int status;

	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status))
		fail_msg("a check in the child failed: its line modulo 251 is %d", WEXITSTATUS(status) - 1);
}

static void in_child(void (*run)(void *ctx))
{
	pid_t pid = fork();

	if (!pid) {
		run(NULL);
		_exit(0);
	}
	child_expect(pid);
}

static unsigned entries_of_root(void)
{
	DIR *dir = opendir("/");
	unsigned n = 0;

	CHECK(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void root_is_empty(void)
{
	int held = open("/", O_RDONLY | O_DIRECTORY);

	CHECK(held >= 0);
	CHECK(confine_root() == 0);
	CHECK(entries_of_root() == 2);
	CHECK(open("/etc/passwd", O_RDONLY) < 0 && errno == ENOENT);
	CHECK(open("/../etc/passwd", O_RDONLY) < 0 && errno == ENOENT);
	CHECK(mkdir("/x", 0700) < 0 && errno == EROFS);
	CHECK(open("/x", O_CREAT | O_WRONLY, 0600) < 0);
	/* What is open stays open: that is for confine_descriptors() and Landlock. */
	CHECK(openat(held, "etc/passwd", O_RDONLY) >= 0);
}

static void root_of_root(void *ctx)
{
	(void)ctx;
	CHECK(confine_namespaces(CLONE_NEWNS) == 0);
	root_is_empty();
}

/* Root stops being root; whoever changed its user may not write its own map until it is dumpable again. */
static void user_become(void)
{
	CHECK(geteuid() || (setresgid(ORDINARY, ORDINARY, ORDINARY) == 0 &&
				   setresuid(ORDINARY, ORDINARY, ORDINARY) == 0));
	CHECK(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
}

static void root_of_a_user(void *ctx)
{
	(void)ctx;
	user_become();
	CHECK(confine_namespaces(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) == 0);
	CHECK(geteuid() == 0);
	root_is_empty();
}

static void a_root_is_empty_and_read_only(void **state)
{
	(void)state;
	if (!geteuid())
		in_child(root_of_root);
	in_child(root_of_a_user);
}

static void no_capability_is_left(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3],
		one[_LINUX_CAPABILITY_U32S_3] = {{.permitted = 1}};

	CHECK(syscall(SYS_capget, &header, data) == 0);
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		CHECK(!data[i].effective && !data[i].permitted && !data[i].inheritable);
	for (unsigned long cap = 0; cap <= CAP_LAST_CAP; cap++) {
		CHECK(prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 0);
		CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 0);
	}
	CHECK(syscall(SYS_capset, &header, one) < 0 && errno == EPERM);
	CHECK(prctl(PR_SET_SECUREBITS, 0, 0, 0, 0) < 0);
}

static void identity_and_capabilities(void *ctx)
{
	(void)ctx;
	CHECK(confine_identity(2000000007, 2000000008) == 0);
	CHECK(getuid() == 2000000007 && geteuid() == 2000000007 && getgid() == 2000000008 &&
		getegid() == 2000000008);
	CHECK(getgroups(0, NULL) == 0);
	CHECK(confine_capabilities() == 0);
	no_capability_is_left();
	CHECK(setuid(0) < 0);
}

static void capabilities_of_a_namespace(void *ctx)
{
	(void)ctx;
	CHECK(confine_namespaces(CLONE_NEWUSER) == 0);
	CHECK(confine_capabilities() == 0);
	no_capability_is_left();
	CHECK(sethostname("x", 1) < 0 && errno == EPERM);
	CHECK(unshare(CLONE_NEWNET) < 0);
}

static void capabilities_are_gone_for_good(void **state)
{
	(void)state;
	if (!geteuid())
		in_child(identity_and_capabilities);
	in_child(capabilities_of_a_namespace);
}

static void landlocked(void *ctx)
{
	int held = open("/", O_RDONLY | O_DIRECTORY), file = open("/etc/passwd", O_RDONLY), version;
	char byte;

	(void)ctx;
	CHECK(held >= 0 && file >= 0);
	CHECK(confine_process(0) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	version = confine_landlock();
	CHECK(version >= 1);
	CHECK(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	CHECK(openat(held, "etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	CHECK(opendir("/") == NULL && errno == EACCES);
	CHECK(mkdir("/tmp/landlocked", 0700) < 0);
	CHECK(read(file, &byte, 1) == 1); /* what was open still is */
	if (version >= 4) {
		struct sockaddr any = {.sa_family = AF_INET};
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		CHECK(fd < 0 || (bind(fd, &any, sizeof(any)) < 0));
	}
	if (version >= 6)
		CHECK(kill(getppid(), 0) < 0 && errno == EPERM);
}

static void landlock_forbids_everything(void **state)
{
	(void)state;
	in_child(landlocked);
}

static void limited(void *ctx)
{
	struct rlimit limit;
	int fds[2];

	(void)ctx;
	CHECK(confine_descriptors(3) == 0);
	CHECK(fcntl(3, F_GETFD) < 0 && errno == EBADF);
	CHECK(confine_limit(RLIMIT_NOFILE, 4) == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 4 && limit.rlim_max == 4);
	CHECK(pipe(fds) < 0 && errno == EMFILE);
	CHECK(confine_limit(RLIMIT_NOFILE, 100) == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max == 4); /* never up */
}

static void limits_only_go_down(void **state)
{
	(void)state;
	in_child(limited);
}

/* ---- children in namespaces ---- */

static void born(void *ctx)
{
	const int *parent_dir = ctx;
	struct stat ours, theirs;

	CHECK(getpid() == 1);
	CHECK(getppid() == 0);
	CHECK(fstatat(*parent_dir, "net", &theirs, 0) == 0 && stat("/proc/self/ns/net", &ours) == 0);
	CHECK(ours.st_ino != theirs.st_ino);
	_exit(0);
}

static void born_to_a_user(void *ctx)
{
	CHECK(child_map_ids(ORDINARY, ORDINARY) == 0);
	CHECK(getuid() == 0 && getgid() == 0);
	CHECK(confine_root() == 0);
	CHECK(confine_capabilities() == 0);
	(void)ctx;
	_exit(0);
}

static void user_has_child(void *ctx)
{
	int status;
	pid_t pid;

	(void)ctx;
	user_become();
	CHECK(child_start(NAMESPACES, -1, born, NULL) == -EPERM);
	pid = child_start(NAMESPACES | CLONE_NEWUSER, -1, born_to_a_user, NULL);
	CHECK(pid > 0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	_exit(WEXITSTATUS(status));
}

static void children_have_namespaces(void **state)
{
	int dir = open("/proc/self/ns", O_RDONLY | O_DIRECTORY);

	(void)state;
	if (!geteuid())
		child_expect(child_start(NAMESPACES, -1, born, &dir));
	in_child(user_has_child);
	close(dir);
}

static void deep(void *ctx)
{
	volatile unsigned char noise[4096];

	(void)ctx;
	memset((void *)(uintptr_t)noise, 0x5a, sizeof(noise));
	_exit(0);
}

/* The child runs on our stack while we wait: nothing of ours may be different afterwards. */
static void our_stack_is_unharmed(void **state)
{
	volatile unsigned char canary[512];

	(void)state;
	memset((void *)(uintptr_t)canary, 0xa5, sizeof(canary));
	child_expect(child_start(0, -1, deep, NULL));
	for (size_t i = 0; i < sizeof(canary); i++)
		assert_int_equal(canary[i], 0xa5);
}

static void parts_have_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < JAIL_PARTS; i++)
		assert_non_null(jail_part_name(1u << i));
	assert_null(jail_part_name(1u << JAIL_PARTS));
	assert_null(jail_part_name(0));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_root_is_empty_and_read_only),
		cmocka_unit_test(capabilities_are_gone_for_good),
		cmocka_unit_test(landlock_forbids_everything),
		cmocka_unit_test(limits_only_go_down),
		cmocka_unit_test(children_have_namespaces),
		cmocka_unit_test(our_stack_is_unharmed),
		cmocka_unit_test(parts_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
