// SPDX-License-Identifier: Apache-2.0
/* The files of /etc that say who the container is: hostname, hosts, resolv.conf. */
#ifndef MVRUN_GUEST_INIT_ETC_H
#define MVRUN_GUEST_INIT_ETC_H

#include "guest-init/failure.h"

/* Make them in a directory that has nothing of these names. */
int etc_write(int dir_fd, const char *hostname, struct failure *failure);

#endif
