// SPDX-License-Identifier: Apache-2.0
// What both sides of the relay use, and main. The theory is in relay.h.
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "relay.h"

void fail(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("testbed: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(EXIT_OURS);
}

int write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;
	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EAGAIN) {
			struct pollfd pfd = {.fd = fd, .events = POLLOUT};
			poll(&pfd, 1, -1);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int frame_send(int fd, enum frame_type type, const void *payload, size_t len)
{
	struct {
		struct frame_head head;
		char payload[PAYLOAD_MAX];
	} out = {.head = {.type = type, .len = (uint32_t)len}};
	if (len > 0)
		memcpy(out.payload, payload, len);
	return write_all(fd, &out, sizeof(out.head) + len);
}

int frame_receive(int fd, struct frame *f)
{
	size_t want = sizeof(f->head);
	if (f->have >= sizeof(f->head))
		want += f->head.len;
	ssize_t n = read(fd, (char *)f + f->have, want - f->have);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0 && want != f->have)
		return -EPIPE;
	f->have += (size_t)n;
	if (f->have < sizeof(f->head))
		return 0;
	if (f->head.len > PAYLOAD_MAX)
		return -EPROTO;
	return f->have == sizeof(f->head) + f->head.len;
}

int signals_open(const sigset_t *set)
{
	sigprocmask(SIG_BLOCK, set, NULL);
	int fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		fail("signalfd: %s", strerror(errno));
	return fd;
}
int main(int argc, char *argv[])
{
	if (argc > 2 && strcmp(argv[1], "host") == 0)
		return host_main(argc - 2, argv + 2);
	if (argc == 3 && strcmp(argv[1], "guest") == 0)
		return guest_main(argv[2]);
	fail("usage: relay host ... | relay guest PORT");
}
