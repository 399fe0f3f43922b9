// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"

#include "base/cleanup.h"

#include <errno.h>

int loop_init(struct loop *loop)
{
	*loop = (struct loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
	return loop->epoll_fd < 0 ? -errno : 0;
}

void loop_done(struct loop *loop)
{
	fd_release(&loop->epoll_fd);
}

int loop_add(struct loop *loop, struct loop_source *source, int fd, uint32_t events, loop_fn *fn, void *ctx)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	*source = (struct loop_source){.fd = fd, .events = events, .fn = fn, .ctx = ctx};
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	source->active = true;
	return 0;
}

int loop_mod(struct loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	if (!source->active)
		return -ENOENT;
	if (source->events == events)
		return 0;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) < 0)
		return -errno;
	source->events = events;
	return 0;
}

void loop_del(struct loop *loop, struct loop_source *source)
{
	if (!source->active)
		return;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	source->active = false;
	for (int i = 0; i < loop->n_batch; i++) {
		if (loop->batch[i].data.ptr == source)
			loop->batch[i].data.ptr = NULL;
	}
}

int loop_turn(struct loop *loop, int timeout_ms)
{
	int n = epoll_wait(loop->epoll_fd, loop->batch, LOOP_BATCH, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	loop->n_batch = n;
	for (int i = 0; i < n; i++) {
		struct loop_source *source = loop->batch[i].data.ptr;

		if (source)
			source->fn(source, loop->batch[i].events);
	}
	loop->n_batch = 0;
	return n;
}

int loop_run(struct loop *loop)
{
	while (!loop->quit) {
		int ret = loop_turn(loop, -1);

		if (ret < 0)
			return ret;
	}
	return 0;
}
