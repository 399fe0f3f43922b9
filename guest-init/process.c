// SPDX-License-Identifier: Apache-2.0
#include "guest-init/process.h"

#include "guest-init/caps.h"
#include "guest-init/devices.h"
#include "guest-init/exec.h"
#include "guest-init/network.h"
#include "guest-init/path.h"
#include "guest-init/reaper.h"
#include "guest-init/report.h"
#include "guest-init/root.h"
#include "guest-init/seccomp.h"
#include "guest-init/sys.h"
#include "guest-init/terminal.h"
#include "guest-init/user.h"

#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* What the steps leave for each other. Too large for the stack in part, and there is one process. */
struct process {
	const struct spec *spec;
	int report_fd;
	int root_fd;
	int cwd_fd;
	int master_fd; /* -1 without a terminal */
	int stdio[3];
	const char **env;
	struct user user;
	struct seccomp_program program;
	struct failure failure;
};

static void outcome_report(const struct process *process, bool failed)
{
	struct report report = {.failed = failed, .uptime_ns = sys_uptime_ns()};

	if (failed)
		report.failure = process->failure;
	report_send(process->report_fd, &report, failed ? -1 : process->master_fd);
}

/* The namespaces themselves came with clone3(); the cgroup's is rooted where the process already is. */
static int identity_set(struct process *process)
{
	const char *hostname = process->spec->hostname;

	umask(0);
	if (unshare(CLONE_NEWCGROUP) < 0)
		return setup_failed(&process->failure, errno, "make the cgroup namespace");
	if (*hostname && sethostname(hostname, strlen(hostname)) < 0)
		return setup_failed(&process->failure, errno, "set the host name ", hostname);
	return 0;
}

/* While the container's /proc can still be written to. */
static int network_make(struct process *process)
{
	int ret = network_open_up(process->root_fd);

	return ret ? setup_failed(&process->failure, -ret, "open the network's ports to every user") : 0;
}

/* The image and the mounts over it. */
static int root_make(struct process *process)
{
	const struct spec *spec = process->spec;
	int ret;

	process->root_fd = root_assemble(spec, &process->failure);
	if (process->root_fd < 0)
		return process->root_fd;
	ret = root_mount_all(process->root_fd, spec, &process->failure);
	if (!ret)
		ret = network_make(process);
	return ret ? ret : root_restrict(process->root_fd, spec, &process->failure);
}

/* As the root of the container, whose rights on the directory do not depend on the user's. */
static int cwd_open(struct process *process)
{
	const char *cwd = process->spec->cwd;

	if (process->spec->flags & SPEC_CREATE_CWD)
		process->cwd_fd = path_make(process->root_fd, cwd, PATH_DIRECTORY);
	else
		process->cwd_fd = path_open(process->root_fd, cwd, O_PATH | O_DIRECTORY);
	if (process->cwd_fd < 0)
		return setup_failed(&process->failure, -process->cwd_fd, "working directory ", cwd);
	return 0;
}

static int terminal_make(struct process *process)
{
	const struct spec *spec = process->spec;
	struct terminal terminal;
	int ret = terminal_open(process->root_fd, spec->rows, spec->columns, &terminal, &process->failure);

	if (ret)
		return ret;
	process->master_fd = terminal.master_fd;
	for (int i = 0; i < 3; i++)
		process->stdio[i] = terminal.slave_fd;
	return 0;
}

static int null_open(struct process *process)
{
	int fd = -1;

	for (int i = 0; i < 3; i++) {
		if (process->stdio[i] >= 0)
			continue;
		if (fd < 0)
			fd = devices_open_null(process->root_fd);
		if (fd < 0)
			return setup_failed(&process->failure, -fd, "open the null device");
		process->stdio[i] = fd;
	}
	return 0;
}

/*
 * Put the three in their places. They are above 2 (main.c sees to that), so none is overwritten before its
 * turn. They become the user's, because /dev/stdout is opened anew by more programs than one would think. Not
 * so /dev/null, which is everybody's and the guest's own.
 */
static int stdio_place(struct process *process)
{
	for (int i = 0; i < 3; i++) {
		struct stat st;

		if (dup2(process->stdio[i], i) < 0 || fstat(i, &st) < 0)
			return setup_failed(&process->failure, errno, "set up the standard streams");
		if (!process->user.uid || (S_ISCHR(st.st_mode) && process->master_fd < 0))
			continue;
		if (fchown(i, process->user.uid, (gid_t)-1) < 0)
			return setup_failed(
				&process->failure, errno, "give the standard streams to the user");
	}
	return 0;
}

/* The spec's environment, and HOME if it has none. */
static int env_make(struct process *process)
{
	const struct spec *spec = process->spec;
	const char *const parts[] = {"HOME=", process->user.home, NULL};
	static char home[sizeof("HOME=") + USER_HOME_MAX];

	process->env = spec->env;
	if (env_get(spec->env, "HOME"))
		return 0;
	process->env = calloc(spec->n_env + 2, sizeof(*process->env));
	if (!process->env)
		return setup_failed(&process->failure, ENOMEM, "make the environment");
	memcpy(process->env, spec->env, spec->n_env * sizeof(*process->env));
	text_join(home, sizeof(home), parts);
	process->env[spec->n_env] = home;
	return 0;
}

