// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cm.h"
#include "tests/unit/fake_driver.h"
#include "virtio/mmio.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define FEATURE_BIT(n) (UINT64_C(1) << (n))
#define OWN_FEATURE FEATURE_BIT(3)
#define QUEUE_MAX 16

/* A device that only counts what happens to it, and can be told to fail. */
struct probe {
	struct virtio_device dev;
	int activations;
	int services;
	int resets;
	int activate_ret;
	int service_ret;
};

static int probe_activate(struct virtio_device *dev)
{
	struct probe *probe = (struct probe *)dev;

	probe->activations++;
	return probe->activate_ret;
}

static int probe_service(struct virtio_device *dev)
{
	struct probe *probe = (struct probe *)dev;
	int ret = probe->service_ret;

	probe->services++;
	if (ret > 0)
		probe->service_ret--;
	return ret;
}

static void probe_reset(struct virtio_device *dev)
{
	((struct probe *)dev)->resets++;
}

static const struct virtio_ops probe_ops = {
	.id = 42,
	.activate = probe_activate,
	.service = probe_service,
	.reset = probe_reset,
};

struct bench {
	struct fake_driver fake;
	struct probe probe;
	int flushes;
};

static int setup(void **state)
{
	static struct bench bench;
	struct virtio_wiring wiring;
	struct virtio_model model = {
		.ops = &probe_ops,
		.features = OWN_FEATURE,
		.config = "configuration",
		.config_len_bytes = 13,
		.n_queues = 2,
		.queue_size = {QUEUE_MAX, QUEUE_MAX / 2},
	};

	memset(&bench, 0, sizeof(bench));
	fake_init(&bench.fake);
	wiring = fake_wiring(&bench.fake);
	assert_int_equal(virtio_device_init(&bench.probe.dev, &wiring, &model), 0);
	bench.fake.dev = &bench.probe.dev;
	*state = &bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	virtio_device_done(&bench->probe.dev);
	fake_done(&bench->fake);
	return 0;
}

static void up(struct bench *bench)
{
	fake_up(&bench->fake, &bench->probe.dev, 2, QUEUE_MAX / 2);
}

static void test_identity(void **state)
{
	struct bench *bench = *state;
	struct fake_driver *fake = &bench->fake;
	char config[13];

	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_DEVICE_ID), 42);
	assert_int_equal(fake_features(fake),
		OWN_FEATURE | FEATURE_BIT(VIRTIO_F_VERSION_1) | FEATURE_BIT(VIRTIO_RING_F_EVENT_IDX));
	fake_set(fake, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	fake_set(fake, VIRTIO_MMIO_SHM_SEL, 0);
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_SHM_BASE_HIGH), UINT32_MAX);
	virtio_mmio_read(fake->dev, VIRTIO_MMIO_CONFIG, config, sizeof(config));
	assert_memory_equal(config, "configuration", sizeof(config));
}

/* What the guest sees when the page is mapped is what virtio_mmio_read() says. */
static void test_page_is_the_registers(void **state)
{
	struct bench *bench = *state;
	const uint32_t *page = bench->fake.page;

	up(bench);
	for (uint32_t offset = 0; offset < VIRTIO_MMIO_PAGE_BYTES; offset += 4)
		assert_int_equal(page[offset / 4], fake_reg(&bench->fake, offset));
	assert_int_equal(page[VIRTIO_MMIO_STATUS / 4], 15);
	assert_int_equal(page[VIRTIO_MMIO_QUEUE_READY / 4], 1);
}

