// SPDX-License-Identifier: Apache-2.0
#include "guest-init/etc.h"

#include "guest-init/sys.h"

#include <string.h>

static int file_write(int dir_fd, const char *name, const char *text, struct failure *failure)
{
	int ret = 0, fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	size_t len = strlen(text);

	if (fd < 0)
		return setup_failed(failure, errno, "make the container's /etc/", name);
	if (len && write(fd, text, len) != (ssize_t)len)
		ret = setup_failed(failure, errno, "write the container's /etc/", name);
	close(fd);
	return ret;
}

int etc_write(int dir_fd, const char *hostname, struct failure *failure)
{
	char text[512];
	int ret;

	text_join(text, sizeof(text), (const char *const[]){hostname, "\n", NULL});
	ret = file_write(dir_fd, "hostname", text, failure);
	if (ret)
		return ret;
	text_join(text, sizeof(text),
		(const char *const[]){
			"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t",
			hostname, "\n", NULL});
	ret = file_write(dir_fd, "hosts", text, failure);
	/* Without a network there is no server to name; an image's own must not be asked either. */
	return ret ? ret : file_write(dir_fd, "resolv.conf", "", failure);
}
