// SPDX-License-Identifier: Apache-2.0
// The relay inside the emulated host: PID 1, runs the command.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "relay.h"

struct guest {
	int port;
	int in_w; // write end of the command's stdin, -1 once closed
	int out[2]; // read ends of its stdout and stderr
	pid_t child; // 0 until COMMAND came
	struct frame frame;
	char stdin_buf[WINDOW_BYTES];
	size_t stdin_len;
	bool stdin_eof;
};

static void guest_exec(char *cwd, char *argv[], int in, int out, int err)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(EXIT_OURS);
	close_range(3, ~0U, 0);
	if (chdir(cwd) < 0 && chdir("/") < 0)
		_exit(EXIT_OURS);
	execvp(argv[0], argv);
	int status = errno == ENOENT ? 127 : 126;
	fprintf(stderr, "testbed: %s: %s\n", argv[0], strerror(errno));
	_exit(status);
}

// Splits the COMMAND payload: cwd, then argv. Both point into `payload`.
static char **guest_split(char *payload, size_t len, char **cwd)
{
	size_t words = 0;
	for (size_t i = 0; i < len; i++)
		words += payload[i] == '\0';
	if (words < 2 || payload[len - 1] != '\0')
		return NULL;
	char **argv = calloc(words, sizeof(*argv));
	if (!argv)
		return NULL;
	*cwd = payload;
	char *p = payload + strlen(payload) + 1;
	for (size_t i = 0; i + 1 < words; i++, p += strlen(p) + 1)
		argv[i] = p;
	return argv;
}

static void guest_start(struct guest *g)
{
	char *cwd = NULL;
	char **argv = guest_split(g->frame.payload, g->frame.head.len, &cwd);
	int in[2], out[2], err[2];
	if (!argv || pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		fail("cannot start the command");
	g->child = fork();
	if (g->child < 0)
		fail("fork: %s", strerror(errno));
	if (g->child == 0)
		guest_exec(cwd, argv, in[0], out[1], err[1]);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	free(argv);
	g->in_w = in[1];
	g->out[0] = out[0];
	g->out[1] = err[0];
	fcntl(g->in_w, F_SETFL, O_NONBLOCK);
	fcntl(g->out[0], F_SETFL, O_NONBLOCK);
	fcntl(g->out[1], F_SETFL, O_NONBLOCK);
}

static void guest_frame(struct guest *g)
{
	size_t len = g->frame.head.len;
	switch (g->frame.head.type) {
	case COMMAND:
		if (g->child == 0)
			guest_start(g);
		break;
	case STDIN:
		if (len > sizeof(g->stdin_buf) - g->stdin_len)
			fail("stdin beyond the window");
		memcpy(g->stdin_buf + g->stdin_len, g->frame.payload, len);
		g->stdin_len += len;
		break;
	case STDIN_EOF:
		g->stdin_eof = true;
		break;
	default:
		fail("unknown frame %u", g->frame.head.type);
	}
	g->frame.have = 0;
}

// Hands buffered stdin on; a command that closed its stdin makes the rest vanish, as with a pipe.
static void guest_feed(struct guest *g)
{
	if (g->in_w >= 0 && g->stdin_len > 0) {
		ssize_t n = write(g->in_w, g->stdin_buf, g->stdin_len);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			close(g->in_w);
			g->in_w = -1;
		} else if (n > 0) {
			g->stdin_len -= (size_t)n;
			memmove(g->stdin_buf, g->stdin_buf + n, g->stdin_len);
			uint32_t ack = (uint32_t)n;
			frame_send(g->port, STDIN_ACK, &ack, sizeof(ack));
		}
	}
	if (g->in_w < 0)
		g->stdin_len = 0; // not acknowledged: the host stops sending
	if (g->in_w >= 0 && g->stdin_eof && g->stdin_len == 0) {
		close(g->in_w);
		g->in_w = -1;
	}
}

// Sends what stream `i` (0 stdout, 1 stderr) holds, at most one frame. True when there may be more.
static bool guest_drain(struct guest *g, int i)
{
	char buf[PAYLOAD_MAX];
	if (g->out[i] < 0)
		return false;
	ssize_t n = read(g->out[i], buf, sizeof(buf));
	if (n > 0)
		return frame_send(g->port, i ? STDERR : STDOUT, buf, (size_t)n) == 0;
	if (n == 0) {
		close(g->out[i]);
		g->out[i] = -1;
	}
	return false;
}

// Reaps everything, as PID 1 must. Returns the command's exit status once it is known, else -1.
static int guest_reap(const struct guest *g)
{
	int found = -1, status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == g->child)
			found = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return found;
}

static _Noreturn void guest_finish(struct guest *g, int status)
{
	for (int i = 0; i < 2; i++)
		while (guest_drain(g, i))
			;
	sync(); // shared directories
	uint32_t code = (uint32_t)status;
	frame_send(g->port, EXIT, &code, sizeof(code));
	for (;;)
		pause(); // the host ends the machine
}

int guest_main(const char *port)
{
	static struct guest g = {.in_w = -1, .out = {-1, -1}};
	g.port = open(port, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (g.port < 0)
		fail("open %s: %s", port, strerror(errno));
	signal(SIGPIPE, SIG_IGN);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	int sfd = signals_open(&set);
	frame_send(g.port, READY, NULL, 0);
	for (;;) {
		bool feed = g.in_w >= 0 && g.stdin_len > 0;
		struct pollfd p[] = {{.fd = sfd, .events = POLLIN}, {.fd = g.port, .events = POLLIN},
			{.fd = g.out[0], .events = POLLIN}, {.fd = g.out[1], .events = POLLIN},
			{.fd = feed ? g.in_w : -1, .events = POLLOUT}};
		if (poll(p, 5, -1) < 0)
			continue;
		if (p[1].revents) {
			int r = frame_receive(g.port, &g.frame);
			if (r < 0)
				fail("the host is gone: %s", strerror(-r));
			if (r > 0)
				guest_frame(&g);
		}
		guest_feed(&g);
		for (int i = 0; i < 2; i++)
			if (p[2 + i].revents)
				guest_drain(&g, i);
		if (p[0].revents) {
			struct signalfd_siginfo si;
			while (read(sfd, &si, sizeof(si)) > 0)
				;
			int status = guest_reap(&g);
			if (status >= 0)
				guest_finish(&g, status);
		}
	}
}