/* M1: wrong sizes, misaligned, outside. */
static void test_bad_accesses_are_ignored(void **state)
{
	struct bench *bench = *state;
	const uint64_t value = 1;
	uint8_t before[VIRTIO_MMIO_PAGE_BYTES];
	uint64_t data = UINT64_MAX;

	memcpy(before, bench->fake.page, sizeof(before));
	for (uint32_t offset = 0; offset < VIRTIO_MMIO_PAGE_BYTES; offset++) {
		virtio_mmio_write(bench->fake.dev, offset, &value, 1);
		virtio_mmio_write(bench->fake.dev, offset, &value, 2);
		virtio_mmio_write(bench->fake.dev, offset, &value, 8);
		if (offset % 4 || offset >= VIRTIO_MMIO_CONFIG)
			virtio_mmio_write(bench->fake.dev, offset, &value, 4);
	}
	virtio_mmio_write(bench->fake.dev, VIRTIO_MMIO_PAGE_BYTES + VIRTIO_MMIO_STATUS, &value, 4);
	virtio_mmio_write(bench->fake.dev, UINT64_MAX - 3, &value, 4);
	assert_memory_equal(before, bench->fake.page, sizeof(before));

	virtio_mmio_read(bench->fake.dev, VIRTIO_MMIO_MAGIC_VALUE, &data, 2);
	assert_int_equal(data & 0xffff, 0);
	virtio_mmio_read(bench->fake.dev, VIRTIO_MMIO_MAGIC_VALUE, &data, 8);
	assert_int_equal(data, 0);
	virtio_mmio_read(bench->fake.dev, 2, &data, 4);
	assert_int_equal(data & UINT32_MAX, 0);
	data = UINT64_MAX;
	virtio_mmio_read(bench->fake.dev, VIRTIO_MMIO_PAGE_BYTES - 4, &data, 8);
	assert_int_equal(data, 0);
	data = UINT64_MAX;
	virtio_mmio_read(bench->fake.dev, UINT64_MAX - 3, &data, 8);
	assert_int_equal(data, 0);
}

