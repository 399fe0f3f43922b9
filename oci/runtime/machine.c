// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/machine.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "oci/runtime/jail_plan.h"
#include "oci/runtime/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_OURS 125
/*
 * What a machine takes beyond the guest's RAM: the monitor itself, less than 2 MiB; what KVM and the kernel keep for it,
 * mostly page tables, in proportion to RAM; buffers of sockets; and files in the page cache, which give way.
 */
#define OVERHEAD_BYTES (UINT64_C(32) << 20)
#define OVERHEAD_SHARE 64
#define DOCTOR "('mvrun doctor' says more)"

static int kvm_open(struct err *err)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return err_set(err, ENODEV, "this host has no KVM: /dev/kvm does not exist " DOCTOR);
	if (errno == EACCES || errno == EPERM)
		return err_set(
			err, errno, "no permission to use /dev/kvm: join its group, usually kvm " DOCTOR);
	return err_sys(err, errno, "KVM cannot be used " DOCTOR ": open /dev/kvm");
}

/* A kernel the user named: a mistake there is an ordinary one, but not to be taken for a missing command. */
static int kernel_open(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return err_set(err, EINVAL, "the kernel \"%s\" does not exist", path);
	if (fd < 0)
		return err_sys(err, errno, "open the kernel \"%s\"", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(err, EINVAL, "the kernel \"%s\" is not a regular file", path);
	}
	return fd;
}

