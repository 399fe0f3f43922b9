// SPDX-License-Identifier: Apache-2.0
/*
 * The table of system calls of mvrun-vmm (vmm/calls.h) against the kernel: every row of every filter lets its call
 * through, and everything that is no row kills, each tried in a process of its own.
 */
#include "tests/unit/cm.h"

#include "vmm/calls.h"

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NUMBERS_MAX 512 /* there are fewer than 470 */
#define VCPU_MAX 14
#define UNION_MAX 40
#define X32_BIT 0x40000000

static const struct {
	const char *name;
	uint32_t calls;
} filters[] = {{"build", CALLS_ALL}, {"loop", CALLS_LOOP}, {"vcpu", CALLS_VCPU}};

/* A sanitizer's threads begin with system calls of its own: there, one row stays untried. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define THREADS_ARE_OURS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define THREADS_ARE_OURS false
#endif
#endif
#ifndef THREADS_ARE_OURS
#define THREADS_ARE_OURS true
#endif

#define N_FILTERS (sizeof(filters) / sizeof(filters[0]))

/* What a child tells, in memory both have: it may not be able to do anything else. */
static struct report {
	volatile bool installed, survived;
	volatile long result;
} * report;

struct attempt {
	long nr;
	long args[6];
	bool thread; /* by pthread_create() instead */
};

/* A thread that ended would need calls of its own, which no row allows: no vCPU's thread ever ends. */
static void *thread_main(void *ctx)
{
	const volatile bool *forever = ctx;

	while (!*forever)
		;
	return NULL;
}

static void attempt_make(const struct attempt *attempt)
{
	const long *a = attempt->args;
	static bool never;
	pthread_t thread;

	if (attempt->thread)
		report->result = -pthread_create(&thread, NULL, thread_main, &never);
	else if (syscall(attempt->nr, a[0], a[1], a[2], a[3], a[4], a[5]) < 0)
		report->result = -errno;
}