/* M2: a queue that does not exist. */
static void test_queue_sel_out_of_range(void **state)
{
	struct bench *bench = *state;
	struct fake_driver *fake = &bench->fake;
	const uint32_t sels[] = {2, 8, 0x7fffffff, 0x80000000, UINT32_MAX};

	fake_negotiate(fake, fake->dev, UINT64_MAX);
	fake_set(fake, VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_QUEUE_NUM_MAX), QUEUE_MAX / 2);
	for (size_t i = 0; i < sizeof(sels) / sizeof(sels[0]); i++) {
		fake_set(fake, VIRTIO_MMIO_QUEUE_SEL, sels[i]);
		assert_int_equal(fake_reg(fake, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
		fake_set(fake, VIRTIO_MMIO_QUEUE_NUM, 4);
		fake_set(fake, VIRTIO_MMIO_QUEUE_DESC_LOW, 0x1000);
		fake_set(fake, VIRTIO_MMIO_QUEUE_READY, 1);
		assert_int_equal(fake_reg(fake, VIRTIO_MMIO_QUEUE_READY), 0);
		fake_set(fake, VIRTIO_MMIO_QUEUE_NOTIFY, sels[i]);
		fake_run(fake);
	}
	fake_driver_ok(fake);
	assert_int_equal(fake_status(fake), 15);
}

/* M4: from each legal state, every other value is without effect. */
static void test_status_edges(void **state)
{
	struct bench *bench = *state;
	struct fake_driver *fake = &bench->fake;
	const uint32_t path[] = {0, 1, 3, 11, 15};

	for (size_t at = 0; at < 5; at++) {
		uint32_t next = at < 4 ? path[at + 1] : 0;

		for (uint32_t value = 1; value < 256; value++) {
			if (value == next || value & VIRTIO_CONFIG_S_FAILED)
				continue;
			fake_set(fake, VIRTIO_MMIO_STATUS, value);
			assert_int_equal(fake_status(fake), path[at]);
		}
		if (path[at] == 3) {
			fake_set(fake, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
			fake_set(fake, VIRTIO_MMIO_DRIVER_FEATURES, 1);
		}
		fake_set(fake, VIRTIO_MMIO_STATUS, next);
		assert_int_equal(fake_status(fake), next);
	}
}

static void test_features_must_fit(void **state)
{
	struct bench *bench = *state;
	struct fake_driver *fake = &bench->fake;
	const uint32_t low[] = {0, 0xffffffff, 1}, high[] = {0, 1, 1};

	/* No VERSION_1; all of them; one that was not offered. */
	for (int i = 0; i < 3; i++) {
		fake_set(fake, VIRTIO_MMIO_STATUS, 0);
		fake_set(fake, VIRTIO_MMIO_STATUS, 1);
		fake_set(fake, VIRTIO_MMIO_STATUS, 3);
		fake_set(fake, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
		fake_set(fake, VIRTIO_MMIO_DRIVER_FEATURES, low[i]);
		fake_set(fake, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
		fake_set(fake, VIRTIO_MMIO_DRIVER_FEATURES, high[i]);
		fake_set(fake, VIRTIO_MMIO_STATUS, 11);
		assert_int_equal(fake_status(fake), 3);
	}
	/* A driver may correct itself. */
	fake_set(fake, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	fake_set(fake, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)OWN_FEATURE);
	fake_set(fake, VIRTIO_MMIO_STATUS, 11);
	assert_int_equal(fake_status(fake), 11);
	assert_true(virtio_accepted(fake->dev, 3));
	/* Afterwards they are settled; words that do not exist are dropped. */
	fake_set(fake, VIRTIO_MMIO_DRIVER_FEATURES, 0);
	fake_set(fake, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
	fake_set(fake, VIRTIO_MMIO_DRIVER_FEATURES, 0);
	assert_true(virtio_accepted(fake->dev, 3));
	assert_true(virtio_accepted(fake->dev, VIRTIO_F_VERSION_1));
}

/* M5. */
static void test_failed_is_for_good(void **state)
{
	struct bench *bench = *state;
	struct fake_driver *fake = &bench->fake;
	int services;

	up(bench);
	services = bench->probe.services;
	fake_set(fake, VIRTIO_MMIO_STATUS, 15 | VIRTIO_CONFIG_S_FAILED);
	assert_int_equal(fake_status(fake), 0x8f);
	for (uint32_t value = 1; value < 256; value++)
		fake_set(fake, VIRTIO_MMIO_STATUS, value);
	assert_int_equal(fake_status(fake), 0x8f);
	fake_kick(fake);
	assert_int_equal(bench->probe.services, services);
	assert_int_equal(bench->probe.resets, 1);
	fake_set(fake, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(fake_status(fake), 0);
	up(bench);
	assert_int_equal(bench->probe.activations, 2);
}

static void test_nothing_happens_before_driver_ok(void **state)
{
	struct bench *bench = *state;
	struct fake_driver *fake = &bench->fake;

	fake_kick(fake);
	fake_negotiate(fake, fake->dev, UINT64_MAX);
	fake_queue_place(fake, 0, 8);
	fake_queue_configure(fake, 0);
	fake_kick(fake);
	assert_int_equal(bench->probe.services + bench->probe.activations, 0);
	assert_false(vq_running(&fake->dev->queues[0]));
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	fake_driver_ok(fake);
	assert_int_equal(bench->probe.activations, 1);
	assert_true(vq_running(&fake->dev->queues[0]));
	assert_false(vq_running(&fake->dev->queues[1]));
}

static void test_queue_registers_need_features_ok(void **state)
{
	struct bench *bench = *state;
	struct fake_driver *fake = &bench->fake;

	for (uint32_t status = 0; status <= 3; status = status * 2 + 1) {
		if (status)
			fake_set(fake, VIRTIO_MMIO_STATUS, status);
		fake_set(fake, VIRTIO_MMIO_QUEUE_NUM, 4);
		fake_set(fake, VIRTIO_MMIO_QUEUE_READY, 1);
		assert_int_equal(fake_reg(fake, VIRTIO_MMIO_QUEUE_READY), 0);
		assert_int_equal(fake->dev->queues[0].state.size, 0);
	}
}

/* Q14, the class of CVE-2026-5747: after DRIVER_OK nothing about a queue can change. */
static void test_queues_are_frozen(void **state)
{
	struct bench *bench = *state;
	struct fake_driver *fake = &bench->fake;
	struct vq before;

	up(bench);
	before = fake->dev->queues[0];
	fake_set(fake, VIRTIO_MMIO_QUEUE_SEL, 0);
	fake_set(fake, VIRTIO_MMIO_QUEUE_NUM, 16);
	for (uint32_t reg = VIRTIO_MMIO_QUEUE_DESC_LOW; reg <= VIRTIO_MMIO_QUEUE_USED_HIGH; reg += 4)
		fake_set(fake, reg, 0x41414141);
	fake_set(fake, VIRTIO_MMIO_QUEUE_READY, 0);
	fake_set(fake, VIRTIO_MMIO_QUEUE_READY, 1);
	assert_memory_equal(&before, &fake->dev->queues[0], sizeof(before));
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_QUEUE_READY), 1);
}

/* Q13: a queue that cannot work. The device says so, interrupts for it, and comes back after a reset. */
static void test_bad_queue_needs_reset(void **state)
{
	struct bench *bench = *state;
	struct fake_driver *fake = &bench->fake;
	const uint32_t sizes[] = {0, 3, 2 * QUEUE_MAX, 0x10000, 0x10008};

	for (size_t i = 0; i <= sizeof(sizes) / sizeof(sizes[0]); i++) {
		fake->next_gpa = FAKE_RAM_BASE;
		fake_negotiate(fake, fake->dev, UINT64_MAX);
		fake_queue_place(fake, 0, 8);
		fake_queue_place(fake, 1, 8);
		fake_queue_configure(fake, 0);
		fake_set(fake, VIRTIO_MMIO_QUEUE_SEL, 1);
		if (i < sizeof(sizes) / sizeof(sizes[0]))
			fake_set(fake, VIRTIO_MMIO_QUEUE_NUM, sizes[i]);
		/* The last round has no addresses at all. */
		fake_set(fake, VIRTIO_MMIO_QUEUE_READY, 1);
		fake_irqs(fake);
		fake_driver_ok(fake);
		assert_int_equal(fake_status(fake), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
		assert_int_equal(fake_reg(fake, VIRTIO_MMIO_INTERRUPT_STATUS) & 2, 2);
		assert_int_equal(fake_irqs(fake), 1);
		assert_false(vq_running(&fake->dev->queues[0]));
		fake_kick(fake);
		assert_int_equal(bench->probe.services, 0);
	}
	up(bench);
}

static void test_activation_failure_needs_reset(void **state)
{
	struct bench *bench = *state;
	struct fake_driver *fake = &bench->fake;

	bench->probe.activate_ret = -ENOMEM;
	fake_negotiate(fake, fake->dev, UINT64_MAX);
	fake_driver_ok(fake);
	assert_int_equal(fake_status(fake), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(bench->probe.services, 0);
	assert_int_equal(fake_irqs(fake), 1);
	bench->probe.activate_ret = 0;
	up(bench);
}

static void test_malformed_ring_needs_reset(void **state)
{
	struct bench *bench = *state;
	struct fake_driver *fake = &bench->fake;
	int services;

	up(bench);
	fake_irqs(fake);
	bench->probe.service_ret = -EBADMSG;
	fake_kick(fake);
	assert_int_equal(fake_status(fake), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(fake_irqs(fake), 1);
	assert_int_equal(bench->probe.resets, 1);
	services = bench->probe.services;
	fake_kick(fake);
	assert_int_equal(bench->probe.services, services);
	/* Showing the bit back changes nothing; only a reset does. */
	fake_set(fake, VIRTIO_MMIO_STATUS, 0x4f);
	assert_int_equal(fake_status(fake), 0x4f);
	bench->probe.service_ret = 0;
	up(bench);
	fake_kick(fake);
	assert_true(bench->probe.services > services);
}

static void test_more_work_comes_back(void **state)
{
	struct bench *bench = *state;

	up(bench);
	bench->probe.services = 0;
	bench->probe.service_ret = 5;
	fake_set(&bench->fake, VIRTIO_MMIO_QUEUE_NOTIFY, 1);
	/* One at a time: others have their turn in between. */
	assert_int_equal(loop_turn(&bench->fake.loop, 0), 1);
	assert_int_equal(bench->probe.services, 1);
	fake_run(&bench->fake);
	assert_int_equal(bench->probe.services, 6);
}

/*
 * Q16: any number of kicks between two turns is one look at the rings, and every kick after a turn is seen.
 */
static void test_kicks_coalesce(void **state)
{
	struct bench *bench = *state;

	up(bench);
	bench->probe.services = 0;
	for (int i = 0; i < 100000; i++)
		fake_set(&bench->fake, VIRTIO_MMIO_QUEUE_NOTIFY, (uint32_t)i);
	fake_run(&bench->fake);
	assert_int_equal(bench->probe.services, 1);
	for (int i = 0; i < 10; i++)
		fake_kick(&bench->fake);
	assert_int_equal(bench->probe.services, 11);
}

static void test_interrupt_status(void **state)
{
	struct bench *bench = *state;
	struct fake_driver *fake = &bench->fake;

	up(bench);
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
	fake_set(fake, VIRTIO_MMIO_INTERRUPT_ACK, UINT32_MAX);
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
	virtio_config_change(fake->dev, 0, "C", 1);
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	fake_set(fake, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	fake_set(fake, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	fake_set(fake, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void test_one_interrupt_per_turn(void **state)
{
	struct bench *bench = *state;
	struct fake_driver *fake = &bench->fake;

	up(bench);
	fake_irqs(fake);
	virtio_enter(fake->dev);
	vq_push(&fake->dev->queues[0], 0, 0);
	vq_push(&fake->dev->queues[0], 1, 0);
	vq_push(&fake->dev->queues[1], 0, 0);
	virtio_leave(fake->dev, 0);
	assert_int_equal(fake_irqs(fake), 1);
	/* The driver has not moved used_event, so it does not want to hear of more. */
	virtio_enter(fake->dev);
	vq_push(&fake->dev->queues[0], 2, 0);
	virtio_leave(fake->dev, 0);
	assert_int_equal(fake_irqs(fake), 0);
}

/* An acknowledgement that was held back must be applied before the bit is set for a newer change. */
static void deliver_late_ack(void *ctx)
{
	struct bench *bench = ctx;

	bench->flushes++;
	/* By now the new contents are in place, but the bit is not set. */
	assert_memory_equal((const uint8_t *)bench->fake.page + VIRTIO_MMIO_CONFIG, "NEW", 3);
	fake_set(&bench->fake, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG);
}

static void test_config_change(void **state)
{
	struct bench *bench = *state;
	struct fake_driver *fake = &bench->fake;
	uint32_t generation = fake_reg(fake, VIRTIO_MMIO_CONFIG_GENERATION);

	up(bench);
	fake_irqs(fake);
	fake->dev->wiring.flush_writes = deliver_late_ack;
	fake->dev->wiring.flush_ctx = bench;
	virtio_config_change(fake->dev, 0, "NEW", 3);
	assert_int_equal(bench->flushes, 1);
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	assert_int_equal(fake_irqs(fake), 1);
	assert_int_not_equal(fake_reg(fake, VIRTIO_MMIO_CONFIG_GENERATION), generation);
	/* A driver that is not there is not interrupted, but finds the new contents. */
	fake_set(fake, VIRTIO_MMIO_STATUS, 0);
	fake->dev->wiring.flush_writes = NULL;
	virtio_config_change(fake->dev, 3, "ER", 2);
	assert_int_equal(fake_irqs(fake), 0);
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_memory_equal((const uint8_t *)fake->page + VIRTIO_MMIO_CONFIG, "NEWERguration", 13);
}

static void test_reset_forgets(void **state)
{
	struct bench *bench = *state;
	struct fake_driver *fake = &bench->fake;

	up(bench);
	fake->dev->queues[0].state.next_avail = 7;
	fake_set(fake, VIRTIO_MMIO_QUEUE_SEL, 1);
	fake_set(fake, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(bench->probe.resets, 1);
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_QUEUE_READY), 0);
	assert_int_equal(fake_reg(fake, VIRTIO_MMIO_QUEUE_NUM_MAX), QUEUE_MAX);
	assert_int_equal(fake->dev->queues[0].state.next_avail, 0);
	assert_int_equal(fake->dev->queues[0].state.desc.raw, 0);
	assert_int_equal(fake->dev->state.accepted, 0);
	/* Resetting what does not run is no event for the device. */
	fake_set(fake, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(bench->probe.resets, 1);
}

/* A write can only come late unnoticed if it changes nothing that can be read. */
static void test_late_writes(void **state)
{
	struct bench *bench = *state;
	struct fake_driver *fake = &bench->fake;
	uint32_t n = 0;

	for (size_t i = 0; i < VIRTIO_MMIO_LATE_RANGES; i++) {
		const struct virtio_mmio_range *range = &virtio_mmio_late[i];

		for (uint32_t off = range->offset; off < range->offset + range->len_bytes; off += 4, n++) {
			uint8_t before[VIRTIO_MMIO_PAGE_BYTES];

			fake_negotiate(fake, fake->dev, UINT64_MAX);
			memcpy(before, fake->page, sizeof(before));
			fake_set(fake, off, 8);
			assert_memory_equal(before, fake->page, sizeof(before));
		}
	}
	assert_int_equal(n, 2 + 1 + 1 + 10);
}

/* ---- with a loop thread of its own ---- */

struct race {
	struct bench *bench;
	volatile int stop;
};

static void *kicker(void *ctx)
{
	struct race *race = ctx;

	while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
		fake_set(&race->bench->fake, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		fake_set(&race->bench->fake, VIRTIO_MMIO_INTERRUPT_ACK, 3);
		fake_set(&race->bench->fake, VIRTIO_MMIO_QUEUE_SEL, 1);
		fake_reg(&race->bench->fake, VIRTIO_MMIO_STATUS);
	}
	return NULL;
}

#define RACE_ROUNDS 300

static void *resetter(void *ctx)
{
	struct race *race = ctx;
	struct fake_driver *fake = &race->bench->fake;

	for (int i = 0; i < RACE_ROUNDS; i++) {
		fake_negotiate(fake, fake->dev, UINT64_MAX);
		fake_set(fake, VIRTIO_MMIO_STATUS, 15);
		/* Twice, so that some resets meet a device that has been activated and some do not. */
		if (i & 1)
			fake_set(fake, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		fake_set(fake, VIRTIO_MMIO_STATUS, 0);
		/* The wait in reset is over only when the loop thread has run the device's. */
		pthread_mutex_lock(&fake->dev->lock);
		assert_int_equal(race->bench->probe.resets, i + 1);
		pthread_mutex_unlock(&fake->dev->lock);
		assert_int_equal(fake_status(fake), 0);
	}
	__atomic_store_n(&race->stop, 1, __ATOMIC_RELAXED);
	fake_set(fake, VIRTIO_MMIO_QUEUE_NOTIFY, 0); /* ends the loop's wait */
	return NULL;
}

/* M6: one vCPU resets while another notifies, and this thread is the loop. */
static void test_reset_races_with_kicks(void **state)
{
	struct bench *bench = *state;
	struct race race = {.bench = bench};
	pthread_t threads[2];

	assert_int_equal(pthread_create(&threads[0], NULL, kicker, &race), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, resetter, &race), 0);
	while (!__atomic_load_n(&race.stop, __ATOMIC_RELAXED))
		loop_turn(&bench->fake.loop, 10);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	assert_int_equal(bench->probe.resets, RACE_ROUNDS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_identity),
		TEST(test_page_is_the_registers),
		TEST(test_bad_accesses_are_ignored),
		TEST(test_queue_sel_out_of_range),
		TEST(test_status_edges),
		TEST(test_features_must_fit),
		TEST(test_failed_is_for_good),
		TEST(test_nothing_happens_before_driver_ok),
		TEST(test_queue_registers_need_features_ok),
		TEST(test_queues_are_frozen),
		TEST(test_bad_queue_needs_reset),
		TEST(test_activation_failure_needs_reset),
		TEST(test_malformed_ring_needs_reset),
		TEST(test_more_work_comes_back),
		TEST(test_kicks_coalesce),
		TEST(test_interrupt_status),
		TEST(test_one_interrupt_per_turn),
		TEST(test_config_change),
		TEST(test_reset_forgets),
		TEST(test_late_writes),
		TEST(test_reset_races_with_kicks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
