// SPDX-License-Identifier: Apache-2.0
/*
 * The decoders against the kernel: what their filters let through and what they kill (oci/image/calls.h), and a real
 * nursery with real workers (decoder.h), to which somebody sends nonsense.
 */
#include "tests/unit/cm.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/image/answer.h"
#include "oci/image/calls.h"
#include "oci/image/decoder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NUMBERS_MAX 512 /* there are fewer than 470 */
#define UNION_MAX 28
#define WORKER_MAX 12

static const struct {
	const char *name;
	uint32_t calls;
} filters[] = {{"nursery", CALLS_ALL}, {"document", CALLS_DOCUMENT}, {"unpack", CALLS_UNPACK},
	{"layer", CALLS_LAYER}, {"tree", CALLS_TREE}};

#define N_FILTERS (sizeof(filters) / sizeof(filters[0]))

/* ---- the table ---- */

struct attempt {
	long nr;
	long args[6];
};

static volatile bool
	*survived; /* in memory that parent and child have: the child may be able to say nothing else */

/* Whether a call kills who makes it with a filter on. */
static bool kills(uint32_t calls, const struct attempt *attempt)
{
	const long *a = attempt->args;
	int status;
	pid_t pid;

	*survived = false;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (filter_install(image_calls, n_image_calls, calls))
			_exit(1);
		syscall(attempt->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		*survived = true;
		syscall(SYS_exit_group, 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (*survived || WIFEXITED(status))
		return false;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	return true;
}

static bool table_names(uint32_t calls, long nr)
{
	for (size_t i = 0; i < n_image_calls; i++) {
		if (image_calls[i].sets & calls && image_calls[i].nr == nr)
			return true;
	}
	return false;
}

/* With arguments as the row wants them, and otherwise such that the call fails at once. */
static void every_row_is_let_through(void **state)
{
	(void)state;
	for (size_t f = 0; f < N_FILTERS; f++) {
		for (size_t i = 0; i < n_image_calls; i++) {
			const struct filter_rule *rule = &image_calls[i];
			struct attempt attempt = {.nr = rule->nr, .args = {-1, -1, -1, -1, -1, -1}};

			/* These would return somewhere else, or twice. */
			if (!(rule->sets & filters[f].calls) || rule->nr == __NR_rt_sigreturn ||
				rule->nr == __NR_clone)
				continue;
			for (size_t a = 0; a < FILTER_ARGS_MAX && rule->args[a].mask; a++)
				attempt.args[rule->args[a].index] = (long)rule->args[a].value;
			if (kills(filters[f].calls, &attempt))
				fail_msg("%s: call %d is killed", filters[f].name, rule->nr);
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
			struct attempt attempt = {.nr = nr, .args = {-1, -1, -1, -1, -1, -1}};

			if (!table_names(filters[f].calls, nr) && !kernel_exempts(nr) &&
				!kills(filters[f].calls, &attempt))
				fail_msg("%s: call %ld is let through", filters[f].name, nr);
		}
	}
}

static void other_arguments_kill(void **state)
{
	static const struct {
		uint32_t calls;
		struct attempt attempt;
	} bad[] = {
		{CALLS_WORKERS,
			{__NR_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1}}},
		{CALLS_WORKERS, {__NR_mmap, {0, 4096, PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1}}},
		{CALLS_WORKERS,
			{__NR_mmap, {4096, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1}}},
		{CALLS_WORKERS, {__NR_madvise, {0, 0, MADV_HUGEPAGE}}},
		{CALLS_TREE, {__NR_newfstatat, {AT_FDCWD, 0, 0, 0}}},
		{CALLS_ALL, {__NR_clone, {CLONE_NEWUSER | SIGCHLD}}},
		{CALLS_ALL, {__NR_clone, {CLONE_VM | CLONE_THREAD | CLONE_SIGHAND}}},
		{CALLS_ALL, {__NR_fcntl, {0, F_SETFL, 0}}},
		{CALLS_ALL, {__NR_prctl, {PR_SET_DUMPABLE, 1}}},
		{CALLS_ALL, {__NR_seccomp, {SECCOMP_SET_MODE_STRICT}}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (size_t f = 0; f < N_FILTERS; f++) {
			if (!(filters[f].calls & bad[i].calls) || (bad[i].calls == CALLS_ALL && f))
				continue;
			if (!kills(filters[f].calls, &bad[i].attempt))
				fail_msg("%s: arguments number %zu are let through", filters[f].name, i);
		}
	}
}

static size_t calls_in(uint32_t calls)
{
	size_t n = 0;

	for (long nr = 0; nr < NUMBERS_MAX; nr++)
		n += table_names(calls, nr);
	return n;
}

static void the_figures_are_kept(void **state)
{
	(void)state;
	for (size_t f = 0; f < N_FILTERS; f++) {
		print_message("%s: %zu system calls\n", filters[f].name, calls_in(filters[f].calls));
		assert_true(calls_in(filters[f].calls) <= (f ? WORKER_MAX : UNION_MAX));
	}
}

static int memory_setup(void **state)
{
	(void)state;
	survived = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return survived == MAP_FAILED ? -1 : 0;
}

/* ---- a nursery ---- */

struct fixture {
	struct decoder decoder;
	struct err err;
};

static int nursery_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	signal(SIGPIPE, SIG_IGN);
	return decoder_start(&f->decoder, false, &f->err);
}

static int nursery_teardown(void **state)
{
	struct fixture *f = *state;

	decoder_stop(&f->decoder);
	free(f);
	return 0;
}

static int ask(struct fixture *f, uint32_t kind, const char *text, size_t len)
{
	struct order order = {.kind = kind, .what = "the text"};
	auto_answer answer = {0};

	f->err = ERR_INIT;
	return decoder_ask(&f->decoder, &order, text, len, NULL, &answer, &f->err);
}

static int ask_good(struct fixture *f)
{
	static const char text[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

	return ask(f, ORDER_LAYOUT, text, strlen(text));
}

static void documents_are_decoded(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 200; i++)
		assert_int_equal(ask_good(f), 0);
	assert_int_equal(ask(f, ORDER_LAYOUT, "{", 1), -EBADMSG);
	assert_non_null(strstr(f->err.text, "the text is not valid JSON"));
	assert_int_equal(ask(f, ORDER_LAYOUT, "", 0), -EBADMSG);
	assert_int_equal(ask_good(f), 0);
}

/* Send an order with n descriptors besides a status pipe: whether anybody takes it. */
static bool order_taken(struct fixture *f, const void *order, size_t len, size_t n)
{
	int fds[IO_FDS_MAX], pipe_fds[2];
	char byte;
	bool taken;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	for (size_t i = 0; i <= n; i++)
		fds[i] = pipe_fds[1];
	assert_int_equal(io_send_fds(f->decoder.orders_fd, order, len, fds, n + 1), 0);
	close(pipe_fds[1]);
	taken = read(pipe_fds[0], &byte, 1) == 1;
	close(pipe_fds[0]);
	return taken;
}

static void nonsense_is_not_taken(void **state)
{
	struct fixture *f = *state;
	struct order order = {.kind = ORDER_LAYOUT};

	assert_false(order_taken(f, &order, sizeof(order) - 1, 2));
	assert_false(order_taken(f, "x", 1, 2));
	assert_false(order_taken(f, &order, sizeof(order), 0));
	assert_false(order_taken(f, &order, sizeof(order), 1));
	assert_false(order_taken(f, &order, sizeof(order), 3));
	order.kind = ORDER_KINDS;
	assert_false(order_taken(f, &order, sizeof(order), 2));
	order.kind = UINT32_MAX;
	assert_false(order_taken(f, &order, sizeof(order), 2));
	order = (struct order){.kind = ORDER_TREE, .n_layers = IMAGE_LAYERS_MAX + 1};
	assert_false(order_taken(f, &order, sizeof(order), IMAGE_LAYERS_MAX + 3));
	assert_false(order_taken(f, &order, sizeof(order), 2));
	order.n_layers = UINT64_MAX;
	assert_false(order_taken(f, &order, sizeof(order), 1));
	/* A worker comes to its end with descriptors that are none of what it needs, and the nursery goes on. */
	order = (struct order){.kind = ORDER_LAYOUT, .bytes = 10};
	assert_true(order_taken(f, &order, sizeof(order), 2));
	assert_int_equal(ask_good(f), 0);
}

/* No text makes a worker take more than its limit: at the worst it fails. */
static void memory_is_limited(void **state)
{
	struct fixture *f = *state;
	struct order order = {.kind = ORDER_CONFIG, .what = "the text"};
	auto_free char *text = malloc(JSON_CONFIG_MAX);
	auto_answer answer = {0};
	size_t len = 0;

	assert_non_null(text);
	len += (size_t)sprintf(text, "{\"a\":[[]");
	while (len < JSON_CONFIG_MAX - 16)
		len += (size_t)sprintf(text + len, ",[]");
	len += (size_t)sprintf(text + len, "]}");
	assert_int_not_equal(decoder_ask(&f->decoder, &order, text, len, NULL, &answer, &f->err), 0);
	assert_non_null(strstr(f->err.text, "rootfs"));
}

static void a_number_of_workers_at_once(void **state)
{
	enum { JOBS = 20 };
	struct fixture *f = *state;
	struct job jobs[JOBS];
	int in[JOBS], out[JOBS];

	for (int i = 0; i < JOBS; i++) {
		struct order order = {.kind = ORDER_UNPACK, .compression = COMPRESSION_GZIP};
		int to[2], from[2];

		assert_int_equal(pipe2(to, O_CLOEXEC) | pipe2(from, O_CLOEXEC), 0);
		assert_int_equal(
			job_begin(&f->decoder, &order, (int[]){to[0], from[1]}, 2, &jobs[i], &f->err), 0);
		close(to[0]);
		close(from[1]);
		in[i] = to[1];
		out[i] = from[0];
	}
	for (int i = 0; i < JOBS; i++) {
		auto_answer answer = {0};

		close(in[i]);
		/* Nothing came, which is no gzip stream: all the same answer, none of another's. */
		assert_int_equal(job_end(&jobs[i], NULL, &answer, &f->err), -EBADMSG);
		close(out[i]);
	}
}

static void a_killed_nursery_is_noticed(void **state)
{
	struct fixture *f = *state;

	kill(f->decoder.nursery, SIGKILL);
	assert_int_equal(ask_good(f), -EIO);
	assert_non_null(strstr(f->err.text, "the decoder is gone"));
}

/* The field of a process, as its line in /proc/PID/status has it. */
static void status_field(pid_t pid, const char *name, char value[static 128])
{
	char path[64], line[256];
	auto_file file = NULL;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
			assert_int_equal(sscanf(line + strlen(name) + 1, "%127s", value), 1);
			return;
		}
	}
	fail_msg("no %s in %s", name, path);
}

