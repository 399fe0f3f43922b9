// SPDX-License-Identifier: Apache-2.0
/*
 * A machine without processors: guest memory, every device there is, and the far ends of what they are
 * connected to, all in this process. The hostile driver plays the guest.
 *
 * Guest memory lies between pages with a pattern, and those between pages that cannot be touched at all: a
 * step outside is either a fault or seen afterwards. System calls do not fault, which is what the pattern
 * is for.
 */
#ifndef MVRUN_TESTS_HOSTILE_HARNESS_MACHINE_H
#define MVRUN_TESTS_HOSTILE_HARNESS_MACHINE_H

#include "base/loop.h"
#include "mem/gmem.h"
#include "tests/hostile/driver/hostile.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/rng.h"
#include "virtio/vsock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MACHINE_RAM_GPA UINT64_C(0x40000000)
#define MACHINE_WINDOW_GPA UINT64_C(0xd0000000)
#define MACHINE_LOW_BYTES (UINT64_C(64) << 10) /* a region that ends where the driver's memory begins */
#define MACHINE_DISK_BYTES (UINT64_C(1) << 20)
#define MACHINE_SLOTS 5
#define MACHINE_TAIL_BYTES 4096u

struct machine;

/* Memory between two pages of pattern. */
struct guarded {
	uint8_t *bytes;
	size_t len;
};

/* The far end of a port: it sends back what it gets. */
struct peer {
	struct machine *machine;
	struct loop_source source;
	uint32_t port;
	int fd;
};

struct machine {
	struct gmem mem;
	struct loop loop; /* the devices' */
	struct loop far; /* the far ends' */
	struct guarded ram, low, pages;
	int irq_fds[MACHINE_SLOTS];
	struct virtio_device *devices[MACHINE_SLOTS];
	struct virtio_vsock vsock;
	struct virtio_console console;
	struct virtio_rng rng;
	struct virtio_blk disk_ro, disk_rw;
	struct blk_segment ro_segments[2], rw_segment;
	int ro_fd, rw_fd;
	struct peer peers[HOSTILE_PORTS];
	int console_pipes[4]; /* out: read, write; in: read, write */
	struct loop_source console_out;
	char tail[MACHINE_TAIL_BYTES]; /* the last the console said */
	size_t tail_len;
	uint64_t turns, turns_max; /* of the devices' loop: ever, and at most until it was idle */
	bool spins; /* it was not idle in any sensible time */
};

/* Ends the process if the host cannot do it. */
void machine_init(struct machine *m);
void machine_done(struct machine *m);

/* Turn both loops until nothing happens; wait up to timeout_ms for something first. */
void machine_settle(struct machine *m, int timeout_ms);
/* Turn only the far ends' loop, and only once. */
void machine_hold(void *ctx);
/* One turn of each, waiting a little. */
void machine_turn(struct machine *m);

/* Are all patterns, and the disk that is read-only, as they were? What is not, or NULL. */
const char *machine_check(const struct machine *m);

/* What the hostile driver needs; ctx is the machine. */
uint64_t machine_read(void *ctx, unsigned int slot, uint32_t offset, unsigned int width);
void machine_write(void *ctx, unsigned int slot, uint32_t offset, uint64_t value, unsigned int width);
uint64_t machine_interrupts(void *ctx, unsigned int slot);
bool machine_console_got(void *ctx, const char *text, size_t len);
void machine_console_send(void *ctx, const char *text, size_t len);
void machine_disk_cold(void *ctx);

/* Guest memory and addresses of interest. */
void machine_show(const struct machine *m, struct hostile *h);

#endif
