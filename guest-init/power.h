// SPDX-License-Identifier: Apache-2.0
/* The end of the machine. */
#ifndef MVRUN_GUEST_INIT_POWER_H
#define MVRUN_GUEST_INIT_POWER_H

#include <stdnoreturn.h>

/* How this architecture's virtual machine is switched off; returns if that did not work. */
void power_off_machine(void);

/* Switch off, or failing that reset. Never returns: PID 1 must not. */
noreturn void power_off(void);

#endif