/* The signal that killed the attempt, or 0 if the call came back (or ended the process, as it should). */
static int attempt_run(uint32_t calls, const struct attempt *attempt)
{
	int status;
	pid_t pid;

	memset(report, 0, sizeof(*report));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (filter_install(vmm_calls, n_vmm_calls, calls))
			_exit(1);
		report->installed = true;
		attempt_make(attempt);
		report->survived = true;
		/* Where even this is forbidden, survived says it all. */
		syscall(SYS_exit_group, 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(report->installed);
	if (report->survived || WIFEXITED(status))
		return 0;
	assert_true(WIFSIGNALED(status));
	return WTERMSIG(status);
}

/* A call that fails at once for another reason, with the arguments the row wants. */
static struct attempt attempt_of(const struct filter_rule *rule)
{
	struct attempt attempt = {.nr = rule->nr, .args = {-1}, .thread = rule->nr == __NR_clone};

	for (size_t i = 0; i < FILTER_ARGS_MAX && rule->args[i].mask; i++)
		attempt.args[rule->args[i].index] = (long)rule->args[i].value;
	return attempt;
}

static bool row_allows(const struct filter_rule *rule, uint32_t calls, const struct attempt *attempt)
{
	if (!(rule->sets & calls) || rule->nr != attempt->nr)
		return false;
	for (size_t i = 0; i < FILTER_ARGS_MAX && rule->args[i].mask; i++) {
		const struct filter_arg *arg = &rule->args[i];

		if (((uint32_t)attempt->args[arg->index] & arg->mask) != arg->value)
			return false;
	}
	return true;
}

static bool table_allows(uint32_t calls, const struct attempt *attempt)
{
	for (size_t i = 0; i < n_vmm_calls; i++) {
		if (row_allows(&vmm_calls[i], calls, attempt))
			return true;
	}
	return false;
}

static bool table_names(uint32_t calls, long nr)
{
	for (size_t i = 0; i < n_vmm_calls; i++) {
		if (vmm_calls[i].sets & calls && vmm_calls[i].nr == nr)
			return true;
	}
	return false;
}

static void every_row_is_let_through(void **state)
{
	(void)state;
	for (size_t f = 0; f < N_FILTERS; f++) {
		for (size_t i = 0; i < n_vmm_calls; i++) {
			const struct filter_rule *rule = &vmm_calls[i];
			struct attempt attempt = attempt_of(rule);

			if (!(rule->sets & filters[f].calls) || (attempt.thread && !THREADS_ARE_OURS))
				continue;
			if (attempt_run(filters[f].calls, &attempt))
				fail_msg("%s: row %zu (call %d) kills", filters[f].name, i, rule->nr);
			if (rule->refuse_errno)
				assert_int_equal(report->result, -(long)rule->refuse_errno);
			assert_non_null(rule->why);
		}
	}
}

/*
 * uretprobe and uprobe on x86_64: newer kernels let the trampolines that they write into traced programs past every
 * filter, and refuse these calls to everybody else.
 */
static bool kernel_exempts(long nr)
{
#ifdef __x86_64__
	return nr == 335 || nr == 336;
#else
	(void)nr;
	return false;
#endif
}

static void every_other_call_kills(void **state)
{
	(void)state;
	for (size_t f = 0; f < N_FILTERS; f++) {
		for (long nr = 0; nr < NUMBERS_MAX; nr++) {
			struct attempt attempt = {.nr = nr, .args = {-1}};

			if (table_names(filters[f].calls, nr) || kernel_exempts(nr))
				continue;
			if (attempt_run(filters[f].calls, &attempt) != SIGSYS)
				fail_msg("%s: call %ld does not kill", filters[f].name, nr);
		}
	}
}

/* Each argument that a row looks at, changed in one bit: dead, unless another row has that. */
static void every_other_argument_kills(void **state)
{
	unsigned tried = 0;

	(void)state;
	for (size_t f = 0; f < N_FILTERS; f++) {
		for (size_t i = 0; i < n_vmm_calls; i++) {
			const struct filter_rule *rule = &vmm_calls[i];

			for (unsigned bit = 0;
				bit < 32 && rule->sets & filters[f].calls && rule->args[0].mask; bit++) {
				struct attempt attempt = attempt_of(rule);

				attempt.thread = false;
				attempt.args[rule->args[0].index] ^= 1l << bit;
				if (!(rule->args[0].mask & 1u << bit) ||
					table_allows(filters[f].calls, &attempt))
					continue;
				tried++;
				if (attempt_run(filters[f].calls, &attempt) != SIGSYS)
					fail_msg("%s: row %zu (call %d) does not look at bit %u",
						filters[f].name, i, rule->nr, bit);
			}
		}
	}
	assert_true(tried > 1000);
}

static void nothing_opens_connects_executes(void **state)
{
	static const long never[] = {
		__NR_openat,
		__NR_openat2,
		__NR_socket,
		__NR_socketpair,
		__NR_connect,
		__NR_bind,
		__NR_listen,
		__NR_accept4,
		__NR_execve,
		__NR_execveat,
		__NR_ptrace,
		__NR_process_vm_readv,
		__NR_process_vm_writev,
		__NR_pidfd_getfd,
		__NR_bpf,
		__NR_keyctl,
		__NR_userfaultfd,
		__NR_mount,
		__NR_move_mount,
		__NR_unshare,
		__NR_setns,
		__NR_prctl,
		__NR_kill,
		__NR_tgkill,
		__NR_memfd_create,
		__NR_perf_event_open,
		__NR_open_by_handle_at,
		__NR_setuid,
		__NR_capset,
		__NR_dup3,
#ifdef __NR_open
		__NR_open,
		__NR_creat,
		__NR_fork,
		__NR_vfork,
		__NR_dup2,
		__NR_accept,
#endif
	};

	(void)state;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		assert_false(table_names(CALLS_ALL, never[i]));
}

/* Once the guest runs, memory, threads and rings are what they are. */
static void a_running_machine_makes_nothing(void **state)
{
	static const long never[] = {__NR_mmap, __NR_mprotect, __NR_clone, __NR_clone3, __NR_io_uring_setup,
		__NR_io_uring_register, __NR_seccomp, __NR_eventfd2, __NR_epoll_create1, __NR_brk,
		__NR_pread64};

	(void)state;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		assert_false(table_names(CALLS_LOOP | CALLS_VCPU, never[i]));
}

static unsigned calls_count(uint32_t calls)
{
	unsigned n = 0;

	for (long nr = 0; nr < NUMBERS_MAX; nr++)
		n += table_names(calls, nr);
	return n;
}

static void the_figures_are_kept(void **state)
{
	unsigned filtered = 0;

	(void)state;
	print_message("system calls: vCPU %u, loop %u, all %u, in %zu rows\n", calls_count(CALLS_VCPU),
		calls_count(CALLS_LOOP), calls_count(CALLS_ALL), n_vmm_calls);
	assert_true(calls_count(CALLS_VCPU) <= VCPU_MAX);
	assert_true(calls_count(CALLS_ALL) <= UNION_MAX);
	for (size_t i = 0; i < n_vmm_calls; i++) {
		int nr = vmm_calls[i].nr;

		filtered += vmm_calls[i].args[0].mask != 0;
		if (nr == __NR_ioctl || nr == __NR_mmap || nr == __NR_mprotect || nr == __NR_prctl ||
			nr == __NR_clone)
			assert_true(vmm_calls[i].args[0].mask != 0);
	}
	print_message("rows that look at an argument: %u\n", filtered);
}

#ifdef __x86_64__
static void other_ways_into_the_kernel_kill(void **state)
{
	struct attempt x32 = {.nr = X32_BIT | __NR_write, .args = {-1}};
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(attempt_run(CALLS_ALL, &x32), SIGSYS);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		long result = 4; /* write(), for 32-bit programs: allowed by the 64-bit number */

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (filter_install(vmm_calls, n_vmm_calls, CALLS_ALL))
			_exit(1);
		__asm__ volatile("int $0x80" : "+a"(result) : "b"(-1l), "c"(0l), "d"(0l) : "memory");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}
#endif

/* The builder by itself: what it cannot build it refuses. */
static void too_much_is_refused(void **state)
{
	static struct filter_rule rules[FILTER_CODE_MAX];
	static struct filter_code code;

	(void)state;
	for (size_t i = 0; i < FILTER_CODE_MAX; i++)
		rules[i] = (struct filter_rule){.nr = (int)i, .sets = 1};
	assert_int_equal(filter_build(rules, FILTER_CODE_MAX, 1, &code), -E2BIG);
	for (size_t i = 0; i < FILTER_CODE_MAX; i++)
		rules[i] = (struct filter_rule){.nr = 1, .sets = 1, .args = {FILTER_IS(1, i)}};
	assert_int_equal(filter_build(rules, FILTER_CODE_MAX, 1, &code), -E2BIG);
	assert_int_equal(filter_build(rules, 130, 1, &code), -E2BIG);
	assert_int_equal(filter_build(rules, 120, 1, &code), 0);
	assert_int_equal(filter_build(rules, 80, 2, &code), 0);
	assert_int_equal(code.n, 4); /* of nothing: check the architecture, kill */
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_let_through),
		cmocka_unit_test(every_other_call_kills),
		cmocka_unit_test(every_other_argument_kills),
		cmocka_unit_test(nothing_opens_connects_executes),
		cmocka_unit_test(a_running_machine_makes_nothing),
		cmocka_unit_test(the_figures_are_kept),
#ifdef __x86_64__
		cmocka_unit_test(other_ways_into_the_kernel_kill),
#endif
		cmocka_unit_test(too_much_is_refused),
	};

	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (report == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
