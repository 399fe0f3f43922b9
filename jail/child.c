// SPDX-License-Identifier: Apache-2.0
#include "jail/child.h"

#include "jail/arch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * Both processes come back from the system call into this frame. The child never leaves it, so all it writes lies below
 * what the parent goes on with; run is called through a pointer the compiler cannot see through, so nothing is inlined.
 */
pid_t child_start(uint64_t namespaces, int cgroup_fd, void (*run)(void *ctx), void *ctx)
{
	struct clone_args args = {
		.flags = namespaces | CLONE_VM | CLONE_VFORK,
		.exit_signal = SIGCHLD,
	};
	long ret;

	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)cgroup_fd;
	}
	ret = JAIL_SYSCALL2(SYS_clone3, &args, sizeof(args));
	if (ret == 0) {
		run(ctx);
		_exit(127);
	}
	return (pid_t)ret;
}

static int file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int child_map_ids(uid_t uid, gid_t gid)
{
	char text[32];
	int ret = file_write("/proc/self/setgroups", "deny");

	snprintf(text, sizeof(text), "0 %u 1", gid);
	if (!ret)
		ret = file_write("/proc/self/gid_map", text);
	snprintf(text, sizeof(text), "0 %u 1", uid);
	if (!ret)
		ret = file_write("/proc/self/uid_map", text);
	return ret;
}
