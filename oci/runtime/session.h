// SPDX-License-Identifier: Apache-2.0
/*
 * One container from start to end, in the foreground: the machine, the conversation with guest-init, the
 * streams, the signals and the terminal, in one event loop.
 *
 * Theory of operation. Everything that can fail for a reason of the user's is opened and checked before the
 * machine is started; everything that can wait is done while the guest boots. The session ends when
 *
 *  - the container has exited and the last byte of its output is written, or nobody reads it any more;
 *  - its process could not be started;
 *  - the guest lied, missed a deadline, or its machine ended;
 *  - the user wants it: a signal before the container runs, or the third SIGINT or SIGTERM within two
 *    seconds.
 *
 * In every case the machine is ended and waited for, and the terminal is as it was, before session_run()
 * returns.
 */
#ifndef MVRUN_OCI_RUNTIME_SESSION_H
#define MVRUN_OCI_RUNTIME_SESSION_H

#include "base/err.h"
#include "oci/runtime/container.h"
#include "oci/runtime/machine.h"
#include "oci/runtime/paths.h"

#include <stdbool.h>
#include <stdint.h>

struct session_config {
	const struct container_config *container;
	const struct machine_config *machine;
	const struct paths *paths;
	const char *name; /* NULL: none */
	uint64_t patience_ms; /* for each step of the guest's until the container runs */
	uint64_t started_us; /* CLOCK_MONOTONIC, when the program began */
	bool timings; /* print how long each phase took to standard error */
};

/*
 * Run the container. Returns the exit status for the process; err is set when there is something to tell the
 * user. Takes over SIGHUP, SIGINT and so on (signals.h) while it runs.
 */
int session_run(const struct session_config *config, struct err *err);

#endif
