// SPDX-License-Identifier: Apache-2.0
/*
 * As vfork (jail/child.h): the child borrows our memory until it execs, so nothing is copied whatever we have mapped, and
 * a failed exec can leave its errno in a variable of ours. Until it execs the child makes system calls only; none of
 * them changes what we share but the variable.
 */
#include "oci/runtime/spawn.h"

#include "jail/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
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

struct birth {
	const struct spawn *spawn;
	pid_t parent;
	uid_t uid;
	gid_t gid;
	volatile int failure; /* -errno, from the child */
};

static int child_prepare(const struct birth *birth)
{
	const struct spawn *spawn = birth->spawn;
	int ret = 0;

	if (spawn->namespaces & CLONE_NEWUSER)
		ret = child_map_ids(birth->uid, birth->gid);
	if (ret)
		return -EPERM;
	if (spawn->session && setsid() < 0)
		return -errno;
	if (spawn->death_signal && prctl(PR_SET_PDEATHSIG, spawn->death_signal) < 0)
		return -errno;
	/* The parent may have died before the line above. From a pid namespace of our own it cannot be seen. */
	if (spawn->death_signal && !(spawn->namespaces & CLONE_NEWPID) && getppid() != birth->parent)
		return -ESRCH;
	ret = child_fds(spawn);
	if (!ret && spawn->mask && sigprocmask(SIG_SETMASK, spawn->mask, NULL) < 0)
		ret = -errno;
	return ret;
}

static void child_run(void *ctx)
{
	struct birth *birth = ctx;
	const struct spawn *spawn = birth->spawn;

	birth->failure = child_prepare(birth);
	if (birth->failure)
		_exit(127);
	execve(spawn->path, spawn->argv, spawn->env);
	birth->failure = -errno;
	_exit(127);
}

pid_t spawn_program(const struct spawn *spawn)
{
	struct birth birth = {.spawn = spawn, .parent = getpid(), .uid = geteuid(), .gid = getegid()};
	pid_t pid =
		child_start(spawn->namespaces, spawn->cgroup_fd ? *spawn->cgroup_fd : -1, child_run, &birth);

	/* ENOSPC, EUSERS, EINVAL, ENOSYS and EPERM are all said of namespaces (user_namespaces(7), clone(2)). */
	if (pid < 0)
		return spawn->namespaces && pid != -ENOMEM && pid != -EAGAIN ? -EPERM : pid;
	if (!birth.failure)
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return birth.failure;
}
