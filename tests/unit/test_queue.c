// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/fake_driver.h"
#include "tests/unit/cm.h"
#include "virtio/queue.h"

#include <errno.h>
#include <string.h>

#define SIZE 8

struct bench {
	struct fake_driver fake;
	struct vq vq;
	struct iovec iov[VQ_SIZE_MAX];
	uint64_t data;
};

static void vq_configure(struct bench *bench)
{
	const struct fake_queue *q = &bench->fake.queues[0];

	bench->vq.state = (struct vq_state){
		.desc = gpa_of(q->desc_gpa),
		.driver = gpa_of(q->avail_gpa),
		.device = gpa_of(q->used_gpa),
		.size_max = 64,
		.size = q->size,
		.ready = 1,
	};
}

static int setup(void **state)
{
	static struct bench bench;

	memset(&bench, 0, sizeof(bench));
	fake_init(&bench.fake);
	fake_queue_place(&bench.fake, 0, SIZE);
	bench.data = fake_alloc(&bench.fake, 4096);
	vq_configure(&bench);
	assert_int_equal(vq_start(&bench.vq, &bench.fake.mem, true), 0);
	*state = &bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	fake_done(&bench->fake);
	return 0;
}

static int next(struct bench *bench, struct vq_chain *chain)
{
	return vq_next(&bench->vq, chain, bench->iov);
}

static void desc_set(
	struct bench *bench, uint16_t i, uint64_t gpa, uint32_t len, unsigned int flags, uint16_t link)
{
	*fake_desc(&bench->fake, 0, i) =
		(struct vring_desc){.addr = gpa, .len = len, .flags = (uint16_t)flags, .next = link};
}

static void test_chain(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffers[] = {{bench->data, 16, false}, {bench->data + 100, 0, false},
		{bench->data + 200, 50, true}, {bench->data + 300, 1, true}};
	struct vq_chain chain;

	assert_int_equal(next(bench, &chain), 0);
	fake_add(&bench->fake, 0, buffers, 4);
	assert_int_equal(next(bench, &chain), 1);
	assert_int_equal(chain.head, 0);
	assert_int_equal(chain.out.n, 1);
	assert_int_equal(chain.out.len_bytes, 16);
	assert_int_equal(chain.in.n, 2);
	assert_int_equal(chain.in.len_bytes, 51);
	assert_ptr_equal(chain.in.iov[0].iov_base, fake_host(&bench->fake, bench->data + 200));
	assert_true(chain.tail_ok);
	assert_false(chain.fault);
	assert_int_equal(next(bench, &chain), 0);
}

static void test_out_only_and_in_only(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer out = {bench->data, 5, false}, in = {bench->data, 6, true};
	struct vq_chain chain;

	fake_add(&bench->fake, 0, &out, 1);
	fake_add(&bench->fake, 0, &in, 1);
	assert_int_equal(next(bench, &chain), 1);
	assert_int_equal(chain.out.len_bytes, 5);
	assert_int_equal(chain.in.n, 0);
	assert_false(chain.tail_ok);
	assert_int_equal(next(bench, &chain), 1);
	assert_int_equal(chain.out.n, 0);
	assert_int_equal(chain.in.len_bytes, 6);
	assert_true(chain.tail_ok);
}

static void test_undo(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffer = {bench->data, 5, false};
	struct vq_chain chain;

	for (int i = 0; i < 3; i++)
		fake_add(&bench->fake, 0, &buffer, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(next(bench, &chain), 1);
	vq_undo_next(&bench->vq, 2);
	assert_int_equal(next(bench, &chain), 1);
	assert_int_equal(chain.head, 1);
	assert_int_equal(next(bench, &chain), 1);
	assert_int_equal(chain.head, 2);
	assert_int_equal(next(bench, &chain), 0);
}

/* Q1: outside of memory, across the end of a region, wrapping. The chain is seen, the piece is not. */
static void test_address_faults(void **state)
{
	struct bench *bench = *state;
	const uint64_t bad[][2] = {{0, 1}, {FAKE_RAM_BASE - 1, 2}, {FAKE_HIGH_BASE - 1, 2},
		{FAKE_HIGH_BASE + FAKE_HIGH_BYTES, 1}, {UINT64_MAX, 2}, {UINT64_MAX - 4095, 4096},
		{FAKE_RAM_BASE, UINT32_MAX}};
	struct vq_chain chain;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		desc_set(bench, 0, bad[i][0], (uint32_t)bad[i][1], VRING_DESC_F_WRITE, 0);
		fake_offer(&bench->fake, 0, 0);
		assert_int_equal(next(bench, &chain), 1);
		assert_true(chain.fault);
		assert_false(chain.tail_ok);
		assert_int_equal(chain.in.n, 0);
	}
}

