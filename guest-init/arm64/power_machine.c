// SPDX-License-Identifier: Apache-2.0
#include "guest-init/power.h"

#include <sys/reboot.h>

/* The kernel calls PSCI SYSTEM_OFF. */
void power_off_machine(void)
{
	reboot(RB_POWER_OFF);
}
