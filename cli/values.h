// SPDX-License-Identifier: Apache-2.0
/*
 * What the values of run's options mean. Each function checks one text completely and says in one line what
 * is wrong with it; the output is untouched then. -EINVAL with err set. Pure functions, any thread.
 */
#ifndef MVRUN_CLI_VALUES_H
#define MVRUN_CLI_VALUES_H

#include "base/err.h"
#include "proto/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "512m", "1.5g": within what a machine can have; rounded up to whole MiB. */
int value_memory(const char *text, uint64_t *bytes, struct err *err);

/* "1.5": from 0.01 to the number of CPUs there are, or 0 for all of them; in thousandths. */
int value_cpus(const char *text, unsigned available, uint64_t *milli, struct err *err);

/* "100"; -1 and 0 mean no limit. */
int value_pids(const char *text, uint64_t *pids, struct err *err);

/* "nofile=1024:2048", "core=0", "memlock=-1". */
int value_ulimit(const char *text, struct spec_rlimit *rlimit, struct err *err);

/* "TERM", "SIGTERM", "15". */
int value_signal(const char *text, int *signal, struct err *err);

/* Letters, digits, dots and dashes; at most 63 bytes. */
int value_hostname(const char *text, struct err *err);

/*
 * "/run" or "/run:size=16m,mode=1777,exec". The mount's texts are one heap block, *owned, the caller's to
 * free.
 */
int value_tmpfs(const char *text, struct spec_mount *mount, char **owned, struct err *err);

/* docker's arithmetic of --cap-add and --cap-drop. */
int value_capabilities(const char *const *add, size_t n_add, const char *const *drop, size_t n_drop,
	uint64_t *capabilities, struct err *err);

/* "8g": more than nothing. The loader takes it from here, as text. */
int value_image_size(const char *text, struct err *err);

/* "linux/arm64/v8": *architecture is the part that counts for a host, by its OCI name. */
int value_platform(const char *text, const char **architecture, struct err *err);

/* "no-new-privileges[:true|false]" and "seccomp=unconfined". */
int value_security(const char *text, bool *no_new_privs, bool *seccomp_off, struct err *err);

#endif
