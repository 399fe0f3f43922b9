// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/guest.h"

#include <string.h>

#define STATUS_UP 15u
#define NEEDS_RESET 64u
#define CHAIN_MAX 4

struct guest *guest_begin(const uint8_t *data, size_t len)
{
	static struct guest guest;
	static bool made;

	if (!made)
		fake_init(&guest.fake);
	made = true;
	guest.fake.next_gpa = FAKE_RAM_BASE;
	guest.fake.dev = NULL;
	memset(guest.fake.ram, 0, GUEST_WINDOW_BYTES);
	memset(guest.shadow, 0, sizeof(guest.shadow));
	memset(guest.writable, 0, sizeof(guest.writable));
	memset(guest.room, 0, sizeof(guest.room));
	guest.input = (struct fuzz_input){data, len};
	guest.overlap = guest.raw = false;
	guest.move = guest.check = NULL;
	(void)fake_irqs(&guest.fake);
	return &guest;
}

/* [gpa, gpa + len) as far as it lies in the window. */
static size_t window_part(uint64_t gpa, uint64_t len, size_t *at)
{
	if (gpa < FAKE_RAM_BASE || gpa >= FAKE_RAM_BASE + GUEST_WINDOW_BYTES)
		return 0;
	*at = (size_t)(gpa - FAKE_RAM_BASE);
	return len < GUEST_WINDOW_BYTES - *at ? (size_t)len : GUEST_WINDOW_BYTES - *at;
}

static void device_may_write(struct guest *guest, uint64_t gpa, uint64_t len)
{
	size_t at = 0, part = window_part(gpa, len, &at);

	memset(guest->writable + at, 1, part);
}

void guest_write(struct guest *guest, uint64_t gpa, const void *data, size_t len)
{
	size_t at = 0, part = window_part(gpa, len, &at);

	memcpy(guest->fake.ram + at, data, part);
	memcpy(guest->shadow + at, data, part);
}

uint64_t guest_buffer(struct guest *guest)
{
	return GUEST_BUFFERS + fuzz_u16(&guest->input) % GUEST_BUFFERS_BYTES;
}

/* Mostly a buffer, sometimes one of the places where memory ends or means something. */
static uint64_t address_take(struct guest *guest)
{
	switch (fuzz_u8(&guest->input) % 8) {
	case 0:
		return FAKE_HIGH_BASE - fuzz_u8(&guest->input);
	case 1:
		return FAKE_HIGH_BASE + FAKE_HIGH_BYTES - fuzz_u8(&guest->input);
	case 2:
		return fuzz_u64(&guest->input);
	case 3:
		return FAKE_RAM_BASE + fuzz_u16(&guest->input) % GUEST_RINGS_BYTES;
	default:
		return guest_buffer(guest);
	}
}

static uint32_t length_take(struct guest *guest)
{
	uint8_t kind = fuzz_u8(&guest->input);

	if (kind < 160)
		return kind;
	return kind < 240 ? fuzz_u16(&guest->input) : fuzz_u32(&guest->input);
}

static void desc_put(struct guest *guest, uint16_t queue, uint16_t index, const struct vring_desc *desc)
{
	const struct fake_queue *q = &guest->fake.queues[queue];

	if (desc->flags & VRING_DESC_F_WRITE) {
		device_may_write(guest, desc->addr, desc->len);
		/* From below, too: a buffer may begin in front of the window. */
		guest->overlap |= desc->addr < GUEST_BUFFERS && desc->len;
	}
	guest_write(guest, q->desc_gpa + 16u * (index % GUEST_QUEUE_SIZE), desc, sizeof(*desc));
}

/* Write one descriptor, in any way. */
static void move_desc(struct guest *guest)
{
	uint16_t queue = fuzz_u8(&guest->input) % guest->n_queues, index = fuzz_u8(&guest->input);
	struct vring_desc desc = {.addr = address_take(guest), .len = length_take(guest)};

	desc.flags = fuzz_u8(&guest->input);
	desc.next = fuzz_u8(&guest->input);
	desc_put(guest, queue, index, &desc);
}

