// SPDX-License-Identifier: Apache-2.0
/*
 * A single-threaded event loop over epoll.
 *
 * A struct loop_source is its owner's storage; it must stay where it is while it is in the loop. Callbacks
 * may add, change and remove any source, their own included: events of a removed source that were already
 * fetched are dropped.
 */
#ifndef MVRUN_BASE_LOOP_H
#define MVRUN_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#define LOOP_BATCH 16

struct loop_source;
/* events: EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR as epoll reports them. */
typedef void loop_fn(struct loop_source *source, uint32_t events);

struct loop_source {
	int fd; /* borrowed: the loop never closes it */
	uint32_t events;
	loop_fn *fn;
	void *ctx;
	bool active;
};

struct loop {
	int epoll_fd;
	bool quit;
	struct epoll_event batch[LOOP_BATCH];
	int n_batch;
};

/* 0 or -errno. */
int loop_init(struct loop *loop);
void loop_done(struct loop *loop);

/* Watch fd for events (0 is allowed: errors and hang-up only). 0 or -errno. */
int loop_add(struct loop *loop, struct loop_source *source, int fd, uint32_t events, loop_fn *fn, void *ctx);

/* Watch for other events from now on; does nothing when they are the same. 0 or -errno. */
int loop_mod(struct loop *loop, struct loop_source *source, uint32_t events);

/* Stop watching. Harmless for a source that is not in the loop. */
void loop_del(struct loop *loop, struct loop_source *source);

/* One wait of at most timeout_ms (-1: no limit) and its callbacks. The number of events, or -errno. */
int loop_turn(struct loop *loop, int timeout_ms);

/* Turn until loop_quit(). 0 or -errno. */
int loop_run(struct loop *loop);

static inline void loop_quit(struct loop *loop)
{
	loop->quit = true;
}

#endif
