// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/streams.h"

#include "base/cleanup.h"
#include "proto/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

void streams_init(struct streams *streams, const struct container_config *container)
{
	*streams = (struct streams){.container = container,
		.sockets = {-1, -1, -1, -1},
		.terminal_input_fd = -1,
		.terminal = TERMINAL_INIT};
	relay_init(&streams->input);
	relay_init(&streams->output);
	relay_init(&streams->errors);
}

static bool port_wanted(const struct container_config *container, enum port port)
{
	switch (port) {
	case PORT_CONTROL:
		return true;
	case PORT_STDIN:
		return container->terminal || container->stdin_open;
	case PORT_STDOUT:
	case PORT_STDERR:
		return !container->terminal;
	case PORTS:
		break;
	}
	return false;
}

void ports_close(struct port_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		fd_release(&list->fds[i]);
	list->n = 0;
}

int streams_open(struct streams *streams, struct spec *spec, struct port_list *list, struct err *err)
{
	list->n = 0;
	for (int port = PORT_CONTROL; port < PORTS; port++) {
		uint32_t number = PROTO_PORT_CONTROL + (uint32_t)port;
		int pair[2];

		if (!port_wanted(streams->container, (enum port)port))
			continue;
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
			return err_sys(err, errno, "create the container's streams");
		streams->sockets[port] = pair[0];
		list->fds[list->n] = pair[1];
		list->numbers[list->n++] = number;
		if (port != PORT_CONTROL)
			spec->stream_ports[port - 1] = number;
	}
	return 0;
}

/* Half a terminal is none. */
static void terminal_hung_up(struct streams *streams)
{
	streams->hung_up = true;
	relay_stop(&streams->input);
	fd_release(&streams->terminal_input_fd);
	fd_release(&streams->sockets[PORT_STDIN]);
}

/* The container's output has ended, or nobody takes it any more: then the container is told so. */
static void on_output_ended(struct relay *relay, void *ctx)
{
	struct streams *streams = ctx;

	if (relay->end != RELAY_BROKEN)
		return;
	if (streams->container->terminal) {
		terminal_hung_up(streams);
		return;
	}
	if (relay->error != EPIPE && relay->error != ECONNRESET && !streams->lost_error)
		streams->lost_error = relay->error;
	fd_release(&streams->sockets[relay == &streams->errors ? PORT_STDERR : PORT_STDOUT]);
}

/*
 * The user's input has ended, or the container takes no more of it; the socket stays, as it may carry output too. A
 * terminal in raw mode ends only by being hung up.
 */
static void on_input_ended(struct relay *relay, void *ctx)
{
	struct streams *streams = ctx;

	if (streams->container->terminal && relay->end == RELAY_DONE)
		streams->hung_up = true;
}

static int terminal_begin(struct streams *streams)
{
	int socket = streams->sockets[PORT_STDIN];
	int ret =
		relay_start(&streams->output, streams->loop, socket, STDOUT_FILENO, on_output_ended, streams);

	if (ret || !streams->container->stdin_open)
		return ret;
	streams->terminal_input_fd = fcntl(socket, F_DUPFD_CLOEXEC, 3);
	if (streams->terminal_input_fd < 0)
		return -errno;
	ret = relay_start(&streams->input, streams->loop, STDIN_FILENO, streams->terminal_input_fd,
		on_input_ended, streams);
	return ret ? ret : terminal_make_raw(&streams->terminal, STDIN_FILENO);
}

static int pipes_begin(struct streams *streams)
{
	const int *sockets = streams->sockets;
	int ret = 0;

	if (streams->container->stdin_open)
		ret = relay_start(&streams->input, streams->loop, STDIN_FILENO, sockets[PORT_STDIN],
			on_input_ended, streams);
	if (!ret)
		ret = relay_start(&streams->output, streams->loop, sockets[PORT_STDOUT], STDOUT_FILENO,
			on_output_ended, streams);
	if (!ret)
		ret = relay_start(&streams->errors, streams->loop, sockets[PORT_STDERR], STDERR_FILENO,
			on_output_ended, streams);
	return ret;
}

int streams_begin(struct streams *streams, struct loop *loop, struct err *err)
{
	int ret;

	streams->loop = loop;
	ret = streams->container->terminal ? terminal_begin(streams) : pipes_begin(streams);
	return ret ? err_sys(err, ret, "connect the container's streams") : 0;
}

bool streams_flowing(const struct streams *streams)
{
	return relay_running(&streams->output) || relay_running(&streams->errors);
}

bool streams_stalled(const struct streams *streams)
{
	return relay_stalled(&streams->output) || relay_stalled(&streams->errors);
}

uint64_t streams_bytes(const struct streams *streams)
{
	return streams->output.bytes + streams->errors.bytes;
}

void streams_cut(struct streams *streams)
{
	relay_stop(&streams->output);
	relay_stop(&streams->errors);
}

void streams_done(struct streams *streams)
{
	terminal_restore(&streams->terminal);
	relay_stop(&streams->input);
	streams_cut(streams);
	for (int port = 0; port < PORTS; port++)
		fd_release(&streams->sockets[port]);
	fd_release(&streams->terminal_input_fd);
}
