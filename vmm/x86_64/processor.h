// SPDX-License-Identifier: Apache-2.0
/* The registers of a processor when the guest begins. On the vCPU's thread. */
#ifndef MVRUN_VMM_X86_64_PROCESSOR_H
#define MVRUN_VMM_X86_64_PROCESSOR_H

#include <stdbool.h>
#include <stdint.h>

struct processor_entry {
	bool pvh; /* 32-bit without paging; otherwise 64-bit */
	uint64_t rip;
	uint64_t params_gpa;
	uint64_t gdt_gpa;
	uint64_t pml4_gpa;
};

/* What a firmware would have set on every processor. After KVM_SET_CPUID2. 0 or -errno. */
int processor_prepare(int vcpu_fd);

/* What the first processor's kernel expects at its entry. 0 or -errno. */
int processor_enter(int vcpu_fd, const struct processor_entry *entry);

/* The instruction pointer, 0 if KVM does not say. */
uint64_t processor_position(int vcpu_fd);

#endif
