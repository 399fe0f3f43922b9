// SPDX-License-Identifier: Apache-2.0
/*
 * run [--seed S] [--queue N] [--registers N] [--step N] [--only WORD] VMM KERNEL: the hostile kernel in a
 * VM, once for each thing that it can do, beside a good guest that has to answer throughout.
 *
 * After each of the kernel's cases, and once a second of what has none: the neighbour answers, the
 * monitor's memory besides the guest's is at most 2 MiB and it has lost no descriptor. At the end of each
 * VM: the reason that was to be expected, in time, and a process that is gone. The disk has to be what it
 * was. Needs a /dev/kvm.
 */
#include "tests/hostile/host/vm.h"

#include "base/clock.h"
#include "base/num.h"
#include "tests/hostile/driver/hostile.h"

#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define RAM_BYTES (UINT64_C(32) << 20)
#define DISK_BYTES (1u << 20)
#define WORD_BYTES 8u
#define PRIVATE_MAX_KIB 2048
#define FDS_SPARE 2 /* io_uring, and a port that is on its way */
#define PING_BYTES 64
/* Times are for an emulated host on a busy machine, beside a guest that takes all it can get. */
#define PING_MS 20000
#define ATTACK_MS 400000
#define SERVE_MS 50
#define UP_MS 60000
#define ENDLESS_MS 2000
#define STOP_MS 5000
#define IDLE_CPU_PERCENT 30

/* What the kernel is to do, and how that has to end. */
struct attack {
	const char *word;
	uint32_t reason; /* enum vmm_exit_reason */
	uint32_t or_reason; /* this is fine as well; 0: it is not */
	bool endless; /* it is to be stopped */
	bool deaf; /* and nobody reads the console */
	bool idle; /* and needs no processor */
	uint64_t exits_max; /* to user space; 0: any number */
};

static const struct attack attacks[] = {
	{.word = "attack", .reason = VMM_EXIT_GUEST_SHUTDOWN},
	{.word = "ports", .reason = VMM_EXIT_GUEST_SHUTDOWN},
	{.word = "holes", .reason = VMM_EXIT_GUEST_SHUTDOWN},
	{.word = "msrs", .reason = VMM_EXIT_GUEST_SHUTDOWN, .exits_max = 1000},
	{.word = "fault", .reason = VMM_EXIT_TRIPLE_FAULT},
	{.word = "reset", .reason = VMM_EXIT_RESET},
	{.word = "nowhere", .reason = VMM_EXIT_INTERNAL},
	{.word = "odd", .reason = VMM_EXIT_INTERNAL, .or_reason = VMM_EXIT_GUEST_SHUTDOWN},
	{.word = "spin", .reason = VMM_EXIT_STOPPED, .endless = true},
	{.word = "halt", .reason = VMM_EXIT_STOPPED, .endless = true, .idle = true},
	{.word = "storm", .reason = VMM_EXIT_STOPPED, .endless = true},
	{.word = "kicks", .reason = VMM_EXIT_STOPPED, .endless = true},
	{.word = "flood", .reason = VMM_EXIT_STOPPED, .endless = true, .deaf = true},
};

struct run {
	const char *vmm, *kernel, *only;
	char disk[64];
	uint64_t seed, n_queue, n_registers, step;
	struct vm neighbour, vm;
	const struct attack *attack;
	bool is_up, neighbour_is_up;
	bool is_done; /* the kernel has said so */
	unsigned int fds_at_first;
	uint64_t private_kib, n_pings, ping_us_max;
	unsigned int n_passed, n_failed;
	bool failed; /* the attack under way */
};

static void fail(struct run *run, const char *what, uint64_t value)
{
	run->failed = true;
	printf("FAIL hostile: %s: %s (%" PRIu64 ")\n", run->attack->word, what, value);
}

/* ---- the neighbour ---- */

