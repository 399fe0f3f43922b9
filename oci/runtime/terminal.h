// SPDX-License-Identifier: Apache-2.0
/* The user's terminal: its size, and raw mode for as long as the container's terminal takes its place. */
#ifndef MVRUN_OCI_RUNTIME_TERMINAL_H
#define MVRUN_OCI_RUNTIME_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

struct terminal {
	int fd; /* borrowed; -1 while nothing was changed */
	struct termios saved;
};

#define TERMINAL_INIT ((struct terminal){.fd = -1})

/* Put the terminal at fd into raw mode and remember how it was; once raw, do it again. 0 or -errno. */
int terminal_make_raw(struct terminal *terminal, int fd);

/* Put it back. Harmless when nothing was changed, and when called twice. */
void terminal_restore(struct terminal *terminal);

/* True and the size, if fd is a terminal that knows its own. */
bool terminal_size(int fd, uint16_t *rows, uint16_t *columns);

#endif
