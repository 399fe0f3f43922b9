// SPDX-License-Identifier: Apache-2.0
#include "tests/hostile/host/vm.h"

#include "base/io.h"
#include "tests/hostile/driver/hostile.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GUEST_CID 3
#define BLOCK 65536
#define FDS_MAX (4 + VMM_PORTS_MAX)

static int opened(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		err(EXIT_FAILURE, "%s", path);
	return fd;
}

/* Our end of a new pair; the other end in *theirs. */
static int pair_make(int type, int *theirs)
{
	int pair[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
		err(EXIT_FAILURE, "socketpair");
	*theirs = pair[1];
	return pair[0];
}

static int console_make(struct vm *vm)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		err(EXIT_FAILURE, "pipe");
	vm->console_fd = ends[0];
	return ends[1];
}

static void disk_describe(struct vmm_config *config, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		err(EXIT_FAILURE, "the disk");
	config->n_disks = config->n_segments = 1;
	config->disks[0] = (struct vmm_disk){.n_segments = 1, .read_only = 1};
	config->segments[0].len_bytes = (uint64_t)st.st_size;
}

/* The descriptors in the order of vmm/machine.h. */
static size_t fds_collect(struct vm *vm, struct vmm_config *config, int *fds)
{
	size_t n = 0;

	fds[n++] = opened("/dev/kvm", O_RDWR);
	fds[n++] = opened(vm->options.kernel, O_RDONLY);
	fds[n++] = console_make(vm);
	for (uint32_t i = 0; i < config->n_ports; i++) {
		config->ports[i] = HOSTILE_PORT_FIRST + i;
		vm->port_fds[i] = pair_make(SOCK_STREAM, &fds[n++]);
	}
	if (vm->options.disk) {
		fds[n] = opened(vm->options.disk, O_RDONLY);
		disk_describe(config, fds[n++]);
	}
	return n;
}

static void vmm_spawn(struct vm *vm)
{
	int theirs;

	vm->control_fd = pair_make(SOCK_SEQPACKET, &theirs);
	vm->pid = fork();
	if (vm->pid < 0)
		err(EXIT_FAILURE, "fork");
	if (!vm->pid) {
		if (theirs == VMM_CONTROL_FD)
			io_set_cloexec(VMM_CONTROL_FD, 0);
		else
			dup2(theirs, VMM_CONTROL_FD);
		execl(vm->options.vmm, "mvrun-vmm", (char *)NULL);
		_exit(127);
	}
	close(theirs);
}

