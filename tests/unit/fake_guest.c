// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/fake_guest.h"

#include "base/io.h"
#include "proto/bytes.h"
#include "proto/frame.h"
#include "proto/spec.h"
#include "jail/filter.h"
#include "vmm/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS_MAX 64

struct guest {
	struct vmm_config config;
	int control, streams[3]; /* -1: none */
	uint8_t spec_bytes[65536];
	size_t spec_len;
	struct spec spec;
};

static void finish(struct guest *g, uint32_t reason, const char *detail, const char *console)
{
	struct vmm_exit last = {.reason = reason};

	(void)g;
	snprintf(last.detail, sizeof(last.detail), "%s", detail);
	snprintf(last.console, sizeof(last.console), "%s", console);
	(void)io_send_fds(VMM_CONTROL_FD, &last, sizeof(last), NULL, 0);
	_exit(0);
}

static void blocking(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

/* The ports by number: their order in the message is the order of config.ports. */
static void guest_receive(struct guest *g)
{
	int fds[FDS_MAX], streams[4] = {-1, -1, -1, -1};
	size_t n_fds = 0, at = 3;

	if (io_recv_fds(VMM_CONTROL_FD, &g->config, sizeof(g->config), fds, FDS_MAX, &n_fds) !=
			(ssize_t)sizeof(g->config) ||
		g->config.magic != VMM_CONFIG_MAGIC)
		_exit(1);
	at += (g->config.flags & VMM_HAS_CONSOLE) != 0;
	if (n_fds != at + g->config.n_ports + g->config.n_segments)
		finish(g, VMM_EXIT_BAD_CONFIG, "descriptors do not add up", "");
	for (uint32_t i = 0; i < g->config.n_ports; i++) {
		streams[g->config.ports[i] - PROTO_PORT_CONTROL] = fds[at + i];
		blocking(fds[at + i]);
	}
	g->control = streams[0];
	memcpy(g->streams, streams + 1, sizeof(g->streams));
}

static void send_frame(struct guest *g, uint32_t type, uint32_t id, const void *payload, size_t len)
{
	struct proto_header header = {.len = (uint32_t)len, .type = (uint16_t)type, .id = id};
	uint8_t bytes[PROTO_HEADER_BYTES];

	proto_header_encode(&header, bytes);
	if (io_write_all(g->control, bytes, sizeof(bytes)) || io_write_all(g->control, payload, len))
		_exit(2);
}

static uint16_t receive_frame(struct guest *g, uint8_t *payload, size_t cap, size_t *len)
{
	uint8_t bytes[PROTO_HEADER_BYTES];
	struct proto_header header;

	if (io_read_exact(g->control, bytes, sizeof(bytes)) || proto_header_decode(bytes, &header) ||
		header.len > cap || io_read_exact(g->control, payload, header.len))
		_exit(3);
	*len = header.len;
	return header.type;
}

static void receive_spec(struct guest *g)
{
	for (;;) {
		size_t len;
		uint16_t type = receive_frame(
			g, g->spec_bytes + g->spec_len, sizeof(g->spec_bytes) - g->spec_len, &len);

		g->spec_len += len;
		if (type == PROTO_START)
			break;
		if (type != PROTO_SPEC)
			_exit(4);
	}
	if (spec_decode(g->spec_bytes, g->spec_len, &g->spec))
		_exit(5);
}

static void say_hello(struct guest *g, uint32_t version)
{
	struct proto_hello hello = {.version = version, .cpus = g->config.vcpus, .kernel = "fake"};
	uint8_t payload[PROTO_HELLO_BYTES];

	proto_hello_encode(&hello, payload);
	send_frame(g, PROTO_HELLO, 0, payload, sizeof(payload));
}

static void say_started(struct guest *g)
{
	struct proto_started started = {.uptime_ns = 1};
	uint8_t payload[PROTO_STARTED_BYTES];

	proto_started_encode(&started, payload);
	send_frame(g, PROTO_STARTED, 0, payload, sizeof(payload));
}

static void say_exited(struct guest *g, uint32_t status, uint32_t signal)
{
	struct proto_exited exited = {.exit_status = status, .signal = signal};
	uint8_t payload[PROTO_EXITED_BYTES];

	proto_exited_encode(&exited, payload);
	send_frame(g, PROTO_EXITED, 0, payload, sizeof(payload));
}

/* End as a good guest does: output closed, then the status, then the machine waits to be stopped. */
static void end_well(struct guest *g, uint32_t status)
{
	struct vmm_request request;
	size_t n_fds;

	for (int i = 0; i < 3; i++) {
		if (g->streams[i] >= 0)
			shutdown(g->streams[i], SHUT_WR);
	}
	say_exited(g, status, status > 128 && status <= 192 ? status - 128 : 0);
	(void)io_recv_fds(VMM_CONTROL_FD, &request, sizeof(request), NULL, 0, &n_fds);
	finish(g, VMM_EXIT_STOPPED, "", "");
}

static const char *word(const struct guest *g, size_t i)
{
	return i < g->spec.n_args ? g->spec.args[i] : "";
}

static bool is(const struct guest *g, const char *part)
{
	return !strcmp(word(g, 0), part);
}

/* ---- honest parts ---- */

static void play_cat(struct guest *g)
{
	char bytes[65536];
	ssize_t n;
	int out = g->spec.flags & SPEC_TERMINAL ? g->streams[0] : g->streams[1];

	while ((n = read(g->streams[0], bytes, sizeof(bytes))) > 0) {
		if (io_write_all(out, bytes, (size_t)n))
			end_well(g, 141);
	}
	end_well(g, 0);
}

static void play_yes(struct guest *g)
{
	char bytes[8192];

	memset(bytes, 'y', sizeof(bytes));
	signal(SIGPIPE, SIG_IGN);
	while (!io_write_all(g->streams[1], bytes, sizeof(bytes)))
		;
	end_well(g, 141);
}

/* "pour A B": A bytes to stdout and B to stderr, side by side, neither waiting for the other. */
static void play_pour(struct guest *g)
{
	size_t left[2] = {strtoul(word(g, 1), NULL, 10), strtoul(word(g, 2), NULL, 10)};
	char bytes[4096];

	memset(bytes, 'x', sizeof(bytes));
	while (left[0] || left[1]) {
		struct pollfd fds[2] = {{.fd = left[0] ? g->streams[1] : -1, .events = POLLOUT},
			{.fd = left[1] ? g->streams[2] : -1, .events = POLLOUT}};

		poll(fds, 2, -1);
		for (int i = 0; i < 2; i++) {
			size_t want = left[i] < sizeof(bytes) ? left[i] : sizeof(bytes);
			ssize_t n = fds[i].revents ? send(fds[i].fd, bytes, want, MSG_DONTWAIT | MSG_NOSIGNAL)
						   : 0;

			left[i] -= n > 0 ? (size_t)n : 0;
			if (n < 0 && errno != EAGAIN)
				left[i] = 0;
		}
	}
	end_well(g, 0);
}

/* Print the number of every signal; end by SIGTERM or SIGQUIT as if killed by it. */
static void play_signals(struct guest *g)
{
	dprintf(g->streams[1], "ready\n");
	for (;;) {
		uint8_t payload[64];
		struct proto_signal signal;
		size_t len;

		if (receive_frame(g, payload, sizeof(payload), &len) != PROTO_SIGNAL ||
			proto_signal_decode(payload, len, &signal))
			_exit(6);
		dprintf(g->streams[1], "signal %u\n", signal.number);
		if (signal.number == SIGTERM || signal.number == SIGQUIT)
			end_well(g, 128 + signal.number);
	}
}

static void play_size(struct guest *g)
{
	uint8_t payload[64];
	struct proto_resize resize;
	size_t len;

	dprintf(g->streams[0], "%ux%u\n", g->spec.rows, g->spec.columns);
	do {
		if (receive_frame(g, payload, sizeof(payload), &len) != PROTO_RESIZE ||
			proto_resize_decode(payload, len, &resize))
			_exit(7);
		dprintf(g->streams[0], "%ux%u\n", resize.rows, resize.columns);
	} while (resize.rows != 50);
	end_well(g, 0);
}

static void play_fail(struct guest *g)
{
	struct proto_start_failed failed = {
		.exit_status = (uint32_t)strtoul(word(g, 1), NULL, 10), .error = ENOENT};
	uint8_t payload[PROTO_START_FAILED_BYTES];

	snprintf(failed.text, sizeof(failed.text), "%s", word(g, 2));
	proto_start_failed_encode(&failed, payload);
	send_frame(g, PROTO_START_FAILED, 0, payload, sizeof(payload));
	pause();
}

/* ---- lies ---- */

static void lie_before_hello(struct guest *g)
{
	uint8_t nothing[1024] = {0};

	if (is(g, "lie-silent"))
		pause();
	if (is(g, "lie-version")) {
		say_hello(g, PROTO_VERSION + 1);
		pause();
	}
	if (is(g, "lie-early-exit")) {
		say_exited(g, 0, 0);
		pause();
	}
	if (is(g, "lie-early-warning")) {
		send_frame(g, PROTO_WARNING, 0, "boo", 3);
		pause();
	}
	if (is(g, "lie-length")) {
		send_frame(g, PROTO_HELLO, 0, nothing, PROTO_HELLO_BYTES + 1);
		pause();
	}
	if (is(g, "lie-short")) {
		send_frame(g, PROTO_HELLO, 0, nothing, PROTO_HELLO_BYTES - 1);
		pause();
	}
	if (is(g, "lie-type")) {
		send_frame(g, PROTO_SPEC, 0, nothing, 16);
		pause();
	}
	if (is(g, "lie-id")) {
		send_frame(g, PROTO_WARNING, 7, "boo", 3);
		pause();
	}
	if (is(g, "lie-huge")) {
		memset(nothing, 0xff, PROTO_HEADER_BYTES);
		(void)io_write_all(g->control, nothing, PROTO_HEADER_BYTES);
		pause();
	}
}

static void lie_after_hello(struct guest *g)
{
	if (is(g, "lie-twice"))
		say_hello(g, PROTO_VERSION);
	if (is(g, "lie-exit-before-start"))
		say_exited(g, 0, 0);
	if (!strncmp(word(g, 0), "lie-", 4) && !is(g, "lie-hangup") && !is(g, "lie-open") &&
		!is(g, "lie-restart"))
		pause();
}

static void lie_while_running(struct guest *g)
{
	if (is(g, "lie-restart")) {
		say_started(g);
		pause();
	}
	if (is(g, "lie-hangup")) {
		close(g->control);
		pause();
	}
}

/* ---- machines that end ---- */

static void end_badly(struct guest *g)
{
	if (is(g, "end-panic"))
		finish(g, VMM_EXIT_PANIC, "", "boot\n\033[1mKernel panic - not syncing: boom\n");
	if (is(g, "end-internal"))
		finish(g, VMM_EXIT_INTERNAL, "KVM_RUN: Bad address", "");
	if (is(g, "end-killed"))
		__builtin_trap(); /* the first process of a pid namespace cannot kill itself */
	if (is(g, "end-forbidden")) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		filter_install(NULL, 0, 0);
	}
	if (is(g, "end-silently"))
		_exit(1);
	if (is(g, "end-config"))
		finish(g, VMM_EXIT_BAD_CONFIG, "the kernel is not a kernel", "");
}

