// SPDX-License-Identifier: Apache-2.0
#include "guest-init/path.h"

#include "guest-init/sys.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

/* A path that is being made: text holds it whole, [0, done) of it is known to exist. */
struct walk {
	int root_fd;
	int parent_fd; /* O_PATH of [0, done), -1: the root itself */
	size_t done;
	unsigned int links;
	char text[PATH_LENGTH_MAX];
};

/*
 * The kernel cannot vouch for a ".." while anything in the whole system is renamed or mounted, and says EAGAIN: the
 * processes of other containers do that all the time. Each try is over in microseconds, so many of them cost little;
 * an end there has to be, for the sake of one who renames for nothing else.
 */
#define OPEN_TRIES_MAX 1000

static int open_below(int root_fd, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve,
	};
	int fd, tries = 0;

	do
		fd = sys_openat2(root_fd, path, &how);
	while (fd < 0 && errno == EAGAIN && ++tries < OPEN_TRIES_MAX);
	return fd < 0 ? -errno : fd;
}

int path_open(int root_fd, const char *path, uint64_t flags)
{
	return open_below(root_fd, path, flags, 0);
}

int path_open_plain(int root_fd, const char *path, uint64_t flags)
{
	return open_below(root_fd, path, flags, RESOLVE_NO_SYMLINKS);
}

static void walk_restart(struct walk *walk)
{
	if (walk->parent_fd >= 0)
		close(walk->parent_fd);
	walk->parent_fd = -1;
	walk->done = 0;
}

/*
 * The component text[start, end) is a symbolic link to something that is not there. Put its target in its
 * place and begin again.
 */
static int walk_follow(struct walk *walk, int link_fd, size_t start, size_t end)
{
	char target[PATH_LENGTH_MAX], rest[PATH_LENGTH_MAX];
	size_t rest_len = strlen(walk->text + end);
	ssize_t len = readlinkat(link_fd, "", target, sizeof(target));

	if (len < 0)
		return -errno;
	if (++walk->links > PATH_LINKS_MAX)
		return -ELOOP;
	if (len && target[0] == '/')
		start = 0;
	if (start + (size_t)len + rest_len >= sizeof(walk->text))
		return -ENAMETOOLONG;
	memcpy(rest, walk->text + end, rest_len + 1);
	memcpy(walk->text + start, target, (size_t)len);
	memcpy(walk->text + start + len, rest, rest_len + 1);
	walk_restart(walk);
	return 0;
}

static int component_make(const struct walk *walk, const char *name, enum path_kind kind)
{
	int dir_fd = walk->parent_fd >= 0 ? walk->parent_fd : walk->root_fd;
	int fd;

	if (kind == PATH_DIRECTORY)
		return mkdirat(dir_fd, name, 0755) < 0 ? -errno : 0;
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/*
 * Bring the prefix that ends at end into being. The text is cut there while this runs. 1 when a link was
 * followed and the walk begins again.
 */
static int prefix_make(struct walk *walk, size_t start, size_t end, bool last, enum path_kind kind)
{
	char after = walk->text[end];
	int fd, ret = 0;

	walk->text[end] = '\0';
	fd = path_open(walk->root_fd, walk->text, O_PATH);
	if (fd == -ENOENT) {
		int link_fd = path_open(walk->root_fd, walk->text, O_PATH | O_NOFOLLOW);

		if (link_fd >= 0) {
			walk->text[end] = after;
			ret = walk_follow(walk, link_fd, start, end);
			close(link_fd);
			return ret ? ret : 1;
		}
		ret = component_make(walk, walk->text + start, last ? kind : PATH_DIRECTORY);
		fd = ret ? ret : path_open(walk->root_fd, walk->text, O_PATH);
	}
	walk->text[end] = after;
	if (fd < 0)
		return fd;
	walk_restart(walk);
	walk->parent_fd = fd;
	walk->done = end;
	return 0;
}

static int walk_run(struct walk *walk, enum path_kind kind)
{
	for (;;) {
		size_t start = walk->done + strspn(walk->text + walk->done, "/");
		size_t end = start + strcspn(walk->text + start, "/");
		bool last = !walk->text[end + strspn(walk->text + end, "/")];
		int ret;

		if (start == end)
			return 0;
		ret = prefix_make(walk, start, end, last, kind);
		if (ret < 0)
			return ret;
	}
}

static int kind_check(int fd, enum path_kind kind)
{
	struct stat st;

	if (kind == PATH_FILE)
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static int path_create(int root_fd, const char *path, enum path_kind kind)
{
	struct walk walk = {.root_fd = root_fd, .parent_fd = -1};
	size_t len = strlen(path);
	int ret;

	if (len >= sizeof(walk.text))
		return -ENAMETOOLONG;
	memcpy(walk.text, path, len + 1);
	ret = walk_run(&walk, kind);
	if (ret < 0) {
		walk_restart(&walk);
		return ret;
	}
	return walk.parent_fd;
}

int path_make(int root_fd, const char *path, enum path_kind kind)
{
	int ret, fd = path_open(root_fd, path, O_PATH);

	if (fd == -ENOENT)
		fd = path_create(root_fd, path, kind);
	if (fd < 0)
		return fd;
	ret = kind_check(fd, kind);
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}
