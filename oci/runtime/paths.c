// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Replace the last n components of path by tail. False if it does not fit. */
static bool path_replace(char *path, size_t cap, int n, const char *tail)
{
	size_t used;

	while (n-- > 0) {
		char *slash = strrchr(path, '/');

		if (!slash)
			return false;
		*slash = '\0';
	}
	used = strlen(path);
	return (size_t)snprintf(path + used, cap - used, "%s", tail) < cap - used;
}

int paths_find(struct paths *paths, struct err *err)
{
	const char *given = getenv("MVRUN_LIBEXEC");
	char self[PATHS_CAP];
	ssize_t len;

	if (given && *given) {
		if ((size_t)snprintf(paths->libexec, sizeof(paths->libexec), "%s", given) >=
			sizeof(paths->libexec))
			return err_set(err, ENAMETOOLONG, "MVRUN_LIBEXEC is too long");
		return 0;
	}
	len = readlink("/proc/self/exe", self, sizeof(self) - 32);
	if (len < 0)
		return err_sys(err, errno, "find mvrun's own directory (is /proc mounted?)");
	self[len] = '\0';
	memcpy(paths->libexec, self, (size_t)len + 1);
	if (path_replace(paths->libexec, sizeof(paths->libexec), 2, "/libexec/mvrun") &&
		access(paths->libexec, F_OK) == 0)
		return 0;
	memcpy(paths->libexec, self, (size_t)len + 1);
	path_replace(paths->libexec, sizeof(paths->libexec), 1, "");
	return 0;
}

int paths_open(const struct paths *paths, const char *file, const char *what, struct err *err)
{
	char path[PATHS_CAP + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", paths->libexec, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENOTDIR)
		return err_set(err, EIO, "the %s is missing: there is no %s; reinstall mvrun", what, path);
	return err_sys(err, errno, "open the %s %s", what, path);
}