/* How much room for the device the chain at head has by now. */
static void room_note(struct guest *guest, uint16_t queue, uint16_t head)
{
	uint16_t index = head;
	uint64_t room = 0;

	for (int hops = 0; hops < GUEST_QUEUE_SIZE && index < GUEST_QUEUE_SIZE; hops++) {
		const struct vring_desc *desc = fake_desc(&guest->fake, queue, index);

		room += desc->flags & VRING_DESC_F_WRITE ? desc->len : 0;
		if (!(desc->flags & VRING_DESC_F_NEXT))
			break;
		index = desc->next;
	}
	if (head < GUEST_QUEUE_SIZE && room > guest->room[queue][head])
		guest->room[queue][head] = room > UINT32_MAX ? UINT32_MAX : (uint32_t)room;
}

static void head_offer(struct guest *guest, uint16_t queue, uint16_t head)
{
	struct fake_queue *q = &guest->fake.queues[queue];
	uint16_t index = (uint16_t)(q->avail_idx + 1);

	guest_write(guest, q->avail_gpa + 4 + 2u * (q->avail_idx % q->size), &head, sizeof(head));
	guest_write(guest, q->avail_gpa + 2, &index, sizeof(index));
	q->avail_idx = index;
}

void guest_offer(struct guest *guest, uint16_t queue, const struct fake_buffer *buffers, size_t n)
{
	struct fake_queue *q = &guest->fake.queues[queue];
	uint16_t head = q->next_desc % GUEST_QUEUE_SIZE;

	for (size_t i = 0; i < n; i++, q->next_desc++) {
		struct vring_desc desc = {.addr = buffers[i].gpa, .len = buffers[i].len};

		desc.flags = (uint16_t)((buffers[i].writable ? VRING_DESC_F_WRITE : 0) |
					(i + 1 < n ? VRING_DESC_F_NEXT : 0));
		desc.next = (uint16_t)((q->next_desc + 1u) % GUEST_QUEUE_SIZE);
		desc_put(guest, queue, q->next_desc, &desc);
	}
	head_offer(guest, queue, head);
}

/* A chain as an honest driver makes them, but for where its buffers are. */
static void move_chain(struct guest *guest)
{
	uint16_t queue = fuzz_u8(&guest->input) % guest->n_queues;
	uint8_t shape = fuzz_u8(&guest->input);
	struct fake_buffer buffers[CHAIN_MAX];
	size_t n = 1u + shape % CHAIN_MAX;

	for (size_t i = 0; i < n; i++)
		buffers[i] = (struct fake_buffer){
			address_take(guest), length_take(guest), i >= (size_t)(shape >> 4) % (CHAIN_MAX + 1)};
	guest_offer(guest, queue, buffers, n);
}

static void move_data(struct guest *guest)
{
	uint64_t gpa = guest_buffer(guest);
	const uint8_t *bytes;
	size_t len = fuzz_bytes(&guest->input, fuzz_u8(&guest->input), &bytes);

	guest_write(guest, gpa, bytes, len);
}

/* Flags and used_event of the available ring, or its index. */
static void move_ring(struct guest *guest)
{
	uint16_t queue = fuzz_u8(&guest->input) % guest->n_queues, value;
	struct fake_queue *q = &guest->fake.queues[queue];
	uint8_t what = fuzz_u8(&guest->input);

	value = fuzz_u16(&guest->input);
	if (what & 1)
		guest_write(guest, q->avail_gpa + 4 + 2u * q->size, &value, sizeof(value));
	else if (what & 2)
		guest_write(guest, q->avail_gpa, &value, sizeof(value));
	else
		head_offer(guest, queue, value % (2 * GUEST_QUEUE_SIZE));
	if (what == 0xfc) {
		q->avail_idx = value;
		guest_write(guest, q->avail_gpa + 2, &value, sizeof(value));
	}
}

static void move_register(struct guest *guest)
{
	uint64_t offset = fuzz_u16(&guest->input) % (2 * VIRTIO_MMIO_PAGE_BYTES);
	uint8_t bytes[8];
	uint64_t value = fuzz_u32(&guest->input);
	uint32_t status = fake_status(&guest->fake);

	memcpy(bytes, &value, sizeof(bytes));
	virtio_mmio_write(guest->fake.dev, offset, bytes, 1u << fuzz_u8(&guest->input) % 4);
	/* While DRIVER_OK is set, the rings stay where they are whatever is written. */
	guest->raw |= fake_status(&guest->fake) != status;
}

