// SPDX-License-Identifier: Apache-2.0
/* Rows of the table of system calls that only arm64 has. */
#ifndef MVRUN_VMM_ARM64_CALLS_ARCH_H
#define MVRUN_VMM_ARM64_CALLS_ARCH_H

#define CALLS_ARCH_ROWS IOCTL(KVM_ARM_PREFERRED_TARGET, CALLS_BUILD, "what processors can do")

#endif
