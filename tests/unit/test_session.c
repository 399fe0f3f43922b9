// SPDX-License-Identifier: Apache-2.0
/*
 * The host side of run against a guest that is only a process (fake_guest.c): exit statuses, streams, and every lie
 * a guest may tell.
 */
#include "base/io.h"
#include "oci/runtime/paths.h"
#include "tests/unit/cm.h"
#include "tests/unit/fake_guest.h"
#include "tests/unit/session_runs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void test_exit_statuses(void **state)
{
	(void)state;
	need_kvm();
	run_expect("exit 0", 0, NULL);
	run_expect("exit 3", 3, NULL);
	run_expect("exit 255", 255, NULL);
	run_expect("exit 137", 137, NULL);
	run_expect("fail 127 oops", 127, "mvrun: oops\n");
	run_expect("fail 126 denied", 126, "mvrun: denied\n");
	run_expect("fail 125 set-up", 125, "mvrun: set-up\n");
}

static void test_lies_end_the_machine(void **state)
{
	(void)state;
	need_kvm();
	run_expect("lie-version", 125, "version 2 of the protocol");
	run_expect("lie-early-exit", 125, "the guest sent EXITED: not in this state");
	run_expect("lie-early-warning", 125, "the guest sent WARNING: not in this state");
	run_expect("lie-length", 125, "the guest sent HELLO: wrong length or id");
	run_expect("lie-short", 125, "the guest sent HELLO: malformed");
	run_expect("lie-type", 125, "the guest has no such frames");
	run_expect("lie-id", 125, "the guest sent WARNING: wrong length or id");
	run_expect("lie-huge", 125, "malformed header");
	run_expect("lie-twice", 125, "the guest sent HELLO: not in this state");
	run_expect("lie-exit-before-start", 125, "the guest sent EXITED: not in this state");
	run_expect("lie-restart", 125, "the guest sent STARTED: not in this state");
}

static void test_late_guests(void **state)
{
	(void)state;
	need_kvm();
	run_patience_ms = RUN_SHORT_PATIENCE_MS;
	run_expect("lie-silent", 125, "did not come up within 0 s");
	run_patience_ms = 3000;
	run_expect("lie-idle", 125, "did not start the container within 3 s");
	run_patience_ms = RUN_PATIENCE_MS;
	run_expect("lie-hangup", 125, "closed its control connection");
}

static void test_machines_that_end(void **state)
{
	(void)state;
	need_kvm();
	run_expect(
		"end-panic", 125, "mvrun: the guest kernel panicked: ?[1mKernel panic - not syncing: boom\n");
	run_expect("end-internal", 125, "mvrun: the machine failed: KVM_RUN: Bad address\n");
	run_expect("end-config", 125, "mvrun: the machine cannot be built: the kernel is not a kernel\n");
	run_expect("end-silently", 125, "ended without a word");
	run_expect("end-killed", 132, "killed by signal 4");
	run_expect("end-forbidden", 125, "tried what its jail forbids");
}

