// SPDX-License-Identifier: Apache-2.0
/*
 * guest-init: PID 1 of a virtual machine that runs one container.
 *
 * Theory of operation
 *
 * The kernel starts this program from an initramfs that holds nothing else. It is the guest's half of mvrun:
 * it knows how to make a container and nothing about images, registries or the user. What to do comes over
 * one vsock connection to the host (proto/frame.h), as a spec that leaves no decision open (proto/spec.h); how
 * it went goes back the same way. The host side never believes what comes from here, so nothing in the guest is a
 * line of defence for the host. Guest-init in turn defends itself against the container, and the container's
 * user against the container's image, whose every file and link may be hostile.
 *
 *	boot.c        the initramfs is emptied, devtmpfs mounted
 *	control.c     the connection to the host: frames in and out
 *	life.c        states and events of the container, as a table
 *	container.c   the outside of the container: control group (cgroup.c, device_rules.c), network.c,
 *	              streams (relay.c), first process, its end
 *	process.c     the inside, step by step, in the new process: root and mounts (root.c, path.c,
 *	              devices.c, etc.c), user.c, terminal.c, caps.c, seccomp.c, exec.c; with --init,
 *	              reaper.c
 *	power.c       the end of the machine
 *
 * There is one thread and one event loop, in which nothing blocks but three things that cannot last: the
 * first connect, the wait between clone3 and exec, and a control frame for which the connection has no room.
 *
 * The container's process is made with clone3 straight into its namespaces (pid, mount, uts, ipc, cgroup) and
 * its control group; it does the rest itself and reports over a socket pair until exec closes it. So every
 * failure has a text that names its step, and arrives at the host as START_FAILED. The network namespace is
 * the guest's own: there is no second container to keep apart.
 *
 * What the container can reach of us: nothing. Its root lies on an empty initramfs; its mount namespace has
 * lost ours; no descriptor survives exec; its pid namespace does not contain us; devices other than the
 * harmless ones are closed to its control group; every vsock port that the host accepts is taken before it
 * starts.
 *
 * When its first process ends, the kernel ends all others of its pid namespace. What they have written is
 * still in pipes and goes out first; each stream's connection is shut down behind its last byte; then comes
 * EXITED. Vsock delivers packets of a guest in the order of their sending, also across connections, so the
 * host's device has all output before it has EXITED; a host that reads both streams to their ends loses
 * nothing. Then guest-init waits for POWER_OFF, or for the end of the connection.
 *
 * PID 1 must not exit: the kernel would panic. Every way through this file ends in power_off().
 */
#include "base/buf.h"
#include "base/loop.h"
#include "guest-init/boot.h"
#include "guest-init/container.h"
#include "guest-init/control.h"
#include "guest-init/life.h"
#include "guest-init/power.h"
#include "guest-init/sys.h"
#include "guest-init/vsock.h"
#include "proto/frame.h"
#include "proto/spec.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

/* What a frame carried, decoded. */
struct request {
	struct proto_signal signal;
	struct proto_resize resize;
	const uint8_t *payload;
	size_t len;
};

struct guest {
	struct loop loop;
	struct control control;
	struct container container;
	enum life_state life;
	struct buf spec; /* as encoded; container.spec points into it */
	struct request request; /* for the events that are frames */
	struct failure failure;
};

static void guest_event(struct guest *guest, enum life_event event);

static int hello_send(struct control *control, uint64_t init_ns)
{
	struct proto_hello hello = {.version = PROTO_VERSION, .init_ns = init_ns};
	uint8_t payload[PROTO_HELLO_BYTES];
	struct utsname name;
	struct sysinfo info;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	if (!sched_getaffinity(0, sizeof(cpus), &cpus))
		hello.cpus = (uint32_t)CPU_COUNT(&cpus);
	if (!sysinfo(&info))
		hello.memory_bytes = (uint64_t)info.totalram * info.mem_unit;
	if (!uname(&name))
		text_join(hello.kernel, sizeof(hello.kernel), (const char *const[]){name.release, NULL});
	hello.connect_ns = sys_uptime_ns();
	proto_hello_encode(&hello, payload);
	return control_send(control, PROTO_HELLO, payload, sizeof(payload));
}

/* A spec that is too large or makes no sense is the host's fault, but the host is told all the same. */
static int spec_complete(struct guest *guest)
{
	int ret = buf_error(&guest->spec);

	if (!ret)
		ret = spec_decode(guest->spec.data, guest->spec.len, &guest->container.spec);
	return ret ? setup_failed(&guest->failure, -ret, "read the container's specification") : 0;
}

