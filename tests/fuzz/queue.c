// SPDX-License-Identifier: Apache-2.0
/*
 * A virtqueue whose rings are the input. Every chain that comes out is what a walk over a copy of the descriptors finds
 * that adds nothing up but looks at one descriptor after the other.
 */
#include "tests/fuzz/fuzz.h"
#include "virtio/queue.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#define RINGS_GPA UINT64_C(0x10000)
#define RINGS_BYTES 4096u
#define LOW_GPA UINT64_C(0x20000)
#define LOW_BYTES 4096u
#define HIGH_BYTES 2048u /* behind it in the guest, not in the host */
#define DESC_AT 0u
#define AVAIL_AT 2048u
#define USED_AT 3072u
#define SIZE_MAX_HERE 64u

static struct gmem mem;
static uint8_t *rings, *low, *high;
static struct vq vq;

/* Where len bytes at gpa are, all in one region; NULL if they are not. */
static uint8_t *place(uint64_t gpa, uint64_t len)
{
	const struct {
		uint64_t gpa, bytes;
		uint8_t *host;
	} regions[] = {{RINGS_GPA, RINGS_BYTES, rings}, {LOW_GPA, LOW_BYTES, low},
		{LOW_GPA + LOW_BYTES, HIGH_BYTES, high}};

	for (size_t i = 0; i < 3; i++) {
		if (gpa >= regions[i].gpa && gpa - regions[i].gpa < regions[i].bytes &&
			len <= regions[i].bytes - (gpa - regions[i].gpa))
			return regions[i].host + (gpa - regions[i].gpa);
	}
	return NULL;
}

static void piece_check(
	const struct giov *list, uint32_t *index, const struct vring_desc *desc, uint64_t *sum)
{
	uint8_t *host = place(desc->addr, desc->len);

	if (!desc->len || !host)
		return;
	fuzz_require(*index < list->n && list->iov[*index].iov_base == host &&
		     list->iov[*index].iov_len == desc->len);
	++*index;
	*sum += desc->len;
}

/* The chain is what its descriptors say. */
static void chain_check(const struct vq_chain *chain)
{
	struct vring_desc desc = {.flags = VRING_DESC_F_NEXT, .next = chain->head};
	uint32_t out = 0, in = 0;
	uint64_t out_sum = 0, in_sum = 0;
	bool fault = false;

	for (unsigned hops = 0; desc.flags & VRING_DESC_F_NEXT; hops++) {
		fuzz_require(hops < vq.state.size && desc.next < vq.state.size);
		memcpy(&desc, rings + DESC_AT + sizeof(desc) * desc.next, sizeof(desc));
		fuzz_require(!(desc.flags & ~(VRING_DESC_F_NEXT | VRING_DESC_F_WRITE)));
		fuzz_require(desc.flags & VRING_DESC_F_WRITE || !in);
		fault |= desc.len && !place(desc.addr, desc.len);
		if (desc.flags & VRING_DESC_F_WRITE)
			piece_check(&chain->in, &in, &desc, &in_sum);
		else
			piece_check(&chain->out, &out, &desc, &out_sum);
	}
	fuzz_require(out == chain->out.n && in == chain->in.n && chain->fault == fault);
	fuzz_require(out_sum == chain->out.len_bytes && in_sum == chain->in.len_bytes);
	fuzz_require(chain->tail_ok ==
		     (desc.flags & VRING_DESC_F_WRITE && desc.len && place(desc.addr, desc.len)));
}

static uint16_t avail_idx(void)
{
	uint16_t idx;

	memcpy(&idx, rings + AVAIL_AT + 2, sizeof(idx));
	return idx;
}

