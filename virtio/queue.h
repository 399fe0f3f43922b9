// SPDX-License-Identifier: Apache-2.0
/*
 * Split virtqueues, device side (virtio 1.2 section 2.7).
 *
 * Theory of operation. The rings lie in guest memory and the guest may scribble on them at any instant, so:
 * - the rings are resolved once, when the driver sets DRIVER_OK, and the addresses cannot change until reset;
 * - the available index is read with acquire and the used index is written with release semantics; every
 *   descriptor is copied once (16 bytes) and only the copy is looked at;
 * - our own position is kept here and never read back from the guest;
 * - every loop is bounded by the queue size. Indirect descriptors, packed rings and in-order use are never
 *   offered, so a descriptor that uses them is malformed.
 * A malformed ring is reported as -EBADMSG, and the transport then says DEVICE_NEEDS_RESET. An address
 * outside guest memory is told apart (vq_chain.fault), because some devices can fail that request alone.
 *
 * Notifications both ways follow VIRTIO_F_EVENT_IDX when it was negotiated and the flags otherwise.
 *
 * One thread at a time: the transport's device lock (virtio/device.h) covers all of it.
 */
#ifndef MVRUN_VIRTIO_QUEUE_H
#define MVRUN_VIRTIO_QUEUE_H

#include "mem/giov.h"
#include "mem/gmem.h"

#include <stdbool.h>
#include <stdint.h>

#define VQ_SIZE_MAX 256

/* What a snapshot has to keep: no pointers. */
struct vq_state {
	gpa_t desc;
	gpa_t driver; /* the available ring */
	gpa_t device; /* the used ring */
	uint16_t size_max; /* a power of two, at most VQ_SIZE_MAX; 0: there is no such queue */
	uint16_t size;
	uint16_t ready;
	uint16_t event_idx;
	uint16_t next_avail; /* the next entry of the available ring to look at */
	uint16_t next_used; /* the used index as last published */
	uint16_t told_used; /* the used index at the last decision about an interrupt */
};

struct vq {
	struct vq_state state;
	/* Resolved while the queue runs, NULL otherwise. */
	const struct gmem *mem;
	volatile uint64_t *desc;
	uint16_t *avail;
	uint16_t *used;
};

/* One request: a descriptor chain, device-readable part first. */
struct vq_chain {
	uint16_t head;
	bool fault; /* a descriptor was not in guest memory and is missing from the lists */
	bool tail_ok; /* the last descriptor is device-writable, not empty and in guest memory */
	struct giov out; /* device-readable */
	struct giov in; /* device-writable */
};

/*
 * Check what the driver configured and resolve the rings. event_idx: VIRTIO_F_EVENT_IDX was negotiated.
 * 0, or -EINVAL (size no power of two, 0 or above the maximum; ring misaligned or not in guest memory).
 */
int vq_start(struct vq *vq, const struct gmem *mem, bool event_idx);

/* Forget the rings; vq_next() finds nothing from now on. */
void vq_stop(struct vq *vq);

static inline bool vq_running(const struct vq *vq)
{
	return vq->desc != NULL;
}

/*
 * The next available chain, its pieces stored in iov, which must have room for vq->state.size of them and
 * outlive the chain. 1 if there is one; 0 if not; -EBADMSG if the ring is malformed.
 */
int vq_next(struct vq *vq, struct vq_chain *chain, struct iovec *iov);

/* Give back the last count chains from vq_next(), the last first: they will come again. */
void vq_undo_next(struct vq *vq, uint16_t count);

/* Return a chain to the driver with len_bytes written to its device-writable part. */
void vq_push(struct vq *vq, uint16_t head, uint32_t len_bytes);

/*
 * After a batch of vq_push(): must the driver be interrupted? Decides once for everything pushed since it was
 * last asked (section 2.7.7).
 */
bool vq_wants_interrupt(struct vq *vq);

/*
 * Ask the driver to kick for the next chain it adds (section 2.7.10). True if there is one already: the
 * caller looks again. Until this is called after chains were taken, the driver need not kick.
 */
bool vq_enable_kicks(struct vq *vq);

#endif
