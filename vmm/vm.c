// SPDX-License-Identifier: Apache-2.0
#include "vmm/vm.h"

#include "base/io.h"

#include <linux/kvm.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

void vm_end(struct vm *vm, enum vmm_exit_reason reason, const char *fmt, ...)
{
	struct vm_end *end = &vm->end;
	const uint64_t one = 1;
	va_list args;

	pthread_mutex_lock(&end->lock);
	if (!atomic_load(&end->reason)) {
		if (fmt) {
			va_start(args, fmt);
			vsnprintf(end->detail, sizeof(end->detail), fmt, args);
			va_end(args);
		}
		atomic_store(&end->reason, reason);
		io_write_all(end->event_fd, &one, sizeof(one));
	}
	pthread_mutex_unlock(&end->lock);
}

bool vm_has_ended(struct vm *vm)
{
	return atomic_load(&vm->end.reason);
}

void vm_flush_writes(struct vm *vm)
{
	struct kvm_coalesced_mmio_ring *ring = vm->ring;
	uint32_t first;

	if (!ring)
		return;
	pthread_mutex_lock(&vm->ring_lock);
	first = __atomic_load_n(&ring->first, __ATOMIC_RELAXED);
	/* KVM API 4.116: the kernel writes entries and then last, we read them and then write first. */
	while (first != __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE)) {
		const struct kvm_coalesced_mmio *write = &ring->coalesced_mmio[first % vm->ring_entries];
		unsigned len = write->len <= sizeof(write->data) ? write->len : 0;

		bus_write(&vm->mmio, write->phys_addr, write->data, len);
		first = (first + 1) % vm->ring_entries;
		__atomic_store_n(&ring->first, first, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&vm->ring_lock);
}
