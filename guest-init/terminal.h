// SPDX-License-Identifier: Apache-2.0
/* The container's pseudo-terminal, from the devpts that the container sees. */
#ifndef MVRUN_GUEST_INIT_TERMINAL_H
#define MVRUN_GUEST_INIT_TERMINAL_H

#include "guest-init/failure.h"

#include <stdint.h>

struct terminal {
	int master_fd;
	int slave_fd;
};

/*
 * Open a pair below root_fd, set its size (0: leave it) and put the slave at /dev/console. The descriptors
 * are the caller's.
 */
int terminal_open(
	int root_fd, uint16_t rows, uint16_t columns, struct terminal *terminal, struct failure *failure);

/* The size of a terminal, by any descriptor of it. 0 or -errno. */
int terminal_resize(int fd, uint16_t rows, uint16_t columns);

#endif
