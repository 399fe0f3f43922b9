// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/claim.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_CAP 4096
#define TRIES_MAX 100

int state_path(char *path, unsigned long cap, struct err *err)
{
	const char *state = getenv("MVRUN_STATE"), *runtime = getenv("XDG_RUNTIME_DIR");
	int len;

	if (state && *state)
		len = snprintf(path, cap, "%s", state);
	else if (geteuid() == 0)
		len = snprintf(path, cap, "/run/mvrun");
	else if (runtime && *runtime == '/')
		len = snprintf(path, cap, "%s/mvrun", runtime);
	else
		return err_set(
			err, ENOENT, "there is no place for state: set XDG_RUNTIME_DIR or MVRUN_STATE");
	if (len < 0 || (unsigned long)len >= cap)
		return err_set(err, ENAMETOOLONG, "the path of the state directory is too long");
	return 0;
}

/* The directory of claims, made when it is not there. A descriptor or -errno with err set. */
static int claims_open(struct err *err)
{
	char path[PATH_CAP - 16], claims[PATH_CAP];
	int fd, ret = state_path(path, sizeof(path), err);

	if (ret)
		return ret;
	snprintf(claims, sizeof(claims), "%s/containers", path);
	fd = open(claims, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if ((mkdir(path, 0700) < 0 && errno != EEXIST) || (mkdir(claims, 0700) < 0 && errno != EEXIST))
		return err_sys(err, errno, "create the state directory %s", claims);
	fd = open(claims, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys(err, errno, "open the state directory %s", claims);
}

/* Is this still the file of that name? Its last owner may have removed it before we got the lock. */
static bool still_named(int dir_fd, const char *name, int fd)
{
	struct stat named, open_file;

	return fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &open_file) == 0 &&
	       named.st_dev == open_file.st_dev && named.st_ino == open_file.st_ino;
}

static int claim_try(int dir_fd, const char *name)
{
	auto_fd fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return still_named(dir_fd, name, fd) ? fd_steal(&fd) : -ESTALE;
}

int claim_take(struct claim *claim, const char *name, struct err *err)
{
	auto_fd dir_fd = claims_open(err);
	int fd = -ESTALE;

	if (dir_fd < 0)
		return dir_fd;
	for (int i = 0; i < TRIES_MAX && fd == -ESTALE; i++)
		fd = claim_try(dir_fd, name);
	if (fd == -EWOULDBLOCK)
		return err_set(
			err, EEXIST, "container name \"%s\" is already in use; choose another name", name);
	if (fd < 0)
		return err_sys(err, fd, "claim the container name \"%s\"", name);
	/* What is written into it (running.h) is nothing without the lock. */
	if (ftruncate(fd, 0) < 0) {
		int ret = err_sys(err, errno, "write the state of the container \"%s\"", name);

		close(fd);
		return ret;
	}
	claim->fd = fd;
	claim->dir_fd = fd_steal(&dir_fd);
	snprintf(claim->name, sizeof(claim->name), "%s", name);
	return 0;
}

int claim_open(const char *name, struct err *err)
{
	char path[PATH_CAP - 80], file[PATH_CAP];
	int fd, ret = state_path(path, sizeof(path), err);

	if (ret)
		return ret;
	snprintf(file, sizeof(file), "%s/containers/%s", path, name);
	fd = open(file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 && errno != ENOENT)
		return err_sys(err, errno, "open the state of the container \"%s\"", name);
	return fd < 0 ? -ENOENT : fd;
}

void claim_drop(struct claim *claim)
{
	if (claim->fd < 0)
		return;
	/* The name goes while the lock is held: nobody else's file can be hit. */
	unlinkat(claim->dir_fd, claim->name, 0);
	fd_release(&claim->fd);
	fd_release(&claim->dir_fd);
}