static void guest_start(struct guest *guest)
{
	uint8_t payload[PROTO_STARTED_BYTES];
	struct proto_started started;
	int ret = spec_complete(guest);

	if (!ret)
		ret = container_start(&guest->container, &started.uptime_ns, &guest->failure);
	if (ret) {
		guest_event(guest, LIFE_ON_FAILED);
		return;
	}
	proto_started_encode(&started, payload);
	control_send(&guest->control, PROTO_STARTED, payload, sizeof(payload));
}

static void failure_tell(struct guest *guest)
{
	struct proto_start_failed failed = {
		.exit_status = guest->failure.exit_status,
		.error = (uint32_t)guest->failure.error,
	};
	uint8_t payload[PROTO_START_FAILED_BYTES];

	memcpy(failed.text, guest->failure.text, sizeof(failed.text));
	proto_start_failed_encode(&failed, payload);
	control_send(&guest->control, PROTO_START_FAILED, payload, sizeof(payload));
}

static void exit_report(struct guest *guest)
{
	uint8_t payload[PROTO_EXITED_BYTES];

	proto_exited_encode(&guest->container.exited, payload);
	control_send(&guest->control, PROTO_EXITED, payload, sizeof(payload));
}

static void guest_event(struct guest *guest, enum life_event event)
{
	const struct request *request = &guest->request;

	switch (life_step(&guest->life, event)) {
	case LIFE_IGNORE:
		break;
	case LIFE_COLLECT:
		buf_append(&guest->spec, request->payload, request->len);
		break;
	case LIFE_START:
		guest_start(guest);
		break;
	case LIFE_DELIVER:
		container_signal(&guest->container, request->signal.number);
		break;
	case LIFE_RESIZE:
		container_resize(&guest->container, request->resize.rows, request->resize.columns);
		break;
	case LIFE_DRAIN:
		container_drain(&guest->container);
		break;
	case LIFE_REPORT:
		exit_report(guest);
		break;
	case LIFE_TELL:
		failure_tell(guest);
		break;
	case LIFE_OFF:
		power_off();
	}
}

/* Which event a frame is. */
static enum life_event frame_event(const struct proto_header *header, struct request *request)
{
	if (header->id)
		return LIFE_ON_GARBAGE;
	switch (header->type) {
	case PROTO_SPEC:
		return LIFE_ON_SPEC;
	case PROTO_START:
		return header->len ? LIFE_ON_GARBAGE : LIFE_ON_START;
	case PROTO_SIGNAL:
		return proto_signal_decode(request->payload, request->len, &request->signal) ? LIFE_ON_GARBAGE
											     : LIFE_ON_SIGNAL;
	case PROTO_RESIZE:
		return proto_resize_decode(request->payload, request->len, &request->resize) ? LIFE_ON_GARBAGE
											     : LIFE_ON_RESIZE;
	case PROTO_POWER_OFF:
		return header->len ? LIFE_ON_GARBAGE : LIFE_ON_POWER_OFF;
	default:
		return LIFE_ON_GARBAGE;
	}
}

static void on_frame(struct control *control, const struct proto_header *header, const uint8_t *payload)
{
	struct guest *guest = control->ctx;

	if (!payload) {
		guest_event(guest, LIFE_ON_CLOSED);
		return;
	}
	guest->request = (struct request){.payload = payload, .len = header->len};
	guest_event(guest, frame_event(header, &guest->request));
}

static void on_ended(struct container *container)
{
	guest_event(container->ctx, LIFE_ON_ENDED);
}

static void on_drained(struct container *container)
{
	guest_event(container->ctx, LIFE_ON_DRAINED);
}

/* Returns only when something failed, with what that was. */
static const char *guest_run(struct guest *guest, uint64_t init_ns)
{
	const char *failed = boot_prepare();
	int ret, fd;

	if (failed)
		return failed;
	ret = loop_init(&guest->loop);
	fd = ret ? ret : vsock_connect(PROTO_PORT_CONTROL, true);
	if (fd < 0) {
		errno = -fd;
		return "connect to the host";
	}
	buf_init(&guest->spec, PROTO_SPEC_MAX);
	container_init(&guest->container, &guest->loop, on_ended, on_drained, guest);
	ret = control_start(&guest->control, &guest->loop, fd, on_frame, guest);
	if (!ret)
		ret = hello_send(&guest->control, init_ns);
	if (!ret)
		ret = loop_run(&guest->loop);
	errno = -ret;
	return "serve the host";
}

int main(void)
{
	static struct guest guest;
	uint64_t init_ns = sys_uptime_ns();
	const char *failed;

	signal(SIGPIPE, SIG_IGN);
	failed = guest_run(&guest, init_ns);
	boot_complain(failed, errno);
	power_off();
}
