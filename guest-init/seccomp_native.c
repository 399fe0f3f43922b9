// SPDX-License-Identifier: Apache-2.0
/* The profile in the numbers of the machine that this is compiled for. */
#include "guest-init/seccomp_table.h"

#include "guest-init/seccomp.h"

#include <asm/unistd.h>
#include <linux/audit.h>

#include "guest-init/seccomp_rules.h"

/* clang-format off */
static const uint8_t native_rules[] = {
	SECCOMP_RULES_COMMON(SECCOMP_RULE)
#if defined(__aarch64__)
	SECCOMP_RULES_ARM64(SECCOMP_RULE)
#else
	SECCOMP_RULES_X86(SECCOMP_RULE)
	SECCOMP_RULES_X86_64(SECCOMP_RULE)
#endif
};
/* clang-format on */

size_t seccomp_arches(struct seccomp_arch arches[SECCOMP_ARCHES_MAX])
{
#if defined(__aarch64__)
	/* The arm64 guest kernel runs no 32-bit programs. */
	arches[0] = (struct seccomp_arch){AUDIT_ARCH_AARCH64, sizeof(native_rules), native_rules};
	return 1;
#else
	arches[0] = (struct seccomp_arch){AUDIT_ARCH_X86_64, sizeof(native_rules), native_rules};
	seccomp_i386(&arches[1]);
	return 2;
#endif
}
