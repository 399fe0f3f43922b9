// SPDX-License-Identifier: Apache-2.0
#include "oci/image/nursery.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/image/confine.h"
#include "oci/image/order.h"
#include "oci/image/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWCGROUP)
#define ORDERS_FD 3 /* where the nursery has its socket */

struct nursery {
	struct {
		pid_t pid; /* 0: free */
		int status_fd;
	} workers[NURSERY_WORKERS_MAX];
};

/*
 * fork(), into namespaces of its own. glibc has no such call, and its fork() makes others besides, which change from
 * version to version and which the filter would have to allow. The process has no other thread, and nothing to run
 * before or after.
 */
static pid_t fork_into(unsigned long namespaces)
{
	return (pid_t)syscall(SYS_clone, namespaces | SIGCHLD, NULL, NULL, NULL, NULL);
}

/* ---- workers ---- */

/* The one thing that may be seen of a worker's end is how it ended. */
static void reap(struct nursery *nursery)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < NURSERY_WORKERS_MAX; i++) {
			if (nursery->workers[i].pid != pid)
				continue;
			io_write_all(nursery->workers[i].status_fd, &status, sizeof(status));
			fd_release(&nursery->workers[i].status_fd);
			nursery->workers[i].pid = 0;
		}
	}
}

/* In the worker: only what belongs to its order stays open, at ORDERS_FD and up. fds are all of an order. */
static _Noreturn void worker_become(const struct order *order, int *fds, size_t n_fds)
{
	int at = ORDERS_FD;

	/* First out of the way of each other, then into place. */
	for (size_t i = 1; i < n_fds; i++)
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, ORDERS_FD + ORDER_FDS_MAX + 2);
	for (size_t i = 1; i < n_fds; i++)
		fds[i] = dup3(fds[i], at++, O_CLOEXEC);
	close_range((unsigned int)at, ~0u, 0);
	worker_main(order, fds[1], fds + 2);
}

static void order_take(struct nursery *nursery, const struct order *order, int *fds, size_t n_fds)
{
	size_t i = 0;
	pid_t pid;

	while (i < NURSERY_WORKERS_MAX && nursery->workers[i].pid)
		i++;
	/* Who gets no worker finds that nobody holds the other end of his status pipe. */
	if (i == NURSERY_WORKERS_MAX)
		return;
	pid = fork_into(0);
	if (pid == 0)
		worker_become(order, fds, n_fds);
	if (pid < 0)
		return;
	nursery->workers[i].pid = pid;
	nursery->workers[i].status_fd = fd_steal(&fds[0]);
}

/* ---- orders ---- */

static void order_receive(struct nursery *nursery)
{
	int fds[ORDER_FDS_MAX + 2];
	struct order order;
	size_t n_fds = 0;
	ssize_t n = io_recv_fds(ORDERS_FD, &order, sizeof(order), fds, ORDER_FDS_MAX + 2, &n_fds);

	/* Whoever gave orders is gone. What is too long is no order. */
	if (n <= 0 && n != -EMSGSIZE)
		_exit(0);
	if (n == sizeof(order) && n_fds >= 2 && order_good(&order, n_fds - 2))
		order_take(nursery, &order, fds, n_fds);
	for (size_t i = 0; i < n_fds; i++)
		fd_release(&fds[i]);
}

static void on_child(int number)
{
	(void)number;
}

static _Noreturn void serve(void)
{
	struct nursery nursery = {0};
	struct pollfd pollfd = {.fd = ORDERS_FD, .events = POLLIN};
	sigset_t none;

	sigemptyset(&none);
	for (;;) {
		/* SIGCHLD is only let in here, so none is missed. */
		int n = ppoll(&pollfd, 1, NULL, &none);

		reap(&nursery);
		if (n > 0)
			order_receive(&nursery);
	}
}

static void signals_set(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, child = {.sa_handler = on_child};
	/* What the terminal sends means the loader, which ends us. SIGXFSZ: the write fails instead. */
	static const int ignored[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGPIPE, SIGTSTP, SIGTTOU, SIGXFSZ};
	sigset_t set;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		sigaction(ignored[i], &ignore, NULL);
	sigaction(SIGCHLD, &child, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

/* Nothing but /dev/null where programs expect something, and the socket. */
static int descriptors_set(int orders_fd)
{
	/* Out of the way: whoever started us may have closed 0, 1 and 2. */
	int orders = fcntl(orders_fd, F_DUPFD_CLOEXEC, ORDERS_FD + 1), null = open("/dev/null", O_RDWR);

	if (orders < 0 || null < 0)
		return -errno;
	for (int i = 0; i < ORDERS_FD; i++) {
		if (null != i && dup2(null, i) < 0)
			return -errno;
	}
	if (dup3(orders, ORDERS_FD, O_CLOEXEC) < 0)
		return -errno;
	return close_range(ORDERS_FD + 1, ~0u, 0) < 0 ? -errno : 0;
}

/* A worker could put what it finds in the environment into the layer it writes: let there be nothing. */
static void environment_wipe(void)
{
	for (char **at = environ; at && *at; at++)
		explicit_bzero(*at, strlen(*at));
	clearenv();
}

static _Noreturn void nursery_main(int orders_fd, const struct confinement *how)
{
	struct nursery_ready ready = {0};
	struct err err = ERR_INIT;
	int ret;

	setsid();
	signals_set();
	environment_wipe();
	ret = descriptors_set(orders_fd);
	if (ret)
		_exit(1);
	worker_warm_up();
	ret = confine_nursery(how, &err);
	ready.code = (uint32_t)-ret;
	snprintf(ready.text, sizeof(ready.text), "%s", err.text);
	if (send(ORDERS_FD, &ready, sizeof(ready), MSG_NOSIGNAL) != sizeof(ready) || ret)
		_exit(1);
	serve();
}

/* Who may not make namespaces may in a user namespace, where the system allows that. */
static pid_t fork_apart(struct confinement *how)
{
	pid_t pid = fork_into(NAMESPACES);

	how->namespaces = true;
	if (pid < 0 && errno == EPERM) {
		how->user = true;
		pid = fork_into(NAMESPACES | CLONE_NEWUSER);
	}
	if (pid < 0 && how->degraded) {
		how->user = how->namespaces = false;
		pid = fork_into(0);
	}
	return pid;
}

int nursery_start(bool degraded, pid_t *pid, int *orders_fd)
{
	struct confinement how = {
		.degraded = degraded, .uid = geteuid(), .gid = getegid(), .parent = getpid()};
	auto_fd ours = -1;
	auto_fd theirs = -1;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	ours = fds[0];
	theirs = fds[1];
	*pid = fork_apart(&how);
	if (*pid < 0)
		return -errno;
	if (*pid == 0)
		nursery_main(theirs, &how);
	*orders_fd = fd_steal(&ours);
	return 0;
}
