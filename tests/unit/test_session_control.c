// SPDX-License-Identifier: Apache-2.0
/*
 * What comes from outside while a container runs: signals, names in use, the death of mvrun itself, the terminal.
 * As test_session.c, against a guest that is only a process.
 */
#include "base/io.h"
#include "oci/runtime/paths.h"
#include "tests/unit/cm.h"
#include "tests/unit/fake_guest.h"
#include "tests/unit/session_runs.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void test_signals_are_forwarded(void **state)
{
	struct run run;
	struct result result;

	(void)state;
	need_kvm();
	run = run_start("signals", false, 0, NULL);
	run_await_text(&run, "ready");
	kill(run.pid, SIGUSR1);
	run_await_text(&run, "signal 10\n");
	kill(run.pid, SIGHUP);
	run_await_text(&run, "signal 1\n");
	kill(run.pid, SIGRTMIN + 3);
	run_await_text(&run, "signal 37\n");
	kill(run.pid, SIGTERM);
	result = run_end(&run);
	assert_int_equal(result.status, 128 + SIGTERM);
	result_free(&result);
}

static void test_stop_signal_stands_for_sigterm(void **state)
{
	struct run run;
	struct result result;

	(void)state;
	need_kvm();
	run = run_start("signals", false, SIGQUIT, NULL);
	run_await_text(&run, "ready");
	kill(run.pid, SIGTERM);
	result = run_end(&run);
	assert_int_equal(result.status, 128 + SIGQUIT);
	result_free(&result);
}

/* Send a signal until the process has ended, which it should have after the third that it saw; it is not reaped. */
static void run_insist(pid_t pid, int signal)
{
	siginfo_t info = {0};

	for (int i = 0; i < 200 && !info.si_pid; i++) {
		kill(pid, signal);
		usleep(50000);
		assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
	}
	assert_int_equal(info.si_pid, pid);
}

static void test_third_interrupt_kills(void **state)
{
	struct run run;
	struct result result;

	(void)state;
	need_kvm();
	run = run_start("signals", false, 0, NULL);
	run_await_text(&run, "ready");
	run_insist(run.pid, SIGINT);
	result = run_end(&run);
	assert_int_equal(result.status, 137);
	assert_non_null(strstr(result.err, "3 interrupts"));
	result_free(&result);
}

static void test_signal_before_the_container_runs(void **state)
{
	struct run run;
	struct result result;

	(void)state;
	need_kvm();
	run = run_start("lie-silent", false, 0, NULL);
	usleep(150000);
	kill(run.pid, SIGINT);
	result = run_end(&run);
	assert_int_equal(result.status, 130);
	assert_string_equal(result.err, "");
	result_free(&result);
}

static void test_name_in_use(void **state)
{
	struct run run, second;
	struct result result;
	char path[256];

	(void)state;
	need_kvm();
	run = run_start("signals", false, 0, "web");
	run_await_text(&run, "ready");
	second = run_start("exit 0", false, 0, "web");
	result = run_end(&second);
	assert_int_equal(result.status, 125);
	assert_non_null(strstr(result.err, "container name \"web\" is already in use"));
	result_free(&result);
	kill(run.pid, SIGTERM);
	result = run_end(&run);
	assert_int_equal(result.status, 128 + SIGTERM);
	result_free(&result);
	snprintf(path, sizeof(path), "%s/containers/web", run_libexec);
	assert_int_equal(access(path, F_OK), -1);
	/* What a killed process leaves behind means nothing. */
	run = run_start("signals", false, 0, "web");
	run_await_text(&run, "ready");
	kill(run.pid, SIGKILL);
	result = run_end(&run);
	result_free(&result);
	run = run_start("exit 4", false, 0, "web");
	result = run_end(&run);
	assert_int_equal(result.status, 4);
	result_free(&result);
}

/* A pid of mvrun-vmm's whose parent is pid, or 0. */
static pid_t monitor_of(pid_t pid)
{
	char path[64], text[64] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		text[0] = '\0';
	close(fd);
	return (pid_t)strtol(text, NULL, 10);
}

