// SPDX-License-Identifier: Apache-2.0
/*
 * bootvm: start mvrun-vmm as mvrun does, without containers: one guest, and how it ended.
 *
 *	bootvm --kernel F [--initrd F] [--disk F]... [--memory M] [--cpus N] [--cmdline S] [--vmm F]
 *	       [--port N] [--console] [--dense] [--plain] [--stop-after MS] [--json] [--leave]
 *
 * The guest's console goes to stderr with --console. What it sends to the vsock port of --port goes to
 * stdout, what comes on stdin goes to it. The last line on stdout is the end: reason, detail and figures, as
 * JSON with --json. The exit status is 0 if the VMM reported an end, whatever it was, 1 otherwise.
 */
#include "base/clock.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "vmm/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FDS_MAX (4 + VMM_PORTS_MAX + VMM_SEGMENTS_MAX)
#define GUEST_CID 3

struct options {
	const char *kernel, *initrd, *vmm;
	const char *disks[VMM_DISKS_MAX];
	bool console, json, dense, plain, leave;
	long stop_after_ms; /* -1: never */
	struct vmm_config config;
};

struct start {
	int fds[FDS_MAX];
	size_t n_fds;
	int control_fd; /* our end */
	int port_fd; /* our end, or -1 */
	pid_t pid;
	uint64_t spawned_us;
};

static const char *const reasons[] = {
	[VMM_EXIT_STOPPED] = "stopped",
	[VMM_EXIT_GUEST_SHUTDOWN] = "guest-shutdown",
	[VMM_EXIT_RESET] = "reset",
	[VMM_EXIT_PANIC] = "panic",
	[VMM_EXIT_TRIPLE_FAULT] = "triple-fault",
	[VMM_EXIT_BAD_CONFIG] = "bad-config",
	[VMM_EXIT_INTERNAL] = "internal",
};

static _Noreturn void die(const char *what, int error)
{
	fprintf(stderr, "bootvm: %s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(EXIT_FAILURE);
}

static _Noreturn void usage(void)
{
	fputs("usage: bootvm --kernel F [--initrd F] [--disk F]... [--memory M] [--cpus N] [--cmdline S]\n"
	      "       [--vmm F] [--port N] [--console] [--dense] [--plain] [--stop-after MS] [--json] "
	      "[--leave]\n",
		stderr);
	exit(2);
}

static uint64_t number(const char *text)
{
	uint64_t value;

	if (num_parse_u64(text, UINT64_MAX, &value))
		usage();
	return value;
}

static void option_take(struct options *o, int option)
{
	struct vmm_config *config = &o->config;

	switch (option) {
	case 'k':
		o->kernel = optarg;
		break;
	case 'i':
		o->initrd = optarg;
		break;
	case 'v':
		o->vmm = optarg;
		break;
	case 'd':
		if (config->n_disks == VMM_DISKS_MAX)
			usage();
		o->disks[config->n_disks++] = optarg;
		break;
	case 'm':
		if (num_parse_size(optarg, &config->ram_bytes))
			usage();
		break;
	case 'n':
		config->vcpus = (uint32_t)number(optarg);
		break;
	case 'c':
		snprintf(config->cmdline, sizeof(config->cmdline), "%s", optarg);
		break;
	case 'p':
		config->ports[0] = (uint32_t)number(optarg);
		config->n_ports = 1;
		break;
	case 's':
		o->stop_after_ms = (long)number(optarg);
		break;
	default:
		usage();
	}
}

static void options_parse(struct options *o, int argc, char **argv)
{
	int console = 0, json = 0, dense = 0, plain = 0, leave = 0, option;
	const struct option table[] = {
		{"kernel", required_argument, NULL, 'k'},
		{"initrd", required_argument, NULL, 'i'},
		{"disk", required_argument, NULL, 'd'},
		{"memory", required_argument, NULL, 'm'},
		{"cpus", required_argument, NULL, 'n'},
		{"cmdline", required_argument, NULL, 'c'},
		{"vmm", required_argument, NULL, 'v'},
		{"port", required_argument, NULL, 'p'},
		{"stop-after", required_argument, NULL, 's'},
		{"console", no_argument, &console, 1},
		{"json", no_argument, &json, 1},
		{"leave", no_argument, &leave, 1},
		{"dense", no_argument, &dense, 1},
		{"plain", no_argument, &plain, 1},
		{NULL, 0, NULL, 0},
	};

	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (option)
			option_take(o, option);
	}
	if (!o->kernel || optind != argc)
		usage();
	o->console = console;
	o->json = json;
	o->leave = leave;
	o->dense = dense;
	o->plain = plain;
}

