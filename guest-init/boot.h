// SPDX-License-Identifier: Apache-2.0
/* What PID 1 does before it speaks to the host. */
#ifndef MVRUN_GUEST_INIT_BOOT_H
#define MVRUN_GUEST_INIT_BOOT_H

/*
 * Leave the initramfs empty, mount /dev, make sure that 0, 1 and 2 are open. Returns NULL, or the step that
 * failed (errno says why).
 */
const char *boot_prepare(void);

/* The last words of a guest that cannot reach its host: a line on the console. */
void boot_complain(const char *what, int error);

#endif
