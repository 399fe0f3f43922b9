// SPDX-License-Identifier: Apache-2.0
/*
 * mvrun-vmm: one virtual machine, started by mvrun with a socket and nothing else. vm.h tells the story.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "jail/confine.h"
#include "vmm/arch.h"
#include "vmm/calls.h"
#include "vmm/config.h"
#include "vmm/control.h"
#include "vmm/jail.h"
#include "vmm/vm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 * What the terminal sends to everyone in the foreground is the starter's to act on. A file that may not grow is an error of
 * the write, not the end of us: only as the first process of a pid namespace would the signal mean nothing anyway.
 */
static void signals_block(void)
{
	static const int blocked[] = {SIGINT, SIGQUIT, SIGHUP, SIGTSTP, SIGPIPE, SIGUSR1, SIGUSR2, SIGXFSZ};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(blocked) / sizeof(blocked[0]); i++)
		sigaddset(&set, blocked[i]);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int vm_prepare(struct vm *vm, struct err *err)
{
	int ret = loop_init(&vm->loop);

	pthread_mutex_init(&vm->ring_lock, NULL);
	pthread_mutex_init(&vm->end.lock, NULL);
	vm->end.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ret || vm->end.event_fd < 0)
		return err_sys(err, ret ? ret : errno, "make the event loop");
	bus_init(&vm->mmio, 0);
	bus_init(&vm->pio, UINT64_MAX);
	return control_init(vm, VMM_CONTROL_FD, err);
}

/* The writes that KVM holds back are in a page that every vCPU's mapping shows. */
static void ring_find(struct vm *vm)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);

	if (!vm->kvm.coalesced_offset)
		return;
	vm->ring_entries = (unsigned)((page_bytes - sizeof(struct kvm_coalesced_mmio_ring)) /
				      sizeof(struct kvm_coalesced_mmio));
	vm->ring = (void *)((uint8_t *)vm->vcpus[0].run + vm->kvm.coalesced_offset);
}

static int vm_build(struct vm *vm, struct err *err)
{
	struct ram_part parts[RAM_PARTS_MAX];
	unsigned n_parts = arch_ram_parts(vm->config.vm.ram_bytes, parts);
	int ret = kvm_open(&vm->kvm, vm->config.kvm_fd, vm->config.vm.flags & VMM_PLAIN, err);

	if (!ret)
		ret = arch_init(vm, err);
	vm->stamps_us[VMM_AT_VM_CREATED] = clock_now_us();
	if (!ret)
		ret = vcpu_start_all(vm, err);
	if (!ret)
		ret = ram_init(&vm->mem, &vm->kvm, parts, n_parts, err);
	if (!ret)
		ret = devices_init(vm, err);
	if (!ret)
		ret = arch_load(vm, err);
	if (!ret)
		ret = vcpu_wait_all(vm, err);
	if (ret)
		return ret;
	ring_find(vm);
	vm->stamps_us[VMM_AT_LOADED] = clock_now_us();
	return 0;
}

/* Be confined, and say so: from here on hostile bytes may be read. */
static int vm_confine(struct vm *vm, struct err *err)
{
	struct vmm_jailed jailed;
	int ret = jail_enter(&vm->config.vm, config_fds_wanted(&vm->config.vm), &jailed.reached, err);

	if (!ret && io_send_fds(VMM_CONTROL_FD, &jailed, sizeof(jailed), NULL, 0))
		return err_set(err, EPIPE, "the starter is gone");
	return ret;
}

/* What the machine was made from is not needed to run it. */
static void parts_close(struct vm *vm)
{
	fd_release(&vm->config.kvm_fd);
	fd_release(&vm->config.kernel_fd);
	fd_release(&vm->config.initramfs_fd);
	vm->kvm.sys_fd = -1;
}

/* Leave at once: the kernel stops the vCPUs and takes everything back. */
static _Noreturn void refuse(const struct err *err)
{
	enum vmm_exit_reason reason = err->code == ENOEXEC || err->code == EINVAL || err->code == EPROTO
					      ? VMM_EXIT_BAD_CONFIG
					      : VMM_EXIT_INTERNAL;

	control_refuse(VMM_CONTROL_FD, reason, err);
	_exit(EXIT_FAILURE);
}

int main(void)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	struct err err = ERR_INIT;
	int ret;

	log_init("mvrun-vmm", LOG_WARN);
	if (!vm) {
		log_error("out of memory");
		return EXIT_FAILURE;
	}
	vm->stamps_us[VMM_AT_MAIN] = clock_now_us();
	signals_block();
	ret = confine_descriptors(VMM_CONTROL_FD + 1);
	if (ret)
		err_sys(&err, ret, "close what mvrun was started with");
	else
		ret = config_receive(VMM_CONTROL_FD, &vm->config, &err);
	if (ret == -EBADF || ret == -ENOTSOCK) {
		log_error("this program is started by mvrun, not by hand");
		return EXIT_FAILURE;
	}
	if (!ret)
		ret = vm_confine(vm, &err);
	if (!ret)
		ret = vm_prepare(vm, &err);
	if (!ret)
		ret = vm_build(vm, &err);
	parts_close(vm);
	if (!ret)
		ret = jail_narrow(CALLS_LOOP, &err);
	if (ret)
		refuse(&err);
	vcpu_release_all(vm);
	ret = loop_run(&vm->loop);
	if (ret)
		vm_end(vm, VMM_EXIT_INTERNAL, "the event loop failed");
	control_report(vm, VMM_CONTROL_FD);
	_exit(vm->end.reason == VMM_EXIT_INTERNAL ? EXIT_FAILURE : EXIT_SUCCESS);
}
