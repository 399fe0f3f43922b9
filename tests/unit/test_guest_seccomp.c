// SPDX-License-Identifier: Apache-2.0
/*
 * The system call filter: the program against the rules for every number, in an interpreter of our own; and
 * installed in a process.
 */
#include "guest-init/failure.c"
#include "guest-init/seccomp.c"
#include "guest-init/seccomp_native.c"
#if defined(__x86_64__)
/* Its numbers have the names of ours. */
void seccomp_i386(struct seccomp_arch *arch)
{
	static const uint8_t rules[] = {[20] = RULE_ALLOW, [120] = RULE_CLONE, [359] = RULE_SOCKET};

	*arch = (struct seccomp_arch){AUDIT_ARCH_I386, sizeof(rules), rules};
}
#endif

#include "tests/unit/cm.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define DOCKER_CAPABILITIES UINT64_C(0xa80425fb)
#define EVERY_CAPABILITY UINT64_C(0x1ffffffffff)

static struct seccomp_program program;
static struct seccomp_arch arches[SECCOMP_ARCHES_MAX];
static size_t n_arches;

static uint32_t data_word(const struct seccomp_data *data, uint32_t offset)
{
	uint32_t word;

	assert_true(offset % 4 == 0 && offset + 4 <= sizeof(*data));
	memcpy(&word, (const char *)data + offset, 4);
	return word;
}

/* Classic BPF as far as the builder uses it; anything else fails the test. Counts the steps. */
static uint32_t interpret(const struct seccomp_data *data, size_t *steps)
{
	uint32_t accumulator = 0;

	for (size_t at = 0;; at++, ++*steps) {
		const struct sock_filter *insn = &program.code[at];

		assert_true(at < program.len);
		switch (insn->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			accumulator = data_word(data, insn->k);
			break;
		case BPF_JMP | BPF_JA:
			at += insn->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			at += accumulator == insn->k ? insn->jt : insn->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			at += accumulator >= insn->k ? insn->jt : insn->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			at += accumulator & insn->k ? insn->jt : insn->jf;
			break;
		case BPF_RET | BPF_K:
			return insn->k;
		default:
			fail_msg("instruction %zu is unknown", at);
		}
	}
}

static uint32_t decide(uint32_t arch, uint32_t number, uint64_t arg)
{
	struct seccomp_data data = {.nr = (int)number, .arch = arch, .args = {arg}};
	size_t steps = 0;
	uint32_t action = interpret(&data, &steps);

	assert_true(steps < 40);
	return action;
}

static uint32_t refusal(int error)
{
	return SECCOMP_RET_ERRNO | (uint32_t)error;
}

/* What a rule means for one call, said in another way than in the builder. */
static uint32_t expected(uint8_t rule, uint64_t capabilities, uint32_t arg)
{
	bool admin = capabilities & CAP(SYS_ADMIN);

	switch (rule) {
	case RULE_ALLOW:
		return SECCOMP_RET_ALLOW;
	case RULE_UNKNOWN:
		return refusal(ENOSYS);
	case RULE_REFUSE:
		return refusal(EPERM);
	case RULE_CLONE:
		return admin || !(arg & CLONE_NEW_NAMESPACES) ? SECCOMP_RET_ALLOW : refusal(EPERM);
	case RULE_CLONE3:
		return admin ? SECCOMP_RET_ALLOW : refusal(ENOSYS);
	case RULE_SOCKET:
		return arg == AF_VSOCK || arg == AF_ALG ? refusal(EPERM) : SECCOMP_RET_ALLOW;
	case RULE_PERSONALITY:
		return arg == 0 || arg == 8 || arg == 0x20000 || arg == 0x20008 || arg == 0xffffffff
			       ? SECCOMP_RET_ALLOW
			       : refusal(EPERM);
	default:
		return rule_capabilities((enum seccomp_rule)rule) & capabilities ? SECCOMP_RET_ALLOW
										 : refusal(EPERM);
	}
}

static void build(uint64_t capabilities)
{
	n_arches = seccomp_arches(arches);
	assert_int_equal(seccomp_build(arches, n_arches, capabilities, &program), 0);
}

static void check_every_number(uint64_t capabilities)
{
	static const uint32_t args[] = {
		0, 1, 2, 8, 16, 37, 38, 39, 40, 41, 0x20000, 0x20008, 0x10000000, 0x7e020000, 0xffffffff};

	build(capabilities);
	for (size_t a = 0; a < n_arches; a++) {
		for (uint32_t number = 0; number < 700; number++) {
			uint8_t rule = number < arches[a].n_rules ? arches[a].rules[number] : RULE_UNKNOWN;

			for (size_t i = 0; i < sizeof(args) / sizeof(args[0]); i++)
				assert_int_equal(decide(arches[a].audit_arch, number, args[i]),
					expected(rule, capabilities, args[i]));
		}
	}
}

