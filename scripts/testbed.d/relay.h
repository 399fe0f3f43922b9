// SPDX-License-Identifier: Apache-2.0
//
// relay: carries one command's argv, stdin, stdout, stderr and exit status between scripts/testbed and the emulated
// host.
//
// Theory of operation. `relay host` is the parent of QEMU and of the virtiofsd processes; it holds one end of a socket
// whose other end is a virtio-serial port of the machine. `relay guest` is PID 1 of the emulated host, opens that port
// and runs the command. Between them flow frames of {type, length, payload}, listed below.
//
// The host ends the machine by killing QEMU: nothing in it is worth saving (disks are snapshots; shared directories are
// written through and were synced before EXIT). Every child asks the kernel to be killed when its parent dies, so not
// even SIGKILL to the relay leaves a machine behind.
#ifndef TESTBED_RELAY_H
#define TESTBED_RELAY_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#define EXIT_OURS 125 // our own failure, as container tools have it
#define PAYLOAD_MAX (64U * 1024)
#define WINDOW_BYTES (64U * 1024) // fits into the socket, so sending stdin never blocks

enum frame_type {
	READY = 1, // guest: the port is open, send the command
	COMMAND, // host: cwd, argv[0], argv[1]... each ended by a NUL byte
	// host: never more than WINDOW_BYTES beyond what was acknowledged, so that a command that does not read
	// cannot block the port
	STDIN,
	STDIN_EOF, // host
	STDIN_ACK, // guest: a count of bytes the command's stdin took
	STDOUT, // guest
	STDERR, // guest
	EXIT, // guest: the status; after all output the command left in its pipes, nothing follows
};

struct frame_head {
	uint32_t type;
	uint32_t len;
};

struct frame {
	struct frame_head head;
	char payload[PAYLOAD_MAX];
	size_t have; // bytes received so far, head included
};

// Prints one line and exits with EXIT_OURS.
void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

// Writes all of `buf`, waiting where it must. 0 or -errno.
int write_all(int fd, const void *buf, size_t len);

// Sends one frame; `len` is at most PAYLOAD_MAX. 0 or -errno.
int frame_send(int fd, enum frame_type type, const void *payload, size_t len);

// Reads what is there. 1: `f` is a whole frame (set `have` to 0 when done with it); 0: not yet; -EPIPE: the other side is
// gone; -EPROTO: not our protocol; other -errno.
int frame_receive(int fd, struct frame *f);

// A signalfd for `set`, which is blocked from here on.
int signals_open(const sigset_t *set);

// The two sides. argv without the words before.
int guest_main(const char *port);
int host_main(int argc, char *argv[]);

#endif