static void neighbour_line(struct vm *vm, const char *line)
{
	struct run *run = vm->options.ctx;

	if (!strcmp(line, "echo"))
		run->neighbour_is_up = true;
	else if (!strncmp(line, "FAIL", 4))
		printf("    the neighbour: %s\n", line);
}

static bool ping_answered(struct run *run, const uint8_t *sent)
{
	uint8_t got[PING_BYTES];
	size_t len = 0;

	for (uint64_t end_us = clock_now_us() + PING_MS * 1000;
		clock_now_us() < end_us && len < PING_BYTES;) {
		struct pollfd watch = {.fd = run->neighbour.port_fds[0], .events = POLLIN};
		ssize_t n;

		vm_serve(&run->neighbour, 0);
		if (poll(&watch, 1, SERVE_MS) <= 0)
			continue;
		n = recv(watch.fd, got + len, PING_BYTES - len, MSG_DONTWAIT);
		if (n <= 0)
			return false;
		len += (size_t)n;
	}
	return len == PING_BYTES && !memcmp(got, sent, PING_BYTES);
}

static void neighbour_ping(struct run *run)
{
	uint64_t start_us = clock_now_us(), took_us, cpu_ms;
	uint8_t sent[PING_BYTES];
	int unread = 0;

	for (size_t i = 0; i < PING_BYTES; i++)
		sent[i] = (uint8_t)(run->n_pings * 7 + i);
	cpu_ms = vm_cpu_ms(&run->neighbour);
	if (send(run->neighbour.port_fds[0], sent, PING_BYTES, MSG_NOSIGNAL) != PING_BYTES ||
		!ping_answered(run, sent)) {
		fail(run, "the neighbour does not answer", run->n_pings);
		(void)ioctl(run->neighbour.port_fds[0], SIOCOUTQ, &unread);
		printf("    %d bytes not read by its monitor, which used %" PRIu64
		       " ms of processors meanwhile\n",
			unread, vm_cpu_ms(&run->neighbour) - cpu_ms);
	}
	took_us = clock_now_us() - start_us;
	if (took_us > run->ping_us_max)
		run->ping_us_max = took_us;
	run->n_pings++;
}

static void neighbour_start(struct run *run)
{
	const struct vm_options options = {
		.vmm = run->vmm,
		.kernel = run->kernel,
		.words = "hostile=echo",
		.ram_bytes = RAM_BYTES,
		.n_ports = 1,
		.line = neighbour_line,
		.ctx = run,
	};
	uint64_t end_us = clock_now_us() + UP_MS * 1000;

	vm_start(&run->neighbour, &options);
	while (!run->neighbour_is_up && !run->neighbour.ended && clock_now_us() < end_us)
		vm_serve(&run->neighbour, SERVE_MS);
	if (!run->neighbour_is_up)
		errx(EXIT_FAILURE, "the neighbour does not come up");
}

/* ---- the attacker ---- */

static void invariants_check(struct run *run)
{
	uint64_t private_kib = vm_private_kib(&run->vm);
	unsigned int n_fds = vm_fds(&run->vm);

	neighbour_ping(run);
	if (!run->fds_at_first)
		run->fds_at_first = n_fds;
	if (n_fds > run->fds_at_first + FDS_SPARE)
		fail(run, "the monitor loses descriptors", n_fds);
	if (private_kib > run->private_kib)
		run->private_kib = private_kib;
	if (private_kib > PRIVATE_MAX_KIB)
		fail(run, "KiB are the monitor's own", private_kib);
}

static void attacker_line(struct vm *vm, const char *line)
{
	struct run *run = vm->options.ctx;
	unsigned int passed, failed;

	if (!strncmp(line, "FAIL", 4)) {
		printf("    %s\n", line);
		run->failed = true;
	} else if (sscanf(line, "done %u passed %u failed", &passed, &failed) == 2) {
		run->n_passed += passed;
		run->n_failed += failed;
		run->is_done = true;
		return;
	} else if (!strncmp(line, "figures", 7)) {
		printf("hostile: in the VM: %s\n", line + 8);
	} else if (!strcmp(line, "up")) {
		run->is_up = true;
	} else if (getenv("V")) {
		printf("    %s\n", line);
	}
	invariants_check(run);
}