static int limits_set(struct process *process)
{
	const struct spec *spec = process->spec;
	char room[TEXT_U64_BYTES];

	for (size_t i = 0; i < spec->n_rlimits; i++) {
		const struct spec_rlimit *rlimit = &spec->rlimits[i];
		struct rlimit value = {.rlim_cur = rlimit->soft, .rlim_max = rlimit->hard};

		if (syscall(SYS_prlimit64, 0, rlimit->resource, &value, NULL) < 0)
			return setup_failed(&process->failure, errno, "set resource limit ",
				text_u64(rlimit->resource, room));
	}
	return 0;
}

static int seccomp_prepare(struct process *process)
{
	const struct spec *spec = process->spec;
	struct seccomp_arch arches[SECCOMP_ARCHES_MAX];

	if (spec->seccomp_bytes) {
		process->program.len = spec->seccomp_bytes / sizeof(struct sock_filter);
		if (process->program.len > SECCOMP_PROGRAM_MAX)
			return setup_failed(&process->failure, 0, "the system call filter is too long");
		memcpy(process->program.code, spec->seccomp, spec->seccomp_bytes);
	} else if (spec->flags & SPEC_SECCOMP_DEFAULT) {
		if (seccomp_build(arches, seccomp_arches(arches), spec->capabilities, &process->program))
			return setup_failed(&process->failure, 0, "the system call profile is too long");
	}
	return 0;
}

static int seccomp_apply(struct process *process)
{
	if (!process->program.len)
		return 0;
	return seccomp_install(process->program.code, process->program.len, &process->failure);
}

/*
 * Give up what is not the container's. With no_new_privs the filter comes last, so that it sees as little of
 * us as possible; without, it takes CAP_SYS_ADMIN to install one, so it comes first.
 */
static int rights_drop(struct process *process)
{
	bool no_new_privs = process->spec->flags & SPEC_NO_NEW_PRIVS;
	int ret = caps_limit_bounding(process->spec->capabilities, &process->failure);

	if (!ret && !no_new_privs)
		ret = seccomp_apply(process);
	if (!ret)
		ret = caps_become_user(&process->user, process->spec->capabilities, &process->failure);
	if (ret || !no_new_privs)
		return ret;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return setup_failed(&process->failure, errno, "set no_new_privs");
	return seccomp_apply(process);
}

/* Everything that needs a name of the guest or of the container's root as seen from outside. */
static int process_outside(struct process *process)
{
	int ret = identity_set(process);

	if (!ret)
		ret = root_make(process);
	if (!ret)
		ret = user_lookup(process->root_fd, process->spec->user, &process->user, &process->failure);
	if (!ret)
		ret = cwd_open(process);
	if (!ret && process->spec->flags & SPEC_TERMINAL)
		ret = terminal_make(process);
	return ret ? ret : null_open(process);
}

/* And the rest, from inside. */
static int process_inside(struct process *process)
{
	int ret = root_enter(process->root_fd, process->spec, &process->failure);

	if (!ret && fchdir(process->cwd_fd) < 0)
		ret = setup_failed(&process->failure, errno, "working directory ", process->spec->cwd);
	if (!ret)
		ret = stdio_place(process);
	if (!ret)
		ret = env_make(process);
	if (!ret)
		ret = limits_set(process);
	if (!ret)
		ret = seccomp_prepare(process);
	/* From here on nothing that is open but 0, 1, 2 outlives exec. */
	if (!ret && sys_close_range(3, ~0u, SYS_CLOSE_RANGE_CLOEXEC) < 0)
		ret = setup_failed(&process->failure, errno, "mark open files");
	umask((mode_t)process->spec->umask);
	return ret ? ret : rights_drop(process);
}

/* --init: go on in a child; this process stays behind as PID 1. */
static int reaper_insert(struct process *process)
{
	sigset_t before;
	pid_t child;

	reaper_prepare(&before);
	child = fork();
	if (child < 0)
		return setup_failed(&process->failure, errno, "make the process below the init process");
	if (child)
		reaper_run(child);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return 0;
}

/* A session of its own, with the terminal as its controlling one. */
static int session_begin(struct process *process)
{
	if (setsid() < 0)
		return setup_failed(&process->failure, errno, "begin a session");
	if (process->master_fd >= 0 && ioctl(0, TIOCSCTTY, 0) < 0)
		return setup_failed(&process->failure, errno, "take the terminal");
	return 0;
}

noreturn void process_main(const struct process_start *start)
{
	static struct process process;
	int ret;

	process.spec = start->spec;
	process.report_fd = start->report_fd;
	process.root_fd = process.cwd_fd = process.master_fd = -1;
	memcpy(process.stdio, start->stdio, sizeof(process.stdio));
	signal(SIGPIPE, SIG_DFL);
	ret = process_outside(&process);
	if (!ret)
		ret = process_inside(&process);
	if (!ret && process.spec->flags & SPEC_INIT)
		ret = reaper_insert(&process);
	if (!ret)
		ret = session_begin(&process);
	if (!ret) {
		outcome_report(&process, false);
		exec_program(process.spec->args, process.env, &process.failure);
	}
	outcome_report(&process, true);
	_exit((int)process.failure.exit_status);
}
