// SPDX-License-Identifier: Apache-2.0
/*
 * inject: runs a program and all that comes of it under ptrace, and lets one system call go wrong.
 *
 *   inject [OPTIONS] PROGRAM [ARG...]
 *     --report FILE        what happened, see below
 *     --list               report every call
 *     --at WHO:CALL:N      the point: call CALL (a name) of WHO, its N-th (from 1)
 *     --kill               SIGKILL, to the process that makes the call, in place of the call
 *     --errno NUMBER       the call does nothing and fails with NUMBER
 *     --onwards            so do all further ones of that name, of everyone
 *     --timeout SECONDS    after which all are killed (20)
 *
 * WHO is where a task stands in the family: "0" is the program, "0.2" its second child (or thread), "0.2.1" the first
 * one of that. Unlike a process id it is the same in each run, and unlike a count over all tasks it does not depend on
 * who is scheduled first.
 *
 * The report has one line for each fact: "call WHO CALL N"; "reached"; "crash WHO SIGNAL"; "hang" if the time was up; "left N" tasks that
 * outlived the program by more than two seconds; "status N" as a shell has it. Exit status 0 if there is a report.
 *
 * Why not strace: it counts calls per task only, so that with -f a fault comes down on every process at once, and it
 * makes a call fail by giving it an impossible number, for which a seccomp filter kills. Here the call becomes brk(0),
 * which does nothing and which our filters know, all but those of a running machine.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <linux/ptrace.h> /* after the one above */
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TASKS_MAX 128
#define CALLS_MAX 512
#define WHO_MAX 48
#define OUTLIVE_S 2
#define OPTIONS                                                                                              \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |            \
		PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)

static const struct {
	long nr;
	const char *name;
} calls[] = {
#include "calls.inc"
};

struct task {
	pid_t pid; /* 0: free */
	char who[WHO_MAX]; /* empty: its parent has not told us of it yet, so it waits */
	unsigned children;
	unsigned made[CALLS_MAX]; /* calls of each kind */
	bool failing; /* in a call that is to fail */
	bool is_brk;
	uint64_t first_arg; /* which was overwritten for that */
};

struct point {
	char who[WHO_MAX];
	long nr; /* -1: none */
	unsigned n;
};

static struct {
	struct task tasks[TASKS_MAX];
	struct point at;
	bool list, kill, onwards, reached, hang;
	int error;
	double timeout_s;
	pid_t program;
	int status; /* of the program; -1: it runs */
	FILE *report;
} all = {.at.nr = -1, .timeout_s = 20, .status = -1};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- system calls ---- */

static const char *call_name(long nr)
{
	static char number[24];

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i].nr == nr)
			return calls[i].name;
	}
	snprintf(number, sizeof(number), "%ld", nr);
	return number;
}

static long call_number(const char *name)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strcmp(calls[i].name, name) == 0)
			return calls[i].nr;
	}
	errno = EINVAL;
	die(name);
}

#if defined(__x86_64__)
/* Only what is given is changed: NULL leaves it. */
static void registers_set(pid_t pid, const long *nr, const uint64_t *first_arg, const long *result)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
		return;
	if (nr)
		regs.orig_rax = (unsigned long)*nr;
	if (first_arg)
		regs.rdi = *first_arg;
	if (result)
		regs.rax = (unsigned long)*result;
	ptrace(PTRACE_SETREGS, pid, NULL, &regs);
}
#elif defined(__aarch64__)
/* There the first argument and the result are one register. */
static void registers_set(pid_t pid, const long *nr, const uint64_t *first_arg, const long *result)
{
	struct user_regs_struct regs;
	struct iovec vec = {&regs, sizeof(regs)};
	int number = nr ? (int)*nr : 0;

	if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &vec) < 0)
		return;
	if (first_arg)
		regs.regs[0] = *first_arg;
	if (result)
		regs.regs[0] = (uint64_t)*result;
	ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &vec);
	vec = (struct iovec){&number, sizeof(number)};
	if (nr)
		ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &vec);
}
#else
#error "which register has the number of a system call?"
#endif

/* ---- tasks ---- */

