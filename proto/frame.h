// SPDX-License-Identifier: Apache-2.0
/*
 * The wire between the host (mvrun) and PID 1 of the guest (guest-init).
 *
 * One vsock stream, opened by guest-init to host port PROTO_PORT_CONTROL, carries frames both ways: a header
 * of 16 bytes, then a payload of at most PROTO_PAYLOAD_MAX bytes whose layout the type fixes. All numbers are
 * little-endian. Standard streams do not travel here: each is a vsock connection of its own to a port named in
 * the container's spec, so that a full pipe stops that stream and nothing else, and vsock's credit is the only
 * flow control.
 *
 *	guest                          host
 *	                          <-   SPEC (as many as it takes), START
 *	HELLO                     ->
 *	STARTED | START_FAILED    ->
 *	                          <-   SIGNAL, RESIZE (any number, while it runs)
 *	EXITED                    ->        (after the last byte of its output was handed to vsock)
 *	                          <-   POWER_OFF
 *
 * The first two steps do not wait for each other: the host writes the spec while the machine boots, and it
 * lies in the socket until the guest has connected; the guest says HELLO before it reads. A host that then
 * finds another version in HELLO ends the machine.
 *
 * Neither side believes the other. The host checks every length, id, state and range that comes from the
 * guest and ends the VM on the first lie; nothing the guest sends names a path, a pid or a size to be used on
 * the host.
 */
#ifndef MVRUN_PROTO_FRAME_H
#define MVRUN_PROTO_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define PROTO_VERSION 1
#define PROTO_HOST_CID 2
#define PROTO_GUEST_CID 3
#define PROTO_PORT_CONTROL 1024
#define PROTO_PORT_STREAMS 1025 /* first of the ports that specs name for standard streams */
#define PROTO_HEADER_BYTES 16
#define PROTO_PAYLOAD_MAX 65536
#define PROTO_SPEC_MAX (2u << 20)
#define PROTO_TEXT_MAX 512

enum proto_type {
	/* guest to host */
	PROTO_HELLO = 1,
	PROTO_STARTED = 2,
	PROTO_START_FAILED = 3,
	PROTO_EXITED = 4,
	PROTO_WARNING = 5, /* payload: text for the user's eyes, at most PROTO_TEXT_MAX bytes */
	/* host to guest */
	PROTO_SPEC = 32, /* payload: the next piece of the encoded spec (proto/spec.h) */
	PROTO_START = 33, /* no payload: the spec is complete */
	PROTO_SIGNAL = 34,
	PROTO_RESIZE = 35,
	PROTO_POWER_OFF = 36, /* no payload */
};

struct proto_header {
	uint32_t len; /* of the payload */
	uint16_t type;
	uint32_t id; /* which container or exec; 0 is the first container */
};

struct proto_hello {
	uint32_t version;
	uint32_t cpus;
	uint64_t memory_bytes;
	uint64_t init_ns; /* guest uptime (CLOCK_BOOTTIME) when guest-init's main began */
	uint64_t connect_ns; /* and when it sent this */
	char kernel[64]; /* release, NUL-terminated */
};

struct proto_started {
	uint64_t uptime_ns; /* when the container's process was about to exec */
};

/* The container's process could not be started: nothing runs. */
struct proto_start_failed {
	uint32_t exit_status; /* 125 (set-up failed), 126 (not executable) or 127 (not found) */
	uint32_t error; /* the guest's errno */
	char text[PROTO_TEXT_MAX];
};

struct proto_exited {
	uint32_t exit_status; /* 0..255; 128 + signal when it was killed */
	uint32_t signal; /* 0, or what killed it */
	uint32_t oom_kills; /* of the container's cgroup */
	uint64_t uptime_ns;
	uint64_t user_us;
	uint64_t system_us;
	uint64_t memory_peak_bytes; /* of the container's cgroup; 0 where unknown */
};

struct proto_signal {
	uint32_t number; /* Linux signal number, 1..64 */
};

struct proto_resize {
	uint16_t rows;
	uint16_t columns;
};

#define PROTO_HELLO_BYTES 96
#define PROTO_STARTED_BYTES 8
#define PROTO_START_FAILED_BYTES (8 + PROTO_TEXT_MAX)
#define PROTO_EXITED_BYTES 48
#define PROTO_SIGNAL_BYTES 4
#define PROTO_RESIZE_BYTES 4

/*
 * Every _encode writes exactly PROTO_..._BYTES; every _decode takes what came and returns 0, or -EBADMSG when
 * the length or a value is not what the type allows (the output is then untouched). Texts come out
 * NUL-terminated. Pure functions, any thread.
 */
void proto_header_encode(const struct proto_header *in, uint8_t out[PROTO_HEADER_BYTES]);
int proto_header_decode(const uint8_t in[PROTO_HEADER_BYTES], struct proto_header *out);

void proto_hello_encode(const struct proto_hello *in, uint8_t out[PROTO_HELLO_BYTES]);
int proto_hello_decode(const uint8_t *in, size_t len, struct proto_hello *out);
void proto_started_encode(const struct proto_started *in, uint8_t out[PROTO_STARTED_BYTES]);
int proto_started_decode(const uint8_t *in, size_t len, struct proto_started *out);
void proto_start_failed_encode(const struct proto_start_failed *in, uint8_t out[PROTO_START_FAILED_BYTES]);
int proto_start_failed_decode(const uint8_t *in, size_t len, struct proto_start_failed *out);
void proto_exited_encode(const struct proto_exited *in, uint8_t out[PROTO_EXITED_BYTES]);
int proto_exited_decode(const uint8_t *in, size_t len, struct proto_exited *out);
void proto_signal_encode(const struct proto_signal *in, uint8_t out[PROTO_SIGNAL_BYTES]);
int proto_signal_decode(const uint8_t *in, size_t len, struct proto_signal *out);
void proto_resize_encode(const struct proto_resize *in, uint8_t out[PROTO_RESIZE_BYTES]);
int proto_resize_decode(const uint8_t *in, size_t len, struct proto_resize *out);

#endif
