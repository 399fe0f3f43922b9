// SPDX-License-Identifier: Apache-2.0
/*
 * Which devices a container may use, as a BPF program on a control group (cgroup v2 has no device files).
 *
 * As runc's defaults: any device node may be made; only null, zero, full, random, urandom, tty, ptmx and
 * pseudo-terminals may be opened. So the disks, the console and /dev/vsock of the guest stay out of reach for root
 * with CAP_MKNOD, too. Mounting a disk counts as opening it, unless it is mounted already.
 */
#ifndef MVRUN_GUEST_INIT_DEVICE_RULES_H
#define MVRUN_GUEST_INIT_DEVICE_RULES_H

#include "guest-init/failure.h"

/*
 * Attach the rules to a cgroup, for it and all below. Groups below may have rules of their own besides; what one of
 * them forbids is forbidden.
 */
int device_rules_attach(int cgroup_fd, struct failure *failure);

#endif
