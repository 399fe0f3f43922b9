// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/session_runs.h"

#include "base/clock.h"
#include "oci/runtime/session.h"
#include "tests/unit/cm.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

uint64_t run_patience_ms = RUN_PATIENCE_MS;
char run_libexec[] = "/tmp/mvrun-test-session-XXXXXX";

static void make_file(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", run_libexec, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

int runs_begin(void **state)
{
	char self[4096], path[256];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	(void)state;
	if (len < 0 || !mkdtemp(run_libexec))
		return -1;
	self[len] = '\0';
	snprintf(path, sizeof(path), "%s/" VMM_FILE, run_libexec);
	if (symlink(self, path) < 0)
		return -1;
	make_file(KERNEL_FILE);
	make_file(INITRAMFS_FILE);
	setenv("MVRUN_STATE", run_libexec, 1);
	return 0;
}

int runs_end(void **state)
{
	static const char *const names[] = {VMM_FILE, KERNEL_FILE, INITRAMFS_FILE};
	char path[256];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", run_libexec, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/containers", run_libexec);
	rmdir(path);
	return rmdir(run_libexec);
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

void run_session(struct container_config *container, const char *name)
{
	struct image image = image_make();
	struct machine_config machine = {.memory_bytes = 64u << 20, .vcpus = 1, .image = &image};
	struct paths paths;
	struct session_config config = {.container = container,
		.machine = &machine,
		.paths = &paths,
		.name = name,
		.patience_ms = run_patience_ms,
		.started_us = clock_now_us()};
	struct err err = ERR_INIT;
	int status;

	snprintf(paths.libexec, sizeof(paths.libexec), "%s", run_libexec);
	status = session_run(&config, &err);
	if (err.text[0])
		dprintf(STDERR_FILENO, "mvrun: %s\n", err.text);
	_exit(status);
}

void run_child_fds(const int in[2], const int out[2], const int err[2])
{
	dup2(in[0], STDIN_FILENO);
	dup2(out[1], STDOUT_FILENO);
	dup2(err[1], STDERR_FILENO);
	for (int fd = 3; fd < 64; fd++)
		close(fd);
}

struct run run_start(const char *command, bool stdin_open, int stop_signal, const char *name)
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
		run_child_fds(in, out, err);
		run_session(&container, name);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	run.in = in[1];
	run.out = out[0];
	run.err = err[0];
	return run;
}

void run_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

bool run_take(int *fd, char *text, size_t *len)
{
	ssize_t n = read(*fd, text + *len, RUN_OUTPUT_MAX - 1 - *len);

	if (n > 0)
		*len += (size_t)n;
	else
		run_close(fd);
	return n > 0;
}

struct result run_end(struct run *run)
{
	struct result result = {.out = calloc(1, RUN_OUTPUT_MAX), .err = calloc(1, RUN_OUTPUT_MAX)};
	size_t err_len = 0;
	int wait_status;

	run_close(&run->in);
	while (run->out >= 0 || run->err >= 0) {
		struct pollfd fds[2] = {
			{.fd = run->out, .events = POLLIN}, {.fd = run->err, .events = POLLIN}};

		assert_true(poll(fds, 2, 20000) > 0);
		if (fds[0].revents)
			run_take(&run->out, result.out, &result.out_len);
		if (fds[1].revents)
			run_take(&run->err, result.err, &err_len);
	}
	assert_int_equal(waitpid(run->pid, &wait_status, 0), run->pid);
	result.status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
	return result;
}

void result_free(struct result *result)
{
	free(result->out);
	free(result->err);
}

/* Run to the end; run_expect a status, and a piece of text on standard error (NULL: silence). */
void run_expect(const char *command, int status, const char *error)
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

void run_await_times(struct run *run, const char *text, size_t times)
{
	char seen[256] = "";
	size_t len = 0;

	while (occurrences(seen, text) < times) {
		ssize_t n = read(run->out, seen + len, sizeof(seen) - 1 - len);

		assert_true(n > 0);
		len += (size_t)n;
	}
}

void run_await_text(struct run *run, const char *text)
{
	run_await_times(run, text, 1);
}

void need_kvm(void)
{
	/* The fake never uses it, but the session opens it first. */
	if (access("/dev/kvm", R_OK | W_OK) < 0)
		skip();
}
