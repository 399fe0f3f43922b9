// SPDX-License-Identifier: Apache-2.0
/*
 * The container's system call filter.
 *
 * The built-in profile allows what docker's and podman's default profiles allow: a list of calls, some only
 * with the capability that they are for, some only with certain arguments. A call that we know and refuse
 * fails with EPERM; a call that we do not know fails with ENOSYS, so that programs fall back to what came
 * before it.
 *
 * Rules are kept per architecture as one byte per system call number, which the compiler sorts; the builder
 * joins runs of equal rules and turns them into a binary search in classic BPF. Tests run the program in an
 * interpreter for every number and compare with the rules, and in a real process.
 */
#ifndef MVRUN_GUEST_INIT_SECCOMP_H
#define MVRUN_GUEST_INIT_SECCOMP_H

#include "guest-init/failure.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What to do about one system call. */
enum seccomp_rule {
	RULE_UNKNOWN = 0, /* ENOSYS */
	RULE_ALLOW,
	RULE_REFUSE, /* EPERM */
	/* Refused without a capability (or one of two). */
	RULE_SYS_MODULE,
	RULE_DAC_READ_SEARCH,
	RULE_SYS_ADMIN,
	RULE_SYS_BOOT,
	RULE_SYS_CHROOT,
	RULE_SYS_PACCT,
	RULE_SYS_PTRACE,
	RULE_SYS_RAWIO,
	RULE_SYS_TIME,
	RULE_SYS_TTY_CONFIG,
	RULE_SYSLOG, /* or CAP_SYS_ADMIN, likewise below */
	RULE_BPF,
	RULE_PERFMON,
	/* Depend on arguments. */
	RULE_CLONE, /* no new namespaces without CAP_SYS_ADMIN */
	RULE_CLONE3, /* its flags are behind a pointer: ENOSYS without CAP_SYS_ADMIN */
	RULE_PERSONALITY, /* the harmless ones */
	RULE_SOCKET, /* no AF_VSOCK: the line to the host is guest-init's; and, as docker has it, no AF_ALG */
	RULE_COUNT,
};

/* The system calls of one architecture. */
struct seccomp_arch {
	uint32_t audit_arch;
	uint32_t n_rules;
	const uint8_t *rules; /* enum seccomp_rule of each number */
};

/* Of this machine, the native one first. */
#define SECCOMP_ARCHES_MAX 2
size_t seccomp_arches(struct seccomp_arch arches[SECCOMP_ARCHES_MAX]);

#define SECCOMP_PROGRAM_MAX 4096 /* BPF_MAXINSNS */

struct seccomp_program {
	size_t len;
	bool overflow;
	struct sock_filter code[SECCOMP_PROGRAM_MAX];
};

/* The built-in profile for a process with these capabilities. 0, or -E2BIG. Pure. */
int seccomp_build(const struct seccomp_arch *arches, size_t n_arches, uint64_t capabilities,
	struct seccomp_program *program);

/* Install a program in this process; needs no_new_privs or CAP_SYS_ADMIN. */
int seccomp_install(const struct sock_filter *code, size_t len, struct failure *failure);

#endif
