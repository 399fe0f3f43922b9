// SPDX-License-Identifier: Apache-2.0
/* What the runtime specification wants in /dev ("default devices" and its "dev symbolic links"). */
#ifndef MVRUN_GUEST_INIT_DEVICES_H
#define MVRUN_GUEST_INIT_DEVICES_H

#include "guest-init/failure.h"

#include <stdbool.h>

/* Fill the tmpfs at /dev below root_fd; with a terminal there is a place for it at /dev/console. */
int devices_make(int root_fd, bool console, struct failure *failure);

/*
 * The container's /dev/null if it is one, the guest's own otherwise. A descriptor for both ways, or -errno.
 */
int devices_open_null(int root_fd);

#endif