static void attacker_start(struct run *run)
{
	char words[256];
	const struct vm_options options = {
		.vmm = run->vmm,
		.kernel = run->kernel,
		.disk = run->disk,
		.words = words,
		.ram_bytes = RAM_BYTES,
		.n_ports = HOSTILE_PORTS,
		.deaf = run->attack->deaf,
		.echo = true,
		.line = attacker_line,
		.ctx = run,
	};

	snprintf(words, sizeof(words),
		"hostile=%s seed=%" PRIu64 " queue=%" PRIu64 " registers=%" PRIu64 " step=%" PRIu64,
		run->attack->word, run->seed, run->n_queue, run->n_registers, run->step);
	run->is_up = run->is_done = false;
	run->fds_at_first = 0;
	vm_start(&run->vm, &options);
}

/* Serve both until the attacker has ended, or for that long. */
static void serve(struct run *run, uint64_t ms)
{
	uint64_t end_us = clock_now_us() + ms * 1000;

	while (!run->vm.ended && clock_now_us() < end_us) {
		vm_serve(&run->vm, SERVE_MS);
		vm_serve(&run->neighbour, 0);
	}
}

/* What goes on for ever is watched for a while, then stopped. */
static void endless_watch(struct run *run)
{
	uint64_t start_us = clock_now_us(), cpu_ms;

	while (!run->is_up && !run->attack->deaf && !run->vm.ended &&
		clock_now_us() - start_us < UP_MS * 1000)
		vm_serve(&run->vm, SERVE_MS);
	cpu_ms = vm_cpu_ms(&run->vm);
	for (int i = 0; i < 2; i++) {
		serve(run, ENDLESS_MS / 2);
		invariants_check(run);
	}
	cpu_ms = vm_cpu_ms(&run->vm) - cpu_ms;
	if (run->attack->idle && cpu_ms > ENDLESS_MS * IDLE_CPU_PERCENT / 100)
		fail(run, "ms of processors for a guest that sleeps", cpu_ms);
	if (run->vm.ended)
		fail(run, "ended before it was asked to", run->vm.end.reason);
	vm_stop(&run->vm);
	serve(run, STOP_MS);
}

static bool reason_fits(const struct attack *attack, uint32_t reason)
{
	return reason && (reason == attack->reason || reason == attack->or_reason);
}

static void attack_run(struct run *run, const struct attack *attack)
{
	uint64_t start_us = clock_now_us();

	run->attack = attack;
	run->failed = false;
	attacker_start(run);
	if (attack->endless)
		endless_watch(run);
	else
		serve(run, ATTACK_MS);
	if (!vm_done(&run->vm))
		fail(run, "has not ended in time", run->vm.end.reason);
	if (!reason_fits(attack, run->vm.end.reason))
		fail(run, "ended otherwise than expected", run->vm.end.reason);
	if (run->vm.end.reason == VMM_EXIT_GUEST_SHUTDOWN && !run->is_done)
		fail(run, "ended before it was done", 0);
	if (attack->reason == VMM_EXIT_INTERNAL && run->vm.end.reason == VMM_EXIT_INTERNAL &&
		!run->vm.end.detail[0])
		fail(run, "an end without a word", 0);
	if (attack->exits_max && run->vm.end.exits_to_user > attack->exits_max)
		fail(run, "exits to user space", run->vm.end.exits_to_user);
	neighbour_ping(run);
	run->n_passed += !run->failed;
	run->n_failed += run->failed;
	if (getenv("V"))
		printf("%s: %s, %" PRIu64 " exits, %.1f s\n", attack->word, run->failed ? "failed" : "ok",
			run->vm.end.exits_to_user, (double)(clock_now_us() - start_us) / 1e6);
}

