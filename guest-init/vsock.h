// SPDX-License-Identifier: Apache-2.0
/* Connections to the host. */
#ifndef MVRUN_GUEST_INIT_VSOCK_H
#define MVRUN_GUEST_INIT_VSOCK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A non-blocking stream to a port of the host, or -errno. With wait the connection stands; without, it may
 * still be in the making, and writability or an error tells.
 */
int vsock_connect(uint32_t port, bool wait);

#endif