static void fd_take(struct start *start, const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		die(path, errno);
	start->fds[start->n_fds++] = fd;
}

static void disks_take(struct options *o, struct start *start)
{
	for (uint32_t i = 0; i < o->config.n_disks; i++) {
		struct stat st;

		fd_take(start, o->disks[i], O_RDONLY);
		if (fstat(start->fds[start->n_fds - 1], &st) < 0)
			die(o->disks[i], errno);
		o->config.disks[i] = (struct vmm_disk){.n_segments = 1, .read_only = 1};
		o->config.segments[i].len_bytes = ((uint64_t)st.st_size + 511) & ~UINT64_C(511);
	}
	o->config.n_segments = o->config.n_disks;
}

/* The descriptors in the order of vmm/machine.h. */
static void fds_collect(struct options *o, struct start *start)
{
	int pair[2];

	fd_take(start, "/dev/kvm", O_RDWR);
	fd_take(start, o->kernel, O_RDONLY);
	if (o->initrd) {
		fd_take(start, o->initrd, O_RDONLY);
		o->config.flags |= VMM_HAS_INITRAMFS;
	}
	if (o->console) {
		start->fds[start->n_fds++] = STDERR_FILENO;
		o->config.flags |= VMM_HAS_CONSOLE;
	}
	if (o->config.n_ports) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
			die("socketpair", errno);
		start->port_fd = pair[0];
		start->fds[start->n_fds++] = pair[1];
	}
	disks_take(o, start);
}

