// SPDX-License-Identifier: Apache-2.0
#include "guest-init/terminal.h"

#include "guest-init/path.h"
#include "guest-init/sys.h"

#include <sys/ioctl.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif

/* Absent where /dev is the image's own. */
static int console_place(int root_fd, int slave_fd)
{
	int ret = 0, mount_fd, target_fd = path_open(root_fd, "/dev/console", O_PATH | O_NOFOLLOW);

	if (target_fd == -ENOENT)
		return 0;
	if (target_fd < 0)
		return target_fd;
	mount_fd = sys_open_tree_clone(slave_fd, 0);
	if (mount_fd < 0 || sys_move_mount(mount_fd, target_fd) < 0)
		ret = -errno;
	if (mount_fd >= 0)
		close(mount_fd);
	close(target_fd);
	return ret;
}

int terminal_open(
	int root_fd, uint16_t rows, uint16_t columns, struct terminal *terminal, struct failure *failure)
{
	int ret, unlock = 0, master_fd = path_open(root_fd, "/dev/pts/ptmx", O_RDWR | O_NOCTTY);
	int slave_fd;

	if (master_fd < 0)
		return setup_failed(failure, -master_fd, "open a terminal");
	slave_fd = ioctl(master_fd, TIOCSPTLCK, &unlock);
	if (!slave_fd)
		slave_fd = ioctl(master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	ret = slave_fd < 0 ? -errno : terminal_resize(slave_fd, rows, columns);
	if (!ret)
		ret = console_place(root_fd, slave_fd);
	if (ret) {
		if (slave_fd >= 0)
			close(slave_fd);
		close(master_fd);
		return setup_failed(failure, -ret, "set up the terminal");
	}
	*terminal = (struct terminal){.master_fd = master_fd, .slave_fd = slave_fd};
	return 0;
}

int terminal_resize(int fd, uint16_t rows, uint16_t columns)
{
	struct winsize size = {.ws_row = rows, .ws_col = columns};

	if (!rows && !columns)
		return 0;
	return ioctl(fd, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}
