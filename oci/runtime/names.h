// SPDX-License-Identifier: Apache-2.0
/* Signals and resource limits by name, in the numbers x86_64 and arm64 share. Pure functions, any thread. */
#ifndef MVRUN_OCI_RUNTIME_NAMES_H
#define MVRUN_OCI_RUNTIME_NAMES_H

/*
 * The number of a signal: "TERM", "SIGTERM" (any case), "15", "RTMIN+3", "RTMAX-1". -EINVAL if there is no
 * such signal; 1..64 otherwise.
 */
int signal_parse(const char *text);

/* The RLIMIT_ number of a limit as docker spells it ("nofile"), or -EINVAL. */
int rlimit_parse(const char *name);

#endif
