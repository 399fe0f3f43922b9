// SPDX-License-Identifier: Apache-2.0
/*
 * The virtual machine: what there is of it, and how it ends.
 *
 * Theory of operation. main() receives the configuration, checks it and only then looks at anything else. It
 * creates the machine, starts one thread per vCPU, and while those create and prepare their vCPUs side by
 * side it maps RAM, makes the devices and reads the kernel. Then the gate opens: vCPU threads run the guest
 * and do nothing else but serve register accesses and write eventfds; the main thread becomes the loop on
 * which all device work is done.
 *
 * The first one to call vm_end() decides how the machine ended. The loop then lets the devices take what the
 * guest had handed over (so that the last console line is seen), sends one struct vmm_exit and leaves by
 * _exit(): the kernel stops the vCPUs and frees everything faster than we could, whatever the guest is doing.
 *
 * What is written by whom: everything is set up by the main thread before the gate opens and constant
 * afterwards, except where a field says otherwise.
 */
#ifndef MVRUN_VMM_VM_H
#define MVRUN_VMM_VM_H

#include "base/err.h"
#include "base/loop.h"
#include "mem/gmem.h"
#include "vmm/bus.h"
#include "vmm/config.h"
#include "vmm/devices.h"
#include "vmm/kvm.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct arch; /* what only one architecture has: vmm/<arch>/ */
struct kvm_coalesced_mmio_ring;

/* How the machine ended. detail is written before reason, under the lock, and constant after it. */
struct vm_end {
	pthread_mutex_t lock;
	_Atomic uint32_t reason; /* enum vmm_exit_reason; 0: it has not */
	char detail[sizeof(((struct vmm_exit *)0)->detail)];
	int event_fd; /* readable once reason is set */
};

struct vm {
	struct config config;
	struct kvm kvm;
	struct gmem mem;
	struct bus mmio, pio;
	struct loop loop;
	struct loop_source control, ended; /* main thread */
	struct devices devices;
	struct arch *arch;
	struct vm_end end;
	struct vcpu_gate gate;
	uint64_t stamps_us[VMM_STAMPS]; /* FIRST_RUN: vCPU 0; else main thread */

	/*
	 * KVM's queue of writes that did not exit (devices.h). The lock is held while writes are taken and
	 * delivered, so they arrive in order.
	 */
	pthread_mutex_t ring_lock;
	struct kvm_coalesced_mmio_ring *ring; /* NULL: there is none */
	unsigned ring_entries;

	struct vcpu vcpus[VMM_VCPUS_MAX];
};

/*
 * The machine is over. The first call counts; the text (NULL: none) is one line for the user. Returns at
 * once: the loop does the rest. Any thread.
 */
void vm_end(struct vm *vm, enum vmm_exit_reason reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Any thread. */
bool vm_has_ended(struct vm *vm);

/* Deliver the register writes that KVM still holds back. Any thread, without any device's lock. */
void vm_flush_writes(struct vm *vm);

#endif
