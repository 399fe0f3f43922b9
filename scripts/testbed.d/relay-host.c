// SPDX-License-Identifier: Apache-2.0
// The relay on the real host: parent of QEMU and the file servers.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "relay.h"

#define OUTPUT_CHUNK_BYTES 4096 // PIPE_BUF: what a pipe that polls writable takes without blocking
#define SHARES_MAX 8
#define CONTROL_FD 10 // the number under which QEMU finds the socket of the relay; those of the shares follow
#define VIRTIOFSD "/usr/lib/qemu/virtiofsd"

struct host {
	int control;
	int signals;
	pid_t pids[SHARES_MAX + 1]; // QEMU last
	size_t npids;
	struct timespec deadline;
	size_t window; // bytes of stdin the guest still takes
	bool stdin_open;
	struct frame frame; // the frame coming in, kept while its stream is not writable
	bool frame_whole;
	size_t written; // bytes of a STDOUT/STDERR frame already passed on
	bool ready; // READY came
	int console; // memfd: what QEMU, virtiofsd and the emulated kernel have to say
};

static pid_t host_spawn(struct host *h, char *const argv[], const int *fds, size_t nfds, int first)
{
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid < 0)
		fail("fork: %s", strerror(errno));
	if (pid > 0)
		return h->pids[h->npids++] = pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_OURS);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0); // Ctrl-C is for the relay, which ends the machine in order
	int null = open("/dev/null", O_RDWR);
	dup2(null, 0);
	dup2(h->console, 1);
	dup2(h->console, 2);
	int moved[SHARES_MAX + 1]; // out of the way of the numbers they get
	for (size_t i = 0; i < nfds; i++)
		moved[i] = fcntl(fds[i], F_DUPFD, 64);
	for (size_t i = 0; i < nfds; i++)
		dup2(moved[i], first + (int)i);
	close_range((unsigned)first + (unsigned)nfds, ~0U, 0);
	execv(argv[0], argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(EXIT_OURS);
}

// Starts a virtiofsd for `dir` and returns a connected socket to it. The listening socket has an abstract
// name chosen by the kernel: there is no file to wait for and none to remove.
static int host_share(struct host *h, const char *dir)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int conn = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || conn < 0 || bind(listener, (struct sockaddr *)&addr, sizeof(sa_family_t)) ||
		getsockname(listener, (struct sockaddr *)&addr, &len) || listen(listener, 1) ||
		connect(conn, (struct sockaddr *)&addr, len))
		fail("socket for %s: %s", dir, strerror(errno));
	char fd_arg[32], source[4200];
	snprintf(fd_arg, sizeof(fd_arg), "--fd=%d", CONTROL_FD);
	if ((size_t)snprintf(source, sizeof(source), "source=%s", dir) >= sizeof(source))
		fail("path too long: %s", dir);
	char *argv[] = {(char[]){VIRTIOFSD}, fd_arg, (char[]){"-o"}, source, (char[]){"-o"},
		(char[]){"cache=always,timeout=86400,xattr,log_level=err,sandbox=chroot"}, (char[]){"-f"},
		NULL};
	host_spawn(h, argv, &listener, 1, CONTROL_FD);
	close(listener);
	return conn;
}

static _Noreturn void host_finish(struct host *h, int status)
{
	while (h->npids > 0)
		kill(h->pids[--h->npids], SIGKILL); // QEMU first: it was started last
	while (wait(NULL) > 0 || errno == EINTR)
		;
	exit(status);
}

// The machine ended by itself: says so and shows the end of its console.
static _Noreturn void host_lost(struct host *h)
{
	fprintf(stderr, "testbed: the emulated host stopped before the command ended; its console says:\n");
	char buf[2048];
	if (lseek(h->console, -(off_t)sizeof(buf), SEEK_END) < 0)
		lseek(h->console, 0, SEEK_SET);
	ssize_t n = read(h->console, buf, sizeof(buf));
	if (n > 0)
		write_all(2, buf, (size_t)n);
	host_finish(h, EXIT_OURS);
}

// Passes a STDOUT or STDERR frame on as far as the stream takes it now.
static void host_output(struct host *h)
{
	int fd = h->frame.head.type == STDOUT ? 1 : 2;
	size_t len = h->frame.head.len - h->written;
	ssize_t n =
		write(fd, h->frame.payload + h->written, len < OUTPUT_CHUNK_BYTES ? len : OUTPUT_CHUNK_BYTES);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		host_finish(h, 128 + SIGPIPE);
	if (n > 0)
		h->written += (size_t)n;
	if (h->written == h->frame.head.len) {
		h->written = 0;
		h->frame_whole = false;
		h->frame.have = 0;
	}
}

static void host_send_command(struct host *h, char *const argv[])
{
	static char payload[PAYLOAD_MAX];
	if (!getcwd(payload, sizeof(payload)))
		strcpy(payload, "/");
	size_t len = strlen(payload) + 1;
	for (; *argv; argv++) {
		size_t n = strlen(*argv) + 1;
		if (n > sizeof(payload) - len)
			fail("the command is longer than %u bytes", PAYLOAD_MAX);
		memcpy(payload + len, *argv, n);
		len += n;
	}
	if (frame_send(h->control, COMMAND, payload, len) < 0)
		host_lost(h);
	h->ready = true;
}

