// SPDX-License-Identifier: Apache-2.0
/*
 * A guest without a machine: a process that takes the place of mvrun-vmm (it is exec'd in its stead, with the same
 * socket at descriptor 3), and plays guest-init over the ports it is handed. The container's command names the part
 * to play, so a test says what it wants by what it runs.
 */
#ifndef MVRUN_TESTS_UNIT_FAKE_GUEST_H
#define MVRUN_TESTS_UNIT_FAKE_GUEST_H

/* Play. Returns the exit status of the process. */
int fake_guest_main(void);

#endif
