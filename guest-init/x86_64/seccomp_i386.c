// SPDX-License-Identifier: Apache-2.0
/* The profile in the numbers of 32-bit x86 programs, which the x86_64 guest kernel runs as well. */
#include "guest-init/seccomp_table.h"

#include "guest-init/seccomp.h"

#include <asm/unistd_32.h>
#include <linux/audit.h>

#include "guest-init/seccomp_rules.h"

/* clang-format off */
static const uint8_t i386_rules[] = {
	SECCOMP_RULES_COMMON(SECCOMP_RULE)
	SECCOMP_RULES_X86(SECCOMP_RULE)
	SECCOMP_RULES_I386(SECCOMP_RULE)
};
/* clang-format on */

/*
 * socketcall(2) reaches socket() with its arguments behind a pointer, where no filter can look: AF_VSOCK is
 * not refused there. The host's side is one-shot per port and taken before the container starts.
 */
void seccomp_i386(struct seccomp_arch *arch)
{
	*arch = (struct seccomp_arch){AUDIT_ARCH_I386, sizeof(i386_rules), i386_rules};
}
