// SPDX-License-Identifier: Apache-2.0
#include "cli/imagecmd.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/runtime/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

bool image_name_is_source(const char *name)
{
	static const char *const transports[] = {"oci:", "oci-archive:", "docker-archive:"};

	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
		if (!strncmp(name, transports[i], strlen(transports[i])))
			return true;
	}
	return false;
}

/* program, load, four options with their values, --quiet, --degraded, --, the source, NULL */
#define ARGS_MAX 15

/* exec takes char *const * for history's sake and writes to none of them. */
static char *word(const char *text)
{
	return (char *)(uintptr_t)text;
}

static void argv_fill(char *argv[static ARGS_MAX], const struct image_request *request)
{
	const char *const options[][2] = {{"--store", request->store}, {"--name", request->name},
		{"--platform", request->platform}, {"--max-image-size", request->max_image_size}};
	size_t n = 0;

	argv[n++] = word(IMAGE_FILE);
	argv[n++] = word("load");
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (options[i][1]) {
			argv[n++] = word(options[i][0]);
			argv[n++] = word(options[i][1]);
		}
	}
	if (request->quiet)
		argv[n++] = word("--quiet");
	if (request->degraded)
		argv[n++] = word("--degraded");
	/* Not to be taken for an option, whatever it is called. */
	argv[n++] = word("--");
	argv[n++] = word(request->source);
	argv[n] = NULL;
}

static int loader_missing(const struct paths *paths, int ret, struct err *err)
{
	if (ret == -ENOENT)
		return err_set(err, EIO,
			"the image loader is missing: there is no %s/" IMAGE_FILE "; reinstall mvrun",
			paths->libexec);
	return err_sys(err, ret, "start the image loader %s/" IMAGE_FILE, paths->libexec);
}

/* The loader's one line: the name or id, nothing else. */
static int line_take(int fd, char line[static IMAGE_NAME_MAX])
{
	ssize_t n = io_read_capped(fd, line, IMAGE_NAME_MAX - 1);

	if (n < 0)
		return (int)n;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return *line ? 0 : -ENODATA;
}

static int load_run(const struct paths *paths, const struct image_request *request,
	char loaded[static IMAGE_NAME_MAX], int *wait_status, struct err *err)
{
	char *argv[ARGS_MAX], path[PATHS_CAP + 32];
	auto_fd ours = -1;
	auto_fd theirs = -1;
	/* If we are ended, the loader is told to clean up and end as well. */
	struct spawn spawn = {.path = path, .argv = argv, .env = environ, .death_signal = SIGTERM};
	int pipe_fds[2], ret;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "start the image loader");
	ours = pipe_fds[0];
	theirs = pipe_fds[1];
	argv_fill(argv, request);
	snprintf(path, sizeof(path), "%s/" IMAGE_FILE, paths->libexec);
	spawn.fds[0] = spawn.fds[2] = spawn.fds[3] = -1;
	spawn.fds[1] = theirs;
	pid = spawn_program(&spawn);
	if (pid < 0)
		return loader_missing(paths, pid, err);
	fd_release(&theirs);
	ret = line_take(ours, loaded);
	while (waitpid(pid, wait_status, 0) < 0 && errno == EINTR)
		;
	return ret;
}

int image_load(const struct paths *paths, const struct image_request *request,
	char loaded[static IMAGE_NAME_MAX], struct err *err)
{
	int wait_status = 0, ret = load_run(paths, request, loaded, &wait_status, err);

	if (err->text[0])
		return ret;
	if (WIFSIGNALED(wait_status))
		return err_set(err, EIO, "the image loader was ended by signal %d", WTERMSIG(wait_status));
	/* It has said itself what was wrong. */
	if (WEXITSTATUS(wait_status))
		return -EIO;
	return ret ? err_sys(err, ret, "the image loader named no image") : 0;
}

int image_load_exec(const struct paths *paths, const struct image_request *request, struct err *err)
{
	char *argv[ARGS_MAX], path[PATHS_CAP + 32];

	argv_fill(argv, request);
	snprintf(path, sizeof(path), "%s/" IMAGE_FILE, paths->libexec);
	execve(path, argv, environ);
	return loader_missing(paths, -errno, err);
}
