// SPDX-License-Identifier: Apache-2.0
/*
 * harness: the hostile driver against the devices, in one process.
 *
 *	harness [--queue N] [--registers N] [--seed S] [--race S]
 *
 * First the catalogue on every device, then N random queue operations and N random register accesses shared
 * out among them, then the threads (threads.h) for S seconds. After each case everything is checked that
 * can be without a VM: the device works again after a reset, no byte was written outside of what the device
 * was given, no descriptor leaked, memory does not grow, the loop becomes idle. The same seed does the same
 * things, up to the threads.
 */
#include "tests/hostile/harness/machine.h"
#include "tests/hostile/harness/threads.h"

#include "base/clock.h"
#include "base/num.h"

#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_MAX 3000 /* of a millisecond */
#define COMPLAINTS_MAX 40
#define RINGS 2 /* descriptors that come with the first use of io_uring, one a disk */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#define GROWTH_MAX_BYTES (UINT64_C(16) << 20) /* shadow memory comes as it is needed */
#else
#define GROWTH_MAX_BYTES (UINT64_C(2) << 20)
#endif

static const char *const device_names[MACHINE_SLOTS] = {
	"vsock", "console", "rng", "disk (read-only)", "disk (read-write)"};

struct run {
	struct machine machine;
	struct hostile hostile;
	uint64_t seed;
	unsigned int n_fds;
	uint64_t resident_bytes;
	uint64_t growth_bytes; /* the most there was */
	unsigned int n_complaints;
	uint64_t n_passed; /* cases and rounds without a complaint */
	uint64_t n_failed;
	uint64_t failures_before;
};

static struct run *run_of(void *ctx)
{
	return (struct run *)((char *)ctx - offsetof(struct run, machine));
}

static unsigned int fds_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static uint64_t resident_now(void)
{
	char line[128] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	unsigned long long resident;

	if (fd < 0 || read(fd, line, sizeof(line) - 1) <= 0 || sscanf(line, "%*u %llu", &resident) != 1)
		err(EXIT_FAILURE, "/proc/self/statm");
	close(fd);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What is freed is reused soon: otherwise this program's own directory streams would look like a leak. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=1";
}

static void run_failed(void *ctx, const char *name, const char *what, uint64_t detail)
{
	struct run *run = run_of(ctx);

	if (run->n_complaints++ < COMPLAINTS_MAX)
		printf("FAIL %s: %s: %s (0x%" PRIx64 ")\n", device_names[run->hostile.dev.slot], name, what,
			detail);
}

static void complain(struct run *run, const char *what, uint64_t detail)
{
	run->hostile.n_failures++;
	run_failed(&run->machine, run->hostile.name, what, detail);
}

static void machine_compare(struct run *run)
{
	const char *changed = machine_check(&run->machine);
	uint64_t resident = resident_now();
	unsigned int n_fds = fds_count();

	if (changed)
		errx(EXIT_FAILURE, "%s: %s: %s changed", device_names[run->hostile.dev.slot],
			run->hostile.name, changed);
	if (n_fds > run->n_fds + RINGS)
		complain(run, "descriptors leak", n_fds);
	if (run->machine.spins)
		complain(run, "the loop never becomes idle", run->machine.turns);
	run->machine.spins = false;
	if (resident > run->resident_bytes && resident - run->resident_bytes > run->growth_bytes)
		run->growth_bytes = resident - run->resident_bytes;
	if (run->growth_bytes > GROWTH_MAX_BYTES)
		complain(run, "memory grows", run->growth_bytes);
}

static void run_over(void *ctx, const char *name)
{
	struct run *run = run_of(ctx);

	(void)name;
	machine_settle(&run->machine, 0);
	machine_compare(run);
	if (run->hostile.n_failures == run->failures_before)
		run->n_passed++;
	else
		run->n_failed++;
	run->failures_before = run->hostile.n_failures;
}

