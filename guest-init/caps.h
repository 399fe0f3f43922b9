// SPDX-License-Identifier: Apache-2.0
/*
 * Capabilities and user ids of the process that is about to exec.
 *
 * As runc does for docker: what is not allowed leaves the bounding set; root keeps the rest as permitted and
 * effective; anybody else starts without any. Inheritable and ambient are empty, so that a program with file
 * capabilities gets exactly those within the bounding set.
 */
#ifndef MVRUN_GUEST_INIT_CAPS_H
#define MVRUN_GUEST_INIT_CAPS_H

#include "guest-init/failure.h"
#include "guest-init/user.h"

#include <stdint.h>

/* Bits the kernel does not know are an error: a right that was asked for must not be dropped in silence. */
int caps_limit_bounding(uint64_t allowed, struct failure *failure);

/* Become the user, with permitted and effective capabilities as above. After caps_limit_bounding(). */
int caps_become_user(const struct user *user, uint64_t allowed, struct failure *failure);

#endif
