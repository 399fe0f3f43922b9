// SPDX-License-Identifier: Apache-2.0
/* Taking and checking what the starter sends first (vmm/machine.h). Main thread, before anything is built. */
#ifndef MVRUN_VMM_CONFIG_H
#define MVRUN_VMM_CONFIG_H

#include "base/err.h"
#include "vmm/machine.h"

#include <stddef.h>

#define CONFIG_FDS_MAX (4 + VMM_PORTS_MAX + VMM_SEGMENTS_MAX)

/* The first message with the descriptors sorted out. -1: not given. */
struct config {
	struct vmm_config vm;
	int kvm_fd;
	int kernel_fd;
	int initramfs_fd;
	int console_fd;
	int port_fds[VMM_PORTS_MAX];
	int segment_fds[VMM_SEGMENTS_MAX];
};

/*
 * The one place where the first message is judged: every field, and that n_fds descriptors came with it.
 * After it no sum over the fields wraps. The error is one line.
 */
int config_check(const struct vmm_config *vm, size_t len, size_t n_fds, struct err *err);

/* How many descriptors belong to a configuration. */
size_t config_fds_wanted(const struct vmm_config *vm);

/*
 * Receive from control_fd, check, and sort the descriptors, which belong to the process from then on (nothing
 * is closed: it ends with the machine).
 */
int config_receive(int control_fd, struct config *config, struct err *err);

#endif
