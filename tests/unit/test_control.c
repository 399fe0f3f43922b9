// SPDX-License-Identifier: Apache-2.0
/* The conversation with the starter after the configuration, with real devices on a real loop and no KVM. */
#include "vmm/control.h"

#include "base/io.h"
#include "tests/unit/cm.h"
#include "tests/unit/fake_driver.h"
#include "vmm/vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct bench {
	struct fake_driver vsock_side, console_side; /* one device each: they have one register page */
	struct vm *vm;
	int starter, control; /* the two ends of the control socket */
};

static struct bench bench_storage;

static int setup(void **state)
{
	struct bench *bench = &bench_storage;
	struct virtio_wiring wiring;
	struct err err = ERR_INIT;
	int sockets[2];

	*bench = (struct bench){.vm = calloc(1, sizeof(struct vm))};
	assert_non_null(bench->vm);
	fake_init(&bench->vsock_side);
	fake_init(&bench->console_side);
	assert_int_equal(loop_init(&bench->vm->loop), 0);
	pthread_mutex_init(&bench->vm->end.lock, NULL);
	bench->vm->end.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	wiring = fake_wiring(&bench->vsock_side);
	wiring.loop = &bench->vm->loop;
	assert_int_equal(virtio_vsock_init(&bench->vm->devices.vsock, &wiring, 3), 0);
	wiring = fake_wiring(&bench->console_side);
	wiring.loop = &bench->vm->loop;
	assert_int_equal(virtio_console_init(&bench->vm->devices.console, &wiring,
				 &(struct virtio_console_options){.out_fd = -1, .in_fd = -1}),
		0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	bench->starter = sockets[0];
	bench->control = sockets[1];
	assert_int_equal(control_init(bench->vm, bench->control, &err), 0);
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	virtio_console_done(&bench->vm->devices.console);
	virtio_vsock_done(&bench->vm->devices.vsock);
	loop_done(&bench->vm->loop);
	close(bench->vm->end.event_fd);
	close(bench->control);
	if (bench->starter >= 0)
		close(bench->starter);
	fake_done(&bench->vsock_side);
	fake_done(&bench->console_side);
	free(bench->vm);
	return 0;
}

/* Turn the loop until nothing happens: a machine that has ended makes it quit. */
static void settle(struct bench *bench)
{
	while (loop_turn(&bench->vm->loop, 0) > 0)
		;
}

static void ask(struct bench *bench, const void *message, size_t len, int fd)
{
	assert_int_equal(io_send_fds(bench->starter, message, len, &fd, fd >= 0), 0);
	settle(bench);
}

static void assert_ended(const struct bench *bench, uint32_t reason, const char *detail)
{
	assert_int_equal(bench->vm->end.reason, reason);
	assert_string_equal(bench->vm->end.detail, detail);
	assert_true(bench->vm->loop.quit);
}

static void test_stop(void **state)
{
	struct vmm_request request = {.type = VMM_STOP};

	ask(*state, &request, sizeof(request), -1);
	assert_ended(*state, VMM_EXIT_STOPPED, "");
}

static void test_a_starter_that_is_gone(void **state)
{
	struct bench *bench = *state;

	settle(bench);
	assert_false(vm_has_ended(bench->vm));
	close(bench->starter);
	bench->starter = -1;
	settle(bench);
	assert_ended(bench, VMM_EXIT_STOPPED, "");
}

static void test_what_is_no_request_ends_the_machine(void **state)
{
	struct vmm_request request = {.type = 77};

	ask(*state, &request, sizeof(request), -1);
	assert_ended(*state, VMM_EXIT_STOPPED, "the starter sent a request that is not understood");
}

static void test_half_a_request(void **state)
{
	struct vmm_request request = {.type = VMM_STOP};

	ask(*state, &request, sizeof(request) - 1, -1);
	assert_ended(*state, VMM_EXIT_STOPPED, "the starter sent a request that is not understood");
}

/* Whether the other end of a socket was closed. */
static bool hung_up(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void test_ports_are_added_once(void **state)
{
	struct vmm_request request = {.type = VMM_ADD_PORT, .port = 1030};
	int first[2], second[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, first), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, second), 0);
	ask(*state, &request, sizeof(request), first[0]);
	ask(*state, &request, sizeof(request), second[0]);
	close(first[0]);
	close(second[0]);
	assert_false(vm_has_ended(((struct bench *)*state)->vm));
	assert_false(hung_up(first[1]));
	assert_true(hung_up(second[1]));
	close(first[1]);
	close(second[1]);
}