static void host_frame(struct host *h, char *const command[])
{
	uint32_t value = 0;
	if (h->frame.head.len == sizeof(value))
		memcpy(&value, h->frame.payload, sizeof(value));
	switch (h->frame.head.type) {
	case STDOUT:
	case STDERR:
		h->frame_whole = true; // goes out when the stream is writable
		return;
	case READY:
		host_send_command(h, command);
		break;
	case STDIN_ACK:
		h->window += value;
		break;
	case EXIT:
		host_finish(h, (int)(value & 0xff));
	default:
		host_lost(h);
	}
	h->frame.have = 0;
}

static void host_stdin(struct host *h)
{
	char buf[PAYLOAD_MAX / 2];
	ssize_t n = read(0, buf, h->window < sizeof(buf) ? h->window : sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		h->window -= (size_t)n;
		frame_send(h->control, STDIN, buf, (size_t)n);
	} else {
		h->stdin_open = false;
		frame_send(h->control, STDIN_EOF, NULL, 0);
	}
}

static int host_time_left_ms(const struct host *h)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t ms = (h->deadline.tv_sec - now.tv_sec) * 1000 + (h->deadline.tv_nsec - now.tv_nsec) / 1000000;
	return ms < 0 ? 0 : ms > INT32_MAX ? INT32_MAX : (int)ms;
}

static void host_signal(struct host *h)
{
	struct signalfd_siginfo si;
	if (read(h->signals, &si, sizeof(si)) == sizeof(si) && si.ssi_signo != SIGCHLD)
		host_finish(h, 128 + (int)si.ssi_signo);
}

static _Noreturn void host_loop(struct host *h, char *const command[])
{
	for (;;) {
		bool take_stdin = h->ready && h->stdin_open && h->window > 0;
		int out = h->frame_whole ? (h->frame.head.type == STDOUT ? 1 : 2) : -1;
		struct pollfd p[] = {{.fd = h->signals, .events = POLLIN},
			{.fd = h->frame_whole ? -1 : h->control, .events = POLLIN},
			{.fd = take_stdin ? 0 : -1, .events = POLLIN}, {.fd = out, .events = POLLOUT}};
		int left_ms = host_time_left_ms(h);
		if (left_ms == 0) {
			fprintf(stderr, "testbed: time limit reached\n");
			host_finish(h, 124);
		}
		if (poll(p, 4, left_ms) < 0)
			continue;
		if (p[0].revents)
			host_signal(h);
		if (p[3].revents)
			host_output(h);
		if (p[1].revents) {
			int r = frame_receive(h->control, &h->frame);
			if (r < 0)
				host_lost(h);
			if (r > 0)
				host_frame(h, command);
		}
		if (p[2].revents)
			host_stdin(h);
	}
}

struct plan {
	int timeout_s;
	char **command; // ends with NULL
	char **shares;
	int nshares;
	char **qemu; // ends with NULL
};

static int parse_count(const char *word, int max)
{
	char *end;
	errno = 0;
	long n = strtol(word, &end, 10);
	if (errno || end == word || *end || n < 0 || n > max)
		fail("not a number up to %d: %s", max, word);
	return (int)n;
}

// TIMEOUT_S NCOMMAND COMMAND... NSHARES SHARE... QEMU...: words are counted, not separated, because a command may contain
// any of them.
static struct plan plan_parse(int argc, char *argv[])
{
	struct plan plan = {0};
	if (argc < 5)
		fail("usage: relay host TIMEOUT_S NCOMMAND COMMAND... NSHARES SHARE... QEMU...");
	plan.timeout_s = parse_count(argv[0], INT32_MAX / 1000);
	int ncommand = parse_count(argv[1], argc - 4);
	plan.command = argv + 2;
	int left = argc - 3 - ncommand;
	plan.nshares = parse_count(plan.command[ncommand], SHARES_MAX);
	plan.shares = plan.command + ncommand + 1;
	plan.qemu = plan.shares + plan.nshares;
	if (ncommand == 0 || plan.nshares >= left)
		fail("nothing to run");
	plan.command[ncommand] = NULL;
	return plan;
}

static void host_start(struct host *h, const struct plan *plan)
{
	int fds[SHARES_MAX + 1], pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		fail("socketpair: %s", strerror(errno));
	h->control = pair[0];
	fds[0] = pair[1];
	for (int i = 0; i < plan->nshares; i++)
		fds[1 + i] = host_share(h, plan->shares[i]);
	host_spawn(h, plan->qemu, fds, (size_t)plan->nshares + 1, CONTROL_FD);
	for (int i = 0; i <= plan->nshares; i++)
		close(fds[i]);
}

int host_main(int argc, char *argv[])
{
	static struct host h = {.stdin_open = true, .window = WINDOW_BYTES};
	struct plan plan = plan_parse(argc, argv);
	clock_gettime(CLOCK_MONOTONIC, &h.deadline);
	h.deadline.tv_sec += plan.timeout_s;
	h.console = memfd_create("console", MFD_CLOEXEC);

	const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD};
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		sigaddset(&set, caught[i]);
	h.signals = signals_open(&set);
	signal(SIGPIPE, SIG_IGN);

	host_start(&h, &plan);
	host_loop(&h, plan.command);
}
