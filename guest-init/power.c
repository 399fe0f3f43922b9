// SPDX-License-Identifier: Apache-2.0
#include "guest-init/power.h"

#include <sys/reboot.h>
#include <unistd.h>

noreturn void power_off(void)
{
	power_off_machine();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