/* Queues of a known size at known places; what is accepted of the features is the input's. */
static void come_up(struct guest *guest, uint64_t features)
{
	struct fake_driver *fake = &guest->fake;

	fake->next_gpa = FAKE_RAM_BASE;
	fake_negotiate(fake, fake->dev, features | UINT64_C(1) << VIRTIO_F_VERSION_1);
	for (uint16_t i = 0; i < guest->n_queues; i++) {
		fake_queue_place(fake, i, GUEST_QUEUE_SIZE);
		fake_queue_configure(fake, i);
		device_may_write(guest, fake->queues[i].used_gpa, 6u + 8u * GUEST_QUEUE_SIZE);
		guest->used_seen[i] = 0;
	}
	memcpy(guest->shadow, fake->ram, GUEST_RINGS_BYTES);
	memset(guest->room, 0, sizeof(guest->room));
	guest->raw = false;
	fake_driver_ok(fake);
	fuzz_require((fake_status(fake) | NEEDS_RESET) == (STATUS_UP | NEEDS_RESET));
}

/* What came back, and that it had been offered. */
static void used_check(struct guest *guest, uint16_t queue)
{
	const struct fake_queue *q = &guest->fake.queues[queue];
	const uint16_t *used = fake_used(&guest->fake, queue);
	uint16_t now = used[1];

	fuzz_require((uint16_t)(now - guest->used_seen[queue]) <= GUEST_QUEUE_SIZE);
	for (uint16_t i = guest->used_seen[queue]; i != now; i++) {
		uint32_t elem[2];

		memcpy(elem, used + 2 + 4 * (i % q->size), sizeof(elem));
		fuzz_require(elem[0] < GUEST_QUEUE_SIZE);
		fuzz_require(elem[1] <= guest->room[queue][elem[0]]);
		fuzz_note(elem, sizeof(elem));
	}
	guest->used_seen[queue] = now;
}

/* The used index of a queue, and how much room each of its chains has, before the device works. */
static void turn_begin(struct guest *guest, uint16_t before[FAKE_QUEUES])
{
	for (uint16_t queue = 0; queue < guest->n_queues; queue++) {
		before[queue] = fake_used(&guest->fake, queue)[1];
		for (uint16_t head = 0; head < GUEST_QUEUE_SIZE; head++)
			room_note(guest, queue, head);
	}
}

void guest_run(struct guest *guest)
{
	bool checked = !guest->overlap && !guest->raw, broken = fake_status(&guest->fake) & NEEDS_RESET;
	uint16_t before[FAKE_QUEUES];

	turn_begin(guest, before);
	fake_run(&guest->fake);
	if (checked) {
		for (uint16_t queue = 0; queue < guest->n_queues; queue++) {
			used_check(guest, queue);
			fuzz_require(!broken || guest->used_seen[queue] == before[queue]);
		}
		fuzz_require(fuzz_same(guest->fake.ram, guest->shadow, guest->writable, GUEST_WINDOW_BYTES));
		fuzz_require((fake_status(&guest->fake) | NEEDS_RESET) == (STATUS_UP | NEEDS_RESET));
	}
	if (guest->check)
		guest->check(guest);
	fuzz_note_u64(fake_status(&guest->fake));
}

void guest_kick(struct guest *guest)
{
	fake_set(&guest->fake, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	guest_run(guest);
}

static void move_next(struct guest *guest)
{
	switch (fuzz_u8(&guest->input) % 16) {
	case 0:
	case 1:
		move_desc(guest);
		break;
	case 2:
	case 3:
	case 4:
		move_chain(guest);
		break;
	case 5:
		move_data(guest);
		break;
	case 6:
		move_ring(guest);
		break;
	case 7:
		move_register(guest);
		break;
	case 8:
		guest->overlap = false;
		come_up(guest, fuzz_u64(&guest->input));
		break;
	case 9:
	case 10:
		guest_kick(guest);
		break;
	default:
		if (guest->move)
			guest->move(guest);
		break;
	}
}

void guest_play(struct guest *guest, struct virtio_device *dev, uint16_t n_queues)
{
	guest->fake.dev = dev;
	guest->n_queues = n_queues;
	come_up(guest, UINT64_MAX);
	while (guest->input.left)
		move_next(guest);
	guest_kick(guest);
}
