// SPDX-License-Identifier: Apache-2.0
/*
 * The host's side of the conversation with guest-init (proto/frame.h): a strict state machine.
 *
 * Theory of operation. The spec and START are put into the control socket before the guest has even booted;
 * they wait there until guest-init connects, which saves a round trip. Everything the guest sends is checked:
 * the frame's length against what its type allows before a byte of the payload is looked at, the type against
 * the state, the payload by its decoder. The first frame that does not fit ends the conversation with
 * AGENT_LIED, and the owner ends the machine. Nothing the guest says is used for anything but reporting.
 *
 *	state		HELLO		STARTED		START_FAILED	EXITED		WARNING
 *	BOOTING		STARTING	lie		lie		lie		lie
 *	STARTING	lie		RUNNING		FAILED		lie		shown
 *	RUNNING		lie		lie		lie		EXITED		shown
 *	the others	the conversation is over: nothing is read any more
 *
 * The owner enforces time: agent_deadline_ms() says until when the guest has to take the next step.
 */
#ifndef MVRUN_OCI_RUNTIME_AGENT_H
#define MVRUN_OCI_RUNTIME_AGENT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "proto/frame.h"

#include <stdint.h>

enum agent_state {
	AGENT_BOOTING, /* nothing heard yet */
	AGENT_STARTING, /* guest-init is there and makes the container */
	AGENT_RUNNING,
	AGENT_EXITED, /* see exited */
	AGENT_FAILED, /* the process could not be started: see failed */
	AGENT_LIED, /* see err */
	AGENT_GONE, /* the connection ended before the container did: the machine should end soon */
};

/* The largest payload a guest may send. */
#define AGENT_PAYLOAD_MAX PROTO_START_FAILED_BYTES

struct agent;
/* The state has changed. Called from the loop. */
typedef void agent_fn(struct agent *agent, void *ctx);

struct agent {
	struct loop *loop;
	int fd; /* borrowed: our end of the control connection, non-blocking */
	struct loop_source source;
	enum agent_state state;
	struct buf out; /* what the guest has not taken yet */
	size_t out_sent;
	uint8_t in[PROTO_HEADER_BYTES + AGENT_PAYLOAD_MAX];
	size_t in_len;
	uint64_t deadline_ms; /* CLOCK_MONOTONIC */
	uint64_t patience_ms;
	struct log_limit warnings;
	struct proto_hello hello;
	struct proto_started started;
	struct proto_start_failed failed;
	struct proto_exited exited;
	struct err err;
	agent_fn *changed;
	void *ctx;
};

/* Caller's storage. Each step of the guest's may take patience_ms, counted from now. 0 or -errno. */
int agent_init(
	struct agent *agent, struct loop *loop, int fd, uint64_t patience_ms, agent_fn *changed, void *ctx);
void agent_done(struct agent *agent);

/* Send an encoded spec (proto/spec.h), and START. 0 or -errno. */
int agent_start(struct agent *agent, const uint8_t *spec, size_t len);

/* Forward a signal (1..64) or a size. What cannot be queued because the guest does not read is dropped. */
void agent_signal(struct agent *agent, int number);
void agent_resize(struct agent *agent, uint16_t rows, uint16_t columns);

/* Until when the guest has to take its next step; UINT64_MAX: it has all the time it wants. */
uint64_t agent_deadline_ms(const struct agent *agent);

/* The guest has missed its deadline: AGENT_LIED with a text that says what did not happen. */
void agent_expire(struct agent *agent);

/* True while frames may still come. */
static inline bool agent_talking(const struct agent *agent)
{
	return agent->state <= AGENT_RUNNING;
}

#endif
