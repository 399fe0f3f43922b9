// SPDX-License-Identifier: Apache-2.0
/*
 * The register window: any sequence of accesses. The status goes along legal edges only, what was checked at DRIVER_OK
 * is frozen until reset, what is constant stays, and reads and the page agree.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/fake_driver.h"

#include <errno.h>
#include <string.h>

#define QUEUES 2
#define RAM_USED (16u << 10)
#define LIVE 15u

static struct virtio_device dev;
static unsigned activations, services;

static int dummy_activate(struct virtio_device *device)
{
	fuzz_require(device->state.status & VIRTIO_CONFIG_S_DRIVER_OK);
	activations++;
	return activations % 4 == 3 ? -ENOMEM : 0;
}

static int dummy_service(struct virtio_device *device)
{
	fuzz_require((device->state.status & ~(uint32_t)VIRTIO_CONFIG_S_NEEDS_RESET) == LIVE);
	services++;
	return services % 8 == 7 ? -EBADMSG : 0;
}

static const struct virtio_ops dummy_ops = {.id = 42, .activate = dummy_activate, .service = dummy_service};

static void constants_check(const struct fake_driver *fake)
{
	static const uint32_t want[][2] = {{VIRTIO_MMIO_MAGIC_VALUE, 0x74726976}, {VIRTIO_MMIO_VERSION, 2},
		{VIRTIO_MMIO_DEVICE_ID, 42}, {VIRTIO_MMIO_CONFIG, 0x64636261}, {VIRTIO_MMIO_QUEUE_NOTIFY, 0}};

	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++)
		fuzz_require(fake_reg(fake, want[i][0]) == want[i][1]);
	fuzz_require(fake_reg(fake, VIRTIO_MMIO_STATUS) == dev.state.status);
}

static void edge_check(uint32_t before, uint32_t after)
{
	uint32_t lost = before & ~after, gained = after & ~before;

	fuzz_require(!lost || !after);
	fuzz_require(!(after & ~(LIVE | (uint32_t)VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)));
	fuzz_require(!(before & VIRTIO_CONFIG_S_FAILED) || !gained);
	/* Each of the four steps needs the ones before it. */
	fuzz_require(((after & LIVE) & ((after & LIVE) + 1)) == 0 || (after & LIVE) == 11);
	fuzz_require(!(gained & VIRTIO_CONFIG_S_FEATURES_OK) || !(dev.state.accepted & ~dev.state.offered));
}

static void frozen_check(uint32_t before, const struct virtio_device *was)
{
	if (!(before & VIRTIO_CONFIG_S_DRIVER_OK) || !dev.state.status)
		return;
	fuzz_require(dev.state.accepted == was->state.accepted);
	for (int i = 0; i < QUEUES; i++)
		fuzz_require(
			memcmp(&dev.queues[i].state, &was->queues[i].state, sizeof(struct vq_state)) == 0);
}

static void access_write(struct fuzz_input *input)
{
	/* Registers that matter, more often than the rest. */
	static const uint16_t registers[] = {VIRTIO_MMIO_STATUS, VIRTIO_MMIO_QUEUE_SEL, VIRTIO_MMIO_QUEUE_NUM,
		VIRTIO_MMIO_QUEUE_READY, VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_AVAIL_LOW,
		VIRTIO_MMIO_QUEUE_USED_LOW, VIRTIO_MMIO_QUEUE_NOTIFY, VIRTIO_MMIO_DRIVER_FEATURES,
		VIRTIO_MMIO_DRIVER_FEATURES_SEL, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_DEVICE_FEATURES_SEL};
	uint8_t what = fuzz_u8(input);
	uint64_t offset = what < 0xc0 ? registers[what % 12] : fuzz_u16(input), value;
	struct virtio_device was = dev;
	uint32_t before = dev.state.status;

	value = what & 0x10 ? fuzz_u32(input) : fuzz_u8(input);
	if (offset == VIRTIO_MMIO_QUEUE_DESC_LOW || offset == VIRTIO_MMIO_QUEUE_AVAIL_LOW ||
		offset == VIRTIO_MMIO_QUEUE_USED_LOW)
		value = what & 0x10 ? value : FAKE_RAM_BASE + value * 64;
	virtio_mmio_write(&dev, offset, &value, what < 0xe0 ? 4 : 1u << what % 4);
	edge_check(before, dev.state.status);
	frozen_check(before, &was);
}

static void access_read(struct fake_driver *fake, struct fuzz_input *input)
{
	uint64_t offset = fuzz_u16(input) % 0x1200, value = UINT64_MAX, page = 0;
	uint32_t len = 1u << fuzz_u8(input) % 4;

	virtio_mmio_read(&dev, offset, &value, len);
	if (offset + len <= VIRTIO_MMIO_PAGE_BYTES &&
		(offset >= VIRTIO_MMIO_CONFIG || (len == 4 && offset % 4 == 0)))
		memcpy(&page, (const uint8_t *)fake->page + offset, len);
	fuzz_require(memcmp(&value, &page, len) == 0);
	fuzz_note(&value, len);
}

void fuzz_one(const uint8_t *data, size_t len)
{
	static struct fake_driver fake;
	const struct virtio_model model = {.ops = &dummy_ops,
		.config = "abcd",
		.config_len_bytes = 4,
		.n_queues = QUEUES,
		.features = 0xf0,
		.queue_size = {256, 16}};
	struct fuzz_input input = {data, len};
	struct virtio_wiring wiring;

	if (!fake.ram)
		fake_init(&fake);
	wiring = fake_wiring(&fake);
	memset(fake.ram, 0, RAM_USED);
	activations = services = 0;
	fuzz_require(virtio_device_init(&dev, &wiring, &model) == 0);
	fake.dev = &dev;
	while (input.left) {
		uint8_t what = fuzz_u8(&input);

		if (what < 192)
			access_write(&input);
		else if (what < 224)
			access_read(&fake, &input);
		else
			fake_run(&fake);
	}
	fake_run(&fake);
	constants_check(&fake);
	fuzz_note_u64((uint64_t)activations << 32 | services);
	virtio_device_done(&dev);
	(void)fake_irqs(&fake);
}