static void test_fault_before_good_tail(void **state)
{
	struct bench *bench = *state;
	struct fake_buffer buffers[] = {{bench->data, 16, false}, {1, 512, true}, {bench->data, 1, true}};
	struct vq_chain chain;

	fake_add(&bench->fake, 0, buffers, 3);
	assert_int_equal(next(bench, &chain), 1);
	assert_true(chain.fault);
	assert_true(chain.tail_ok);
	assert_int_equal(chain.in.len_bytes, 1);
}

/* Q2: lengths that add up to more than 32 bits. */
static void test_total_length(void **state)
{
	struct bench *bench = *state;
	struct vq_chain chain;

	for (uint16_t i = 0; i < 3; i++)
		desc_set(bench, i, 0, 0x60000000, i < 2 ? VRING_DESC_F_NEXT : 0, (uint16_t)(i + 1));
	fake_offer(&bench->fake, 0, 0);
	assert_int_equal(next(bench, &chain), -EBADMSG);
}

/* Q3: loops. */
static void test_loops(void **state)
{
	struct bench *bench = *state;
	struct vq_chain chain;

	desc_set(bench, 0, bench->data, 1, VRING_DESC_F_NEXT, 0);
	fake_offer(&bench->fake, 0, 0);
	assert_int_equal(next(bench, &chain), -EBADMSG);
	desc_set(bench, 0, bench->data, 1, VRING_DESC_F_NEXT, 1);
	desc_set(bench, 1, bench->data, 1, VRING_DESC_F_NEXT, 0);
	assert_int_equal(next(bench, &chain), -EBADMSG);
	for (uint16_t i = 0; i < SIZE; i++)
		desc_set(bench, i, bench->data, 1, VRING_DESC_F_NEXT, (uint16_t)((i + 1) % SIZE));
	assert_int_equal(next(bench, &chain), -EBADMSG);
	/* All descriptors in one chain is the longest that is legal. */
	desc_set(bench, SIZE - 1, bench->data, 1, 0, 0);
	assert_int_equal(next(bench, &chain), 1);
	assert_int_equal(chain.out.n, SIZE);
}

/* Q4. */
static void test_index_out_of_range(void **state)
{
	struct bench *bench = *state;
	struct vq_chain chain;

	fake_offer(&bench->fake, 0, SIZE);
	assert_int_equal(next(bench, &chain), -EBADMSG);
	fake_avail(&bench->fake, 0)[2] = 0xffff;
	assert_int_equal(next(bench, &chain), -EBADMSG);
	fake_avail(&bench->fake, 0)[2] = 0;
	desc_set(bench, 0, bench->data, 1, VRING_DESC_F_NEXT, SIZE);
	assert_int_equal(next(bench, &chain), -EBADMSG);
}

/* Q5: an index more than a queue ahead. */
static void test_avail_jump(void **state)
{
	struct bench *bench = *state;
	uint16_t *avail = fake_avail(&bench->fake, 0);
	struct vq_chain chain;

	desc_set(bench, 0, bench->data, 1, 0, 0);
	avail[1] = SIZE;
	for (int i = 0; i < SIZE; i++)
		assert_int_equal(next(bench, &chain), 1);
	assert_int_equal(next(bench, &chain), 0);
	avail[1] = 2 * SIZE + 1;
	assert_int_equal(next(bench, &chain), -EBADMSG);
	assert_true(vq_enable_kicks(&bench->vq));
	avail[1] = SIZE - 1; /* backwards is 65535 ahead */
	assert_int_equal(next(bench, &chain), -EBADMSG);
}

