// SPDX-License-Identifier: Apache-2.0
#include "guest-init/container.h"

#include "guest-init/network.h"
#include "guest-init/process.h"
#include "guest-init/report.h"
#include "guest-init/root.h"
#include "guest-init/sys.h"
#include "guest-init/terminal.h"
#include "guest-init/vsock.h"

#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC)

/* Descriptors of a start that is under way; -1: none. */
struct plumbing {
	int sockets[STREAM_COUNT]; /* to the host */
	int ours[STREAM_COUNT]; /* ends of pipes */
	int theirs[STREAM_COUNT];
	int report[2]; /* ours, theirs */
};

void container_init(
	struct container *container, struct loop *loop, container_fn *ended, container_fn *drained, void *ctx)
{
	*container = (struct container){
		.loop = loop,
		.cgroup = CGROUP_INIT,
		.mounts_fd = -1,
		.terminal_fd = -1,
		.ended = ended,
		.drained = drained,
		.ctx = ctx,
	};
}

static void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void plumbing_done(struct plumbing *plumbing)
{
	for (int i = 0; i < STREAM_COUNT; i++) {
		fd_close(&plumbing->sockets[i]);
		fd_close(&plumbing->ours[i]);
		fd_close(&plumbing->theirs[i]);
	}
	fd_close(&plumbing->report[0]);
	fd_close(&plumbing->report[1]);
}

/*
 * The connections are asked for here and stand some time later. Whatever the container does, it comes after:
 * each port takes one connection, and it is ours.
 */
static int sockets_connect(struct plumbing *plumbing, const struct spec *spec, struct failure *failure)
{
	bool terminal = spec->flags & SPEC_TERMINAL;
	char room[TEXT_U64_BYTES];

	for (int i = 0; i < (terminal ? 1 : STREAM_COUNT); i++) {
		if (!spec->stream_ports[i] ||
			(i == STREAM_IN && !terminal && !(spec->flags & SPEC_STDIN_OPEN)))
			continue;
		plumbing->sockets[i] = vsock_connect(spec->stream_ports[i], false);
		if (plumbing->sockets[i] < 0)
			return setup_failed(failure, -plumbing->sockets[i], "connect a stream to host port ",
				text_u64(spec->stream_ports[i], room));
	}
	return 0;
}

/* A pipe per stream: the container's end blocks, ours does not. */
static int pipes_make(struct plumbing *plumbing, struct failure *failure)
{
	for (int i = 0; i < STREAM_COUNT; i++) {
		int ends[2];

		if (plumbing->sockets[i] < 0)
			continue;
		if (pipe2(ends, O_CLOEXEC) < 0)
			return setup_failed(failure, errno, "make a pipe for a stream");
		plumbing->theirs[i] = ends[i == STREAM_IN ? 0 : 1];
		plumbing->ours[i] = ends[i == STREAM_IN ? 1 : 0];
		if (fcntl(plumbing->ours[i], F_SETFL, O_NONBLOCK) < 0)
			return setup_failed(failure, errno, "set up a pipe for a stream");
	}
	return 0;
}

static int plumbing_make(struct plumbing *plumbing, const struct spec *spec, struct failure *failure)
{
	int ret;

	for (int i = 0; i < STREAM_COUNT; i++)
		plumbing->sockets[i] = plumbing->ours[i] = plumbing->theirs[i] = -1;
	plumbing->report[0] = plumbing->report[1] = -1;
	ret = sockets_connect(plumbing, spec, failure);
	if (!ret && !(spec->flags & SPEC_TERMINAL))
		ret = pipes_make(plumbing, failure);
	if (!ret && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, plumbing->report) < 0)
		ret = setup_failed(failure, errno, "make a socket pair");
	return ret;
}

