// SPDX-License-Identifier: Apache-2.0
/* The guest's network: for now its loopback interface, and what engines set in a container's. */
#ifndef MVRUN_GUEST_INIT_NETWORK_H
#define MVRUN_GUEST_INIT_NETWORK_H

/* Bring lo up; the kernel gives it 127.0.0.1 and ::1. 0 or -errno. */
int network_loopback_up(void);

/*
 * What users of docker count on in a network of the container's own: every user may bind every port and send
 * ping requests without CAP_NET_RAW. Written through the container's /proc, while that is writable; without
 * one there is nothing to do. 0 or -errno.
 */
int network_open_up(int root_fd);

#endif
