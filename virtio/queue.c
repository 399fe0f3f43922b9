// SPDX-License-Identifier: Apache-2.0
#include "virtio/queue.h"

#include "base/num.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rings are little-endian and used in place");
_Static_assert(sizeof(struct vring_desc) == 16, "a descriptor is copied as two 64-bit words");

#define DESC_BYTES 16u
#define DESC_FLAGS_KNOWN (VRING_DESC_F_NEXT | VRING_DESC_F_WRITE)

/*
 * Both rings are arrays of 16-bit words behind flags and idx (section 2.7.6 and 2.7.8):
 *	available: flags, idx, ring[size], used_event
 *	used:      flags, idx, {id:32, len:32}[size], avail_event
 */
enum { RING_FLAGS, RING_IDX, RING_ENTRIES };
#define USED_ELEM_WORDS 4u

static uint16_t *used_event(const struct vq *vq)
{
	return vq->avail + RING_ENTRIES + vq->state.size;
}

static uint16_t *avail_event(const struct vq *vq)
{
	return vq->used + RING_ENTRIES + USED_ELEM_WORDS * vq->state.size;
}

static uint64_t avail_bytes(uint32_t size)
{
	return sizeof(uint16_t) * (uint64_t)(RING_ENTRIES + size + 1);
}

static uint64_t used_bytes(uint32_t size)
{
	return sizeof(uint16_t) * (uint64_t)(RING_ENTRIES + USED_ELEM_WORDS * size + 1);
}

/* A ring in guest memory, aligned there and here alike. */
static void *ring_resolve(const struct gmem *mem, gpa_t gpa, uint64_t len_bytes, uint64_t align)
{
	void *host = gmem_slice(mem, gpa, len_bytes);

	if (gpa.raw & (align - 1) || (uintptr_t)host & (align - 1))
		return NULL;
	return host;
}

int vq_start(struct vq *vq, const struct gmem *mem, bool event_idx)
{
	struct vq_state *state = &vq->state;
	void *desc, *avail, *used;

	vq_stop(vq);
	if (!num_is_pow2(state->size) || state->size > state->size_max)
		return -EINVAL;
	desc = ring_resolve(mem, state->desc, DESC_BYTES * (uint64_t)state->size, DESC_BYTES);
	avail = ring_resolve(mem, state->driver, avail_bytes(state->size), 2);
	used = ring_resolve(mem, state->device, used_bytes(state->size), 4);
	if (!desc || !avail || !used)
		return -EINVAL;
	vq->mem = mem;
	vq->desc = desc;
	vq->avail = avail;
	vq->used = used;
	state->event_idx = event_idx;
	return 0;
}

void vq_stop(struct vq *vq)
{
	vq->mem = NULL;
	vq->desc = NULL;
	vq->avail = NULL;
	vq->used = NULL;
}

/* How many chains are available; -EBADMSG if more than the queue can hold. */
static int vq_backlog(const struct vq *vq)
{
	uint16_t idx = __atomic_load_n(&vq->avail[RING_IDX], __ATOMIC_ACQUIRE);
	uint16_t count = (uint16_t)(idx - vq->state.next_avail);

	return count > vq->state.size ? -EBADMSG : count;
}

static struct vring_desc desc_fetch(const struct vq *vq, uint16_t index)
{
	uint64_t words[2] = {vq->desc[2 * index], vq->desc[2 * index + 1]};
	struct vring_desc desc;

	memcpy(&desc, words, sizeof(desc));
	return desc;
}

/* Add one descriptor to the list it belongs to. */
static int chain_add(
	const struct vq *vq, struct vq_chain *chain, const struct vring_desc *desc, uint64_t *total)
{
	bool writable = desc->flags & VRING_DESC_F_WRITE;
	struct giov *list = writable ? &chain->in : &chain->out;
	int ret;

	if (desc->flags & ~DESC_FLAGS_KNOWN)
		return -EBADMSG;
	*total += desc->len;
	if (*total > UINT32_MAX)
		return -EBADMSG;
	ret = giov_add(list, vq->mem, gpa_of(desc->addr), desc->len);
	if (ret == -EFAULT)
		chain->fault = true;
	else if (ret)
		return -EBADMSG;
	chain->tail_ok = writable && desc->len && !ret;
	return 0;
}

/* Walk the chain at head: device-readable descriptors, then device-writable ones, at most size in all. */
static int chain_walk(const struct vq *vq, struct vq_chain *chain, struct iovec *iov)
{
	uint16_t size = vq->state.size;
	uint16_t index = chain->head;
	uint64_t total = 0;
	bool writing = false;

	giov_init(&chain->out, iov, size);
	for (uint16_t hops = 0; hops < size; hops++) {
		struct vring_desc desc;
		int ret;

		if (index >= size)
			return -EBADMSG;
		desc = desc_fetch(vq, index);
		if (desc.flags & VRING_DESC_F_WRITE && !writing) {
			giov_init(&chain->in, iov + chain->out.n, size - chain->out.n);
			writing = true;
		} else if (writing && !(desc.flags & VRING_DESC_F_WRITE)) {
			return -EBADMSG;
		}
		ret = chain_add(vq, chain, &desc, &total);
		if (ret || !(desc.flags & VRING_DESC_F_NEXT))
			return ret;
		index = desc.next;
	}
	return -EBADMSG;
}

int vq_next(struct vq *vq, struct vq_chain *chain, struct iovec *iov)
{
	int ret;

	if (!vq_running(vq))
		return 0;
	ret = vq_backlog(vq);
	if (ret <= 0)
		return ret;
	*chain = (struct vq_chain){
		.head = __atomic_load_n(
			&vq->avail[RING_ENTRIES + (vq->state.next_avail & (vq->state.size - 1))],
			__ATOMIC_RELAXED),
	};
	ret = chain_walk(vq, chain, iov);
	if (ret)
		return ret;
	vq->state.next_avail++;
	return 1;
}

void vq_undo_next(struct vq *vq, uint16_t count)
{
	vq->state.next_avail = (uint16_t)(vq->state.next_avail - count);
}

void vq_push(struct vq *vq, uint16_t head, uint32_t len_bytes)
{
	uint32_t slot = vq->state.next_used & (vq->state.size - 1u);
	struct vring_used_elem elem = {.id = head, .len = len_bytes};

	if (!vq_running(vq))
		return;
	memcpy(vq->used + RING_ENTRIES + USED_ELEM_WORDS * slot, &elem, sizeof(elem));
	vq->state.next_used++;
	__atomic_store_n(&vq->used[RING_IDX], vq->state.next_used, __ATOMIC_RELEASE);
}

bool vq_wants_interrupt(struct vq *vq)
{
	uint16_t told = vq->state.told_used;
	uint16_t now = vq->state.next_used;

	if (!vq_running(vq) || told == now)
		return false;
	vq->state.told_used = now;
	/* The driver writes its wish and then looks at idx; we wrote idx and now look at its wish. */
	__sync_synchronize();
	if (!vq->state.event_idx)
		return !(__atomic_load_n(&vq->avail[RING_FLAGS], __ATOMIC_RELAXED) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	return vring_need_event(__atomic_load_n(used_event(vq), __ATOMIC_RELAXED), now, told);
}

bool vq_enable_kicks(struct vq *vq)
{
	if (!vq_running(vq))
		return false;
	if (vq->state.event_idx)
		__atomic_store_n(avail_event(vq), vq->state.next_avail, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&vq->used[RING_FLAGS], 0, __ATOMIC_RELAXED);
	/* Mirror image of vq_wants_interrupt(). */
	__sync_synchronize();
	return vq_backlog(vq) != 0;
}
