// SPDX-License-Identifier: Apache-2.0
#include "guest-init/etc.h"

#include "guest-init/path.h"
#include "guest-init/sys.h"

#include <string.h>
#include <sys/stat.h>

/*
 * The image may have a link here, dangling even (/etc/resolv.conf to somewhere in /run): what it points to
 * inside the root is made. Something that is no file is not touched.
 */
static int file_open(int root_fd, const char *path)
{
	int fd, place_fd = path_make(root_fd, path, PATH_FILE);
	struct stat st;

	if (place_fd < 0)
		return place_fd;
	close(place_fd);
	fd = path_open(root_fd, path, O_WRONLY | O_TRUNC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

static int file_write(int root_fd, const char *path, const char *text, struct failure *failure)
{
	int ret = 0, fd = file_open(root_fd, path);
	size_t len = strlen(text);

	if (fd < 0)
		return setup_failed(failure, -fd, "open the container's ", path);
	if (len && write(fd, text, len) != (ssize_t)len)
		ret = setup_failed(failure, errno, "write the container's ", path);
	close(fd);
	return ret;
}

int etc_write(int root_fd, const char *hostname, struct failure *failure)
{
	char text[512];
	int ret;

	text_join(text, sizeof(text), (const char *const[]){hostname, "\n", NULL});
	ret = file_write(root_fd, "/etc/hostname", text, failure);
	if (ret)
		return ret;
	text_join(text, sizeof(text),
		(const char *const[]){
			"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t",
			hostname, "\n", NULL});
	ret = file_write(root_fd, "/etc/hosts", text, failure);
	/* Without a network there is no server to name; an image's own must not be asked either. */
	return ret ? ret : file_write(root_fd, "/etc/resolv.conf", "", failure);
}
