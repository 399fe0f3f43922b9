// SPDX-License-Identifier: Apache-2.0
#include "guest-init/reaper.h"

#include "guest-init/sys.h"

#include <sys/prctl.h>
#include <sys/wait.h>

void reaper_prepare(sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, before);
}

/* Take every child that has ended; when the program is among them, end like it. */
static void children_reap(pid_t child)
{
	int status, code = -1;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == child)
			code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
	if (code >= 0)
		_exit(code);
	if (pid < 0 && errno == ECHILD)
		_exit(125); /* cannot be: the program is our child until it is reaped */
}

noreturn void reaper_run(pid_t child)
{
	sigset_t all;

	/* Nothing of what is open here is the container's, and /proc/1/mem is none of its business. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	sys_close_range(0, ~0u, 0);
	sigfillset(&all);
	for (;;) {
		int number = sigwaitinfo(&all, NULL);

		if (number == SIGCHLD)
			children_reap(child);
		else if (number > 0)
			kill(child, number);
	}
}
