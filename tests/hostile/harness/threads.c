// SPDX-License-Identifier: Apache-2.0
#include "tests/hostile/harness/looks.h"
#include "tests/hostile/harness/threads.h"

#include "base/clock.h"

#include <err.h>
#include <inttypes.h>
#include <linux/virtio_mmio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOISE_OPS 200
#define SECOND_LOOK_ROUNDS 200u
#define FLIPPED_BYTES (HOSTILE_CONSTANT_BYTES + 0x32000) /* queues, good requests, and where headers lie */
/* The driver's layout: queues one behind the other, descriptors first. */
#define QUEUE_BYTES 0x4000
#define DESCRIPTORS_BYTES 0x1000
#define HOT_BYTES 0x100
#define BACK_AND_FORTH 20000
#define US_PER_S UINT64_C(1000000)
#define WAIT_US 20
#define WAITS_MAX 200000u

#if defined(__SANITIZE_THREAD__)
#define WATCHES_RACES 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WATCHES_RACES 1
#endif
#endif
#ifndef WATCHES_RACES
#define WATCHES_RACES 0
#endif

/* ---- Q10 ---- */

struct flipper {
	const struct machine *machine;
	_Atomic bool on, stop;
	_Atomic bool busy; /* may still change something */
	uint64_t flips;
};

static uint64_t dice(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 20;
}

/*
 * One word somewhere in the rings or in headers goes back and forth between what it is and something else,
 * as fast as that goes: whoever looks at it twice sees both. Never a part of an address: one that a device
 * may write to must not come to point at the pattern.
 */
static void flip(struct flipper *flipper, uint64_t *state)
{
	volatile uint16_t *words = (volatile uint16_t *)(void *)flipper->machine->ram.bytes;
	uint64_t at = (HOSTILE_CONSTANT_BYTES + dice(state) % (FLIPPED_BYTES - HOSTILE_CONSTANT_BYTES)) / 2;
	uint16_t now, other;

	/* Most of the time where descriptors in use are: at the beginning of the queues. */
	if (dice(state) % 8)
		at = (HOSTILE_CONSTANT_BYTES + dice(state) % 2 * QUEUE_BYTES + dice(state) % HOT_BYTES) / 2;
	if (at * 2 % QUEUE_BYTES < DESCRIPTORS_BYTES && at % 8 < 4)
		return;
	now = words[at];
	other = dice(state) % 2 ? now ^ (uint16_t)(1u << dice(state) % 16) : (uint16_t)(dice(state) % 8);
	for (int i = 0; i < BACK_AND_FORTH && flipper->on; i++) {
		words[at] = other;
		words[at] = now;
	}
	flipper->flips++;
}

static void *flipper_main(void *ctx)
{
	struct flipper *flipper = ctx;
	uint64_t state = 1;

	while (!flipper->stop) {
		flipper->busy = true;
		if (flipper->on)
			flip(flipper, &state);
		flipper->busy = false;
	}
	return NULL;
}

static void flipper_pause(struct flipper *flipper)
{
	flipper->on = false;
	while (flipper->busy)
		;
	while (flipper->on)
		;
}

static void double_fetch(struct machine *m, struct hostile *h, uint64_t until_us)
{
	struct flipper flipper = {.machine = m};
	uint64_t ops = h->n_queue_ops;
	pthread_t thread;

	h->name = "Q10 double fetch";
	h->changing = true;
	if (pthread_create(&thread, NULL, flipper_main, &flipper))
		errx(EXIT_FAILURE, "no thread");
	while (clock_now_us() < until_us) {
		flipper.on = true;
		hostile_noise(h, NOISE_OPS);
		flipper_pause(&flipper);
		hostile_over(h);
	}
	flipper.stop = true;
	h->changing = false;
	pthread_join(thread, NULL);
	printf("Q10 slot %u: %" PRIu64 " queue operations against %" PRIu64
	       " words that went back and forth\n",
		h->dev.slot, h->n_queue_ops - ops, flipper.flips);
}

