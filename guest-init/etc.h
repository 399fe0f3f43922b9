// SPDX-License-Identifier: Apache-2.0
/*
 * The files of /etc that say who the container is: hostname, hosts, resolv.conf.
 *
 * They are written through the mounts that the container will see, so they land in the writable layer (or in
 * what is mounted over /etc), before a read-only root becomes read-only. Unlike files mounted on top, they
 * can be replaced and renamed over by the container.
 */
#ifndef MVRUN_GUEST_INIT_ETC_H
#define MVRUN_GUEST_INIT_ETC_H

#include "guest-init/failure.h"

int etc_write(int root_fd, const char *hostname, struct failure *failure);

#endif
