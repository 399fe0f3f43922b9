// SPDX-License-Identifier: Apache-2.0
/* Towards the guest. For virtio/vsock.c only; the device lock is held, on the loop thread. */
#ifndef MVRUN_VIRTIO_VSOCK_RX_H
#define MVRUN_VIRTIO_VSOCK_RX_H

#include "virtio/vsock.h"

/*
 * Send what there is, connection by connection, with bounded work. 0; 1 if there is more; -EBADMSG if the
 * receive ring is malformed. What finds no receive buffer waits for the guest to kick.
 */
int vsock_rx_service(struct virtio_vsock *vsock);

#endif