static struct task *task_find(pid_t pid)
{
	for (size_t i = 0; i < TASKS_MAX; i++) {
		if (all.tasks[i].pid == pid)
			return &all.tasks[i];
	}
	return NULL;
}

static struct task *task_get(pid_t pid)
{
	struct task *task = task_find(pid);

	if (task)
		return task;
	task = task_find(0);
	if (!task) {
		errno = E2BIG;
		die("tasks");
	}
	*task = (struct task){.pid = pid};
	return task;
}

static unsigned tasks_count(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < TASKS_MAX; i++)
		n += all.tasks[i].pid != 0;
	return n;
}

static void tasks_kill(void)
{
	for (size_t i = 0; i < TASKS_MAX; i++) {
		if (all.tasks[i].pid)
			syscall(SYS_tkill, all.tasks[i].pid, SIGKILL);
	}
}

static void task_go_on(pid_t pid, int signal)
{
	ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(uintptr_t)signal);
}

/* A task has a child. That may have stopped for the first time before. */
static void child_name(struct task *task)
{
	unsigned long pid = 0;
	struct task *child;
	bool waits;

	if (ptrace(PTRACE_GETEVENTMSG, task->pid, NULL, &pid) < 0)
		return;
	waits = task_find((pid_t)pid) != NULL;
	child = task_get((pid_t)pid);
	if (snprintf(child->who, sizeof(child->who), "%s.%u", task->who, ++task->children) >= WHO_MAX)
		die("a family as large");
	if (waits)
		task_go_on(child->pid, 0);
}

/* ---- stops ---- */

/*
 * Openings make something only if they say so. Standard error is for telling what is wrong; and a signal in the middle
 * of standard output is one that ends us.
 */
static bool may_fail(long nr, const __u64 *args)
{
	if (all.error == ENOSPC && nr == SYS_openat)
		return args[2] & O_CREAT;
	return nr != SYS_write ||
	       (args[0] != STDERR_FILENO && (args[0] != STDOUT_FILENO || all.error != EINTR));
}

static bool is_point(const struct task *task, long nr)
{
	if (nr != all.at.nr)
		return false;
	return (all.onwards && all.reached) ||
	       (task->made[nr] == all.at.n && strcmp(task->who, all.at.who) == 0);
}

static void call_entered(struct task *task, const struct ptrace_syscall_info *info)
{
	long nr = (long)info->entry.nr, harmless = SYS_brk;
	uint64_t zero = 0;

	if (nr < 0 || nr >= CALLS_MAX)
		return;
	task->made[nr]++;
	if (all.list)
		fprintf(all.report, "call %s %s %u\n", task->who, call_name(nr), task->made[nr]);
	if (!is_point(task, nr) || (!all.kill && !may_fail(nr, info->entry.args)))
		return;
	all.reached = true;
	if (all.kill) {
		syscall(SYS_tkill, task->pid, SIGKILL);
		return;
	}
	task->failing = true;
	task->is_brk = nr == SYS_brk;
	task->first_arg = info->entry.args[0];
	/* What close() says, it closes. */
	if (nr != SYS_close)
		registers_set(task->pid, &harmless, &zero, NULL);
}

static void call_left(struct task *task)
{
	long result = -all.error;

	/* brk() says of failure that nothing has changed, as it does now. */
	if (!task->failing)
		return;
	task->failing = false;
#if defined(__x86_64__)
	registers_set(task->pid, NULL, &task->first_arg, task->is_brk ? NULL : &result);
#else
	registers_set(task->pid, NULL, NULL, task->is_brk ? NULL : &result);
#endif
}

static void call_stop(struct task *task)
{
	struct ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, task->pid, sizeof(info), &info) < 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		call_entered(task, &info);
	else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		call_left(task);
}

/*
 * An error of the program itself, not a signal that somebody sent. It ends the first process of a pid namespace as well
 * as any, but not under ptrace, where the instruction would be tried again for ever.
 */
static bool is_crash(pid_t pid, int signal)
{
	siginfo_t info;

	return (signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE) &&
	       ptrace(PTRACE_GETSIGINFO, pid, NULL, &info) == 0 && info.si_code > 0;
}