static void the_nursery_is_confined(void **state)
{
	static const char *const want[][2] = {{"Seccomp", "2"}, {"NoNewPrivs", "1"},
		{"CapInh", "0000000000000000"}, {"CapPrm", "0000000000000000"},
		{"CapEff", "0000000000000000"}, {"CapBnd", "0000000000000000"},
		{"CapAmb", "0000000000000000"}, {"Threads", "1"}};
	const struct fixture *f = *state;
	char value[128];

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		status_field(f->decoder.nursery, want[i][0], value);
		assert_string_equal(value, want[i][1]);
	}
	status_field(f->decoder.nursery, "Uid", value);
	assert_int_not_equal(atoi(value), 0);
}

/* Whether a process that is now our child ends within a second. */
static bool gone_soon(pid_t pid)
{
	for (int i = 0; i < 100; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		usleep(10000);
	}
	return false;
}

static void decoders_die_with_the_loader(void **state)
{
	int fds[2], status;
	pid_t pid, nursery;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		struct decoder decoder = {.orders_fd = -1};
		int ret = decoder_start(&decoder, false, NULL);

		io_write_all(fds[1], &decoder.nursery, sizeof(decoder.nursery));
		/* As if by SIGKILL: nobody is told. */
		_exit(ret ? 1 : 0);
	}
	assert_int_equal(io_read_exact(fds[0], &nursery, sizeof(nursery)), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(gone_soon(nursery));
	close(fds[0]);
	close(fds[1]);
}

#define WITH_NURSERY(test) cmocka_unit_test_setup_teardown(test, nursery_setup, nursery_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_let_through),
		cmocka_unit_test(every_other_call_kills),
		cmocka_unit_test(other_arguments_kill),
		cmocka_unit_test(the_figures_are_kept),
		WITH_NURSERY(documents_are_decoded),
		WITH_NURSERY(nonsense_is_not_taken),
		WITH_NURSERY(memory_is_limited),
		WITH_NURSERY(a_number_of_workers_at_once),
		WITH_NURSERY(a_killed_nursery_is_noticed),
		WITH_NURSERY(the_nursery_is_confined),
		cmocka_unit_test(decoders_die_with_the_loader),
	};

	return cmocka_run_group_tests(tests, memory_setup, NULL);
}