/* ---- the disk: every word says which one it is ---- */

static uint64_t disk_word(uint64_t i)
{
	return (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static void disk_make(struct run *run)
{
	static uint64_t words[DISK_BYTES / WORD_BYTES];
	int fd;

	for (size_t i = 0; i < DISK_BYTES / WORD_BYTES; i++)
		words[i] = disk_word(i);
	snprintf(run->disk, sizeof(run->disk), "/tmp/mvrun-hostile.XXXXXX");
	fd = mkstemp(run->disk);
	if (fd < 0 || write(fd, words, sizeof(words)) != sizeof(words))
		err(EXIT_FAILURE, "%s", run->disk);
	close(fd);
}

static bool disk_intact(const struct run *run)
{
	static uint64_t words[DISK_BYTES / WORD_BYTES];
	int fd = open(run->disk, O_RDONLY | O_CLOEXEC);
	bool intact = fd >= 0 && read(fd, words, sizeof(words)) == sizeof(words);

	for (size_t i = 0; intact && i < DISK_BYTES / WORD_BYTES; i++)
		intact = words[i] == disk_word(i);
	close(fd);
	return intact;
}

static void option_take(struct run *run, int option)
{
	uint64_t *number = NULL;

	switch (option) {
	case 's':
		number = &run->seed;
		break;
	case 'q':
		number = &run->n_queue;
		break;
	case 'r':
		number = &run->n_registers;
		break;
	case 'p':
		number = &run->step;
		break;
	case 'o':
		run->only = optarg;
		return;
	default:
		break;
	}
	if (!number || num_parse_u64(optarg, UINT64_MAX, number))
		errx(2, "usage: run [--seed S] [--queue N] [--registers N] [--step N] [--only WORD] VMM "
			"KERNEL");
}

static void options_read(struct run *run, int argc, char **argv)
{
	static const struct option table[] = {
		{"seed", required_argument, NULL, 's'},
		{"queue", required_argument, NULL, 'q'},
		{"registers", required_argument, NULL, 'r'},
		{"step", required_argument, NULL, 'p'},
		{"only", required_argument, NULL, 'o'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1)
		option_take(run, option);
	if (argc - optind != 2)
		errx(2, "which VMM, and which kernel?");
	run->vmm = argv[optind];
	run->kernel = argv[optind + 1];
}

int main(int argc, char **argv)
{
	static struct run run = {.seed = 20250101, .n_queue = 2500, .n_registers = 2500, .step = 17};
	bool intact;

	options_read(&run, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	disk_make(&run);
	run.attack = &attacks[0];
	neighbour_start(&run);
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		if (!run.only || !strcmp(run.only, attacks[i].word))
			attack_run(&run, &attacks[i]);
	}
	vm_stop(&run.neighbour);
	for (uint64_t end_us = clock_now_us() + STOP_MS * 1000;
		!run.neighbour.ended && clock_now_us() < end_us;)
		vm_serve(&run.neighbour, SERVE_MS);
	if (!vm_done(&run.neighbour) || run.neighbour.end.reason != VMM_EXIT_STOPPED)
		fail(&run, "the neighbour did not end as it should", run.neighbour.end.reason);
	intact = disk_intact(&run);
	unlink(run.disk);
	if (!intact)
		printf("FAIL hostile: the disk was changed\n");
	printf("hostile: the monitor's own memory was at most %" PRIu64 " KiB; %" PRIu64
	       " questions to the neighbour, the slowest answered in %" PRIu64 " ms\n",
		run.private_kib, run.n_pings, run.ping_us_max / 1000);
	run.n_passed += intact;
	run.n_failed += !intact;
	printf("hostile: %u passed, %u failed\n", run.n_passed, run.n_failed);
	return run.n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
