// SPDX-License-Identifier: Apache-2.0
#include "guest-init/power.h"

#include "guest-init/failure.h"

#include <sys/reboot.h>
#include <unistd.h>

noreturn void power_off(void)
{
	power_off_machine();
	reboot(RB_AUTOBOOT);
	/*
	 * The kernel panics over this, and the host hears of that. Or we are not the machine's first process at all: an
	 * image may have /proc/self/exe as its command, and then what starts in the container is this program. It
	 * has got as far as a container gets, and ends.
	 */
	_exit(FAILURE_SETUP);
}