static void test_program_equals_rules(void **state)
{
	(void)state;
	check_every_number(0);
	check_every_number(DOCKER_CAPABILITIES);
	check_every_number(EVERY_CAPABILITY);
	for (int capability = 0; capability < 41; capability++)
		check_every_number(UINT64_C(1) << capability);
}

/* A table in which every number differs from the next: far jumps, and the depth that the search promises. */
static void test_worst_table(void **state)
{
	static uint8_t rules[RUNS_MAX - 1];
	struct seccomp_arch arch = {AUDIT_ARCH_ARM, sizeof(rules), rules};

	(void)state;
	for (size_t i = 0; i < sizeof(rules); i++)
		rules[i] = i % 2 ? RULE_PERSONALITY : RULE_ALLOW;
	assert_int_equal(seccomp_build(&arch, 1, 0, &program), 0);
	for (uint32_t number = 0; number < 700; number++)
		assert_int_equal(decide(AUDIT_ARCH_ARM, number, 77),
			expected(number < sizeof(rules) ? rules[number] : RULE_UNKNOWN, 0, 77));
}

static void test_too_many_runs_are_refused(void **state)
{
	static uint8_t rules[RUNS_MAX];
	struct seccomp_arch arch = {AUDIT_ARCH_ARM, sizeof(rules), rules};

	(void)state;
	for (size_t i = 0; i < sizeof(rules); i++)
		rules[i] = i % 2 ? RULE_REFUSE : RULE_ALLOW;
	assert_int_equal(seccomp_build(&arch, 1, 0, &program), -E2BIG);
}

static void test_foreign_callers(void **state)
{
	(void)state;
	build(EVERY_CAPABILITY);
	assert_int_equal(decide(AUDIT_ARCH_PPC64, 1, 0), SECCOMP_RET_KILL_PROCESS);
	/* x32 */
	assert_int_equal(decide(arches[0].audit_arch, 0x40000000u | 1, 0), refusal(ENOSYS));
	assert_int_equal(decide(arches[0].audit_arch, UINT32_MAX, 0), refusal(ENOSYS));
	/* The upper half of an argument changes nothing. */
	assert_int_equal(
		decide(arches[0].audit_arch, __NR_socket, UINT64_C(0x100000000) | AF_VSOCK), refusal(EPERM));
}

/* Facts that the second wall rests on, by name. */
static void test_docker_default(void **state)
{
	static const uint32_t refused[] = {__NR_mount, __NR_umount2, __NR_unshare, __NR_setns, __NR_bpf,
		__NR_reboot, __NR_init_module, __NR_kexec_load, __NR_open_by_handle_at, __NR_perf_event_open,
		__NR_userfaultfd, __NR_add_key, __NR_keyctl, __NR_io_uring_setup, __NR_swapon,
		__NR_pivot_root, __NR_clock_settime, __NR_syslog};
	static const uint32_t allowed[] = {__NR_read, __NR_execve, __NR_chroot, __NR_mknodat,
		__NR_memfd_create, __NR_rseq, __NR_landlock_create_ruleset, __NR_futex_waitv, __NR_statx,
		__NR_fchmodat2, __NR_seccomp};

	(void)state;
	build(DOCKER_CAPABILITIES);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(decide(arches[0].audit_arch, refused[i], 0), refusal(EPERM));
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		assert_int_equal(decide(arches[0].audit_arch, allowed[i], 0), SECCOMP_RET_ALLOW);
	assert_int_equal(decide(arches[0].audit_arch, __NR_clone3, 0), refusal(ENOSYS));
	assert_true(program.len < 600);
}

/* The kernel takes the program, and it does in a process what it does in the interpreter. */
static int real_child(void)
{
	struct failure failure;

	build(DOCKER_CAPABILITIES);
	/* The stand-in for the 32-bit table is no concern of the kernel. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || seccomp_install(program.code, program.len, &failure))
		return 1;
	if (socket(AF_VSOCK, SOCK_STREAM, 0) >= 0 || errno != EPERM)
		return 2;
	if (socket(AF_UNIX, SOCK_STREAM, 0) < 0)
		return 3;
	if (unshare(CLONE_NEWNS) >= 0 || errno != EPERM)
		return 4;
	if (syscall(__NR_clone3, NULL, 0) >= 0 || errno != ENOSYS)
		return 5;
	if (syscall(__NR_personality, 0x0400000) >= 0 || errno != EPERM)
		return 6;
	if (syscall(600) >= 0 || errno != ENOSYS)
		return 7;
	if (syscall(__NR_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0) >= 0 || errno != EPERM)
		return 8;
	return 0;
}

static void test_in_a_process(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(real_child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_program_equals_rules),
		cmocka_unit_test(test_worst_table),
		cmocka_unit_test(test_too_many_runs_are_refused),
		cmocka_unit_test(test_foreign_callers),
		cmocka_unit_test(test_docker_default),
		cmocka_unit_test(test_in_a_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
