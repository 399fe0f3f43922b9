// SPDX-License-Identifier: Apache-2.0
/*
 * The control channel: frames of proto/frame.h over one connection to the host.
 *
 * Incoming bytes are collected in one buffer the size of the largest frame; a frame is handed on when it is
 * whole, and its payload is valid during that call only.
 */
#ifndef MVRUN_GUEST_INIT_CONTROL_H
#define MVRUN_GUEST_INIT_CONTROL_H

#include "base/loop.h"
#include "proto/frame.h"

#include <stddef.h>
#include <stdint.h>

struct control;
/* payload NULL: the channel has come to its end (the host is gone, or sent what is no frame). */
typedef void control_frame_fn(
	struct control *control, const struct proto_header *header, const uint8_t *payload);

struct control {
	struct loop_source source;
	struct loop *loop;
	control_frame_fn *fn;
	void *ctx;
	size_t used;
	uint8_t buffer[PROTO_HEADER_BYTES + PROTO_PAYLOAD_MAX];
};

/* Begin to receive on fd, a non-blocking stream, which becomes the channel's. 0 or -errno. */
int control_start(struct control *control, struct loop *loop, int fd, control_frame_fn *fn, void *ctx);

/* Send one frame about container 0; waits while the connection has no room. 0 or -errno. */
int control_send(struct control *control, enum proto_type type, const void *payload, size_t len);

#endif
