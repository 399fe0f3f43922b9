// SPDX-License-Identifier: Apache-2.0
/* The guest's network: for now its loopback interface. */
#ifndef MVRUN_GUEST_INIT_NETWORK_H
#define MVRUN_GUEST_INIT_NETWORK_H

/* Bring lo up; the kernel gives it 127.0.0.1 and ::1. 0 or -errno. */
int network_loopback_up(void);

#endif
