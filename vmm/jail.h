// SPDX-License-Identifier: Apache-2.0
/*
 * The jail of mvrun-vmm, as this process builds it around itself.
 *
 * The starter has made the namespaces and the cgroup and says so (struct vmm_jail); this side does what can only be done
 * from within, before anything that came from an image or a user is looked at. Whatever was asked for and cannot be had
 * ends the start, unless the starter allows it to be missing; then it is reported, never forgotten.
 */
#ifndef MVRUN_VMM_JAIL_H
#define MVRUN_VMM_JAIL_H

#include "base/err.h"
#include "vmm/machine.h"

#include <stddef.h>

/*
 * Go in. n_fds descriptors came with the configuration. reached is set to the parts (enum jail_part) that hold now.
 * While there is one thread.
 */
int jail_enter(const struct vmm_config *vm, size_t n_fds, uint32_t *reached, struct err *err);

/* Narrow the calling thread to a set of vmm/calls.h. */
int jail_narrow(uint32_t calls, struct err *err);

#endif
