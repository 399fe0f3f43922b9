// SPDX-License-Identifier: Apache-2.0
#include "vmm/control.h"

#include "base/io.h"
#include "vmm/vm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Turns in which the devices take what the guest handed over before it ended. */
#define LAST_TURNS 64

/* One descriptor came for a port. What cannot be allowed is closed, which the other end sees as the end. */
static void port_add(struct vm *vm, uint32_t port, int fd)
{
	if (virtio_vsock_allow(&vm->devices.vsock, port, fd))
		close(fd);
}

static void control_ready(struct loop_source *source, uint32_t events)
{
	struct vm *vm = source->ctx;
	struct vmm_request request;
	size_t n_fds = 0;
	int fd = -1;
	ssize_t len = io_recv_fds(source->fd, &request, sizeof(request), &fd, 1, &n_fds);

	(void)events;
	if (len == sizeof(request) && request.type == VMM_ADD_PORT && n_fds == 1) {
		port_add(vm, request.port, fd);
		return;
	}
	if (n_fds)
		close(fd);
	/* Asked to stop, gone, or saying what nobody should: the guest must not outlive who watches it. */
	loop_del(&vm->loop, source);
	if (len == 0 || len == -ECONNRESET || (len == sizeof(request) && request.type == VMM_STOP))
		vm_end(vm, VMM_EXIT_STOPPED, NULL);
	else
		vm_end(vm, VMM_EXIT_STOPPED, "the starter sent a request that is not understood");
}

static void vm_ended(struct loop_source *source, uint32_t events)
{
	struct vm *vm = source->ctx;

	(void)events;
	loop_del(&vm->loop, source);
	loop_quit(&vm->loop);
}

int control_init(struct vm *vm, int control_fd, struct err *err)
{
	int ret = loop_add(&vm->loop, &vm->control, control_fd, EPOLLIN, control_ready, vm);

	if (!ret)
		ret = loop_add(&vm->loop, &vm->ended, vm->end.event_fd, EPOLLIN, vm_ended, vm);
	return ret ? err_sys(err, ret, "watch the control socket") : 0;
}

static uint32_t reason_final(struct vm *vm)
{
	uint32_t reason = vm->end.reason;

	/* A kernel that panics resets the machine (reboot=k panic=-1), or faults when it cannot even do that. */
	if ((reason == VMM_EXIT_RESET || reason == VMM_EXIT_TRIPLE_FAULT) &&
		virtio_console_panicked(&vm->devices.console))
		return VMM_EXIT_PANIC;
	return reason;
}

void control_report(struct vm *vm, int control_fd)
{
	struct vmm_exit message = {.exits_to_user = vcpu_exits_to_user(vm)};
	size_t tail;

	loop_del(&vm->loop, &vm->control);
	for (int i = 0; i < LAST_TURNS && loop_turn(&vm->loop, 0) > 0; i++)
		;
	vm->stamps_us[VMM_AT_FIRST_CONNECT] = vm->devices.vsock.first_connect_us;
	memcpy(message.stamps_us, vm->stamps_us, sizeof(message.stamps_us));
	message.reason = reason_final(vm);
	memcpy(message.detail, vm->end.detail, sizeof(message.detail));
	tail = virtio_console_tail(&vm->devices.console, message.console, sizeof(message.console) - 1);
	message.console[tail] = '\0';
	(void)io_send_fds(control_fd, &message, sizeof(message), NULL, 0);
}

void control_refuse(int control_fd, enum vmm_exit_reason reason, const struct err *err)
{
	struct vmm_exit message = {.reason = reason};

	snprintf(message.detail, sizeof(message.detail), "%.*s", (int)sizeof(message.detail) - 1, err->text);
	(void)io_send_fds(control_fd, &message, sizeof(message), NULL, 0);
}
