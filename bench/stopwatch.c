// SPDX-License-Identifier: Apache-2.0
/*
 * stopwatch: how long a command takes from its exec to its end, for a clock that may count instructions.
 *
 *	stopwatch [-r ROOT] [-n ROUNDS] [-o FILE] [-t SECONDS] [-p NS] [-i] [-s] -- COMMAND [ARG...]
 *
 * ROOT is a mounted file system with everything the command needs; it becomes the root of a mount namespace of our own
 * (a real root, not a chroot: runtimes of containers look). Per round one line goes to FILE (default: fd 1):
 *
 *	elapsed_ns idle_ns user_us system_us max_rss_kib minor_faults wait_status
 *
 * What is timed is vfork to wait: the start of the command and its end as its parent sees them, without the start-up of
 * an interpreter around it. The command gets /dev/null for stdin and stdout unless -s, and our stderr.
 *
 * -i tells how much of it the host's processors were idle. Waits that end with the host's timer tick make elapsed_ns
 * depend on where in the tick's period a round starts. -p starts at that many nanoseconds into the period, so that rounds
 * spread evenly have a mean that does not.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct options {
	const char *root;
	const char *out;
	long rounds;
	long limit_s;
	long phase_ns; /* -1: start at once */
	int count_idle;
	int keep_stdio;
	char **command;
};

static void fail(const char *what)
{
	fprintf(stderr, "stopwatch: %s: %s\n", what, strerror(errno));
	exit(125);
}

static long number_of(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value < 0 || value > 10000000) {
		fprintf(stderr, "stopwatch: not a number: %s\n", text);
		exit(125);
	}
	return value;
}

static struct options options_of(int argc, char **argv)
{
	struct options opt = {.rounds = 1, .limit_s = 120, .phase_ns = -1};
	int c;

	while ((c = getopt(argc, argv, "+r:n:o:t:p:is")) != -1) {
		switch (c) {
		case 'r':
			opt.root = optarg;
			break;
		case 'o':
			opt.out = optarg;
			break;
		case 'n':
			opt.rounds = number_of(optarg);
			break;
		case 't':
			opt.limit_s = number_of(optarg);
			break;
		case 'p':
			opt.phase_ns = number_of(optarg);
			break;
		case 'i':
			opt.count_idle = 1;
			break;
		case 's':
			opt.keep_stdio = 1;
			break;
		default:
			exit(125);
		}
	}
	if (optind >= argc) {
		fputs("usage: stopwatch [-r ROOT] [-n ROUNDS] [-o FILE] [-t SECONDS] [-p NS] [-i] [-s] -- "
		      "COMMAND [ARG...]\n",
			stderr);
		exit(125);
	}
	opt.command = argv + optind;
	return opt;
}

/* Makes root the root of a mount namespace of this process. */
static void root_enter(const char *root)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		fail("mount namespace");
	}
	if (chdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
		chdir("/") < 0) {
		fail(root);
	}
}

static long long now_ns(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) < 0) {
		fail("clock");
	}
	return (long long)now.tv_sec * 1000000000 + now.tv_nsec;
}

#define TICK_NS 4000000 /* of Debian's kernels: HZ is 250 */

static void phase_wait(long phase_ns)
{
	long long start_ns = (now_ns() / TICK_NS + 2) * TICK_NS + phase_ns;
	struct timespec start = {.tv_sec = start_ns / 1000000000, .tv_nsec = start_ns % 1000000000};

	prctl(PR_SET_TIMERSLACK, 1UL);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &start, NULL) == EINTR) {
	}
	prctl(PR_SET_TIMERSLACK, 0UL); /* the default again: the command inherits it */
}

/* Nanoseconds that the host's processors have been idle, from the kernel's list of timers. */
static long long idle_total_ns(void)
{
	FILE *list = fopen("/proc/timer_list", "re");
	char line[256];
	long long total = 0;

	if (!list) {
		fail("/proc/timer_list");
	}
	while (fgets(line, sizeof(line), list)) {
		long long ns;

		if (sscanf(line, " .idle_sleeptime : %lld nsecs", &ns) == 1) {
			total += ns;
		}
	}
	fclose(list);
	return total;
}

static pid_t running;

static void out_of_time(int signal_number)
{
	(void)signal_number;
	kill(running, SIGKILL);
}

static long long micros(struct timeval t)
{
	return (long long)t.tv_sec * 1000000 + t.tv_usec;
}

static void round_run(const struct options *opt, int null_fd, FILE *out)
{
	struct rusage usage;
	int status;

	if (opt->phase_ns >= 0) {
		phase_wait(opt->phase_ns);
	}
	long long idle_ns = opt->count_idle ? idle_total_ns() : 0;
	long long start_ns = now_ns();

	running = vfork();
	if (running < 0) {
		fail("vfork");
	}
	if (running == 0) {
		if (!opt->keep_stdio && (dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0)) {
			_exit(125);
		}
		execvp(opt->command[0], opt->command);
		_exit(127);
	}
	alarm((unsigned)opt->limit_s);
	while (wait4(running, &status, 0, &usage) < 0) {
		if (errno != EINTR) {
			fail("wait");
		}
	}
	long long end_ns = now_ns();
	idle_ns = opt->count_idle ? idle_total_ns() - idle_ns : 0;
	alarm(0);
	fprintf(out, "%lld %lld %lld %lld %ld %ld %d\n", end_ns - start_ns, idle_ns, micros(usage.ru_utime),
		micros(usage.ru_stime), usage.ru_maxrss, usage.ru_minflt, status);
	fflush(out);
}

int main(int argc, char **argv)
{
	struct options opt = options_of(argc, argv);
	FILE *out = opt.out ? fopen(opt.out, "we") : fdopen(fcntl(1, F_DUPFD_CLOEXEC, 3), "w");

	if (!out) {
		fail("output");
	}
	if (opt.root) {
		root_enter(opt.root);
	}
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct sigaction action = {.sa_handler = out_of_time};

	if (null_fd < 0 || sigaction(SIGALRM, &action, NULL) < 0) {
		fail("/dev/null");
	}
	for (long i = 0; i < opt.rounds; i++) {
		round_run(&opt, null_fd, out);
	}
	return 0;
}
