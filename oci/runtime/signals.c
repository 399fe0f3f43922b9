// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/signals.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

static bool ignored(int signal)
{
	struct sigaction action;

	return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void signals_fill(sigset_t *set)
{
	static const int wanted[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT,
		SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR};

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		sigaddset(set, wanted[i]);
	/* SIGRTMIN+3 and its neighbours are how systemd is spoken to. */
	for (int signal = SIGRTMIN; signal <= SIGRTMAX; signal++)
		sigaddset(set, signal);
	/* Only these are ever ignored on purpose by whoever starts a program. */
	if (ignored(SIGHUP))
		sigdelset(set, SIGHUP);
	if (ignored(SIGINT))
		sigdelset(set, SIGINT);
	if (ignored(SIGQUIT))
		sigdelset(set, SIGQUIT);
}

int signals_init(struct signals *signals)
{
	sigset_t set;
	int ret;

	signals_fill(&set);
	signals->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (signals->fd < 0)
		return -errno;
	/* Writes that fail with EPIPE and EFBIG are answered where they are made. */
	sigaddset(&set, SIGPIPE);
	sigaddset(&set, SIGXFSZ);
	if (sigprocmask(SIG_BLOCK, &set, &signals->saved) < 0) {
		ret = -errno;
		fd_release(&signals->fd);
		return ret;
	}
	return 0;
}

void signals_done(struct signals *signals)
{
	struct timespec now = {0};
	sigset_t answered;

	if (signals->fd < 0)
		return;
	fd_release(&signals->fd);
	/* They must not arrive now. */
	sigemptyset(&answered);
	sigaddset(&answered, SIGPIPE);
	sigaddset(&answered, SIGXFSZ);
	while (sigtimedwait(&answered, NULL, &now) > 0)
		;
	sigprocmask(SIG_SETMASK, &signals->saved, NULL);
}

int signals_next(struct signals *signals)
{
	struct signalfd_siginfo info;

	if (read(signals->fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}
