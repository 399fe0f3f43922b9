// SPDX-License-Identifier: Apache-2.0
/*
 * One virtual processor and its thread.
 *
 * The thread creates its vCPU and prepares it while the main thread loads the kernel, waits at the gate, and
 * then runs the guest until the machine ends. It serves what KVM cannot serve itself: register accesses,
 * which end on a bus (bus.h), and the guest's last act.
 */
#ifndef MVRUN_VMM_VCPU_H
#define MVRUN_VMM_VCPU_H

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;
struct kvm_run;

struct vcpu {
	struct vm *vm;
	unsigned index;
	int fd;
	struct kvm_run *run;
	_Atomic uint64_t exits_to_user; /* written by the vCPU's thread only */
	int ready; /* 0, or -errno with err set, before it counts itself at the gate */
	struct err err;
};

/* Where vCPU threads wait until the guest's memory is complete. */
struct vcpu_gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned n_ready; /* prepared, or failed to */
	bool open;
};

/* Start the threads of all vCPUs. 0 or an error for the user. */
int vcpu_start_all(struct vm *vm, struct err *err);

/* Wait until all are prepared, whether well or not. 0, or the first one's error. */
int vcpu_wait_all(struct vm *vm, struct err *err);

/* Let the guest run. */
void vcpu_release_all(struct vm *vm);

/* KVM_RUN returns so far, of all vCPUs. Any thread. */
uint64_t vcpu_exits_to_user(const struct vm *vm);

#endif