static void vmm_spawn(const struct options *o, struct start *start)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair", errno);
	start->control_fd = pair[0];
	start->spawned_us = clock_now_us();
	start->pid = vfork();
	if (start->pid < 0)
		die("vfork", errno);
	if (!start->pid) {
		/* dup2 onto itself would keep close-on-exec. */
		if (pair[1] == VMM_CONTROL_FD)
			io_set_cloexec(VMM_CONTROL_FD, 0);
		else
			dup2(pair[1], VMM_CONTROL_FD);
		execl(o->vmm, "mvrun-vmm", (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
}

static void vmm_configure(struct options *o, struct start *start)
{
	struct vmm_config *config = &o->config;
	int ret;

	config->magic = VMM_CONFIG_MAGIC;
	config->version = VMM_CONFIG_VERSION;
	config->flags |= (o->dense ? VMM_DENSE : 0) | (o->plain ? VMM_PLAIN : 0);
	config->guest_cid = GUEST_CID;
	ret = io_send_fds(start->control_fd, config, sizeof(*config), start->fds, start->n_fds);
	if (ret && ret != -EPIPE)
		die("send the configuration", ret);
	for (size_t i = 0; i < start->n_fds; i++) {
		if (start->fds[i] != STDERR_FILENO)
			close(start->fds[i]);
	}
}

/* Move what is there from one side to the other; false when that side has ended. */
static bool relay(int from, int to)
{
	char block[65536];
	ssize_t n = read(from, block, sizeof(block));

	return n > 0 && !io_write_all(to, block, (size_t)n);
}

/* Relay stdin and stdout to the port until the VMM says how it ended. */
static ssize_t end_await(const struct options *o, struct start *start, struct vmm_exit *end)
{
	struct pollfd watch[] = {
		{.fd = start->control_fd, .events = POLLIN},
		{.fd = start->port_fd, .events = POLLIN},
		{.fd = start->port_fd >= 0 ? STDIN_FILENO : -1, .events = POLLIN},
	};

	for (;;) {
		int n = poll(watch, 3, (int)o->stop_after_ms);

		if (!n) {
			const struct vmm_request stop = {.type = VMM_STOP};

			(void)io_send_fds(start->control_fd, &stop, sizeof(stop), NULL, 0);
			watch[1].fd = watch[2].fd = -1;
		}
		if (watch[1].revents && !relay(start->port_fd, STDOUT_FILENO))
			watch[1].fd = -1;
		if (watch[2].revents && !relay(STDIN_FILENO, start->port_fd)) {
			shutdown(start->port_fd, SHUT_WR);
			watch[2].fd = -1;
		}
		if (watch[0].revents) {
			ssize_t got = recv(start->control_fd, end, sizeof(*end), 0);

			/* First it says that it is in its jail. */
			if (got != sizeof(struct vmm_jailed))
				return got;
		}
	}
}

/* One line, whatever the text holds. */
static void text_print(const char *text, size_t cap)
{
	for (size_t i = 0; i < cap && text[i]; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c > '~')
			printf("\\u%04x", c);
		else
			putchar(c);
	}
}

static uint64_t stamp(const struct vmm_exit *end, enum vmm_stamp which, uint64_t start_us)
{
	return end->stamps_us[which] ? end->stamps_us[which] - start_us : 0;
}

/* told_us: when the VMM said how it ended; reaped_us: when it was gone. */
static void json_print(
	const struct start *start, const struct vmm_exit *end, uint64_t told_us, uint64_t reaped_us)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	printf("{\"reason\": \"%s\", \"detail\": \"", reasons[end->reason]);
	text_print(end->detail, sizeof(end->detail));
	printf("\", \"exits_to_user\": %" PRIu64 ", \"us\": {\"main\": %" PRIu64 ", \"created\": %" PRIu64
	       ", \"loaded\": %" PRIu64 ", \"first_run\": %" PRIu64 ", \"first_connect\": %" PRIu64
	       ", \"told\": %" PRIu64 ", \"reaped\": %" PRIu64
	       "}, \"cpu_us\": %ld, \"max_rss_kib\": %ld, \"console\": \"",
		end->exits_to_user, stamp(end, VMM_AT_MAIN, start->spawned_us),
		stamp(end, VMM_AT_VM_CREATED, start->spawned_us),
		stamp(end, VMM_AT_LOADED, start->spawned_us), stamp(end, VMM_AT_FIRST_RUN, start->spawned_us),
		stamp(end, VMM_AT_FIRST_CONNECT, start->spawned_us), told_us - start->spawned_us,
		reaped_us - start->spawned_us,
		(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000L + usage.ru_utime.tv_usec +
			usage.ru_stime.tv_usec,
		usage.ru_maxrss);
	text_print(end->console, sizeof(end->console));
	printf("\"}\n");
}

int main(int argc, char **argv)
{
	struct options options = {
		.vmm = "mvrun-vmm",
		.stop_after_ms = -1,
		.config = {.vcpus = 1, .ram_bytes = 128 * MIB},
	};
	struct start start = {.port_fd = -1};
	struct vmm_exit end = {0};
	uint64_t told_us;
	ssize_t len;

	options_parse(&options, argc, argv);
	fds_collect(&options, &start);
	vmm_spawn(&options, &start);
	vmm_configure(&options, &start);
	len = end_await(&options, &start, &end);
	told_us = clock_now_us();
	/* As mvrun does: what the VM's teardown waits for concerns nobody (oci/runtime/machine.h, machine_leave). */
	if (!options.leave)
		waitpid(start.pid, NULL, 0);
	if (len != sizeof(end) || !end.reason || end.reason > VMM_EXIT_INTERNAL) {
		fprintf(stderr, "bootvm: the VMM ended without a word\n");
		return EXIT_FAILURE;
	}
	if (options.json)
		json_print(&start, &end, told_us, clock_now_us());
	else
		printf("%s%s%s\n", reasons[end.reason], end.detail[0] ? ": " : "", end.detail);
	return EXIT_SUCCESS;
}