static void test_a_port_needs_its_descriptor(void **state)
{
	struct vmm_request add = {.type = VMM_ADD_PORT, .port = 1030};

	ask(*state, &add, sizeof(add), -1);
	assert_ended(*state, VMM_EXIT_STOPPED, "the starter sent a request that is not understood");
}

/* A descriptor nobody asked for does not stay open. */
static void test_descriptors_with_other_requests_are_closed(void **state)
{
	struct vmm_request request = {.type = VMM_STOP};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ask(*state, &request, sizeof(request), pair[0]);
	close(pair[0]);
	assert_true(hung_up(pair[1]));
	close(pair[1]);
}

static struct vmm_exit report(struct bench *bench)
{
	struct vmm_exit last;
	size_t n_fds;

	control_report(bench->vm, bench->control);
	assert_int_equal(io_recv_fds(bench->starter, &last, sizeof(last), NULL, 0, &n_fds), sizeof(last));
	return last;
}

/* What the guest wrote before the end, and had not been looked at, is in the report. */
static void guest_writes(struct bench *bench, const char *text)
{
	struct fake_driver *fake = &bench->console_side;
	uint64_t gpa;

	fake_up(fake, &bench->vm->devices.console.dev, 2, 16);
	gpa = fake_alloc(fake, strlen(text));
	memcpy(fake_host(fake, gpa), text, strlen(text));
	fake_add(fake, 1, &(struct fake_buffer){gpa, (uint32_t)strlen(text), false}, 1);
	fake_set(fake, VIRTIO_MMIO_QUEUE_NOTIFY, 1);
}

static void test_the_report_has_the_last_line(void **state)
{
	struct bench *bench = *state;
	struct vmm_exit last;

	bench->vm->stamps_us[VMM_AT_LOADED] = 7;
	guest_writes(bench, "the last line\n");
	vm_end(bench->vm, VMM_EXIT_TRIPLE_FAULT, "vCPU %d", 3);
	vm_end(bench->vm, VMM_EXIT_INTERNAL, "too late to count");
	last = report(bench);
	assert_int_equal(last.reason, VMM_EXIT_TRIPLE_FAULT);
	assert_string_equal(last.detail, "vCPU 3");
	assert_string_equal(last.console, "the last line\n");
	assert_int_equal(last.stamps_us[VMM_AT_LOADED], 7);
}

static void test_a_reset_behind_a_panic_is_a_panic(void **state)
{
	struct bench *bench = *state;

	guest_writes(bench, "Kernel panic - not syncing: boom");
	vm_end(bench->vm, VMM_EXIT_RESET, NULL);
	assert_int_equal(report(bench).reason, VMM_EXIT_PANIC);
}

static void test_a_shutdown_behind_a_panic_is_a_shutdown(void **state)
{
	struct bench *bench = *state;

	guest_writes(bench, "Kernel panic - not syncing: boom");
	vm_end(bench->vm, VMM_EXIT_GUEST_SHUTDOWN, NULL);
	assert_int_equal(report(bench).reason, VMM_EXIT_GUEST_SHUTDOWN);
}

static void test_a_machine_that_never_was(void **state)
{
	struct bench *bench = *state;
	struct vmm_exit last;
	struct err err = ERR_INIT;
	size_t n_fds;

	err_set(&err, EINVAL, "0 CPUs asked for");
	control_refuse(bench->control, VMM_EXIT_BAD_CONFIG, &err);
	assert_int_equal(io_recv_fds(bench->starter, &last, sizeof(last), NULL, 0, &n_fds), sizeof(last));
	assert_int_equal(last.reason, VMM_EXIT_BAD_CONFIG);
	assert_string_equal(last.detail, "0 CPUs asked for");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_starter_that_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_request_ends_the_machine, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_a_request, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ports_are_added_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_port_needs_its_descriptor, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_descriptors_with_other_requests_are_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_report_has_the_last_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_reset_behind_a_panic_is_a_panic, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_shutdown_behind_a_panic_is_a_shutdown, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_machine_that_never_was, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
