// SPDX-License-Identifier: Apache-2.0
/*
 * A seccomp filter from a table: one row per system call and way of calling it, with the reason it is needed.
 *
 * The table is the policy, and the only copy of it: the filter, the test that tries every row and everything that is
 * no row, and the figures in docs/spec.md come from it. Whatever no row allows ends the process (SIGSYS), and so does
 * every call of another architecture (32-bit calls on x86_64, x32).
 *
 * Arguments are compared in their low 32 bits only: every argument named in a table is an int, an unsigned int, or a
 * set of flags that all lie there, and the kernel looks at no more of them.
 */
#ifndef MVRUN_JAIL_FILTER_H
#define MVRUN_JAIL_FILTER_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#define FILTER_ARGS_MAX 2
#define FILTER_CODE_MAX 1024 /* instructions; the kernel allows 4096 */

/* Argument index (0 to 5), as far as mask reaches, is value. A mask of 0 ends the list. */
struct filter_arg {
	uint8_t index;
	uint32_t mask;
	uint32_t value;
};

struct filter_rule {
	int nr; /* __NR_... */
	uint32_t sets; /* a bit for each filter the row belongs to */
	uint16_t refuse_errno; /* not 0: the call fails with this error instead of being made */
	struct filter_arg args[FILTER_ARGS_MAX];
	const char *why;
};

/* Ways to write an argument's condition. */
#define FILTER_IS(i, v)                                                                                      \
	{                                                                                                    \
		(i), UINT32_MAX, (uint32_t)(v)                                                               \
	} /* exactly v */
#define FILTER_ONLY(i, v)                                                                                    \
	{                                                                                                    \
		(i), ~(uint32_t)(v), 0                                                                       \
	} /* no bit but those of v */

struct filter_code {
	struct sock_filter insns[FILTER_CODE_MAX];
	size_t n;
};

/*
 * The filter of one set: the rows whose sets share a bit with it. Calls are found by binary search, so that the kernel,
 * which tries every number once when a filter is installed, is soon done. Rows of one call are tried in their order.
 * -E2BIG: it does not fit.
 */
int filter_build(const struct filter_rule *rules, size_t n_rules, uint32_t set, struct filter_code *code);

/*
 * Build the filter of one set and put it on the calling thread, for good, above those it has; threads started later
 * have it too. Needs no_new_privs. 0 or -errno.
 */
int filter_install(const struct filter_rule *rules, size_t n_rules, uint32_t set);

#endif
