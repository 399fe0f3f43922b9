// SPDX-License-Identifier: Apache-2.0
/*
 * Sessions to test: `mvrun run` in a child process, with a fake guest (fake_guest.c) for a machine and pipes for
 * streams. The test program is its own mvrun-vmm: called by that name it is the guest.
 */
#ifndef MVRUN_TESTS_UNIT_SESSION_RUNS_H
#define MVRUN_TESTS_UNIT_SESSION_RUNS_H

#include "oci/runtime/container.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RUN_OUTPUT_MAX (8u << 20)
/* What a guest of this kind needs on a busy machine, and what one gets that is late on purpose. */
#define RUN_PATIENCE_MS 20000
#define RUN_SHORT_PATIENCE_MS 400

struct run {
	pid_t pid;
	int in, out, err; /* our ends; -1: none */
};

struct result {
	int status; /* of the process: 128 + n if a signal ended it */
	char *out, *err;
	size_t out_len;
};

/* How long the next session waits for its guest. */
extern uint64_t run_patience_ms;

/* Where the parts of mvrun, and names in use, are while the tests run. */
extern char run_libexec[];

/* Set-up and tear-down of a group of tests. */
int runs_begin(void **state);
int runs_end(void **state);

/* Skips the test where there is no /dev/kvm: the fake never uses it, but the session opens it first. */
void need_kvm(void);

/* Start a container that runs the words of command, separated by spaces. */
struct run run_start(const char *command, bool stdin_open, int stop_signal, const char *name);

/* In a child: make the ends of three pipes its standard streams, and close all else. */
void run_child_fds(const int in[2], const int out[2], const int err[2]);

/* In a child: become the session and end with its status, as the command does. */
void run_session(struct container_config *container, const char *name);

/* Take what is there from one stream. False at its end. */
bool run_take(int *fd, char *text, size_t *len);

/* Close one of our ends, if it is open. */
void run_close(int *fd);

/* Wait until the container has written text, or has written it so many times, to its standard output. */
void run_await_text(struct run *run, const char *text);
void run_await_times(struct run *run, const char *text, size_t times);

/* Close standard input, take all output, wait. */
struct result run_end(struct run *run);
void result_free(struct result *result);

/* Run to the end; expect a status, and a piece of text on standard error (NULL: silence). */
void run_expect(const char *command, int status, const char *error);

#endif
