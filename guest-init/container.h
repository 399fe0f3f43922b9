// SPDX-License-Identifier: Apache-2.0
/*
 * The container as guest-init sees it from outside: its control group, its first process, its streams.
 *
 * Its owner turns the loop and is told of two things: that the process has ended, and that the last byte of
 * its output has left (in any order: a process may close its output and live on).
 */
#ifndef MVRUN_GUEST_INIT_CONTAINER_H
#define MVRUN_GUEST_INIT_CONTAINER_H

#include "base/loop.h"
#include "guest-init/cgroup.h"
#include "guest-init/failure.h"
#include "guest-init/relay.h"
#include "proto/frame.h"
#include "proto/spec.h"

#include <stdint.h>
#include <sys/types.h>

enum {
	STREAM_IN,
	STREAM_OUT,
	STREAM_ERR,
	STREAM_COUNT,
};

struct container;
typedef void container_fn(struct container *container);

struct container {
	struct loop *loop;
	struct spec spec;
	struct cgroup cgroup;
	pid_t pid; /* 0: none */
	struct loop_source pidfd;
	int mounts_fd; /* its mount namespace, kept; -1: none */
	int terminal_fd; /* -1: none; keeps the terminal from hanging up while the process lives */
	int outputs; /* relays that are still going */
	struct relay relays[STREAM_COUNT];
	struct proto_exited exited;
	container_fn *ended;
	container_fn *drained;
	void *ctx;
};

void container_init(struct container *container, struct loop *loop, container_fn *ended,
	container_fn *drained, void *ctx);

/*
 * Start what container->spec says. *uptime_ns: when the program was about to be executed. On failure nothing
 * of it is left running.
 */
int container_start(struct container *container, uint64_t *uptime_ns, struct failure *failure);

/* Deliver a signal to the first process. */
void container_signal(struct container *container, uint32_t number);

/* Change the size of the terminal, if there is one. */
void container_resize(struct container *container, uint16_t rows, uint16_t columns);

/* The process has ended: close its input, and let its output run dry; drained is called, perhaps from here. */
void container_drain(struct container *container);

#endif
