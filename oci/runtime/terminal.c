// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/terminal.h"

#include <errno.h>
#include <sys/ioctl.h>

/* What proto/frame.h lets through. */
#define SIDE_MAX 16384

int terminal_make_raw(struct terminal *terminal, int fd)
{
	struct termios raw;

	if (terminal->fd < 0) {
		if (tcgetattr(fd, &terminal->saved) < 0)
			return -errno;
		terminal->fd = fd;
	}
	raw = terminal->saved;
	cfmakeraw(&raw);
	/* Drain, not flush: what the user has typed ahead is meant for the container. */
	return tcsetattr(fd, TCSADRAIN, &raw) < 0 ? -errno : 0;
}

void terminal_restore(struct terminal *terminal)
{
	if (terminal->fd < 0)
		return;
	tcsetattr(terminal->fd, TCSADRAIN, &terminal->saved);
	terminal->fd = -1;
}

bool terminal_size(int fd, uint16_t *rows, uint16_t *columns)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || !size.ws_row || !size.ws_col)
		return false;
	*rows = size.ws_row < SIDE_MAX ? size.ws_row : SIDE_MAX;
	*columns = size.ws_col < SIDE_MAX ? size.ws_col : SIDE_MAX;
	return true;
}
