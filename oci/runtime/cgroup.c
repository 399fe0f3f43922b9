// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/cgroup.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "jail/confine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define HIERARCHY "/sys/fs/cgroup"
#define CGROUP2_MAGIC 0x63677270
#define PREFIX "mvrun-"
#define PATH_CAP 4096
#define CPU_PERIOD_US 100000u
#define OPEN_TRIES 100
#define REMOVE_TRIES 500
#define REMOVE_PAUSE_NS 10000000

/* The cgroup above ours, or the root if that is where we are. -errno if there is no hierarchy of version 2. */
static int parent_open(void)
{
	auto_free char *text = NULL;
	char path[PATH_CAP];
	struct statfs fs;
	char *own, *end;
	int ret, fd;

	if (statfs(HIERARCHY, &fs) < 0 || (unsigned long)fs.f_type != CGROUP2_MAGIC)
		return -ENOTSUP;
	ret = io_read_file(AT_FDCWD, "/proc/self/cgroup", sizeof(path), &text, NULL);
	if (ret)
		return ret;
	own = strncmp(text, "0::/", 4) == 0 ? text + 3 : NULL;
	if (!own)
		return -ENOTSUP;
	own[strcspn(own, "\n")] = '\0';
	end = strrchr(own, '/');
	*end = '\0';
	if (snprintf(path, sizeof(path), HIERARCHY "%s", own) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

static int file_write(int dir_fd, const char *name, const char *text)
{
	auto_fd fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : io_write_all(fd, text, strlen(text));
}

/* What processes that were killed left behind. */
static void leftovers_remove(int parent_fd)
{
	int fd = openat(parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0) {
			auto_fd left = openat(parent_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			if (left >= 0 && flock(left, LOCK_EX | LOCK_NB) == 0)
				unlinkat(parent_fd, entry->d_name, AT_REMOVEDIR);
		}
	}
	if (dir)
		closedir(dir);
}

static int limits_set(const struct cgroup *cgroup, const struct cgroup_limits *limits)
{
	char text[48];
	int ret;

	snprintf(text, sizeof(text), "%" PRIu64, limits->memory_bytes);
	ret = file_write(cgroup->fd, "memory.max", text);
	snprintf(text, sizeof(text), "%" PRIu32, limits->pids);
	if (!ret)
		ret = file_write(cgroup->fd, "pids.max", text);
	snprintf(text, sizeof(text), "%" PRIu64 " %u", (uint64_t)limits->cpus * CPU_PERIOD_US, CPU_PERIOD_US);
	return ret ? ret : file_write(cgroup->fd, "cpu.max", text);
}

/* The controllers must be switched on above it; where they are not, and we may, we do it once. */
static int controllers_ready(int parent_fd)
{
	auto_free char *text = NULL;
	int ret = io_read_file(parent_fd, "cgroup.subtree_control", 256, &text, NULL);

	if (!ret && strstr(text, "memory") && strstr(text, "pids") && strstr(text, "cpu"))
		return 0;
	return ret ? ret : file_write(parent_fd, "cgroup.subtree_control", "+memory +pids +cpu");
}

/* Ours, locked, and still the directory of that name. -ESTALE: somebody took it for a leftover before we had locked it. */
static int cgroup_try(struct cgroup *cgroup)
{
	struct stat named, opened;

	if (mkdirat(cgroup->parent_fd, cgroup->name, 0755) < 0 && errno != EEXIST)
		return -errno;
	cgroup->fd = openat(cgroup->parent_fd, cgroup->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup->fd < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	if (flock(cgroup->fd, LOCK_EX | LOCK_NB) == 0 && fstat(cgroup->fd, &opened) == 0 &&
		fstatat(cgroup->parent_fd, cgroup->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
		named.st_ino == opened.st_ino)
		return 0;
	fd_release(&cgroup->fd);
	return -ESTALE;
}

static int cgroup_open(struct cgroup *cgroup)
{
	int ret = -ESTALE;

	for (int i = 0; i < OPEN_TRIES && ret == -ESTALE; i++)
		ret = cgroup_try(cgroup);
	return ret;
}

int cgroup_make(struct cgroup *cgroup, const char *id, const struct cgroup_limits *limits)
{
	int ret;

	*cgroup = CGROUP_INIT;
	ret = parent_open();
	if (ret < 0)
		return ret;
	cgroup->parent_fd = ret;
	snprintf(cgroup->name, sizeof(cgroup->name), PREFIX "%.12s", id);
	ret = faccessat(cgroup->parent_fd, ".", W_OK, 0) < 0 ? -errno : controllers_ready(cgroup->parent_fd);
	if (ret) {
		fd_release(&cgroup->parent_fd);
		return ret;
	}
	ret = cgroup_open(cgroup);
	if (!ret)
		ret = limits_set(cgroup, limits);
	if (ret)
		cgroup_remove(cgroup);
	return ret;
}

/*
 * KVM has a thread of its own for each machine, in the cgroup of whoever made the machine, and ends it after the machine's
 * process (vmm/kvm.c, vm_linger; since Linux 6.13 it ends with it). Nobody has to wait for that but this child, which
 * holds nothing that somebody else could wait for. If it is killed, the next one removes what it leaves.
 */
static void remove_later(const struct cgroup *cgroup)
{
	const struct timespec pause = {.tv_nsec = REMOVE_PAUSE_NS};
	pid_t pid = fork();
	int fd;

	if (pid)
		return;
	setsid();
	fd = dup2(cgroup->parent_fd, 0);
	(void)confine_descriptors(1);
	for (int i = 0; i < REMOVE_TRIES; i++) {
		nanosleep(&pause, NULL);
		if (unlinkat(fd, cgroup->name, AT_REMOVEDIR) == 0 || errno != EBUSY)
			break;
	}
	leftovers_remove(fd);
	_exit(0);
}

void cgroup_remove(struct cgroup *cgroup)
{
	if (cgroup->parent_fd < 0)
		return;
	if (unlinkat(cgroup->parent_fd, cgroup->name, AT_REMOVEDIR) < 0 && errno == EBUSY)
		remove_later(cgroup);
	else
		leftovers_remove(cgroup->parent_fd);
	fd_release(&cgroup->fd);
	fd_release(&cgroup->parent_fd);
}
