// SPDX-License-Identifier: Apache-2.0
/*
 * The smallest machine KVM can make: one piece of memory and one CPU, for a few instructions of a trial
 * (kvm_trial.c of each architecture). One thread.
 */
#ifndef MVRUN_OCI_RUNTIME_TINY_MACHINE_H
#define MVRUN_OCI_RUNTIME_TINY_MACHINE_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#define TINY_MEMORY_BYTES (2u << 20)

struct tiny_machine {
	int vm_fd;
	int vcpu_fd;
	uint8_t *memory;
	struct kvm_run *run;
	size_t run_bytes;
};

#define TINY_MACHINE_INIT ((struct tiny_machine){.vm_fd = -1, .vcpu_fd = -1})

/* Create the machine, with zeroed memory at gpa. 0 or -errno; ended by tiny_machine_done() either way. */
int tiny_machine_init(struct tiny_machine *m, int kvm_fd, uint64_t gpa);

/* Create the CPU, once everything is set up that must precede it. 0 or -errno. */
int tiny_machine_add_cpu(struct tiny_machine *m, int kvm_fd);

void tiny_machine_done(struct tiny_machine *m);

#endif
