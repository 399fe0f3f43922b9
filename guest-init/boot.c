// SPDX-License-Identifier: Apache-2.0
#include "guest-init/boot.h"

#include "guest-init/failure.h"
#include "guest-init/layout.h"
#include "guest-init/sys.h"

#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/*
 * The initramfs lies beneath every root that a container gets. A file that is being executed lives on without
 * a name, so ours can go: there is nothing to find there.
 */
static void initramfs_empty(void)
{
	unlink("/init");
	unlink("/dev/console");
}

static int stdio_open(void)
{
	int fd;

	if (fcntl(0, F_GETFD) >= 0 && fcntl(1, F_GETFD) >= 0 && fcntl(2, F_GETFD) >= 0)
		return 0;
	do
		fd = open(LAYOUT_DEV "/null", O_RDWR);
	while (fd >= 0 && fd < 3);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

const char *boot_prepare(void)
{
	initramfs_empty();
	if (mkdir(LAYOUT_DEV, 0755) < 0 && errno != EEXIST)
		return "make /dev";
	if (mount("devtmpfs", LAYOUT_DEV, "devtmpfs", MS_NOSUID | MS_NOEXEC, NULL) < 0)
		return "mount /dev";
	return stdio_open() < 0 ? "open the null device" : NULL;
}

void boot_complain(const char *what, int error)
{
	char text[256];
	size_t len = text_join(text, sizeof(text),
		(const char *const[]){"guest-init: ", what, ": ", strerror(error), "\n", NULL});

	if (write(2, text, len) < 0)
		return; /* nobody to tell */
}