/* Make the process in its namespaces and its control group. */
static int process_spawn(struct container *container, struct plumbing *plumbing, struct failure *failure)
{
	struct process_start start = {.spec = &container->spec, .report_fd = plumbing->report[1]};
	int pid_fd = -1;
	struct sys_clone_args args = {
		.flags = NAMESPACES | SYS_CLONE_PIDFD | SYS_CLONE_INTO_CGROUP,
		.pidfd = (uintptr_t)&pid_fd,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)container->cgroup.fd,
	};
	int pid;

	for (int i = 0; i < STREAM_COUNT; i++)
		start.stdio[i] = plumbing->theirs[i];
	pid = sys_clone3(&args);
	if (pid == 0)
		process_main(&start);
	if (pid < 0)
		return setup_failed(failure, errno, "make the container's process");
	container->pid = pid;
	container->pidfd.fd = pid_fd;
	return 0;
}

static void output_ended(struct relay *relay)
{
	struct container *container = relay->ctx;

	container->outputs--;
	if (!container->outputs)
		container->drained(container);
}

/*
 * The end of a pipe's input is the relay's to pass on. A terminal has no such thing but hanging up, and that is
 * what it means that the host's terminal is gone: the master is closed, sessions get SIGHUP, and who still reads
 * or writes gets the end or an error. Without an open standard input its end says nothing.
 */
static void input_ended(struct relay *relay)
{
	struct container *container = relay->ctx;

	if (container->terminal_fd < 0 || !container->pid || !(container->spec.flags & SPEC_STDIN_OPEN))
		return;
	fd_close(&container->terminal_fd);
	relay_stop(&container->relays[STREAM_OUT]);
}

static int relay_begin(struct container *container, int stream, enum relay_kind kind, int *from, int *to,
	struct failure *failure)
{
	bool output = stream != STREAM_IN;
	int ret;

	container->outputs += output;
	ret = relay_start(&container->relays[stream], container->loop, kind, *from, *to,
		output ? output_ended : input_ended, container);
	*from = *to = -1;
	if (!ret)
		return 0;
	container->outputs -= output;
	return setup_failed(failure, -ret, "watch a stream");
}

static int pipes_relay(struct container *container, struct plumbing *plumbing, struct failure *failure)
{
	int ret = 0;

	for (int i = STREAM_OUT; !ret && i < STREAM_COUNT; i++) {
		if (plumbing->sockets[i] >= 0)
			ret = relay_begin(container, i, RELAY_PIPE_TO_SOCKET, &plumbing->ours[i],
				&plumbing->sockets[i], failure);
	}
	if (!ret && plumbing->sockets[STREAM_IN] >= 0)
		ret = relay_begin(container, STREAM_IN, RELAY_SOCKET_TO_PIPE, &plumbing->sockets[STREAM_IN],
			&plumbing->ours[STREAM_IN], failure);
	return ret;
}

/*
 * Both directions go over the one connection and the one master, each relay with descriptors of its own. A
 * slave is kept open here: a terminal that nobody has open for a moment must not look like the end of the
 * output.
 */
static int terminal_relay(
	struct container *container, struct plumbing *plumbing, int master_fd, struct failure *failure)
{
	int socket_fd = plumbing->sockets[STREAM_IN], master[2] = {master_fd, -1},
	    socket[2] = {socket_fd, -1};
	int ret = 0;

	plumbing->sockets[STREAM_IN] = -1;
	container->terminal_fd = ioctl(master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	master[1] = fcntl(master_fd, F_DUPFD_CLOEXEC, 3);
	socket[1] = fcntl(socket_fd, F_DUPFD_CLOEXEC, 3);
	if (container->terminal_fd < 0 || master[1] < 0 || socket[1] < 0 ||
		fcntl(master_fd, F_SETFL, O_NONBLOCK) < 0)
		ret = setup_failed(failure, errno, "set up the terminal's streams");
	if (!ret)
		ret = relay_begin(
			container, STREAM_OUT, RELAY_TERMINAL_TO_SOCKET, &master[0], &socket[0], failure);
	if (!ret)
		ret = relay_begin(
			container, STREAM_IN, RELAY_SOCKET_TO_TERMINAL, &socket[1], &master[1], failure);
	for (int i = 0; i < 2; i++) {
		fd_close(&master[i]);
		fd_close(&socket[i]);
	}
	return ret;
}

/* Reap whatever has ended; note how the container's process did. */
static void on_pidfd(struct loop_source *source, uint32_t events)
{
	struct container *container = source->ctx;
	struct rusage usage;
	int status;
	pid_t pid;

	(void)events;
	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
		struct proto_exited *exited = &container->exited;

		if (pid != container->pid)
			continue;
		exited->signal = WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0;
		exited->exit_status = exited->signal ? 128 + exited->signal : (uint32_t)WEXITSTATUS(status);
		exited->uptime_ns = sys_uptime_ns();
		exited->user_us =
			(uint64_t)usage.ru_utime.tv_sec * 1000000 + (uint64_t)usage.ru_utime.tv_usec;
		exited->system_us =
			(uint64_t)usage.ru_stime.tv_sec * 1000000 + (uint64_t)usage.ru_stime.tv_usec;
		container->pid = 0;
		loop_del(container->loop, source);
		fd_close(&source->fd);
		container->ended(container);
	}
}

