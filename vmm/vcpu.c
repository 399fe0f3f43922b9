// SPDX-License-Identifier: Apache-2.0
#include "vmm/vcpu.h"

#include "base/clock.h"
#include "vmm/arch.h"
#include "vmm/calls.h"
#include "vmm/jail.h"
#include "vmm/vm.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* A vCPU's thread calls nothing deep and allocates nothing. */
#define STACK_BYTES (64u << 10)

static int vcpu_create(struct vcpu *vcpu)
{
	const struct kvm *kvm = &vcpu->vm->kvm;
	struct err *err = &vcpu->err;

	vcpu->fd = ioctl(kvm->vm_fd, KVM_CREATE_VCPU, (unsigned long)vcpu->index);
	if (vcpu->fd < 0)
		return err_sys(err, errno, "KVM refuses CPU %u (see mvrun doctor)", vcpu->index);
	vcpu->run = mmap(NULL, kvm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		return err_sys(err, errno, "map the state of CPU %u", vcpu->index);
	return arch_vcpu_prepare(vcpu, err);
}

/* Say that this vCPU is prepared and wait for the others and for the guest's memory. */
static void gate_pass(struct vcpu_gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->n_ready++;
	pthread_cond_broadcast(&gate->changed);
	while (!gate->open)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

/* The main thread ends the process any moment now; a thread that ended before it would need more system calls. */
static _Noreturn void gate_wait_forever(struct vcpu_gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	for (;;)
		pthread_cond_wait(&gate->changed, &gate->lock);
}

static void exit_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	unsigned len = run->mmio.len <= sizeof(run->mmio.data) ? run->mmio.len : 0;

	if (run->mmio.is_write)
		bus_write(&vcpu->vm->mmio, run->mmio.phys_addr, run->mmio.data, len);
	else
		bus_read(&vcpu->vm->mmio, run->mmio.phys_addr, run->mmio.data, len);
}

static void exit_system_event(struct vcpu *vcpu)
{
	uint32_t type = vcpu->run->system_event.type;

	if (type == KVM_SYSTEM_EVENT_SHUTDOWN)
		vm_end(vcpu->vm, VMM_EXIT_GUEST_SHUTDOWN, NULL);
	else if (type == KVM_SYSTEM_EVENT_RESET)
		vm_end(vcpu->vm, VMM_EXIT_RESET, NULL);
	else if (type == KVM_SYSTEM_EVENT_CRASH)
		vm_end(vcpu->vm, VMM_EXIT_PANIC, NULL);
	else
		vm_end(vcpu->vm, VMM_EXIT_INTERNAL, "unknown KVM system event %" PRIu32, type);
}

/* The processor cannot go on, and KVM says why in its own terms. */
static void exit_failure(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	uint64_t position = arch_vcpu_position(vcpu);

	if (run->exit_reason == KVM_EXIT_FAIL_ENTRY)
		vm_end(vcpu->vm, VMM_EXIT_INTERNAL,
			"CPU %u cannot enter the guest: hardware reason 0x%" PRIx64 " at 0x%" PRIx64
			" (see mvrun doctor)",
			vcpu->index, (uint64_t)run->fail_entry.hardware_entry_failure_reason, position);
	else if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		vm_end(vcpu->vm, VMM_EXIT_INTERNAL,
			"KVM gave up on CPU %u: internal error %" PRIu32 " at 0x%" PRIx64
			" (see mvrun doctor)",
			vcpu->index, run->internal.suberror, position);
	else
		vm_end(vcpu->vm, VMM_EXIT_INTERNAL,
			"CPU %u stopped for KVM exit reason %" PRIu32 " at 0x%" PRIx64, vcpu->index,
			run->exit_reason, position);
}

static void exit_serve(struct vcpu *vcpu)
{
	/* What was written before this exit is delivered before it. */
	vm_flush_writes(vcpu->vm);
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_MMIO:
		exit_mmio(vcpu);
		break;
	case KVM_EXIT_SHUTDOWN:
		vm_end(vcpu->vm, VMM_EXIT_TRIPLE_FAULT, NULL);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		exit_system_event(vcpu);
		break;
	case KVM_EXIT_INTR:
		break;
	default:
		if (!arch_vcpu_exit(vcpu))
			exit_failure(vcpu);
		break;
	}
}

static void vcpu_run(struct vcpu *vcpu)
{
	while (!vm_has_ended(vcpu->vm)) {
		int ret = ioctl(vcpu->fd, KVM_RUN, 0);

		atomic_fetch_add_explicit(&vcpu->exits_to_user, 1, memory_order_relaxed);
		if (ret == 0)
			exit_serve(vcpu);
		else if (errno != EINTR && errno != EAGAIN)
			vm_end(vcpu->vm, VMM_EXIT_INTERNAL, "CPU %u cannot run: KVM answers %m at 0x%" PRIx64,
				vcpu->index, arch_vcpu_position(vcpu));
	}
}

static void *vcpu_main(void *ctx)
{
	struct vcpu *vcpu = ctx;
	struct vm *vm = vcpu->vm;

	vcpu->ready = vcpu_create(vcpu);
	gate_pass(&vm->gate);
	if (arch_vcpu_enter(vcpu, &vcpu->err)) {
		vm_end(vm, VMM_EXIT_INTERNAL, "%s", vcpu->err.text);
		gate_wait_forever(&vm->gate);
	}
	if (jail_narrow(CALLS_VCPU, &vcpu->err)) {
		vm_end(vm, VMM_EXIT_INTERNAL, "%s", vcpu->err.text);
		gate_wait_forever(&vm->gate);
	}
	if (!vcpu->index)
		vm->stamps_us[VMM_AT_FIRST_RUN] = clock_now_us();
	vcpu_run(vcpu);
	gate_wait_forever(&vm->gate);
}

int vcpu_start_all(struct vm *vm, struct err *err)
{
	pthread_attr_t attr;
	pthread_t thread;
	int ret = pthread_attr_init(&attr);

	pthread_mutex_init(&vm->gate.lock, NULL);
	pthread_cond_init(&vm->gate.changed, NULL);
	if (!ret)
		ret = pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (!ret)
		ret = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (unsigned i = 0; !ret && i < vm->config.vm.vcpus; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		vcpu->vm = vm;
		vcpu->index = i;
		ret = pthread_create(&thread, &attr, vcpu_main, vcpu);
	}
	if (ret)
		return err_sys(err, ret, "start the threads of %u CPUs", vm->config.vm.vcpus);
	return 0;
}

int vcpu_wait_all(struct vm *vm, struct err *err)
{
	struct vcpu_gate *gate = &vm->gate;

	pthread_mutex_lock(&gate->lock);
	while (gate->n_ready < vm->config.vm.vcpus)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
	for (unsigned i = 0; i < vm->config.vm.vcpus; i++) {
		if (vm->vcpus[i].ready) {
			*err = vm->vcpus[i].err;
			return vm->vcpus[i].ready;
		}
	}
	return 0;
}

void vcpu_release_all(struct vm *vm)
{
	pthread_mutex_lock(&vm->gate.lock);
	vm->gate.open = true;
	pthread_cond_broadcast(&vm->gate.changed);
	pthread_mutex_unlock(&vm->gate.lock);
}

uint64_t vcpu_exits_to_user(const struct vm *vm)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < vm->config.vm.vcpus; i++)
		sum += atomic_load_explicit(&vm->vcpus[i].exits_to_user, memory_order_relaxed);
	return sum;
}
