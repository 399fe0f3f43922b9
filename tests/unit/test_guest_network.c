// SPDX-License-Identifier: Apache-2.0
/* What the guest's network lets everybody do, in a network namespace of the test's own. */
#include "guest-init/network.c"
#include "guest-init/path.c"

#include "tests/unit/cm.h"

#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>

#define NOBODY 65534
#define SKIPPED 77

/* Whether a process without rights can bind port 80 and have a socket to send pings by. */
static int rights_try(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
	int tcp, ping;

	if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		return 1;
	tcp = socket(AF_INET, SOCK_STREAM, 0);
	ping = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	if (bind(tcp, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return 2;
	return ping < 0 ? 3 : 0;
}

static int child_run(void)
{
	int root_fd = open("/", O_PATH | O_DIRECTORY);

	if (unshare(CLONE_NEWNET) < 0)
		return SKIPPED;
	if (network_loopback_up() || network_open_up(root_fd))
		return 4;
	return rights_try();
}

static void test_every_user_may_bind_and_ping(void **state)
{
	int status = 0;
	pid_t child;

	(void)state;
	if (geteuid())
		skip();
	child = fork();
	if (!child)
		_exit(child_run());
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_int_equal(status, 0);
}

/* A tmpfs of the user's may hide the files; then there is nothing to set. */
static void test_without_proc_there_is_nothing_to_do(void **state)
{
	int dir_fd = open("/dev", O_PATH | O_DIRECTORY);

	(void)state;
	assert_true(dir_fd >= 0);
	assert_int_equal(network_open_up(dir_fd), 0);
	close(dir_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_user_may_bind_and_ping),
		cmocka_unit_test(test_without_proc_there_is_nothing_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