static void print_spec(struct guest *g)
{
	int out = g->streams[1];

	dprintf(out, "ram %llu\nvcpus %u\nsegments %u\nhostname %s\nuser %s\ncwd %s\n",
		(unsigned long long)(g->config.ram_bytes >> 20), g->config.vcpus, g->config.n_segments,
		g->spec.hostname, g->spec.user, g->spec.cwd);
	for (size_t i = 0; i < g->spec.n_args; i++)
		dprintf(out, "arg %s\n", g->spec.args[i]);
	for (size_t i = 0; i < g->spec.n_env; i++)
		dprintf(out, "env %s\n", g->spec.env[i]);
	for (size_t i = 0; i < g->spec.n_mounts; i++)
		dprintf(out, "mount %s %s\n", g->spec.mounts[i].target, g->spec.mounts[i].data);
	end_well(g, 0);
}

static void play(struct guest *g)
{
	if (is(g, "exit"))
		end_well(g, (uint32_t)strtoul(word(g, 1), NULL, 10));
	if (is(g, "cat"))
		play_cat(g);
	if (is(g, "yes"))
		play_yes(g);
	if (is(g, "pour"))
		play_pour(g);
	if (is(g, "signals"))
		play_signals(g);
	if (is(g, "size"))
		play_size(g);
	if (is(g, "spec"))
		print_spec(g);
	if (is(g, "warn")) {
		for (int i = 0; i < 1000; i++)
			send_frame(g, PROTO_WARNING, 0, "careful\n\033[2J", 12);
		end_well(g, 0);
	}
	if (is(g, "quick-words")) {
		dprintf(g->streams[1], "last words");
		say_exited(g, 5, 0);
		usleep(50000);
		dprintf(g->streams[1], " and more");
		end_well(g, 5);
	}
	pause();
}

int fake_guest_main(void)
{
	static struct guest g;

	guest_receive(&g);
	receive_spec(&g);
	end_badly(&g);
	lie_before_hello(&g);
	say_hello(&g, PROTO_VERSION);
	lie_after_hello(&g);
	if (is(&g, "fail"))
		play_fail(&g);
	say_started(&g);
	lie_while_running(&g);
	play(&g);
	return 0;
}
