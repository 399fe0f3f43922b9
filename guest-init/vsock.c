// SPDX-License-Identifier: Apache-2.0
#include "guest-init/vsock.h"

#include "guest-init/sys.h"
#include "proto/frame.h"

#include <sys/socket.h>

#include <linux/vm_sockets.h>

int vsock_connect(uint32_t port, bool wait)
{
	struct sockaddr_vm address = {
		.svm_family = AF_VSOCK,
		.svm_cid = PROTO_HOST_CID,
		.svm_port = port,
	};
	int ret, fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0);

	if (fd < 0)
		return -errno;
	ret = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	if (!ret && wait && fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		ret = -errno;
	if (ret && ret != -EINPROGRESS) {
		close(fd);
		return ret;
	}
	return fd;
}