static void test_stdin_to_stdout(void **state)
{
	struct run run = {0};
	struct result result;
	size_t sent = 0, len = 0, total = 3u << 20;
	uint8_t *bytes = malloc(total);
	char *back = calloc(1, RUN_OUTPUT_MAX);

	(void)state;
	need_kvm();
	for (size_t i = 0; i < total; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	run = run_start("cat", true, 0, NULL);
	io_set_nonblock(run.in);
	while (sent < total) {
		struct pollfd fds[2] = {{.fd = run.in, .events = POLLOUT}, {.fd = run.out, .events = POLLIN}};
		ssize_t n;

		assert_true(poll(fds, 2, 10000) > 0);
		if (fds[1].revents)
			run_take(&run.out, back, &len);
		n = fds[0].revents ? write(run.in, bytes + sent, total - sent) : 0;
		sent += n > 0 ? (size_t)n : 0;
	}
	result = run_end(&run);
	assert_int_equal(result.status, 0);
	assert_int_equal(len + result.out_len, total);
	memcpy(back + len, result.out, result.out_len);
	assert_memory_equal(back, bytes, total);
	result_free(&result);
	free(bytes);
	free(back);
}

/* Regular files are nothing that epoll watches. */
static void test_stdin_from_a_file(void **state)
{
	struct run run;
	struct result result;
	int fd = memfd_create("input", 0), pipes[4];
	char *bytes = malloc(1u << 20);

	(void)state;
	need_kvm();
	memset(bytes, 'z', 1u << 20);
	assert_int_equal(io_write_all(fd, bytes, 1u << 20), 0);
	assert_int_equal(pipe(pipes) | pipe(pipes + 2), 0);
	run = (struct run){.pid = fork(), .in = -1, .out = pipes[0], .err = pipes[2]};
	if (run.pid == 0) {
		static char cat[] = "cat";
		char *args[] = {cat};
		struct container_config container = {.args = args, .n_args = 1, .stdin_open = true};
		char path[64];
		int in[2] = {-1, -1};

		/* A description of its own: a memfd's offset is at its end by now. */
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		in[0] = open(path, O_RDONLY);
		run_child_fds(in, pipes, pipes + 2);
		run_session(&container, NULL);
	}
	close(pipes[1]);
	close(pipes[3]);
	close(fd);
	result = run_end(&run);
	assert_int_equal(result.status, 0);
	assert_int_equal(result.out_len, 1u << 20);
	assert_memory_equal(result.out, bytes, 1u << 20);
	result_free(&result);
	free(bytes);
}

/* Without -i the container has no stdin, and ours is not touched. */
static void test_stdin_stays_ours(void **state)
{
	struct run run;
	struct result result;

	(void)state;
	need_kvm();
	run = run_start("exit 0", false, 0, NULL);
	assert_int_equal(io_write_all(run.in, "keep me", 7), 0);
	result = run_end(&run);
	assert_int_equal(result.status, 0);
	result_free(&result);
}

static void test_closed_stdout_reaches_the_container(void **state)
{
	struct run run;
	struct result result;
	char byte;

	(void)state;
	need_kvm();
	run = run_start("yes", false, 0, NULL);
	assert_int_equal(read(run.out, &byte, 1), 1);
	run_close(&run.out);
	result = run_end(&run);
	assert_int_equal(result.status, 141);
	assert_string_equal(result.err, "");
	result_free(&result);
}

/* Nobody reads stdout: stderr flows all the same, and nothing is lost once somebody does. */
static void test_slow_reader_stops_one_stream_only(void **state)
{
	struct run run;
	struct result result;
	char *errors = calloc(1, RUN_OUTPUT_MAX);
	size_t len = 0;

	(void)state;
	need_kvm();
	run = run_start("pour 3000000 3000000", false, 0, NULL);
	while (len < 3000000 && run_take(&run.err, errors, &len))
		;
	assert_int_equal(len, 3000000);
	result = run_end(&run);
	assert_int_equal(result.status, 0);
	assert_int_equal(result.out_len, 3000000);
	result_free(&result);
	free(errors);
}

/* Output that comes in after EXITED is still output. */
static void test_last_words_are_kept(void **state)
{
	struct run run;
	struct result result;

	(void)state;
	need_kvm();
	run = run_start("quick-words", false, 0, NULL);
	result = run_end(&run);
	assert_int_equal(result.status, 5);
	assert_string_equal(result.out, "last words and more");
	result_free(&result);
}

static void test_warnings_are_limited_and_clean(void **state)
{
	struct run run;
	struct result result;
	int lines = 0;

	(void)state;
	need_kvm();
	run = run_start("warn", false, 0, NULL);
	result = run_end(&run);
	assert_int_equal(result.status, 0);
	for (const char *at = result.err; (at = strchr(at, '\n')); at++)
		lines++;
	assert_in_range(lines, 1, 20);
	assert_null(strchr(result.err, '\033'));
	result_free(&result);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_statuses),
		cmocka_unit_test(test_lies_end_the_machine),
		cmocka_unit_test(test_late_guests),
		cmocka_unit_test(test_machines_that_end),
		cmocka_unit_test(test_stdin_to_stdout),
		cmocka_unit_test(test_stdin_from_a_file),
		cmocka_unit_test(test_stdin_stays_ours),
		cmocka_unit_test(test_closed_stdout_reaches_the_container),
		cmocka_unit_test(test_slow_reader_stops_one_stream_only),
		cmocka_unit_test(test_last_words_are_kept),
		cmocka_unit_test(test_warnings_are_limited_and_clean),
	};

	(void)argc;
	if (!strcmp(argv[0], VMM_FILE))
		return fake_guest_main();
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, runs_begin, runs_end);
}
