// SPDX-License-Identifier: Apache-2.0
/* The entropy device under a hostile driver: never more than its budget, and no chain without an answer for ever. */
#include "tests/fuzz/guest.h"

#include "virtio/rng.h"

#include <string.h>

static struct virtio_rng rng;

static void state_check(struct guest *guest)
{
	(void)guest;
	fuzz_require(rng.state.budget_bytes <= RNG_BURST_BYTES);
	/* What it answers depends on the clock and is random: nothing of it is an outcome. */
	(void)fuzz_notes_take();
}

void fuzz_one(const uint8_t *data, size_t len)
{
	struct guest *guest = guest_begin(data, len);
	struct virtio_wiring wiring = fake_wiring(&guest->fake);

	memset(&rng, 0, sizeof(rng));
	fuzz_require(virtio_rng_init(&rng, &wiring) == 0);
	guest->check = state_check;
	guest_play(guest, &rng.dev, 1);
	virtio_rng_done(&rng);
	(void)fuzz_notes_take();
}