static void task_stopped(struct task *task, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;

	if (signal == (SIGTRAP | 0x80)) {
		call_stop(task);
		signal = 0;
	} else if (event) {
		if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK)
			child_name(task);
		signal = 0;
	} else if (is_crash(task->pid, signal)) {
		fprintf(all.report, "crash %s %d\n", task->who, signal);
		syscall(SYS_tkill, task->pid, SIGKILL);
	}
	task_go_on(task->pid, signal);
}

static void task_ended(struct task *task, int status)
{
	if (task->pid == all.program)
		all.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	task->pid = 0;
}

static void changed(pid_t pid, int status)
{
	struct task *task = task_find(pid);

	if (!WIFSTOPPED(status)) {
		if (task)
			task_ended(task, status);
		return;
	}
	if (!task)
		task = task_get(pid);
	/* Not before its parent has told us its name. */
	if (*task->who)
		task_stopped(task, status);
}

/* ---- the whole ---- */

/* The child waits until it is traced. What it does before its exec is not seen. */
static pid_t program_start(char **argv)
{
	int go[2];
	pid_t pid;
	char byte;

	if (pipe(go) < 0)
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		close(go[1]);
		if (read(go[0], &byte, 1) == 0) {
			close(go[0]);
			execv(argv[0], argv);
		}
		die(argv[0]);
	}
	if (ptrace(PTRACE_SEIZE, pid, NULL, OPTIONS) < 0)
		die("ptrace");
	close(go[0]);
	close(go[1]);
	return pid;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void on_tick(int number)
{
	(void)number;
}

static void ticks_start(void)
{
	struct sigaction action = {.sa_handler = on_tick};
	struct itimerval every = {{0, 100000}, {0, 100000}};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

/* Until nothing is left of the family. */
static unsigned family_watch(void)
{
	double end = now_s() + all.timeout_s;
	bool ended = false;
	unsigned left = 0;
	int status;

	while (tasks_count()) {
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid > 0)
			changed(pid, status);
		else if (errno == ECHILD)
			break;
		if (all.status >= 0 && !ended) {
			ended = true;
			end = now_s() + OUTLIVE_S;
		}
		if (now_s() < end)
			continue;
		if (ended && !left)
			left = tasks_count();
		all.hang |= !ended;
		tasks_kill();
	}
	return left;
}

static void point_parse(char *text)
{
	char *call = strchr(text, ':'), *n = call ? strchr(call + 1, ':') : NULL;

	errno = EINVAL;
	if (!n || call - text >= WHO_MAX)
		die(text);
	*call++ = '\0';
	*n++ = '\0';
	snprintf(all.at.who, sizeof(all.at.who), "%s", text);
	all.at.nr = call_number(call);
	all.at.n = (unsigned)strtoul(n, NULL, 10);
}

static void arguments_parse(int argc, char **argv)
{
	static const struct option options[] = {{"report", 1, NULL, 'r'}, {"list", 0, NULL, 'l'},
		{"at", 1, NULL, 'a'}, {"kill", 0, NULL, 'k'}, {"errno", 1, NULL, 'e'},
		{"onwards", 0, NULL, 'o'}, {"timeout", 1, NULL, 't'}, {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (option == 'r')
			all.report = fopen(optarg, "we");
		else if (option == 'l')
			all.list = true;
		else if (option == 'a')
			point_parse(optarg);
		else if (option == 'k')
			all.kill = true;
		else if (option == 'e')
			all.error = atoi(optarg);
		else if (option == 'o')
			all.onwards = true;
		else if (option == 't')
			all.timeout_s = atof(optarg);
		else
			exit(1);
	}
	errno = EINVAL;
	if (!all.report || optind >= argc)
		die("usage: inject --report FILE [OPTIONS] PROGRAM [ARG...]");
}

int main(int argc, char **argv)
{
	unsigned left;

	arguments_parse(argc, argv);
	all.program = program_start(argv + optind);
	snprintf(task_get(all.program)->who, WHO_MAX, "0");
	ticks_start();
	left = family_watch();
	fprintf(all.report, "%s%sleft %u\nstatus %d\n", all.reached ? "reached\n" : "",
		all.hang ? "hang\n" : "", left, all.status);
	return fclose(all.report) ? 1 : 0;
}
