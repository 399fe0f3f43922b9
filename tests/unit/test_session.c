// SPDX-License-Identifier: Apache-2.0
/*
 * The host side of run against a guest that is only a process (fake_guest.c): exit statuses, streams, signals, and
 * every lie a guest may tell. This program is its own mvrun-vmm: called by that name it is the guest.
 */
#include "base/clock.h"
#include "base/io.h"
#include "oci/runtime/capability.h"
#include "oci/runtime/session.h"
#include "tests/unit/cm.h"
#include "tests/unit/fake_guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define OUTPUT_MAX (8u << 20)
/* What a guest of this kind needs on a busy machine, and what one gets that is late on purpose. */
#define PATIENCE_MS 20000
#define SHORT_PATIENCE_MS 400

static uint64_t patience_ms = PATIENCE_MS;
static char libexec[] = "/tmp/mvrun-test-session-XXXXXX";

struct run {
	pid_t pid;
	int in, out, err; /* our ends; -1: none */
};

struct result {
	int status; /* of the process: 128 + n if a signal ended it */
	char *out, *err;
	size_t out_len;
};

static void make_file(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", libexec, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static int suite_begin(void **state)
{
	char self[4096], path[256];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	(void)state;
	if (len < 0 || !mkdtemp(libexec))
		return -1;
	self[len] = '\0';
	snprintf(path, sizeof(path), "%s/" VMM_FILE, libexec);
	if (symlink(self, path) < 0)
		return -1;
	make_file(KERNEL_FILE);
	make_file(INITRAMFS_FILE);
	setenv("MVRUN_STATE", libexec, 1);
	return 0;
}

static int suite_end(void **state)
{
	static const char *const names[] = {VMM_FILE, KERNEL_FILE, INITRAMFS_FILE};
	char path[256];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", libexec, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/containers", libexec);
	rmdir(path);
	return rmdir(libexec);
}

static char empty[] = "";

static struct image image_make(void)
{
	static struct image_segment segment = {.bytes = IMAGE_ALIGN};

	segment.fd = memfd_create("meta", MFD_CLOEXEC);
	return (struct image){.os = empty,
		.user = empty,
		.working_dir = empty,
		.stop_signal = empty,
		.segments = &segment,
		.n_segments = 1};
}

/* In the child: become the session and end with its status, as the command does. */
static void child_session(struct container_config *container, const char *name)
{
	struct image image = image_make();
	struct machine_config machine = {.memory_bytes = 64u << 20, .vcpus = 1, .image = &image};
	struct paths paths;
	struct session_config config = {.container = container,
		.machine = &machine,
		.paths = &paths,
		.name = name,
		.patience_ms = patience_ms,
		.started_us = clock_now_us()};
	struct err err = ERR_INIT;
	int status;

	snprintf(paths.libexec, sizeof(paths.libexec), "%s", libexec);
	status = session_run(&config, &err);
	if (err.text[0])
		dprintf(STDERR_FILENO, "mvrun: %s\n", err.text);
	_exit(status);
}

static void child_fds(const int in[2], const int out[2], const int err[2])
{
	dup2(in[0], STDIN_FILENO);
	dup2(out[1], STDOUT_FILENO);
	dup2(err[1], STDERR_FILENO);
	for (int fd = 3; fd < 64; fd++)
		close(fd);
}

/* Start a container that runs the words of command, separated by spaces. */
static struct run run_start(const char *command, bool stdin_open, int stop_signal, const char *name)
{
	int in[2], out[2], err[2];
	struct run run;

