// SPDX-License-Identifier: Apache-2.0
/*
 * Signals as events: blocked, and read from a descriptor in the event loop.
 *
 * A signal that this process was started with ignored (nohup, a shell's background job) stays ignored.
 * SIGPIPE is blocked along with the others, so that a write to a closed pipe fails with EPIPE. Job control
 * (SIGTSTP, SIGTTIN, SIGTTOU) keeps its default action.
 */
#ifndef MVRUN_OCI_RUNTIME_SIGNALS_H
#define MVRUN_OCI_RUNTIME_SIGNALS_H

#include <signal.h>

struct signals {
	int fd;
	sigset_t saved; /* the mask that children are to start with */
};

/* Block and open the descriptor (non-blocking). 0 or -errno. */
int signals_init(struct signals *signals);

/* Close the descriptor and put the mask back; what is pending is delivered. */
void signals_done(struct signals *signals);

/* The next pending signal, or 0 if there is none. */
int signals_next(struct signals *signals);

#endif