int machine_parts_open(struct machine_parts *parts, const struct machine_config *config,
	const struct paths *paths, struct err *err)
{
	/*
	 * A descriptor of 0, 1 or 2 was closed when we started: leave /dev/null there, so that no file of
	 * ours is taken for a standard stream.
	 */
	do {
		parts->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (parts->null_fd >= 0 && parts->null_fd <= STDERR_FILENO);
	if (parts->null_fd < 0)
		return err_sys(err, errno, "open /dev/null");
	parts->kvm_fd = kvm_open(err);
	if (parts->kvm_fd < 0)
		return parts->kvm_fd;
	parts->kernel_fd = config->kernel ? kernel_open(config->kernel, err)
					  : paths_open(paths, KERNEL_FILE, "guest kernel", err);
	if (parts->kernel_fd < 0)
		return parts->kernel_fd;
	parts->initramfs_fd = paths_open(paths, INITRAMFS_FILE, "initramfs", err);
	if (parts->initramfs_fd < 0)
		return parts->initramfs_fd;
	if (!config->console_log)
		return 0;
	parts->console_fd = open(
		config->console_log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	if (parts->console_fd < 0)
		return err_sys(err, errno, "open the console log \"%s\"", config->console_log);
	return 0;
}

void machine_parts_close(struct machine_parts *parts)
{
	fd_release(&parts->kvm_fd);
	fd_release(&parts->kernel_fd);
	fd_release(&parts->initramfs_fd);
	fd_release(&parts->console_fd);
	fd_release(&parts->null_fd);
}

/* The message and its descriptors, in the order of vmm/machine.h. */
struct order {
	struct vmm_config config;
	int fds[IO_FDS_MAX];
	size_t n_fds;
};

static int order_disk(struct order *order, const struct image *image, struct err *err)
{
	struct vmm_config *config = &order->config;

	if (image->n_segments > VMM_SEGMENTS_MAX || image->n_segments > IO_FDS_MAX - order->n_fds)
		return err_set(err, E2BIG, "the image has %zu layers with files in them; the limit is %d",
			image->n_segments - 1, VMM_SEGMENTS_MAX - 1);
	config->n_disks = 1;
	config->disks[0] = (struct vmm_disk){.n_segments = (uint32_t)image->n_segments, .read_only = 1};
	config->n_segments = (uint32_t)image->n_segments;
	for (size_t i = 0; i < image->n_segments; i++) {
		config->segments[i] = (struct vmm_segment){.len_bytes = image->segments[i].bytes};
		order->fds[order->n_fds++] = image->segments[i].fd;
	}
	return 0;
}

static int order_make(struct order *order, const struct machine_parts *parts,
	const struct machine_config *config, const uint32_t *ports, const int *port_fds, size_t n_ports,
	struct err *err)
{
	struct vmm_config *c = &order->config;

	*order = (struct order){0};
	c->magic = VMM_CONFIG_MAGIC;
	c->version = VMM_CONFIG_VERSION;
	c->flags = VMM_HAS_INITRAMFS;
	c->vcpus = config->vcpus;
	c->ram_bytes = config->memory_bytes;
	c->guest_cid = 3;
	c->n_ports = (uint32_t)n_ports;
	order->fds[order->n_fds++] = parts->kvm_fd;
	order->fds[order->n_fds++] = parts->kernel_fd;
	order->fds[order->n_fds++] = parts->initramfs_fd;
	if (parts->console_fd >= 0) {
		c->flags |= VMM_HAS_CONSOLE;
		order->fds[order->n_fds++] = parts->console_fd;
		/* Whoever wants the console wants to see the kernel on it. */
		snprintf(c->cmdline, sizeof(c->cmdline), "loglevel=7");
	}
	for (size_t i = 0; i < n_ports; i++) {
		c->ports[i] = ports[i];
		order->fds[order->n_fds++] = port_fds[i];
	}
	return order_disk(order, config->image, err);
}

static pid_t monitor_spawn(const struct machine_parts *parts, const struct paths *paths, int socket_fd,
	const sigset_t *mask, const struct jail_plan *plan, const struct cgroup *cgroup)
{
	char path[PATHS_CAP + 32], name[] = VMM_FILE;
	char *argv[] = {name, NULL}, *env[] = {NULL};
	/* Its own messages come through the socket; its standard error is for debugging only. */
	struct spawn spawn = {
		.path = path,
		.argv = argv,
		.env = env,
		.fds = {parts->null_fd, parts->null_fd, log_wants(LOG_DEBUG) ? -1 : parts->null_fd,
			socket_fd},
		.mask = mask,
		.death_signal = SIGKILL,
		.namespaces = plan->namespaces,
		.cgroup_fd = cgroup->fd >= 0 ? &cgroup->fd : NULL,
		.session = true,
	};

	snprintf(path, sizeof(path), "%s/" VMM_FILE, paths->libexec);
	return spawn_program(&spawn);
}

/* In the best jail that this host allows and the user accepts. */
static int monitor_start(struct machine *machine, const struct machine_parts *parts,
	const struct paths *paths, int socket_fd, const sigset_t *mask, struct jail_plan *plan,
	struct err *err)
{
	do {
		machine->pid = monitor_spawn(parts, paths, socket_fd, mask, plan, &machine->cgroup);
		/* We made it, but may not start anything in it: its absence is no reason to lose more. */
		if (machine->pid == -EPERM && machine->cgroup.fd >= 0) {
			cgroup_remove(&machine->cgroup);
			machine->pid = monitor_spawn(parts, paths, socket_fd, mask, plan, &machine->cgroup);
		}
	} while (machine->pid == -EPERM && jail_plan_lower(plan));
	if (machine->pid == -EPERM && plan->namespaces)
		return err_set(err, EACCES,
			"this host does not let us make the namespaces of the jail; --degraded runs "
			"without " DOCTOR);
	if (machine->pid == -ENOENT)
		return err_set(err, EIO,
			"the machine monitor is missing: there is no %s/" VMM_FILE "; reinstall mvrun",
			paths->libexec);
	if (machine->pid < 0)
		return err_sys(err, machine->pid, "start the machine monitor %s/" VMM_FILE, paths->libexec);
	return 0;
}

void machine_limit(struct machine *machine, const struct machine_config *config, const char *id)
{
	const struct cgroup_limits limits = {
		.memory_bytes = config->memory_bytes + config->memory_bytes / OVERHEAD_SHARE + OVERHEAD_BYTES,
		.pids = VMM_THREADS_MAX(config->vcpus),
		.cpus = config->vcpus + 1,
	};

	/* A hierarchy that we may not use is a part of the jail that is missing; none at all is not. */
	machine->has_cgroups = cgroup_make(&machine->cgroup, id, &limits) != -ENOTSUP;
}

int machine_start(struct machine *machine, const struct machine_parts *parts,
	const struct machine_config *config, const struct paths *paths, const uint32_t *ports,
	const int *port_fds, size_t n_ports, const sigset_t *mask, struct err *err)
{
	auto_fd ours = -1;
	auto_fd theirs = -1;
	struct jail_plan plan;
	struct order order;
	int pair[2], ret;

	ret = order_make(&order, parts, config, ports, port_fds, n_ports, err);
	if (ret)
		return ret;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, errno, "create the machine monitor's socket");
	ours = pair[0];
	theirs = pair[1];
	jail_plan_make(&plan, config->degraded);
	machine->jail_best = plan.jail.wanted;
	ret = monitor_start(machine, parts, paths, theirs, mask, &plan, err);
	if (ret)
		return ret;
	/* Either way of having namespaces is a whole jail. */
	if (plan.namespaces)
		machine->jail_best = plan.jail.wanted;
	machine->control_fd = fd_steal(&ours);
	order.config.jail = plan.jail;
	if (machine->cgroup.fd >= 0)
		order.config.jail.wanted |= JAIL_CGROUP;
	ret = io_send_fds(machine->control_fd, &order.config, sizeof(order.config), order.fds, order.n_fds);
	/* If it is dead already, how it died says more. */
	return ret && ret != -EPIPE ? err_sys(err, ret, "hand the machine's description to its monitor") : 0;
}

/* The monitor says what its jail is made of. What is missing was allowed to be, but not to go unnoticed. */
static void jailed_note(struct machine *machine, const struct vmm_jailed *jailed)
{
	char missing[128];

	machine->jailed = true;
	machine->jail_reached = jailed->reached;
	jail_parts_text(machine->jail_best & ~jailed->reached, missing, sizeof(missing));
	/* Most logins have no cgroup to give: `inspect` says so, and nobody is asked to allow it. */
	if (machine->has_cgroups)
		machine->jail_best |= JAIL_CGROUP;
	if (missing[0])
		log_warn("--degraded: this host's jail for the machine monitor lacks: %s", missing);
}

bool machine_receive(struct machine *machine)
{
	union {
		struct vmm_jailed jailed;
		struct vmm_exit exit;
	} message;
	struct vmm_exit last;
	size_t n_fds = 0;
	ssize_t n;

	if (machine->control_fd < 0)
		return true;
	n = io_recv_fds(machine->control_fd, &message, sizeof(message), NULL, 0, &n_fds);
	if (n == (ssize_t)sizeof(message.jailed) && !machine->jailed) {
		jailed_note(machine, &message.jailed);
		return false;
	}
	last = message.exit;
	if (n == (ssize_t)sizeof(last)) {
		last.detail[sizeof(last.detail) - 1] = '\0';
		last.console[sizeof(last.console) - 1] = '\0';
		machine->exit = last;
		machine->reported = true;
	}
	fd_release(&machine->control_fd);
	return true;
}

void machine_stop(struct machine *machine)
{
	struct vmm_request request = {.type = VMM_STOP};

	/* If it is gone already, so much the better. */
	if (machine->control_fd >= 0)
		(void)send(machine->control_fd, &request, sizeof(request), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Its last words come before its end, and the socket ends with the process: one wait serves both. */
static void await_last_words(struct machine *machine, int patience_ms)
{
	uint64_t deadline_ms = clock_now_ms() + (uint64_t)patience_ms;

	while (machine->control_fd >= 0) {
		struct pollfd poll_fd = {.fd = machine->control_fd, .events = POLLIN};
		uint64_t now_ms = clock_now_ms();
		int n = poll(&poll_fd, 1, now_ms < deadline_ms ? (int)(deadline_ms - now_ms) : 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		machine_receive(machine);
	}
}

void machine_reap(struct machine *machine, int patience_ms)
{
	if (machine->pid < 0 || machine->reaped) {
		cgroup_remove(&machine->cgroup);
		return;
	}
	await_last_words(machine, patience_ms);
	machine->hung = machine->control_fd >= 0;
	/* It has spoken or was given up: what is left of it may go without ceremony. */
	kill(machine->pid, SIGKILL);
	while (waitpid(machine->pid, &machine->wait_status, 0) < 0 && errno == EINTR)
		;
	machine->reaped = true;
	fd_release(&machine->control_fd);
	cgroup_remove(&machine->cgroup);
}

/* The last line the guest wrote to its console, as far as it can be printed. */
static void console_tail(const struct vmm_exit *exit, char *out, size_t cap)
{
	const char *end = exit->console + strlen(exit->console), *begin;

	while (end > exit->console && (unsigned char)end[-1] <= ' ')
		end--;
	begin = end;
	while (begin > exit->console && begin[-1] != '\n' && begin[-1] != '\r')
		begin--;
	snprintf(out, cap, "%.*s", (int)(end - begin), begin);
	for (; *out; out++) {
		if ((unsigned char)*out < 0x20 || (unsigned char)*out > 0x7e)
			*out = '?';
	}
}

static int verdict_set(struct err *err, const char *what, const char *detail)
{
	if (detail[0])
		err_set(err, EIO, "%s: %s", what, detail);
	else
		err_set(err, EIO, "%s", what);
	return EXIT_OURS;
}

int machine_verdict(const struct machine *machine, struct err *err)
{
	const struct vmm_exit *exit = &machine->exit;
	char tail[256];

	if (machine->hung)
		return verdict_set(err, "the machine monitor did not answer and was killed", "");
	if (!machine->reported && WIFSIGNALED(machine->wait_status) &&
		WTERMSIG(machine->wait_status) == SIGSYS)
		return verdict_set(
			err, "the machine monitor tried what its jail forbids, and was killed", "");
	if (!machine->reported && WIFSIGNALED(machine->wait_status)) {
		err_set(err, EIO, "the machine monitor was killed by signal %d%s",
			WTERMSIG(machine->wait_status),
			WTERMSIG(machine->wait_status) == SIGKILL ? "; was the host out of memory?" : "");
		return 128 + WTERMSIG(machine->wait_status);
	}
	if (!machine->reported)
		return verdict_set(err, "the machine monitor ended without a word", "");
	console_tail(exit, tail, sizeof(tail));
	switch ((enum vmm_exit_reason)exit->reason) {
	case VMM_EXIT_GUEST_SHUTDOWN:
		return verdict_set(err, "the guest powered off before the container had ended", tail);
	case VMM_EXIT_RESET:
		return verdict_set(err, "the guest reset itself", tail);
	case VMM_EXIT_PANIC:
		return verdict_set(err, "the guest kernel panicked", exit->detail[0] ? exit->detail : tail);
	case VMM_EXIT_TRIPLE_FAULT:
		return verdict_set(err, "the guest crashed (triple fault)", tail);
	case VMM_EXIT_BAD_CONFIG:
		return verdict_set(err, "the machine cannot be built", exit->detail);
	case VMM_EXIT_INTERNAL:
		return verdict_set(err, "the machine failed", exit->detail);
	case VMM_EXIT_STOPPED:
		break;
	}
	return verdict_set(err, "the machine was stopped", exit->detail);
}