static void next_check(struct fuzz_input *input)
{
	static struct iovec iov[VQ_SIZE_MAX], again_iov[VQ_SIZE_MAX];
	struct vq_chain chain, again;
	uint16_t was = vq.state.next_avail, used;
	int ret = vq_next(&vq, &chain, iov);

	fuzz_note_u64((uint64_t)ret);
	fuzz_require(ret != 0 || avail_idx() == was);
	fuzz_require(ret >= 0 ? vq.state.next_avail == (uint16_t)(was + ret) : ret == -EBADMSG);
	if (ret != 1)
		return;
	fuzz_require((uint16_t)(avail_idx() - was) <= vq.state.size);
	chain_check(&chain);
	vq_undo_next(&vq, 1);
	fuzz_require(vq_next(&vq, &again, again_iov) == 1 && again.head == chain.head);
	used = vq.state.next_used;
	vq_push(&vq, chain.head, fuzz_u16(input));
	fuzz_require((uint16_t)(used + 1) == vq.state.next_used);
	fuzz_require(memcmp(rings + USED_AT + 2, &vq.state.next_used, 2) == 0);
}

static void memory_make(void)
{
	if (rings)
		return;
	rings = aligned_alloc(16, RINGS_BYTES);
	low = aligned_alloc(16, LOW_BYTES);
	high = aligned_alloc(16, HIGH_BYTES);
	fuzz_require(rings && low && high && gmem_add(&mem, gpa_of(RINGS_GPA), rings, RINGS_BYTES) == 0);
	fuzz_require(gmem_add(&mem, gpa_of(LOW_GPA), low, LOW_BYTES) == 0);
	fuzz_require(gmem_add(&mem, gpa_of(LOW_GPA + LOW_BYTES), high, HIGH_BYTES) == 0);
}

/* A place for a ring: the usual one, or anywhere. */
static gpa_t ring_place(struct fuzz_input *input, bool anywhere, uint32_t usual)
{
	return gpa_of(anywhere ? fuzz_u64(input) : RINGS_GPA + usual);
}

static bool start(struct fuzz_input *input)
{
	uint8_t shape = fuzz_u8(input);
	bool anywhere = shape & 0x80;
	int ret;

	vq = (struct vq){.state = {.size_max = SIZE_MAX_HERE,
				 .size = shape & 0x40 ? fuzz_u16(input) : (uint16_t)(1u << (shape & 7)),
				 .next_avail = shape & 0x20 ? 0xfffe : 0}};
	vq.state.desc = ring_place(input, anywhere, DESC_AT);
	vq.state.driver = ring_place(input, anywhere, AVAIL_AT);
	vq.state.device = ring_place(input, anywhere, USED_AT);
	ret = vq_start(&vq, &mem, shape & 0x10);
	fuzz_require(ret == 0 || (ret == -EINVAL && !vq_running(&vq)));
	if (ret)
		return false;
	fuzz_require(
		vq.state.size && vq.state.size <= SIZE_MAX_HERE && !(vq.state.size & (vq.state.size - 1)));
	fuzz_require(place(vq.state.desc.raw, 16u * vq.state.size) &&
		     place(vq.state.device.raw, 6u + 8u * vq.state.size));
	/* The checks know the usual places only. */
	return !anywhere;
}

/* How it starts; then, again and again, bytes for the rings and what to do. */
void fuzz_one(const uint8_t *data, size_t len)
{
	struct fuzz_input input = {data, len};

	memory_make();
	memset(rings, 0, RINGS_BYTES);
	if (!start(&input))
		return;
	while (input.left) {
		uint8_t what = fuzz_u8(&input);
		const uint8_t *bytes;
		size_t at, n;

		if (what < 128) {
			next_check(&input);
		} else if (what < 160) {
			fuzz_note_u64(vq_wants_interrupt(&vq));
			fuzz_require(!vq_wants_interrupt(&vq));
		} else if (what < 192) {
			fuzz_note_u64(vq_enable_kicks(&vq));
		} else {
			at = what < 224 ? fuzz_u8(&input) * 16u : AVAIL_AT + fuzz_u8(&input) % 160u;
			n = fuzz_bytes(&input, what < 224 ? 16 : what % 32, &bytes);
			memcpy(rings + at, bytes, n < RINGS_BYTES - at ? n : RINGS_BYTES - at);
		}
	}
	vq_stop(&vq);
}