static bool monitor_alive(pid_t pid)
{
	char path[64], text[256] = "";
	const char *state;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	state = strrchr(text, ')');
	return state && strncmp(state, ") Z", 3) != 0 && strncmp(state, ") X", 3) != 0;
}

static void test_monitor_dies_with_us(void **state)
{
	struct run run;
	struct result result;
	pid_t monitor;
	int tries = 200;

	(void)state;
	need_kvm();
	run = run_start("signals", false, 0, NULL);
	run_await_text(&run, "ready");
	monitor = monitor_of(run.pid);
	assert_true(monitor > 0);
	/* Away from the terminal's signals. */
	assert_int_equal(getsid(monitor), monitor);
	kill(run.pid, SIGKILL);
	result = run_end(&run);
	assert_int_equal(result.status, 137);
	/* Where nobody reaps orphans it stays as a zombie, which holds nothing. */
	while (tries-- && monitor_alive(monitor))
		usleep(10000);
	assert_true(tries > 0);
	result_free(&result);
}

/* ---- terminals ---- */

static struct run run_on_terminal(const char *word, int *master)
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	struct run run = {.in = -1, .out = -1, .err = -1};

	run.pid = forkpty(master, NULL, NULL, &size);
	assert_true(run.pid >= 0);
	if (run.pid == 0) {
		char text[32], *args[] = {text};
		struct container_config container = {.args = args,
			.n_args = 1,
			.stdin_open = true,
			.terminal = true,
			.rows = 24,
			.columns = 80};

		snprintf(text, sizeof(text), "%s", word);
		run_session(&container, NULL);
	}
	run.out = *master;
	return run;
}

static void test_terminal_size_follows(void **state)
{
	struct winsize size = {.ws_row = 50, .ws_col = 120};
	struct run run;
	int master, status;

	(void)state;
	need_kvm();
	run = run_on_terminal("size", &master);
	/* In the spec, and once more when the container runs. */
	run_await_times(&run, "24x80", 2);
	ioctl(master, TIOCSWINSZ, &size);
	run_await_text(&run, "50x120");
	assert_int_equal(waitpid(run.pid, &status, 0), run.pid);
	assert_int_equal(status, 0);
	close(master);
}

static void test_terminal_is_raw_then_restored(void **state)
{
	struct termios before, during, after;
	struct run run;
	int master, status;

	(void)state;
	need_kvm();
	run = run_on_terminal("cat", &master);
	assert_int_equal(tcgetattr(master, &before), 0);
	do {
		usleep(10000);
		assert_int_equal(tcgetattr(master, &during), 0);
	} while (during.c_lflag & ICANON);
	assert_false(during.c_lflag & ECHO);
	/* Ctrl-C is a byte like any other now. */
	assert_int_equal(io_write_all(master, "\003x", 2), 0);
	run_await_text(&run, "\003x");
	/* The container does not mind SIGTERM; whoever insists gets his terminal back. */
	run_insist(run.pid, SIGTERM);
	assert_int_equal(waitpid(run.pid, &status, 0), run.pid);
	assert_int_equal(WEXITSTATUS(status), 137);
	assert_int_equal(tcgetattr(master, &after), 0);
	assert_int_equal(after.c_lflag, before.c_lflag | ICANON | ECHO);
	close(master);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signals_are_forwarded),
		cmocka_unit_test(test_stop_signal_stands_for_sigterm),
		cmocka_unit_test(test_third_interrupt_kills),
		cmocka_unit_test(test_signal_before_the_container_runs),
		cmocka_unit_test(test_name_in_use),
		cmocka_unit_test(test_monitor_dies_with_us),
		cmocka_unit_test(test_terminal_size_follows),
		cmocka_unit_test(test_terminal_is_raw_then_restored),
	};

	(void)argc;
	if (!strcmp(argv[0], VMM_FILE))
		return fake_guest_main();
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, runs_begin, runs_end);
}
