// SPDX-License-Identifier: Apache-2.0
#include "guest-init/network.h"

#include "guest-init/path.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int network_loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int ret, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	ret = ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static int setting_write(int root_fd, const char *path, const char *value)
{
	int ret, fd = path_open_plain(root_fd, path, O_WRONLY);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	ret = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

int network_open_up(int root_fd)
{
	int ret = setting_write(root_fd, "/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");

	return ret ? ret : setting_write(root_fd, "/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
}
