// SPDX-License-Identifier: Apache-2.0
#ifndef MVRUN_JAIL_ARM64_ARCH_H
#define MVRUN_JAIL_ARM64_ARCH_H

#include <linux/audit.h>
#include <sys/syscall.h>

#define JAIL_AUDIT_ARCH AUDIT_ARCH_AARCH64

/*
 * A system call of two arguments that returns twice, on the same stack: nothing may lie between it and the caller, so
 * it is an instruction and no function.
 */
#define JAIL_SYSCALL2(nr, a, b)                                                                              \
	({                                                                                                   \
		register long jail_nr __asm__("x8") = (nr);                                                  \
		register long jail_result __asm__("x0") = (long)(a);                                         \
		register long jail_b __asm__("x1") = (long)(b);                                              \
		__asm__ volatile("svc #0" : "+r"(jail_result) : "r"(jail_nr), "r"(jail_b) : "memory");       \
		jail_result;                                                                                 \
	})

#endif