	assert_int_equal(pipe(in) | pipe(out) | pipe(err), 0);
	run.pid = fork();
	assert_true(run.pid >= 0);
	if (run.pid == 0) {
		char words[256], *args[8], *rest = words;
		struct container_config container = {
			.args = args, .stdin_open = stdin_open, .stop_signal = stop_signal};

		snprintf(words, sizeof(words), "%s", command);
		while (rest && container.n_args < 8)
			args[container.n_args++] = strsep(&rest, " ");
		child_fds(in, out, err);
		child_session(&container, name);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	run.in = in[1];
	run.out = out[0];
	run.err = err[0];
	return run;
}

static void end_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Take what is there from one stream. False at its end. */
static bool take(int *fd, char *text, size_t *len)
{
	ssize_t n = read(*fd, text + *len, OUTPUT_MAX - 1 - *len);

	if (n > 0)
		*len += (size_t)n;
	else
		end_close(fd);
	return n > 0;
}

static struct result run_end(struct run *run)
{
	struct result result = {.out = calloc(1, OUTPUT_MAX), .err = calloc(1, OUTPUT_MAX)};
	size_t err_len = 0;
	int wait_status;

	end_close(&run->in);
	while (run->out >= 0 || run->err >= 0) {
		struct pollfd fds[2] = {
			{.fd = run->out, .events = POLLIN}, {.fd = run->err, .events = POLLIN}};

		assert_true(poll(fds, 2, 20000) > 0);
		if (fds[0].revents)
			take(&run->out, result.out, &result.out_len);
		if (fds[1].revents)
			take(&run->err, result.err, &err_len);
	}
	assert_int_equal(waitpid(run->pid, &wait_status, 0), run->pid);
	result.status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
	return result;
}

static void result_free(struct result *result)
{
	free(result->out);
	free(result->err);
}

/* Run to the end; expect a status, and a piece of text on standard error (NULL: silence). */
static void expect(const char *command, int status, const char *error)
{
	struct run run = run_start(command, false, 0, NULL);
	struct result result = run_end(&run);

	if (result.status != status || (error ? !strstr(result.err, error) : result.err[0] != '\0'))
		fail_msg("%s: status %d, stderr \"%s\"", command, result.status, result.err);
	/* One line for the user, whatever happened. */
	if (error)
		assert_ptr_equal(strchr(result.err, '\n'), result.err + strlen(result.err) - 1);
	result_free(&result);
}

static size_t occurrences(const char *seen, const char *text)
{
	size_t n = 0;

	while ((seen = strstr(seen, text)) != NULL) {
		seen += strlen(text);
		n++;
	}
	return n;
}

/* Wait until the container has written text so many times to its standard output. */
static void await_times(struct run *run, const char *text, size_t times)
{
	char seen[256] = "";
	size_t len = 0;

	while (occurrences(seen, text) < times) {
		ssize_t n = read(run->out, seen + len, sizeof(seen) - 1 - len);

		assert_true(n > 0);
		len += (size_t)n;
	}
}

static void await_text(struct run *run, const char *text)
{
	await_times(run, text, 1);
}

static void need_kvm(void)
{
	/* The fake never uses it, but the session opens it first. */
	if (access("/dev/kvm", R_OK | W_OK) < 0)
		skip();
}

static void test_exit_statuses(void **state)
{
	(void)state;
	need_kvm();
	expect("exit 0", 0, NULL);
	expect("exit 3", 3, NULL);
	expect("exit 255", 255, NULL);
	expect("exit 137", 137, NULL);
	expect("fail 127 oops", 127, "mvrun: oops\n");
	expect("fail 126 denied", 126, "mvrun: denied\n");
	expect("fail 125 set-up", 125, "mvrun: set-up\n");
}

static void test_lies_end_the_machine(void **state)
{
	(void)state;
	need_kvm();
	expect("lie-version", 125, "version 2 of the protocol");
	expect("lie-early-exit", 125, "the guest sent EXITED: not in this state");
	expect("lie-early-warning", 125, "the guest sent WARNING: not in this state");
	expect("lie-length", 125, "the guest sent HELLO: wrong length or id");
	expect("lie-short", 125, "the guest sent HELLO: malformed");
	expect("lie-type", 125, "the guest has no such frames");
	expect("lie-id", 125, "the guest sent WARNING: wrong length or id");
	expect("lie-huge", 125, "malformed header");
	expect("lie-twice", 125, "the guest sent HELLO: not in this state");
	expect("lie-exit-before-start", 125, "the guest sent EXITED: not in this state");
	expect("lie-restart", 125, "the guest sent STARTED: not in this state");
}

static void test_late_guests(void **state)
{
	(void)state;
	need_kvm();
	patience_ms = SHORT_PATIENCE_MS;
	expect("lie-silent", 125, "did not come up within 0 s");
	patience_ms = 3000;
	expect("lie-idle", 125, "did not start the container within 3 s");
	patience_ms = PATIENCE_MS;
	expect("lie-hangup", 125, "closed its control connection");
}

static void test_machines_that_end(void **state)
{
	(void)state;
	need_kvm();
	expect("end-panic", 125, "mvrun: the guest kernel panicked: ?[1mKernel panic - not syncing: boom\n");
	expect("end-internal", 125, "mvrun: the machine failed: KVM_RUN: Bad address\n");
	expect("end-config", 125, "mvrun: the machine cannot be built: the kernel is not a kernel\n");
	expect("end-silently", 125, "ended without a word");
	expect("end-killed", 137, "killed by signal 9");
}

static void test_stdin_to_stdout(void **state)
{
	struct run run = {0};
	struct result result;
	size_t sent = 0, len = 0, total = 3u << 20;
	uint8_t *bytes = malloc(total);
	char *back = calloc(1, OUTPUT_MAX);

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
			take(&run.out, back, &len);
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
		child_fds(in, pipes, pipes + 2);
		child_session(&container, NULL);
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
	end_close(&run.out);
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
	char *errors = calloc(1, OUTPUT_MAX);
	size_t len = 0;

	(void)state;
	need_kvm();
	run = run_start("pour 3000000 3000000", false, 0, NULL);
	while (len < 3000000 && take(&run.err, errors, &len))
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

static void test_signals_are_forwarded(void **state)
{
	struct run run;
	struct result result;

	(void)state;
	need_kvm();
	run = run_start("signals", false, 0, NULL);
	await_text(&run, "ready");
	kill(run.pid, SIGUSR1);
	await_text(&run, "signal 10\n");
	kill(run.pid, SIGHUP);
	await_text(&run, "signal 1\n");
	kill(run.pid, SIGRTMIN + 3);
	await_text(&run, "signal 37\n");
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
	await_text(&run, "ready");
	kill(run.pid, SIGTERM);
	result = run_end(&run);
	assert_int_equal(result.status, 128 + SIGQUIT);
	result_free(&result);
}

/* Send a signal until the process has ended, which it should have after the third that it saw; it is not reaped. */
static void insist(pid_t pid, int signal)
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
	await_text(&run, "ready");
	insist(run.pid, SIGINT);
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
	await_text(&run, "ready");
	second = run_start("exit 0", false, 0, "web");
	result = run_end(&second);
	assert_int_equal(result.status, 125);
	assert_non_null(strstr(result.err, "container name \"web\" is already in use"));
	result_free(&result);
	kill(run.pid, SIGTERM);
	result = run_end(&run);
	assert_int_equal(result.status, 128 + SIGTERM);
	result_free(&result);
	snprintf(path, sizeof(path), "%s/containers/web", libexec);
	assert_int_equal(access(path, F_OK), -1);
	/* What a killed process leaves behind means nothing. */
	run = run_start("signals", false, 0, "web");
	await_text(&run, "ready");
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
	await_text(&run, "ready");
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
		child_session(&container, NULL);
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
	await_times(&run, "24x80", 2);
	ioctl(master, TIOCSWINSZ, &size);
	await_text(&run, "50x120");
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
	await_text(&run, "\003x");
	/* The container does not mind SIGTERM; whoever insists gets his terminal back. */
	insist(run.pid, SIGTERM);
	assert_int_equal(waitpid(run.pid, &status, 0), run.pid);
	assert_int_equal(WEXITSTATUS(status), 137);
	assert_int_equal(tcgetattr(master, &after), 0);
	assert_int_equal(after.c_lflag, before.c_lflag | ICANON | ECHO);
	close(master);
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
	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