/* The same without a second thread: memory changes just before each look at it. */
static void second_look(struct machine *m, struct hostile *h)
{
	uint64_t changed = looks_changed();

	h->name = "Q10 second look";
	h->changing = true;
	for (uint32_t i = 0; i < SECOND_LOOK_ROUNDS; i++) {
		looks_watch(m->ram.bytes);
		hostile_noise(h, NOISE_OPS);
		looks_watch(NULL);
		hostile_over(h);
	}
	h->changing = false;
	printf("Q10 slot %u: %" PRIu64 " words changed just before they were looked at\n", h->dev.slot,
		looks_changed() - changed);
}

/* ---- M6 ---- */

struct race {
	struct machine *machine;
	struct hostile hostile; /* a driver of its own, whose waiting leaves the loops to the main thread */
	uint64_t until_us;
	_Atomic bool stop;
	uint64_t rings;
};

static bool race_wait(void *ctx, unsigned int round)
{
	(void)ctx;
	if (round)
		usleep(WAIT_US);
	return round < WAITS_MAX;
}

static void race_over(void *ctx, const char *name)
{
	(void)ctx, (void)name;
}

static void *reviver_main(void *ctx)
{
	struct race *race = ctx;

	while (clock_now_us() < race->until_us && !race->hostile.n_failures)
		hostile_revive(&race->hostile);
	race->stop = true;
	return NULL;
}

static void *ringer_main(void *ctx)
{
	struct race *race = ctx;
	unsigned int slot = race->hostile.dev.slot;

	while (!race->stop) {
		machine_write(race->machine, slot, VIRTIO_MMIO_QUEUE_NOTIFY, race->rings, 4);
		machine_write(race->machine, slot, VIRTIO_MMIO_INTERRUPT_ACK, race->rings, 4);
		(void)machine_read(race->machine, slot, VIRTIO_MMIO_STATUS, 4);
		race->rings++;
		if (race->rings % 16 == 0)
			usleep(1);
	}
	return NULL;
}

static void reset_race(struct machine *m, struct hostile *h, uint64_t until_us)
{
	struct hostile_ops ops = {.read = machine_read,
		.write = machine_write,
		.wait = race_wait,
		.failed = h->ops->failed,
		.over = race_over};
	struct race race = {.machine = m, .hostile = *h, .until_us = until_us};
	uint64_t before = h->n_revivals;
	pthread_t threads[2];

	race.hostile.ops = &ops;
	race.hostile.name = "M6 reset";
	race.hostile.n_failures = 0;
	if (pthread_create(&threads[0], NULL, reviver_main, &race) ||
		pthread_create(&threads[1], NULL, ringer_main, &race))
		errx(EXIT_FAILURE, "no thread");
	while (!race.stop)
		machine_turn(m);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	printf("M6 slot %u: %" PRIu64 " lives against %" PRIu64 " rings\n", h->dev.slot,
		race.hostile.n_revivals - before, race.rings);
	h->n_revivals = race.hostile.n_revivals;
	h->n_failures += race.hostile.n_failures;
	h->serial = race.hostile.serial;
	h->name = "M6 reset";
	hostile_over(h);
}

void threads_run(struct machine *m, struct hostile *h, uint64_t seconds)
{
	uint64_t share_us = seconds * US_PER_S / MACHINE_SLOTS / (WATCHES_RACES ? 1 : 2);

	for (unsigned int slot = 0; slot < MACHINE_SLOTS; slot++) {
		if (!hostile_choose(h, slot))
			errx(EXIT_FAILURE, "no device in slot %u", slot);
		h->n_cases += 3;
		second_look(m, h);
		if (!WATCHES_RACES)
			double_fetch(m, h, clock_now_us() + share_us);
		reset_race(m, h, clock_now_us() + share_us);
	}
}
