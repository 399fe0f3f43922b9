// SPDX-License-Identifier: Apache-2.0
#include "guest-init/seccomp.h"

#include "guest-init/sys.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>

#define JUMP_MAX 255
#define ALG_FAMILY 38
#define VSOCK_FAMILY 40
/* CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET */
#define CLONE_NEW_NAMESPACES 0x7e020000u

#define CAP(name) (UINT64_C(1) << CAP_##name)

/* A run of numbers, first up to the next run's first, that share a rule. */
struct run {
	uint32_t first;
	uint8_t rule;
};

#define RUNS_MAX 512

struct build {
	struct seccomp_program *program;
	uint64_t capabilities;
	uint32_t n_runs;
	struct run runs[RUNS_MAX];
};

static void emit(struct seccomp_program *program, struct sock_filter insn)
{
	if (program->len == SECCOMP_PROGRAM_MAX)
		program->overflow = true;
	else
		program->code[program->len++] = insn;
}

static void emit_load(struct seccomp_program *program, uint32_t offset)
{
	emit(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

/* All arguments of interest are 32 bits wide: the kernel ignores the upper halves, and so do we. */
static void emit_load_arg(struct seccomp_program *program, uint32_t index)
{
	emit_load(program, (uint32_t)offsetof(struct seccomp_data, args) + 8 * index);
}

static void emit_return(struct seccomp_program *program, uint32_t action)
{
	emit(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

static void emit_errno(struct seccomp_program *program, uint32_t error)
{
	emit_return(program, SECCOMP_RET_ERRNO | error);
}

static void emit_allow(struct seccomp_program *program)
{
	emit_return(program, SECCOMP_RET_ALLOW);
}

static void emit_jump(struct seccomp_program *program, uint16_t op, uint32_t k, uint8_t yes, uint8_t no)
{
	emit(program, (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | op | BPF_K), k, yes, no));
}

/* Which capabilities, one of them enough, a rule asks for; 0: none do. */
static uint64_t rule_capabilities(enum seccomp_rule rule)
{
	static const uint64_t needs[RULE_COUNT] = {
		[RULE_SYS_MODULE] = CAP(SYS_MODULE),
		[RULE_DAC_READ_SEARCH] = CAP(DAC_READ_SEARCH),
		[RULE_SYS_ADMIN] = CAP(SYS_ADMIN),
		[RULE_SYS_BOOT] = CAP(SYS_BOOT),
		[RULE_SYS_CHROOT] = CAP(SYS_CHROOT),
		[RULE_SYS_PACCT] = CAP(SYS_PACCT),
		[RULE_SYS_PTRACE] = CAP(SYS_PTRACE),
		[RULE_SYS_RAWIO] = CAP(SYS_RAWIO),
		[RULE_SYS_TIME] = CAP(SYS_TIME),
		[RULE_SYS_TTY_CONFIG] = CAP(SYS_TTY_CONFIG),
		[RULE_SYSLOG] = CAP(SYSLOG) | CAP(SYS_ADMIN),
		[RULE_BPF] = CAP(BPF) | CAP(SYS_ADMIN),
		[RULE_PERFMON] = CAP(PERFMON) | CAP(SYS_ADMIN),
		[RULE_CLONE] = CAP(SYS_ADMIN),
		[RULE_CLONE3] = CAP(SYS_ADMIN),
	};

	return needs[rule];
}

/* With the capabilities known, most rules are plain: fewer runs, a shorter program. */
static uint8_t rule_settle(uint8_t rule, uint64_t capabilities)
{
	uint64_t needs = rule_capabilities((enum seccomp_rule)rule);

	if (!needs)
		return rule;
	if (needs & capabilities)
		return RULE_ALLOW;
	if (rule == RULE_CLONE)
		return RULE_CLONE;
	return rule == RULE_CLONE3 ? RULE_UNKNOWN : RULE_REFUSE;
}

static void emit_personality(struct seccomp_program *program)
{
	/* PER_LINUX, PER_LINUX32, UNAME26, both, and the question for the current one. */
	static const uint32_t harmless[] = {0, 8, 0x20000, 0x20008, 0xffffffff};
	const uint8_t count = sizeof(harmless) / sizeof(harmless[0]);

	emit_load_arg(program, 0);
	for (uint8_t i = 0; i < count; i++)
		emit_jump(program, BPF_JEQ, harmless[i], (uint8_t)(count - i), 0);
	emit_errno(program, EPERM);
	emit_allow(program);
}

/* A leaf of the search: the system call is known, decide. */
static void emit_rule(struct seccomp_program *program, enum seccomp_rule rule)
{
	switch ((int)rule) {
	case RULE_ALLOW:
		emit_allow(program);
		break;
	case RULE_UNKNOWN:
		emit_errno(program, ENOSYS);
		break;
	case RULE_CLONE:
		emit_load_arg(program, 0);
		emit_jump(program, BPF_JSET, CLONE_NEW_NAMESPACES, 0, 1);
		emit_errno(program, EPERM);
		emit_allow(program);
		break;
	case RULE_SOCKET:
		emit_load_arg(program, 0);
		emit_jump(program, BPF_JEQ, ALG_FAMILY, 1, 0);
		emit_jump(program, BPF_JEQ, VSOCK_FAMILY, 0, 1);
		emit_errno(program, EPERM);
		emit_allow(program);
		break;
	case RULE_PERSONALITY:
		emit_personality(program);
		break;
	default:
		emit_errno(program, EPERM);
		break;
	}
}

/*
 * Search runs[low, high): below the middle run's first number go on with the next instruction, otherwise jump
 * over the lower half. A conditional jump is one byte wide, so room for an unconditional one is left behind
 * it and taken back when it turns out not to be needed (all jumps are relative, so code may move). The depth
 * is the logarithm of RUNS_MAX.
 */
static void emit_search(struct build *build, uint32_t low, uint32_t high)
{
	struct seccomp_program *program = build->program;
	uint32_t middle = low + (high - low) / 2;
	size_t branch, after, distance;

	if (high - low == 1) {
		emit_rule(program, (enum seccomp_rule)build->runs[low].rule);
		return;
	}
	branch = program->len;
	emit_jump(program, BPF_JGE, build->runs[middle].first, 0, 1);
	emit(program, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
	after = program->len;
	emit_search(build, low, middle);
	distance = program->len - after;
	if (program->overflow)
		return;
	if (distance > JUMP_MAX) {
		program->code[branch + 1].k = (uint32_t)distance;
	} else {
		memmove(&program->code[after - 1], &program->code[after],
			distance * sizeof(program->code[0]));
		program->code[branch].jt = (uint8_t)distance;
		program->code[branch].jf = 0;
		program->len--;
	}
	emit_search(build, middle, high);
}

/* The numbers of an architecture as runs; everything beyond its table is unknown. */
static int runs_collect(struct build *build, const struct seccomp_arch *arch)
{
	uint8_t last = RULE_COUNT;

	build->n_runs = 0;
	for (uint32_t number = 0; number <= arch->n_rules; number++) {
		uint8_t rule = number < arch->n_rules ? arch->rules[number] : RULE_UNKNOWN;

		rule = rule_settle(rule, build->capabilities);
		if (rule == last)
			continue;
		if (build->n_runs == RUNS_MAX)
			return -E2BIG;
		build->runs[build->n_runs++] = (struct run){.first = number, .rule = rule};
		last = rule;
	}
	return 0;
}

int seccomp_build(const struct seccomp_arch *arches, size_t n_arches, uint64_t capabilities,
	struct seccomp_program *program)
{
	struct build build = {.program = program, .capabilities = capabilities};

	program->len = 0;
	program->overflow = false;
	for (size_t i = 0; i < n_arches; i++) {
		size_t skip;

		if (runs_collect(&build, &arches[i]))
			return -E2BIG;
		emit_load(program, offsetof(struct seccomp_data, arch));
		emit_jump(program, BPF_JEQ, arches[i].audit_arch, 1, 0);
		skip = program->len;
		emit(program, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
		/* x32 numbers have a high bit set: beyond every table, hence unknown. */
		emit_load(program, offsetof(struct seccomp_data, nr));
		emit_search(&build, 0, build.n_runs);
		if (!program->overflow)
			program->code[skip].k = (uint32_t)(program->len - skip - 1);
	}
	emit_return(program, SECCOMP_RET_KILL_PROCESS);
	return program->overflow ? -E2BIG : 0;
}

int seccomp_install(const struct sock_filter *code, size_t len, struct failure *failure)
{
	struct sock_fprog fprog = {.len = (unsigned short)len};

	if (!len || len > SECCOMP_PROGRAM_MAX)
		return setup_failed(failure, 0, "the system call filter has no or too many instructions");
	fprog.filter = (struct sock_filter *)(uintptr_t)code;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &fprog) < 0)
		return setup_failed(failure, errno, "install the system call filter");
	return 0;
}
