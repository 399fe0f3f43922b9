// SPDX-License-Identifier: Apache-2.0
#include "guest-init/report.h"

#include "guest-init/sys.h"

#include <string.h>
#include <sys/socket.h>

/* Room for a control message with one descriptor. */
union control_room {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

void report_send(int fd, const struct report *report, int passed_fd)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)report, .iov_len = sizeof(*report)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union control_room room = {0};

	if (passed_fd >= 0) {
		room.header.cmsg_level = SOL_SOCKET;
		room.header.cmsg_type = SCM_RIGHTS;
		room.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&room.header), &passed_fd, sizeof(int));
		msg.msg_control = &room;
		msg.msg_controllen = sizeof(room.bytes);
	}
	sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* One report; false at the end. */
static bool report_receive(int fd, struct report *report, int *passed_fd)
{
	struct iovec iov = {.iov_base = report, .iov_len = sizeof(*report)};
	union control_room room = {0};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof(room.bytes)};
	const struct cmsghdr *header;
	ssize_t n;

	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(*report))
		return false;
	header = CMSG_FIRSTHDR(&msg);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(passed_fd, CMSG_DATA(header), sizeof(int));
	return true;
}

void report_await(int fd, struct report *outcome, int *passed_fd)
{
	struct report report;
	bool ready = false;

	*passed_fd = -1;
	*outcome = (struct report){0};
	while (report_receive(fd, &report, passed_fd)) {
		ready |= !report.failed;
		*outcome = report;
	}
	if (!ready && !outcome->failed) {
		outcome->failed = true;
		setup_failed(&outcome->failure, 0, "the container's process died while it was being set up");
	}
}
