// SPDX-License-Identifier: Apache-2.0
#include "guest-init/devices.h"

#include "guest-init/layout.h"
#include "guest-init/path.h"
#include "guest-init/sys.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

struct node {
	const char *name;
	unsigned int major, minor;
};

struct link {
	const char *name;
	const char *target;
};

static const struct node nodes[] = {
	{"null", 1, 3},
	{"zero", 1, 5},
	{"full", 1, 7},
	{"random", 1, 8},
	{"urandom", 1, 9},
	{"tty", 5, 0},
};

static const struct link links[] = {
	{"fd", "/proc/self/fd"},
	{"stdin", "/proc/self/fd/0"},
	{"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"},
	{"ptmx", "pts/ptmx"},
};

static int nodes_make(int dev_fd, struct failure *failure)
{
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		if (mknodat(dev_fd, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) <
			0)
			return setup_failed(failure, errno, "make /dev/", nodes[i].name);
	}
	return 0;
}

static int links_make(int dev_fd, struct failure *failure)
{
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		if (symlinkat(links[i].target, dev_fd, links[i].name) < 0)
			return setup_failed(failure, errno, "make /dev/", links[i].name);
	}
	return 0;
}

int devices_make(int root_fd, bool console, struct failure *failure)
{
	int ret, fd, dev_fd = path_open(root_fd, "/dev", O_RDONLY | O_DIRECTORY);

	if (dev_fd < 0)
		return setup_failed(failure, -dev_fd, "open the container's /dev");
	ret = nodes_make(dev_fd, failure);
	if (!ret)
		ret = links_make(dev_fd, failure);
	if (!ret && console) {
		fd = openat(dev_fd, "console", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			ret = setup_failed(failure, errno, "make /dev/console");
		else
			close(fd);
	}
	close(dev_fd);
	return ret;
}

int devices_open_null(int root_fd)
{
	int fd = path_open(root_fd, "/dev/null", O_RDWR | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
		return fd;
	if (fd >= 0)
		close(fd);
	fd = open(LAYOUT_DEV "/null", O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