void vm_start(struct vm *vm, const struct vm_options *options)
{
	static struct vmm_config config;
	int fds[FDS_MAX];
	size_t n;

	*vm = (struct vm){.options = *options};
	config = (struct vmm_config){
		.magic = VMM_CONFIG_MAGIC,
		.version = VMM_CONFIG_VERSION,
		.flags = VMM_HAS_CONSOLE,
		.vcpus = 1,
		.ram_bytes = options->ram_bytes,
		.n_ports = options->n_ports,
		.guest_cid = GUEST_CID,
	};
	snprintf(config.cmdline, sizeof(config.cmdline), "%s", options->words);
	n = fds_collect(vm, &config, fds);
	vmm_spawn(vm);
	if (io_send_fds(vm->control_fd, &config, sizeof(config), fds, n))
		errx(EXIT_FAILURE, "%s takes no configuration", options->vmm);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

/* ---- serving ---- */

static void console_take(struct vm *vm)
{
	char block[BLOCK];
	ssize_t n = read(vm->console_fd, block, sizeof(block));

	for (ssize_t i = 0; i < n; i++) {
		if (block[i] != '\n') {
			/* Longer ones are no lines of ours. */
			if (vm->len < sizeof(vm->text) - 1)
				vm->text[vm->len++] = block[i];
			continue;
		}
		vm->text[vm->len] = '\0';
		vm->len = 0;
		if (vm->text[0] == '@')
			vm->options.line(vm, vm->text + 1);
	}
	if (!n) {
		close(vm->console_fd);
		vm->console_fd = -1;
	}
}

/* Allow the guest another connection to the port whose last one has ended. */
static void port_renew(struct vm *vm, uint32_t i)
{
	const struct vmm_request request = {.type = VMM_ADD_PORT, .port = HOSTILE_PORT_FIRST + i};
	int theirs;

	close(vm->port_fds[i]);
	vm->port_fds[i] = pair_make(SOCK_STREAM, &theirs);
	(void)io_send_fds(vm->control_fd, &request, sizeof(request), &theirs, 1);
	close(theirs);
}

static void port_take(struct vm *vm, uint32_t i)
{
	char block[BLOCK];
	ssize_t n = recv(vm->port_fds[i], block, sizeof(block), MSG_DONTWAIT);

	if (n > 0)
		n = send(vm->port_fds[i], block, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0 || (n < 0 && errno == EAGAIN))
		return;
	port_renew(vm, i);
}

static void control_take(struct vm *vm)
{
	struct vmm_exit end;
	ssize_t n = recv(vm->control_fd, &end, sizeof(end), MSG_DONTWAIT);

	if (n == sizeof(end))
		vm->end = end;
	else if (n <= 0 && !(n < 0 && errno == EAGAIN))
		vm->ended = true;
}

void vm_serve(struct vm *vm, int timeout_ms)
{
	struct pollfd watch[2 + VMM_PORTS_MAX] = {
		{.fd = vm->control_fd, .events = POLLIN},
		{.fd = vm->options.deaf ? -1 : vm->console_fd, .events = POLLIN},
	};
	uint32_t n_ports = vm->options.echo ? vm->options.n_ports : 0;

	for (uint32_t i = 0; i < n_ports; i++)
		watch[2 + i] = (struct pollfd){.fd = vm->port_fds[i], .events = POLLIN};
	if (poll(watch, 2 + n_ports, timeout_ms) <= 0)
		return;
	if (watch[1].revents)
		console_take(vm);
	for (uint32_t i = 0; i < n_ports && !vm->end.reason; i++) {
		if (watch[2 + i].revents)
			port_take(vm, i);
	}
	/* The console first: what it says last is said before the end. */
	if (watch[0].revents && !watch[1].revents)
		control_take(vm);
}

void vm_stop(struct vm *vm)
{
	const struct vmm_request stop = {.type = VMM_STOP};

	(void)io_send_fds(vm->control_fd, &stop, sizeof(stop), NULL, 0);
}

bool vm_done(struct vm *vm)
{
	bool itself = vm->ended;

	if (!itself)
		kill(vm->pid, SIGKILL);
	waitpid(vm->pid, NULL, 0);
	close(vm->control_fd);
	if (vm->console_fd >= 0)
		close(vm->console_fd);
	for (uint32_t i = 0; i < vm->options.n_ports; i++)
		close(vm->port_fds[i]);
	return itself;
}

/* ---- measuring ---- */

static FILE *proc_open(const struct vm *vm, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)vm->pid, name);
	return fopen(path, "re");
}

/* Adjacent mappings with the same rights: a group. */
struct group {
	uint64_t end, bytes, anonymous_kib;
};

/* What a group adds to the sum: nothing if it is as large as the guest's memory, which is mapped in parts. */
static uint64_t group_count(const struct vm *vm, const struct group *group)
{
	return group->bytes == vm->options.ram_bytes ? 0 : group->anonymous_kib;
}

uint64_t vm_private_kib(const struct vm *vm)
{
	FILE *file = proc_open(vm, "smaps");
	struct group group = {0};
	uint64_t sum = 0, start, end, kib;
	char line[512], rights[5];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &start, &end, rights) == 3) {
			if (start != group.end || rights[0] != 'r') {
				sum += group_count(vm, &group);
				group = (struct group){0};
			}
			group.end = rights[0] == 'r' ? end : 0;
			group.bytes += end - start;
		} else if (sscanf(line, "Anonymous: %" SCNu64, &kib) == 1) {
			group.anonymous_kib += kib;
		}
	}
	if (file)
		fclose(file);
	return sum + group_count(vm, &group);
}

unsigned int vm_fds(const struct vm *vm)
{
	char path[64];
	unsigned int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)vm->pid);
	dir = opendir(path);
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

uint64_t vm_cpu_ms(const struct vm *vm)
{
	FILE *file = proc_open(vm, "stat");
	uint64_t user = 0, system = 0;

	if (file &&
		fscanf(file,
			"%*d (mvrun-vmm) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
			&user, &system) != 2)
		user = system = 0;
	if (file)
		fclose(file);
	return (user + system) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}
