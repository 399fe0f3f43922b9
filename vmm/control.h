// SPDX-License-Identifier: Apache-2.0
/* The conversation with the starter after the configuration (vmm/machine.h). Main thread. */
#ifndef MVRUN_VMM_CONTROL_H
#define MVRUN_VMM_CONTROL_H

#include "base/err.h"
#include "vmm/machine.h"

struct vm;

/* Watch the control socket and the end of the machine on vm->loop, which quits when the machine has ended. */
int control_init(struct vm *vm, int control_fd, struct err *err);

/* The last message: how the machine ended, and the figures. A starter that is gone does not mind. */
void control_report(struct vm *vm, int control_fd);

/* The last message of a VMM that never ran a guest. */
void control_refuse(int control_fd, enum vmm_exit_reason reason, const struct err *err);

#endif
