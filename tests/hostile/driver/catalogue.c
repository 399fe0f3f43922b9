// SPDX-License-Identifier: Apache-2.0
/* Runs the cases, and says after each whether the device and the memory are what they should be. */
#include "tests/hostile/driver/driver.h"

static const struct hostile_case *const lists[] = {
	cases_queue, cases_setup, cases_mmio, cases_blk, cases_small, cases_vsock};

static uint64_t constant_word(uint64_t i)
{
	return (i + 1) * UINT64_C(0xd1b54a32d192ed03);
}

/* Written once, and compared after each case: no device was ever allowed to write here. */
static void constant_fill(struct hostile *h)
{
	uint64_t *words = (uint64_t *)(void *)h->memory;

	for (uint64_t i = 0; i < HOSTILE_CONSTANT_BYTES / sizeof(*words); i++)
		words[i] = constant_word(i);
}

static void constant_check(struct hostile *h)
{
	const uint64_t *words = (const uint64_t *)(const void *)h->memory;

	for (uint64_t i = 0; i < HOSTILE_CONSTANT_BYTES / sizeof(*words); i++) {
		if (words[i] == constant_word(i))
			continue;
		complain(h, "memory was written that might only be read", i * sizeof(*words));
		constant_fill(h);
		return;
	}
}

void hostile_init(struct hostile *h, uint64_t seed)
{
	h->random = seed;
	constant_fill(h);
}

static void outcome_check(struct hostile *h, enum outcome outcome)
{
	if (outcome == BREAKS)
		expect(h, device_await_broken(h), "the device does not say that it needs a reset",
			status_get(h));
	else if (outcome == LIVES)
		expect(h, device_good(h), "the device does not go on", status_get(h));
}

void hostile_over(struct hostile *h)
{
	constant_check(h);
	hostile_revive(h);
	h->ops->over(h->ctx, h->name);
}

static void case_run(struct hostile *h, const struct hostile_case *one)
{
	h->name = one->name;
	h->n_cases++;
	if (!device_up(h, UINT64_MAX, UINT16_MAX))
		complain(h, "the device does not come up", status_get(h));
	else
		outcome_check(h, one->run(h));
	hostile_over(h);
}

void hostile_catalogue(struct hostile *h)
{
	for (unsigned int list = 0; list < sizeof(lists) / sizeof(lists[0]); list++) {
		for (const struct hostile_case *one = lists[list]; one->name; one++) {
			if (!one->id || one->id == h->dev.id)
				case_run(h, one);
		}
	}
}