/* Q7 and Q8: indirect and unknown flags. */
static void test_unknown_flags(void **state)
{
	struct bench *bench = *state;
	struct vq_chain chain;

	fake_offer(&bench->fake, 0, 0);
	for (unsigned int bit = 2; bit < 16; bit++) {
		desc_set(bench, 0, bench->data, 16, 1u << bit, 0);
		assert_int_equal(next(bench, &chain), -EBADMSG);
	}
	desc_set(bench, 0, bench->data, 16, 0, 0);
	assert_int_equal(next(bench, &chain), 1);
}

/* Q9. */
static void test_readable_after_writable(void **state)
{
	struct bench *bench = *state;
	struct vq_chain chain;

	desc_set(bench, 0, bench->data, 1, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	desc_set(bench, 1, bench->data, 1, 0, 0);
	fake_offer(&bench->fake, 0, 0);
	assert_int_equal(next(bench, &chain), -EBADMSG);
}

/* Q13: what cannot be started. */
static void test_start_refuses(void **state)
{
	struct bench *bench = *state;
	struct vq_state good = bench->vq.state;
	const uint16_t sizes[] = {0, 3, 12, 128, 0x8000, 0xffff};
	struct vq_chain chain;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		bench->vq.state.size = sizes[i];
		assert_int_equal(vq_start(&bench->vq, &bench->fake.mem, true), -EINVAL);
		assert_false(vq_running(&bench->vq));
	}
	for (int i = 0; i < 3; i++) {
		const uint64_t misaligned[] = {8, 1, 2};

		bench->vq.state = good;
		(&bench->vq.state.desc)[i].raw += misaligned[i];
		assert_int_equal(vq_start(&bench->vq, &bench->fake.mem, true), -EINVAL);
		(&bench->vq.state.desc)[i].raw = 0;
		assert_int_equal(vq_start(&bench->vq, &bench->fake.mem, true), -EINVAL);
		/* One byte short of fitting. */
		(&bench->vq.state.desc)[i].raw = FAKE_HIGH_BASE - 16;
		assert_int_equal(vq_start(&bench->vq, &bench->fake.mem, true), -EINVAL);
	}
	fake_offer(&bench->fake, 0, 0);
	assert_int_equal(next(bench, &chain), 0);
	bench->vq.state = good;
	assert_int_equal(vq_start(&bench->vq, &bench->fake.mem, true), 0);
}

/* Rings that end exactly at the end of memory are fine, and nothing behind them is touched (guard pages). */
static void test_rings_at_the_edge(void **state)
{
	struct bench *bench = *state;
	uint64_t end = FAKE_HIGH_BASE + FAKE_HIGH_BYTES;
	struct fake_queue *q = &bench->fake.queues[0];
	struct vq_chain chain;

	q->used_gpa = end - 8 - 8 * SIZE;
	assert_int_equal(q->used_gpa % 4, 0);
	bench->vq.state.device = gpa_of(q->used_gpa);
	assert_int_equal(vq_start(&bench->vq, &bench->fake.mem, true), 0);
	desc_set(bench, 0, end - 1, 1, 0, 0);
	fake_offer(&bench->fake, 0, 0);
	assert_int_equal(next(bench, &chain), 1);
	assert_false(chain.fault);
	vq_push(&bench->vq, 0, 0);
	vq_enable_kicks(&bench->vq);
	bench->vq.state.device.raw += 4;
	assert_int_equal(vq_start(&bench->vq, &bench->fake.mem, true), -EINVAL);
}

static void test_used_ring(void **state)
{
	struct bench *bench = *state;
	uint16_t head;
	uint32_t len;

	for (uint32_t i = 0; i < 3 * SIZE; i++) {
		vq_push(&bench->vq, (uint16_t)(i % SIZE), i * 1000);
		assert_true(fake_take(&bench->fake, 0, &head, &len));
		assert_int_equal(head, i % SIZE);
		assert_int_equal(len, i * 1000);
		assert_false(fake_take(&bench->fake, 0, &head, &len));
	}
}

/*
 * Q20: an interrupt is wanted if and only if the index moved past used_event, for every position of it
 * relative to a batch, the wrap at 65535 included (section 2.7.7.2).
 */
