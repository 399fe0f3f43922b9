// SPDX-License-Identifier: Apache-2.0
#include "guest-init/network.h"

#include <errno.h>
#include <net/if.h>
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
