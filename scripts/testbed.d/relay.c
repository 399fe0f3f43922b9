// SPDX-License-Identifier: Apache-2.0
//
// relay: carries one command's argv, stdin, stdout, stderr and exit status between scripts/testbed and the
// emulated host.
//
// Theory of operation. `relay host` is the parent of QEMU and of the virtiofsd processes; it holds one end of
// a socket whose other end is a virtio-serial port of the machine. `relay guest` is PID 1 of the emulated
// host, opens that port and runs the command. Between them flow frames {type, length, payload}:
//
//     guest -> host   READY             the port is open, send the command
//     host -> guest   COMMAND           cwd, argv[0], argv[1]... each ended by a NUL byte
//     host -> guest   STDIN, STDIN_EOF  never more than WINDOW_BYTES beyond what was acknowledged, so that a
//     command guest -> host   STDIN_ACK         that does not read cannot block the port guest -> host
//     STDOUT, STDERR guest -> host   EXIT              after all output the command left in its pipes;
//     nothing follows
//
// The host ends the machine by killing QEMU: nothing in it is worth saving (disks are snapshots; shared
// directories are written through and were synced before EXIT). Every child asks the kernel to be killed when
// its parent dies, so not even SIGKILL to this process leaves a machine behind.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OUTPUT_CHUNK_BYTES 4096 // PIPE_BUF: what a pipe that polls writable takes without blocking
#define EXIT_OURS 125 // our own failure, as container tools have it
#define PAYLOAD_MAX (64U * 1024)
#define WINDOW_BYTES (64U * 1024) // fits into the socket, so sending stdin never blocks
#define SHARES_MAX 8
#define CONTROL_FD 10 // the number under which QEMU finds the relay's socket...
#define SHARE_FD 11 // ...and those of the shared directories
#define VIRTIOFSD "/usr/lib/qemu/virtiofsd"

enum frame_type { READY = 1, COMMAND, STDIN, STDIN_EOF, STDIN_ACK, STDOUT, STDERR, EXIT };

struct frame_head {
	uint32_t type;
	uint32_t len;
};

struct frame {
	struct frame_head head;
	char payload[PAYLOAD_MAX];
	size_t have; // bytes received so far, head included
};

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("testbed: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(EXIT_OURS);
}

// Writes all of `buf` to a blocking fd. 0 or -errno.
static int write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;
	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EAGAIN) {
			struct pollfd pfd = {.fd = fd, .events = POLLOUT};
			poll(&pfd, 1, -1);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int frame_send(int fd, enum frame_type type, const void *payload, size_t len)
{
	struct {
		struct frame_head head;
		char payload[PAYLOAD_MAX];
	} out = {.head = {.type = type, .len = (uint32_t)len}};
	if (len > 0)
		memcpy(out.payload, payload, len);
	return write_all(fd, &out, sizeof(out.head) + len);
}

// Reads what is there. 1: a whole frame; 0: not yet; -EPIPE: the other side is gone; -EPROTO: not our
// protocol.
static int frame_receive(int fd, struct frame *f)
{
	size_t want = sizeof(f->head);
	if (f->have >= sizeof(f->head))
		want += f->head.len;
	ssize_t n = read(fd, (char *)f + f->have, want - f->have);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0 && want != f->have)
		return -EPIPE;
	f->have += (size_t)n;
	if (f->have < sizeof(f->head))
		return 0;
	if (f->head.len > PAYLOAD_MAX)
		return -EPROTO;
	return f->have == sizeof(f->head) + f->head.len;
}

// A signalfd for `set`, which is blocked from here on.
static int signals_open(const sigset_t *set)
{
	sigprocmask(SIG_BLOCK, set, NULL);
	int fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		fail("signalfd: %s", strerror(errno));
	return fd;
}

// ---- guest: PID 1 of the emulated host

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

static int guest_main(const char *port)
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

// ---- host: parent of QEMU

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

// QEMU finds the relay's socket at fd 10, the shares' at 11, 12, ... in their order. Words are counted, not
// separated, because a command may contain any of them.
static int host_main(int argc, char *argv[])
{
	static struct host h = {.stdin_open = true, .window = WINDOW_BYTES};
	if (argc < 5)
		fail("usage: relay host TIMEOUT_S NCOMMAND COMMAND... NSHARES SHARE... QEMU...");
	clock_gettime(CLOCK_MONOTONIC, &h.deadline);
	h.deadline.tv_sec += atol(argv[0]);
	int ncommand = atoi(argv[1]);
	char **command = argv + 2;
	if (ncommand < 1 || ncommand > argc - 4)
		fail("bad number of words");
	int nshares = atoi(command[ncommand]);
	char **shares = command + ncommand + 1;
	char **qemu = shares + nshares;
	if (nshares < 0 || nshares > SHARES_MAX || qemu >= argv + argc)
		fail("at most %d shared directories", SHARES_MAX);
	command[ncommand] = NULL;

	sigset_t set;
	sigemptyset(&set);
	const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD};
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		sigaddset(&set, caught[i]);
	h.signals = signals_open(&set);
	signal(SIGPIPE, SIG_IGN);

	h.console = memfd_create("console", MFD_CLOEXEC);
	int fds[SHARES_MAX + 1], pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		fail("socketpair: %s", strerror(errno));
	h.control = pair[0];
	fds[0] = pair[1];
	for (int i = 0; i < nshares; i++)
		fds[1 + i] = host_share(&h, shares[i]);
	host_spawn(&h, qemu, fds, (size_t)nshares + 1, CONTROL_FD);
	for (int i = 0; i <= nshares; i++)
		close(fds[i]);
	host_loop(&h, command);
}

int main(int argc, char *argv[])
{
	if (argc > 2 && strcmp(argv[1], "host") == 0)
		return host_main(argc - 2, argv + 2);
	if (argc == 3 && strcmp(argv[1], "guest") == 0)
		return guest_main(argv[2]);
	fail("usage: relay host ... | relay guest PORT");
}
