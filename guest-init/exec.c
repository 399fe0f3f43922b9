// SPDX-License-Identifier: Apache-2.0
#include "guest-init/exec.h"

#include "guest-init/path.h"
#include "guest-init/sys.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define exec_failed(failure, status, err, ...)                                                               \
	exec_failure_set(failure, status, err, (const char *const[]){__VA_ARGS__, NULL})

/* These texts carry the words for the error themselves. */
static void exec_failure_set(struct failure *failure, uint32_t status, int error, const char *const parts[])
{
	failure_set(failure, status, 0, parts);
	failure->error = error;
}

const char *env_get(const char *const *env, const char *name)
{
	size_t len = strlen(name);

	for (; *env; env++) {
		if (!strncmp(*env, name, len) && (*env)[len] == '=')
			return *env + len + 1;
	}
	return NULL;
}

static int try_exec(const char *path, const char *const *args, const char *const *env)
{
	execve(path, (char *const *)(uintptr_t)args, (char *const *)(uintptr_t)env);
	return errno;
}

/* A file that is there did not execute. */
static void explain_present(const char *path, int error, bool directory, struct failure *failure)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		/* The interpreter that it names is missing. */
		exec_failed(failure, FAILURE_NOT_FOUND, error, "exec ", path, ": no such file or directory");
		break;
	case EACCES:
	case EPERM:
		if (directory)
			exec_failed(failure, FAILURE_NOT_EXECUTABLE, error, "exec: \"", path,
				"\": is a directory: permission denied");
		else
			exec_failed(failure, FAILURE_NOT_EXECUTABLE, error, "exec: \"", path,
				"\": permission denied");
		break;
	case ENOEXEC:
		exec_failed(failure, FAILURE_NOT_EXECUTABLE, error, "exec ", path, ": exec format error");
		break;
	default:
		exec_failed(failure, FAILURE_NOT_EXECUTABLE, error, "exec ", path, ": ", strerror(error));
		break;
	}
}

static void explain_path(const char *path, int error, struct failure *failure)
{
	struct stat st;

	if (!stat(path, &st)) {
		explain_present(path, error, S_ISDIR(st.st_mode), failure);
		return;
	}
	if (errno == ENOENT || errno == ENOTDIR)
		exec_failed(failure, FAILURE_NOT_FOUND, errno, "exec: \"", path, "\": stat ", path, ": ",
			errno == ENOENT ? "no such file or directory" : "not a directory");
	else
		explain_present(path, error, false, failure);
}

/*
 * Try one directory of PATH. True when the search is over because something that should have run did not. A
 * file that is no program is remembered in *denied, and the search goes on, as execvp does.
 */
static bool try_directory(const char *dir, size_t len, const char *const *args, const char *const *env,
	int *denied, struct failure *failure)
{
	char path[PATH_LENGTH_MAX];
	size_t name_len = strlen(args[0]);
	struct stat st;
	int error;

	if (len + 1 + name_len >= sizeof(path))
		return false;
	memcpy(path, dir, len);
	path[len] = '/';
	memcpy(path + len + 1, args[0], name_len + 1);
	error = try_exec(len ? path : path + 1, args, env);
	if (stat(len ? path : path + 1, &st) < 0 || S_ISDIR(st.st_mode))
		return false;
	if (error == EACCES) {
		*denied = error;
		return false;
	}
	explain_present(path, error, false, failure);
	return true;
}

void exec_program(const char *const *args, const char *const *env, struct failure *failure)
{
	const char *name = args[0], *dir = env_get(env, "PATH");
	int denied = 0;

	if (strchr(name, '/')) {
		explain_path(name, try_exec(name, args, env), failure);
		return;
	}
	while (*name && dir) {
		size_t len = strcspn(dir, ":");

		if (try_directory(dir, len, args, env, &denied, failure))
			return;
		dir = dir[len] ? dir + len + 1 : NULL;
	}
	if (denied)
		explain_present(name, denied, false, failure);
	else
		exec_failed(failure, FAILURE_NOT_FOUND, ENOENT, "exec: \"", name,
			"\": executable file not found in $PATH");
}