/* The process has been made: hear how it went, and take its streams over. */
static int process_adopt(
	struct container *container, struct plumbing *plumbing, uint64_t *uptime_ns, struct failure *failure)
{
	struct report outcome;
	int master_fd, ret;

	for (int i = 0; i < STREAM_COUNT; i++)
		fd_close(&plumbing->theirs[i]);
	fd_close(&plumbing->report[1]);
	report_await(plumbing->report[0], &outcome, &master_fd);
	if (outcome.failed) {
		fd_close(&master_fd);
		*failure = outcome.failure;
		return -ECHILD;
	}
	*uptime_ns = outcome.uptime_ns;
	/*
	 * A last process unmounts everything on its way out, before its parent hears of it. The machine ends
	 * with it, so that would be work for nothing.
	 */
	container->mounts_fd = ioctl(container->pidfd.fd, SYS_PIDFD_GET_MNT_NAMESPACE, 0);
	if (master_fd >= 0)
		ret = terminal_relay(container, plumbing, master_fd, failure);
	else
		ret = pipes_relay(container, plumbing, failure);
	if (!ret)
		ret = loop_add(container->loop, &container->pidfd, container->pidfd.fd, EPOLLIN, on_pidfd,
			container);
	return ret;
}

static void process_abandon(struct container *container)
{
	if (!container->pid)
		return;
	kill(container->pid, SIGKILL);
	waitpid(container->pid, NULL, 0);
	close(container->pidfd.fd);
	container->pid = 0;
}

int container_start(struct container *container, uint64_t *uptime_ns, struct failure *failure)
{
	struct plumbing plumbing;
	int ret = plumbing_make(&plumbing, &container->spec, failure);

	if (!ret)
		ret = root_mount_image(container->spec.root_disk, failure);
	if (!ret)
		ret = cgroup_make(&container->cgroup, &container->spec, failure);
	if (!ret) {
		ret = network_loopback_up();
		if (ret)
			setup_failed(failure, -ret, "bring the loopback interface up");
	}
	if (!ret)
		ret = process_spawn(container, &plumbing, failure);
	if (!ret)
		ret = process_adopt(container, &plumbing, uptime_ns, failure);
	if (ret)
		process_abandon(container);
	plumbing_done(&plumbing);
	return ret;
}

void container_signal(struct container *container, uint32_t number)
{
	if (container->pid)
		kill(container->pid, (int)number);
}

void container_resize(struct container *container, uint16_t rows, uint16_t columns)
{
	if (container->terminal_fd >= 0)
		terminal_resize(container->terminal_fd, rows, columns);
}

/*
 * The end of PID 1 has ended its namespace: nobody is left who could write, so each pipe runs dry and then
 * reports its end; the terminal does once our slave is closed.
 */
void container_drain(struct container *container)
{
	struct cgroup_usage usage;

	cgroup_kill(&container->cgroup);
	usage = cgroup_usage(&container->cgroup);
	container->exited.oom_kills = usage.oom_kills;
	container->exited.memory_peak_bytes = usage.memory_peak_bytes;
	relay_stop(&container->relays[STREAM_IN]);
	fd_close(&container->terminal_fd);
	if (!container->outputs)
		container->drained(container);
}
