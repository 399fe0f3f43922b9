// SPDX-License-Identifier: Apache-2.0
/*
 * A container's standard streams and its control connection, on the host's side: one socket pair per vsock port, whose
 * other ends go to the machine, and the relays between them and our own standard streams.
 *
 * With a terminal one connection carries both directions; without, each stream has its own. Standard input is passed on
 * only if the container is to have it.
 */
#ifndef MVRUN_OCI_RUNTIME_STREAMS_H
#define MVRUN_OCI_RUNTIME_STREAMS_H

#include "base/err.h"
#include "base/loop.h"
#include "oci/runtime/container.h"
#include "oci/runtime/relay.h"
#include "oci/runtime/terminal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum port { PORT_CONTROL, PORT_STDIN, PORT_STDOUT, PORT_STDERR, PORTS };

/* The machine's ends. */
struct port_list {
	uint32_t numbers[PORTS];
	int fds[PORTS];
	size_t n;
};

struct streams {
	const struct container_config *container;
	struct loop *loop;
	int sockets[PORTS]; /* our ends; -1: none */
	int terminal_input_fd; /* with a terminal, the same socket once more: each direction is watched apart */
	struct relay input, output, errors;
	struct terminal terminal;
	int lost_error; /* errno of output that could not be written, other than for want of a reader */
	bool hung_up; /* the user's terminal is gone */
};

void streams_init(struct streams *streams, const struct container_config *container);

/* Make the socket pairs, and write the numbers of the ports into the spec. The list is to be closed by its owner. */
int streams_open(struct streams *streams, struct spec *spec, struct port_list *list, struct err *err);
void ports_close(struct port_list *list);

/* Begin to copy, and put the terminal into raw mode where there is one. 0 or -errno with err set. */
int streams_begin(struct streams *streams, struct loop *loop, struct err *err);

/* True while output may still come. */
bool streams_flowing(const struct streams *streams);

/* True while output waits for our own reader. */
bool streams_stalled(const struct streams *streams);

/* How much output was written so far. */
uint64_t streams_bytes(const struct streams *streams);

/* Take no more output. */
void streams_cut(struct streams *streams);

/* Stop everything and put the terminal back. */
void streams_done(struct streams *streams);

#endif