static bool run_wait(void *ctx, unsigned int round)
{
	machine_settle(ctx, round > 1);
	return round < ROUNDS_MAX;
}

static const struct hostile_ops run_ops = {
	.read = machine_read,
	.write = machine_write,
	.wait = run_wait,
	.failed = run_failed,
	.over = run_over,
	.hold = machine_hold,
	.interrupts = machine_interrupts,
	.console_got = machine_console_got,
	.console_send = machine_console_send,
	.disk_cold = machine_disk_cold,
};

struct plan {
	uint64_t n_queue, n_registers, seed, race_s;
};

static void plan_read(struct plan *plan, int argc, char **argv)
{
	static const struct option table[] = {
		{"queue", required_argument, NULL, 'q'},
		{"registers", required_argument, NULL, 'r'},
		{"seed", required_argument, NULL, 's'},
		{"race", required_argument, NULL, 't'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
		uint64_t value = 0;

		if (option == '?' || num_parse_u64(optarg, UINT64_MAX, &value))
			errx(2, "usage: harness [--queue N] [--registers N] [--seed S] [--race S]");
		if (option == 'q')
			plan->n_queue = value;
		else if (option == 'r')
			plan->n_registers = value;
		else if (option == 's')
			plan->seed = value;
		else
			plan->race_s = value;
	}
}

static double seconds_since(uint64_t start_us)
{
	return (double)(clock_now_us() - start_us) / 1e6;
}

static void device_attack(struct run *run, unsigned int slot, const struct plan *plan)
{
	struct hostile *h = &run->hostile;
	uint64_t start_us = clock_now_us(), cases = h->n_cases;
	double catalogue_s, queue_s;

	if (!hostile_choose(h, slot))
		errx(EXIT_FAILURE, "no device in slot %u", slot);
	hostile_catalogue(h);
	catalogue_s = seconds_since(start_us);
	start_us = clock_now_us();
	hostile_random_queue(h, plan->n_queue / MACHINE_SLOTS);
	queue_s = seconds_since(start_us);
	start_us = clock_now_us();
	hostile_random_registers(h, plan->n_registers / MACHINE_SLOTS);
	printf("%-17s %3" PRIu64 " cases %.1f s, queue operations %.1f s, register accesses %.1f s\n",
		device_names[slot], h->n_cases - cases, catalogue_s, queue_s, seconds_since(start_us));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct run run;
	struct plan plan = {.n_queue = 1000000, .n_registers = 1000000, .seed = 20250101, .race_s = 6};
	uint64_t start_us = clock_now_us();

	plan_read(&plan, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	run.seed = plan.seed;
	machine_init(&run.machine);
	run.hostile = (struct hostile){.ops = &run_ops, .ctx = &run.machine};
	machine_show(&run.machine, &run.hostile);
	hostile_init(&run.hostile, plan.seed);
	run.n_fds = fds_count();
	run.resident_bytes = resident_now();
	for (unsigned int slot = 0; slot < MACHINE_SLOTS; slot++)
		device_attack(&run, slot, &plan);
	if (plan.race_s)
		threads_run(&run.machine, &run.hostile, plan.race_s);
	printf("%" PRIu64 " cases, %" PRIu64 " queue operations, %" PRIu64 " register accesses, %" PRIu64
	       " times revived; seed %" PRIu64 "; %.1f s\n",
		run.hostile.n_cases, run.hostile.n_queue_ops, run.hostile.n_register_ops,
		run.hostile.n_revivals, plan.seed, seconds_since(start_us));
	printf("at most %" PRIu64 " turns until idle, memory grew by %" PRIu64 " KiB\n",
		run.machine.turns_max, run.growth_bytes >> 10);
	printf("hostile-harness: %" PRIu64 " passed, %" PRIu64 " failed\n", run.n_passed, run.n_failed);
	machine_done(&run.machine);
	return run.hostile.n_failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
