// SPDX-License-Identifier: Apache-2.0
#include "guest-init/power.h"

#include <sys/io.h>

#define POWER_PORT 0x604
#define POWER_OFF 0x2000 /* the sleep-enable bit of an ACPI PM1 control register, and sleep type 0 */

/*
 * The machine has no ACPI tables, so reboot(RB_POWER_OFF) would halt it. It does have the port that QEMU's
 * machines switch off by.
 */
void power_off_machine(void)
{
	if (!ioperm(POWER_PORT, 2, 1))
		outw(POWER_OFF, POWER_PORT);
}
