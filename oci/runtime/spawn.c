// SPDX-License-Identifier: Apache-2.0
/*
 * vfork: the child borrows our memory until it execs, so nothing is copied whatever we have mapped, and a
 * failed exec can leave its errno in a variable of ours. Between vfork and exec the child makes system calls
 * only; none of them changes what we share but the variable.
 */
#include "oci/runtime/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Put the descriptors in place. Low sources are moved up first, so that none is overwritten. */
static int child_fds(const struct spawn *spawn)
{
	int from[SPAWN_FDS_MAX];

	for (int i = 0; i < SPAWN_FDS_MAX; i++) {
		from[i] = spawn->fds[i];
		if (from[i] >= 0 && from[i] < SPAWN_FDS_MAX && from[i] != i)
			from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, SPAWN_FDS_MAX);
		if (from[i] < 0 && spawn->fds[i] >= 0)
			return -errno;
	}
	for (int i = 0; i < SPAWN_FDS_MAX; i++) {
		if (from[i] == i && fcntl(i, F_SETFD, 0) < 0)
			return -errno;
		if (from[i] >= 0 && from[i] != i && dup2(from[i], i) < 0)
			return -errno;
	}
	return 0;
}

static int child_run(const struct spawn *spawn, pid_t parent)
{
	int ret;

	if (spawn->session && setsid() < 0)
		return -errno;
	if (spawn->death_signal && prctl(PR_SET_PDEATHSIG, spawn->death_signal) < 0)
		return -errno;
	/* The parent may have died before the line above. */
	if (spawn->death_signal && getppid() != parent)
		return -ESRCH;
	ret = child_fds(spawn);
	if (ret)
		return ret;
	if (spawn->mask && sigprocmask(SIG_SETMASK, spawn->mask, NULL) < 0)
		return -errno;
	execve(spawn->path, spawn->argv, spawn->env);
	return -errno;
}

pid_t spawn_program(const struct spawn *spawn)
{
	volatile int failure = 0;
	pid_t parent = getpid();
	pid_t pid = vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork): see the top

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		// NOLINTNEXTLINE(clang-analyzer-unix.Vfork): it makes system calls only
		failure = child_run(spawn, parent);
		_exit(127);
	}
	if (!failure)
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return failure;
}
