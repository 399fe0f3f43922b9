// SPDX-License-Identifier: Apache-2.0
#ifndef MVRUN_JAIL_X86_64_ARCH_H
#define MVRUN_JAIL_X86_64_ARCH_H

#include <linux/audit.h>
#include <sys/syscall.h>

#define JAIL_AUDIT_ARCH AUDIT_ARCH_X86_64

/*
 * A system call of two arguments that returns twice, on the same stack: nothing may lie between it and the caller, so
 * it is an instruction and no function.
 */
#define JAIL_SYSCALL2(nr, a, b)                                                                              \
	({                                                                                                   \
		long jail_result;                                                                            \
		__asm__ volatile("syscall"                                                                   \
				 : "=a"(jail_result)                                                         \
				 : "a"((long)(nr)), "D"(a), "S"(b)                                           \
				 : "rcx", "r11", "memory");                                                  \
		jail_result;                                                                                 \
	})

#endif
