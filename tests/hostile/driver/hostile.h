// SPDX-License-Identifier: Apache-2.0
/*
 * A driver that does to virtio devices what no driver should.
 *
 * Theory of operation. The driver is freestanding C without memory of its own, so that the same code
 * attacks the devices from two places: linked against them in one process, under sanitizers, where it is
 * fast (harness/), and from a kernel of its own in a real VM, where everything between the guest and the
 * device is real too (kernel/). What differs is behind struct hostile_ops.
 *
 * It runs a catalogue of named cases, then random things from a seed. A case is a function that brings the
 * device under attack into some kind of trouble and says what the device has to make of it: go on, or say
 * that it needs a reset. In either case the device has to work again after a reset, which is tried with a
 * request that must succeed (good.c): that is the check that finds most.
 *
 * Memory. The driver owns the end of a region of guest memory, so that one step further is outside. Its
 * first part holds a pattern and is only ever given to devices for reading: they must never write there.
 * Behind it are the rings and buffers, and the rest is a playground. Random addresses that a device may
 * write to are in the playground or not in memory at all, so the driver cannot hurt itself by a device that
 * does what it is told.
 */
#ifndef MVRUN_TESTS_HOSTILE_DRIVER_HOSTILE_H
#define MVRUN_TESTS_HOSTILE_DRIVER_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOSTILE_MEMORY_BYTES (UINT64_C(4) << 20)
#define HOSTILE_CONSTANT_BYTES (UINT64_C(64) << 10) /* the pattern */
#define HOSTILE_QUEUES 4
#define HOSTILE_PORTS 8
#define HOSTILE_PORT_FIRST 1024u
#define HOSTILE_EDGES_MAX 16

struct hostile_ops {
	uint64_t (*read)(void *ctx, unsigned int slot, uint32_t offset, unsigned int width);
	void (*write)(void *ctx, unsigned int slot, uint32_t offset, uint64_t value, unsigned int width);
	/*
	 * Let the devices work. round is 0 for the first time that something is waited for, then 1, and so
	 * on. False: it was waited for long enough.
	 */
	bool (*wait)(void *ctx, unsigned int round);
	void (*failed)(void *ctx, const char *name, const char *what, uint64_t detail);
	/* A case or a round of random things is over. */
	void (*over)(void *ctx, const char *name);

	/*
	 * Let the far ends do something, but not the devices, so that news from both sides meet. NULL where
	 * nobody can hold the devices up.
	 */
	void (*hold)(void *ctx);

	/* What the far ends can tell. NULL where the machine has no such thing. */
	uint64_t (*interrupts)(void *ctx, unsigned int slot); /* since it was last asked */
	bool (*console_got)(void *ctx, const char *text, size_t len); /* did this arrive? */
	void (*console_send)(void *ctx, const char *text, size_t len);
	void (*disk_cold)(void *ctx); /* empty the page cache of the disks */
};

struct hostile_queue {
	uint16_t size; /* 0: not set up */
	uint64_t desc_gpa, avail_gpa, used_gpa;
	uint16_t avail_idx; /* as published */
	uint16_t used_seen;
};

/* The device under attack. */
struct hostile_device {
	unsigned int slot;
	uint32_t id; /* virtio 1.2 section 5 */
	uint64_t offered, accepted;
	uint16_t n_queues;
	uint16_t size_max[HOSTILE_QUEUES];
	struct hostile_queue queues[HOSTILE_QUEUES];
	uint64_t sectors; /* of a disk */
	uint32_t cid; /* of a socket device */
	uint32_t silent_port; /* of a socket device: nothing may come for it; 0: none */
	uint16_t rx_posted; /* receive buffers of a socket device, in this life */
};

struct hostile {
	const struct hostile_ops *ops;
	void *ctx;
	uint8_t *memory; /* HOSTILE_MEMORY_BYTES, of which the last is the last of a region of guest memory */
	uint64_t memory_gpa;
	uint64_t edges[HOSTILE_EDGES_MAX]; /* addresses of interest at which no byte may be written */
	unsigned int n_edges;
	uint64_t random;
	bool changing; /* somebody else changes flags of descriptors: none may point to the pattern */
	struct hostile_device dev;
	const char *name; /* of what is being done */
	uint32_t serial; /* makes each good request different from the last */
	uint64_t n_cases, n_failures, n_queue_ops, n_register_ops, n_revivals;
};

/* ops, ctx, memory, memory_gpa and edges are set, the rest zero. */
void hostile_init(struct hostile *h, uint64_t seed);

/* The device in slot is under attack from now on. False if there is none. */
bool hostile_choose(struct hostile *h, unsigned int slot);

/* All cases that fit the device; then n random things each, with the device revived now and then. */
void hostile_catalogue(struct hostile *h);
void hostile_random_queue(struct hostile *h, uint64_t n);
void hostile_random_registers(struct hostile *h, uint64_t n);

/* n random queue operations and no more: what a thread that changes memory at the same time wants between. */
void hostile_noise(struct hostile *h, uint64_t n);

/* The end of a case or of a round of random things: memory is compared and the device revived. */
void hostile_over(struct hostile *h);

/* Reset the device, set it up and see that it works. */
bool hostile_revive(struct hostile *h);

#endif
