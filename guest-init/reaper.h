// SPDX-License-Identifier: Apache-2.0
/*
 * PID 1 of the container with --init: waits for every process that nobody else waits for, hands signals on to
 * the program, and ends as the program ends. It has the program's user, capabilities and filter, and nothing
 * open.
 */
#ifndef MVRUN_GUEST_INIT_REAPER_H
#define MVRUN_GUEST_INIT_REAPER_H

#include <signal.h>
#include <stdnoreturn.h>
#include <sys/types.h>

/* Block all signals, so that none is lost between fork() and reaper_run(); the child restores *before. */
void reaper_prepare(sigset_t *before);

noreturn void reaper_run(pid_t child);

#endif
