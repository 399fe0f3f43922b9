// SPDX-License-Identifier: Apache-2.0
/*
 * The process that workers are forked from: confined, with nothing open but the socket its orders come from,
 * and never in touch with a byte of an image. It is the first process of its pid namespace, so when it goes,
 * by its own death or its parent's, the kernel ends every worker.
 */
#ifndef MVRUN_OCI_IMAGE_NURSERY_H
#define MVRUN_OCI_IMAGE_NURSERY_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NURSERY_WORKERS_MAX 64

/* What it says when it is ready to take orders, or why it is not. */
struct nursery_ready {
	uint32_t code; /* errno, 0: ready */
	char text[ERR_TEXT_MAX]; /* with code 0: what is not confined (degraded), or "" */
};

/*
 * Fork it. *orders_fd is our end of the socket; the first message from there is a struct nursery_ready. 0, or
 * -errno: -EPERM when there can be no namespaces for us here, which degraded does without. One thread.
 */
int nursery_start(bool degraded, pid_t *pid, int *orders_fd);

#endif
