// SPDX-License-Identifier: Apache-2.0
/* Classic BPF (Documentation/networking/filter.rst) as seccomp takes it (seccomp(2), struct seccomp_data). */
#include "jail/filter.h"

#include "jail/arch.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALLS_MAX 128 /* different system calls in one filter */
#define BRANCH_MAX 255 /* a conditional jump's reach */

/* The rows of one system call, in the table's order. */
struct call {
	int nr;
	size_t first; /* index in order */
	size_t n;
};

struct builder {
	const struct filter_rule *rules;
	size_t order[FILTER_CODE_MAX]; /* rows of the set by number of call, then by place in the table */
	size_t n_order;
	struct call calls[CALLS_MAX];
	size_t n_calls;
	struct filter_code *code;
};

static size_t emit(struct filter_code *code, uint16_t op, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (code->n < FILTER_CODE_MAX)
		code->insns[code->n] = (struct sock_filter){op, jt, jf, k};
	return code->n++;
}

static void emit_return(struct filter_code *code, uint32_t action)
{
	emit(code, BPF_RET | BPF_K, 0, 0, action);
}

static void emit_load(struct filter_code *code, size_t offset)
{
	emit(code, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

/*
 * One way of making the call: if every argument is as it must be, say so; else fall through to what follows. loaded is
 * the argument that is at hand in whole when the row begins, and is set to the one that is when it was missed; -1: none.
 */
static void emit_row(struct filter_code *code, const struct filter_rule *rule, int *loaded)
{
	size_t misses[FILTER_ARGS_MAX], n = 0;

	for (; n < FILTER_ARGS_MAX && rule->args[n].mask; n++) {
		const struct filter_arg *arg = &rule->args[n];

		/* Both architectures are little-endian: the low half comes first. */
		if (*loaded != arg->index)
			emit_load(code, offsetof(struct seccomp_data, args) + arg->index * sizeof(uint64_t));
		*loaded = n ? -1 : arg->index;
		if (arg->mask != UINT32_MAX) {
			emit(code, BPF_ALU | BPF_AND | BPF_K, 0, 0, arg->mask);
			*loaded = -1;
		}
		misses[n] = emit(code, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, arg->value);
	}
	emit_return(code, rule->refuse_errno ? SECCOMP_RET_ERRNO | rule->refuse_errno : SECCOMP_RET_ALLOW);
	for (size_t i = 0; i < n && code->n <= FILTER_CODE_MAX; i++)
		code->insns[misses[i]].jf = (uint8_t)(code->n - misses[i] - 1);
}

static int emit_call(struct builder *b, const struct call *call)
{
	struct filter_code *code = b->code;
	int loaded = -1;
	size_t test = emit(code, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, (uint32_t)call->nr);

	for (size_t i = 0; i < call->n; i++)
		emit_row(code, &b->rules[b->order[call->first + i]], &loaded);
	if (code->n - test - 1 > BRANCH_MAX || code->n >= FILTER_CODE_MAX)
		return -E2BIG;
	code->insns[test].jf = (uint8_t)(code->n - test - 1);
	emit_return(code, SECCOMP_RET_KILL_PROCESS);
	return 0;
}

/* The calls from lo up to, not including, hi: half of them is ruled out by each comparison. */
static int emit_search(struct builder *b, size_t lo, size_t hi)
{
	size_t mid = lo + (hi - lo) / 2, jump;
	int ret;

	if (hi - lo == 1)
		return emit_call(b, &b->calls[lo]);
	/* Not less: the jump that follows, which reaches any distance. Less: over it. */
	emit(b->code, BPF_JMP | BPF_JGE | BPF_K, 0, 1, (uint32_t)b->calls[mid].nr);
	jump = emit(b->code, BPF_JMP | BPF_JA, 0, 0, 0);
	ret = emit_search(b, lo, mid);
	if (ret)
		return ret;
	b->code->insns[jump].k = (uint32_t)(b->code->n - jump - 1);
	return emit_search(b, mid, hi);
}

/* Rows of the set, by number; a table has few, and insertion keeps the order of equal ones. */
static int rows_sort(struct builder *b, size_t n_rules, uint32_t set)
{
	for (size_t i = 0; i < n_rules; i++) {
		size_t at = b->n_order;

		if (!(b->rules[i].sets & set))
			continue;
		if (b->n_order == FILTER_CODE_MAX)
			return -E2BIG;
		for (; at && b->rules[b->order[at - 1]].nr > b->rules[i].nr; at--)
			b->order[at] = b->order[at - 1];
		b->order[at] = i;
		b->n_order++;
	}
	return 0;
}

static int calls_group(struct builder *b)
{
	for (size_t i = 0; i < b->n_order; i++) {
		int nr = b->rules[b->order[i]].nr;

		if (b->n_calls && b->calls[b->n_calls - 1].nr == nr) {
			b->calls[b->n_calls - 1].n++;
			continue;
		}
		if (b->n_calls == CALLS_MAX)
			return -E2BIG;
		b->calls[b->n_calls++] = (struct call){nr, i, 1};
	}
	return 0;
}

int filter_build(const struct filter_rule *rules, size_t n_rules, uint32_t set, struct filter_code *code)
{
	struct builder b = {.rules = rules, .code = code};
	int ret = rows_sort(&b, n_rules, set);

	code->n = 0;
	if (!ret)
		ret = calls_group(&b);
	if (ret)
		return ret;
	emit_load(code, offsetof(struct seccomp_data, arch));
	emit(code, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, JAIL_AUDIT_ARCH);
	emit_return(code, SECCOMP_RET_KILL_PROCESS);
	if (!b.n_calls) {
		emit_return(code, SECCOMP_RET_KILL_PROCESS);
		return 0;
	}
	/* x32 calls have a bit of their own in the number, and match nothing. */
	emit_load(code, offsetof(struct seccomp_data, nr));
	return emit_search(&b, 0, b.n_calls);
}

int filter_install(const struct filter_rule *rules, size_t n_rules, uint32_t set)
{
	struct filter_code code;
	struct sock_fprog program = {.filter = code.insns};
	int ret = filter_build(rules, n_rules, set, &code);

	if (ret)
		return ret;
	program.len = (unsigned short)code.n;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}
