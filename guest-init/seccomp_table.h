// SPDX-License-Identifier: Apache-2.0
/* Where the tables of the system call profile meet; see seccomp.h. */
#ifndef MVRUN_GUEST_INIT_SECCOMP_TABLE_H
#define MVRUN_GUEST_INIT_SECCOMP_TABLE_H

struct seccomp_arch;

/* The table of 32-bit programs on x86_64: its numbers have the same names, so it is a file of its own. */
void seccomp_i386(struct seccomp_arch *arch);

#endif
