// SPDX-License-Identifier: Apache-2.0
/*
 * Paths inside a container's root, whose symbolic links are the input's: whatever is opened or made lies in the root,
 * and the folder beside it stays as it is.
 */
#include "tests/fuzz/fuzz.h"

#include "guest-init/path.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 4

static char top[] = "/dev/shm/mvrun-fuzz-XXXXXX";
static char root[sizeof(top) + 8];

static int entry_remove(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void top_remove(void)
{
	nftw(top, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static void top_make(void)
{
	static bool made;

	if (made)
		return;
	made = true;
	fuzz_require(mkdtemp(top) && atexit(top_remove) == 0);
	snprintf(root, sizeof(root), "%s/root", top);
}

static void links_make(int root_fd, struct fuzz_input *input)
{
	static const char *const names[] = {"a", "b", "dir/a", "dir/b"};
	uint8_t n = fuzz_u8(input) % (LINKS_MAX + 1);

	fuzz_require(mkdirat(root_fd, "dir", 0755) == 0);
	for (uint8_t i = 0; i < n; i++) {
		const uint8_t *bytes;
		size_t len = fuzz_bytes(input, fuzz_u8(input), &bytes);
		char *target = fuzz_text(bytes, len);

		(void)symlinkat(target, root_fd, names[i]);
		free(target);
	}
}

/* A descriptor leads to something in the root. */
static void inside_check(int fd)
{
	char link[64], place[8192];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, place, sizeof(place) - 1);
	fuzz_require(len > 0);
	place[len] = '\0';
	fuzz_require(strncmp(place, root, strlen(root)) == 0 &&
		     (place[strlen(root)] == '/' || !place[strlen(root)]));
	fuzz_note_text(place + strlen(root));
	close(fd);
}

/* Nothing but the root lies beside it. */
static void outside_check(void)
{
	struct stat st;

	fuzz_require(stat(top, &st) == 0 && st.st_nlink == 3);
	fuzz_require(stat(root, &st) == 0 && S_ISDIR(st.st_mode));
}

void fuzz_one(const uint8_t *data, size_t len)
{
	struct fuzz_input input = {data, len};
	enum path_kind kind = fuzz_u8(&input) & 1 ? PATH_FILE : PATH_DIRECTORY;
	char *path;
	int root_fd, fd;

	top_make();
	fuzz_require(mkdir(root, 0755) == 0);
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fuzz_require(root_fd >= 0);
	links_make(root_fd, &input);
	path = fuzz_text(input.at, input.left);
	fd = path_make(root_fd, path, kind);
	fuzz_note_u64(fd < 0 ? (uint64_t)fd : 0);
	if (fd >= 0) {
		inside_check(fd);
		/* What was made is there; as a file also where a slash at the end would want a folder. */
		fd = path_open(root_fd, path, O_PATH);
		fuzz_require(fd >= 0 || (fd == -ENOTDIR && kind == PATH_FILE));
		if (fd >= 0)
			inside_check(fd);
	}
	outside_check();
	free(path);
	close(root_fd);
	fuzz_require(nftw(root, entry_remove, 16, FTW_DEPTH | FTW_PHYS) == 0);
}
