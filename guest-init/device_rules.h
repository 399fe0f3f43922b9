// SPDX-License-Identifier: Apache-2.0
/*
 * Which devices a container may use, as a BPF program on its control group (cgroup v2 has no device files).
 *
 * As runc's defaults: any device node may be made; only null, zero, full, random, urandom, tty, console, ptmx
 * and pseudo-terminals may be opened. So the disks, the console and /dev/vsock of the guest stay out of reach
 * for root with CAP_MKNOD, too.
 */
#ifndef MVRUN_GUEST_INIT_DEVICE_RULES_H
#define MVRUN_GUEST_INIT_DEVICE_RULES_H

#include "guest-init/failure.h"

/* Attach the rules to a cgroup, for it and all below. */
int device_rules_attach(int cgroup_fd, struct failure *failure);

#endif
