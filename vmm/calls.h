// SPDX-License-Identifier: Apache-2.0
/*
 * The system calls of mvrun-vmm: one table for its three filters (jail/filter.h).
 *
 * The first filter is put on before the kernel image is looked at, and allows what it takes to build the machine and all
 * that comes later. Before the guest runs its first instruction, each thread narrows it to what that thread still needs:
 * the loop, which serves the devices, and the vCPUs, which run the guest. No filter has a call that opens a file, makes a
 * socket, starts a program or makes memory executable; and once the guest runs, none that makes a thread, maps memory or
 * makes an io_uring, whose operations seccomp does not see.
 */
#ifndef MVRUN_VMM_CALLS_H
#define MVRUN_VMM_CALLS_H

#include "jail/filter.h"

#define CALLS_BUILD (1u << 0) /* the main thread until the guest runs, and what vCPU threads do before */
#define CALLS_LOOP (1u << 1) /* the main thread afterwards */
#define CALLS_VCPU (1u << 2) /* a vCPU's thread afterwards */
#define CALLS_ALL (CALLS_BUILD | CALLS_LOOP | CALLS_VCPU)

extern const struct filter_rule vmm_calls[];
extern const size_t n_vmm_calls;

#endif