static void test_interrupt_law(void **state)
{
	struct bench *bench = *state;
	uint16_t *event = fake_used_event(&bench->fake, 0);

	for (int start = 65530; start < 65542; start++) {
		for (int batch = 0; batch <= SIZE; batch++) {
			for (int wish = -3; wish < SIZE + 3; wish++) {
				bool expected = wish >= 0 && wish < batch;

				bench->vq.state.next_used = bench->vq.state.told_used = (uint16_t)start;
				*event = (uint16_t)(start + wish);
				for (int i = 0; i < batch; i++)
					vq_push(&bench->vq, 0, 0);
				assert_int_equal(vq_wants_interrupt(&bench->vq), expected);
				assert_false(vq_wants_interrupt(&bench->vq));
			}
		}
	}
}

static void test_kick_law(void **state)
{
	struct bench *bench = *state;
	struct vq_chain chain;

	desc_set(bench, 0, bench->data, 1, 0, 0);
	assert_false(vq_enable_kicks(&bench->vq));
	assert_int_equal(*fake_avail_event(&bench->fake, 0), 0);
	fake_offer(&bench->fake, 0, 0);
	fake_offer(&bench->fake, 0, 0);
	assert_int_equal(next(bench, &chain), 1);
	/* One is left: the caller must look again, a kick for it will not come. */
	assert_true(vq_enable_kicks(&bench->vq));
	assert_int_equal(next(bench, &chain), 1);
	assert_false(vq_enable_kicks(&bench->vq));
	assert_int_equal(*fake_avail_event(&bench->fake, 0), 2);
}

static void test_avail_wraps(void **state)
{
	struct bench *bench = *state;
	struct vq_chain chain;

	desc_set(bench, 0, bench->data, 1, 0, 0);
	bench->vq.state.next_avail = bench->fake.queues[0].avail_idx = 0xfffe;
	for (int i = 0; i < 4; i++)
		fake_offer(&bench->fake, 0, 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(next(bench, &chain), 1);
	assert_int_equal(next(bench, &chain), 0);
	assert_int_equal(bench->vq.state.next_avail, 2);
}

static void test_without_event_idx(void **state)
{
	struct bench *bench = *state;
	uint16_t *avail = fake_avail(&bench->fake, 0);

	assert_int_equal(vq_start(&bench->vq, &bench->fake.mem, false), 0);
	*fake_used_event(&bench->fake, 0) = 77;
	vq_push(&bench->vq, 0, 0);
	assert_true(vq_wants_interrupt(&bench->vq));
	assert_false(vq_wants_interrupt(&bench->vq));
	avail[0] = VRING_AVAIL_F_NO_INTERRUPT;
	vq_push(&bench->vq, 0, 0);
	assert_false(vq_wants_interrupt(&bench->vq));
	fake_used(&bench->fake, 0)[0] = VRING_USED_F_NO_NOTIFY;
	assert_false(vq_enable_kicks(&bench->vq));
	assert_int_equal(fake_used(&bench->fake, 0)[0], 0);
}

static void test_stopped_queue_is_inert(void **state)
{
	struct bench *bench = *state;
	struct vq_chain chain;

	desc_set(bench, 0, bench->data, 1, 0, 0);
	fake_offer(&bench->fake, 0, 0);
	vq_stop(&bench->vq);
	assert_int_equal(next(bench, &chain), 0);
	vq_push(&bench->vq, 0, 5);
	assert_int_equal(fake_used(&bench->fake, 0)[1], 0);
	assert_false(vq_wants_interrupt(&bench->vq));
	assert_false(vq_enable_kicks(&bench->vq));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_chain),
		TEST(test_out_only_and_in_only),
		TEST(test_undo),
		TEST(test_address_faults),
		TEST(test_fault_before_good_tail),
		TEST(test_total_length),
		TEST(test_loops),
		TEST(test_index_out_of_range),
		TEST(test_avail_jump),
		TEST(test_unknown_flags),
		TEST(test_readable_after_writable),
		TEST(test_start_refuses),
		TEST(test_rings_at_the_edge),
		TEST(test_used_ring),
		TEST(test_interrupt_law),
		TEST(test_kick_law),
		TEST(test_avail_wraps),
		TEST(test_without_event_idx),
		TEST(test_stopped_queue_is_inert),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
