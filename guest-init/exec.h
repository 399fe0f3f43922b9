// SPDX-License-Identifier: Apache-2.0
/*
 * The last step: find the program as execvpe(3) does, and become it.
 *
 * The texts are those that docker and podman print and other tools look for, with the exit statuses of the
 * shell: 127 for what is not there, 126 for what is there and cannot be executed.
 */
#ifndef MVRUN_GUEST_INIT_EXEC_H
#define MVRUN_GUEST_INIT_EXEC_H

#include "guest-init/failure.h"

/* Returns only when it failed, with the failure filled in. A bare name is looked for along env's PATH. */
void exec_program(const char *const *args, const char *const *env, struct failure *failure);

/* The value of a variable in a NULL-terminated environment, or NULL. */
const char *env_get(const char *const *env, const char *name);

#endif
