// SPDX-License-Identifier: Apache-2.0
#include "vmm/arch.h"

#include "base/io.h"
#include "vmm/vm.h"
#include "vmm/x86_64/boot.h"
#include "vmm/x86_64/cpuid.h"
#include "vmm/x86_64/elf.h"
#include "vmm/x86_64/ioapic.h"
#include "vmm/x86_64/layout.h"
#include "vmm/x86_64/mptable.h"
#include "vmm/x86_64/processor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct arch {
	struct ioapic ioapic;
	struct cpuid_table cpuid; /* what all processors have in common */
	struct processor_entry entry; /* where the first one begins; set by arch_load() */
};

/* ---- the end of the machine, as ports ---- */

#define PORT_POWER 0x604 /* QEMU's q35 has its ACPI PM1 control register here; guests know the address */
#define POWER_OFF 0x2000
#define PORT_KEYBOARD 0x64 /* i8042 command port: the classic reset line */
#define KEYBOARD_RESET 0xfe

static uint64_t port_read(void *ctx, uint64_t offset, unsigned len)
{
	(void)ctx, (void)offset, (void)len;
	return 0; /* the keyboard controller has nothing in its buffers */
}

static void power_write(void *ctx, uint64_t offset, unsigned len, uint64_t value)
{
	if (offset == 0 && len == 2 && value == POWER_OFF)
		vm_end(ctx, VMM_EXIT_GUEST_SHUTDOWN, NULL);
}

static void keyboard_write(void *ctx, uint64_t offset, unsigned len, uint64_t value)
{
	if (offset == 0 && len == 1 && value == KEYBOARD_RESET)
		vm_end(ctx, VMM_EXIT_RESET, NULL);
}

static const struct bus_ops power_ops = {port_read, power_write};
static const struct bus_ops keyboard_ops = {port_read, keyboard_write};

/* ---- the machine ---- */

static int irqchip_init(struct vm *vm, struct err *err)
{
	struct kvm *kvm = &vm->kvm;
	int ret;

	if (!kvm_cap(kvm, KVM_CAP_IRQFD) || !kvm_cap(kvm, KVM_CAP_IRQ_ROUTING))
		return err_set(err, ENODEV, "this KVM cannot raise interrupts by eventfd: see mvrun doctor");
	ret = kvm_call(kvm->vm_fd, KVM_SET_TSS_ADDR, (void *)(uintptr_t)LAYOUT_KVM_TSS_GPA);
	if (ret)
		return err_sys(err, ret, "KVM refuses its own three pages (see mvrun doctor)");
	/*
	 * No line is level-triggered, so KVM need not report the end of any interrupt: no routes are
	 * reserved.
	 */
	ret = kvm_enable(kvm, KVM_CAP_SPLIT_IRQCHIP, 0);
	if (ret)
		return err_sys(err, ret, "this KVM cannot provide local APICs alone (see mvrun doctor)");
	return 0;
}

static int cpuid_init(struct vm *vm, struct err *err)
{
	struct cpuid_table *table = &vm->arch->cpuid;
	struct cpuid_machine machine = {
		.cpus = vm->config.vm.vcpus,
		.has_tsc_deadline = kvm_cap(&vm->kvm, KVM_CAP_TSC_DEADLINE_TIMER),
	};
	int ret;

	table->nent = CPUID_ENTRIES_MAX;
	ret = kvm_call(vm->kvm.sys_fd, KVM_GET_SUPPORTED_CPUID, table);
	if (ret)
		return err_sys(err, ret, "KVM does not say what its processors can do (see mvrun doctor)");
	cpuid_trim(table, &machine);
	return 0;
}

int arch_init(struct vm *vm, struct err *err)
{
	int ret;

	vm->arch = calloc(1, sizeof(*vm->arch));
	if (!vm->arch)
		return err_sys(err, ENOMEM, "make the machine");
	ret = irqchip_init(vm, err);
	if (ret)
		return ret;
	/* Counters would show the guest what its neighbours do. Best effort: old KVMs follow CPUID. */
	if (kvm_cap(&vm->kvm, KVM_CAP_PMU_CAPABILITY) & KVM_PMU_CAP_DISABLE)
		(void)kvm_enable(&vm->kvm, KVM_CAP_PMU_CAPABILITY, KVM_PMU_CAP_DISABLE);
	ioapic_init(&vm->arch->ioapic, &vm->kvm, LAYOUT_IRQ_FIRST + DEVICES_FIXED + vm->config.vm.n_disks);
	bus_add(&vm->mmio, LAYOUT_IOAPIC_GPA, LAYOUT_IOAPIC_BYTES, &ioapic_ops, &vm->arch->ioapic);
	bus_add(&vm->pio, PORT_POWER, 2, &power_ops, vm);
	bus_add(&vm->pio, PORT_KEYBOARD, 1, &keyboard_ops, vm);
	/* The number of an entry may be late: an access to the entry exits and delivers it first. */
	if (vm->kvm.coalesced_offset && kvm_coalesce(&vm->kvm, LAYOUT_IOAPIC_GPA, sizeof(uint32_t)))
		return err_set(err, EIO, "KVM cannot hold writes back (see mvrun doctor)");
	return cpuid_init(vm, err);
}

unsigned arch_ram_parts(uint64_t ram_bytes, struct ram_part *parts)
{
	uint64_t low = ram_bytes < LAYOUT_HOLE_GPA ? ram_bytes : LAYOUT_HOLE_GPA;

	parts[0] = (struct ram_part){0, low};
	if (low == ram_bytes)
		return 1;
	parts[1] = (struct ram_part){LAYOUT_ABOVE_HOLE_GPA, ram_bytes - low};
	return 2;
}

uint64_t arch_virtio_gpa(void)
{
	return LAYOUT_VIRTIO_GPA;
}

int arch_irq_wire(struct vm *vm, unsigned slot, int irq_fd)
{
	return ioapic_wire(&vm->arch->ioapic, LAYOUT_IRQ_FIRST + slot, irq_fd);
}

/* ---- kernel and tables ---- */

static int bytes_load(const struct gmem *mem, int fd, uint64_t offset, uint64_t gpa, uint64_t bytes)
{
	void *host;

	if (!bytes)
		return 0;
	host = gmem_slice(mem, gpa_of(gpa), bytes);
	return host ? io_pread_exact(fd, host, bytes, offset) : -EFAULT;
}

static int files_load(
	struct vm *vm, const struct elf_image *image, const struct boot_plan *plan, struct err *err)
{
	int ret;

	for (unsigned i = 0; i < image->n_segments; i++) {
		const struct elf_segment *segment = &image->segments[i];

		ret = bytes_load(
			&vm->mem, vm->config.kernel_fd, segment->offset, segment->gpa, segment->file_bytes);
		if (ret)
			return err_sys(err, ret, "read the kernel");
	}
	ret = bytes_load(&vm->mem, vm->config.initramfs_fd, 0, plan->initramfs_gpa, plan->initramfs_bytes);
	return ret ? err_sys(err, ret, "read the initramfs") : 0;
}

/*
 * console: where the kernel's messages go. panic, reboot: a panic ends the machine at once, through the
 * keyboard port. tsc: kvm-clock is right and need not be watched. noreplace-smp: with one CPU the kernel would
 * patch every lock prefix away, which costs a twelfth of a boot and hardly ever pays in what follows. dummy: no
 * interface nobody asked for. The devices: size, address and interrupt, in the order of slots.
 */
static int cmdline_write(struct vm *vm, uint64_t gpa)
{
	char text[BOOT_CMDLINE_MAX] =
		"console=hvc0 quiet panic=-1 reboot=k tsc=reliable noreplace-smp dummy.numdummies=0";
	size_t len = strlen(text);

	for (unsigned i = 0; i < vm->devices.n_slots; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			" virtio_mmio.device=4K@0x%" PRIx64 ":%u", LAYOUT_VIRTIO_GPA + i * UINT64_C(0x1000),
			LAYOUT_IRQ_FIRST + i);
	_Static_assert(
		96 + DEVICES_MAX * 37 + VMM_CMDLINE_MAX < BOOT_CMDLINE_MAX + 1, "the command line fits");
	if (vm->config.vm.cmdline[0])
		len += (size_t)snprintf(text + len, sizeof(text) - len, " %s", vm->config.vm.cmdline);
	return gmem_write(&vm->mem, gpa_of(gpa), text, len + 1);
}

static int tables_write(struct vm *vm, const struct elf_image *image, const struct boot_plan *plan)
{
	uint8_t *mptable = gmem_slice(&vm->mem, gpa_of(LAYOUT_MPTABLE_GPA), MPTABLE_BYTES);
	int ret = boot_tables_write(&vm->mem, plan);

	if (!mptable)
		return -EFAULT;
	mptable_write(mptable, vm->config.vm.vcpus, vm->devices.n_slots);
	if (!ret)
		ret = cmdline_write(vm, plan->cmdline_gpa);
	if (!ret && image->entry_kind == ELF_ENTRY_PVH)
		ret = boot_pvh_write(&vm->mem, plan);
	else if (!ret)
		ret = boot_linux_write(&vm->mem, plan);
	return ret;
}

#define PAGE_STRUCT_SHARE 64 /* Linux keeps 64 bytes for every 4 KiB */
#define EARLY_TABLES_BYTES (UINT64_C(6) << 20)

/*
 * A booting Linux touches every page of the kernel, then memory below it, and from the top of RAM downwards
 * its page structures and first tables. With 4 KiB pages that is 4700 faults, and half of all instructions of
 * a boot. The rest of RAM is as the host has it.
 */
static void huge_pages_choose(struct vm *vm, const struct boot_plan *plan)
{
	const struct ram_part *last = &plan->ram[plan->n_ram - 1];
	uint64_t top_bytes = vm->config.vm.ram_bytes / PAGE_STRUCT_SHARE + EARLY_TABLES_BYTES;

	if (vm->config.vm.flags & VMM_DENSE) {
		ram_refuse_huge(&vm->mem);
		return;
	}
	ram_prefer_huge(&vm->mem, 0, plan->end_gpa);
	if (top_bytes < last->bytes)
		ram_prefer_huge(&vm->mem, last->base_gpa + last->bytes - top_bytes, top_bytes);
}

int arch_load(struct vm *vm, struct err *err)
{
	struct ram_part ram[RAM_PARTS_MAX];
	unsigned n_ram = arch_ram_parts(vm->config.vm.ram_bytes, ram);
	struct stat initramfs = {0};
	struct elf_image image;
	struct boot_plan plan;
	int ret;

	ret = elf_read(vm->config.kernel_fd, &image, err);
	if (ret)
		return err_wrap(err, "kernel");
	if (vm->config.initramfs_fd >= 0 &&
		(fstat(vm->config.initramfs_fd, &initramfs) < 0 || initramfs.st_size <= 0))
		return err_set(err, EINVAL, "the initramfs is empty or no file");
	ret = boot_plan(&image, (uint64_t)initramfs.st_size, ram, n_ram, &plan, err);
	if (ret)
		return err_wrap(err, "kernel");
	huge_pages_choose(vm, &plan);
	ret = files_load(vm, &image, &plan, err);
	if (ret)
		return ret;
	ret = tables_write(vm, &image, &plan);
	if (ret)
		return err_sys(err, ret, "write the kernel's parameters");
	vm->arch->entry = (struct processor_entry){
		.pvh = image.entry_kind == ELF_ENTRY_PVH,
		.rip = image.entry_gpa,
		.params_gpa = plan.params_gpa,
		.gdt_gpa = plan.gdt_gpa,
		.pml4_gpa = plan.pml4_gpa,
	};
	return 0;
}

/* ---- processors ---- */

int arch_vcpu_prepare(struct vcpu *vcpu, struct err *err)
{
	struct cpuid_table table = vcpu->vm->arch->cpuid;
	int tsc_khz = kvm_call(vcpu->fd, KVM_GET_TSC_KHZ, NULL);
	int ret;

	cpuid_personalise(&table, vcpu->index, tsc_khz > 0 ? (uint32_t)tsc_khz : 0);
	/* What CPUID does not offer of KVM's own features is not there either. Best effort: since Linux 5.10. */
	(void)kvm_call(vcpu->fd, KVM_ENABLE_CAP,
		&(struct kvm_enable_cap){.cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args = {1}});
	ret = kvm_call(vcpu->fd, KVM_SET_CPUID2, &table);
	if (ret)
		return err_sys(err, ret, "set the features of CPU %u", vcpu->index);
	ret = processor_prepare(vcpu->fd);
	if (ret)
		return err_sys(err, ret, "set the registers of CPU %u", vcpu->index);
	return 0;
}

int arch_vcpu_enter(struct vcpu *vcpu, struct err *err)
{
	int ret;

	/* The others wait for the kernel to start them (INIT, SIPI), inside KVM. */
	if (vcpu->index)
		return 0;
	ret = processor_enter(vcpu->fd, &vcpu->vm->arch->entry);
	return ret ? err_sys(err, ret, "set the registers of the first CPU") : 0;
}

static void exit_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	/* String instructions come with a count. */
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			bus_write(&vcpu->vm->pio, run->io.port, data, run->io.size);
		else
			bus_read(&vcpu->vm->pio, run->io.port, data, run->io.size);
	}
}

bool arch_vcpu_exit(struct vcpu *vcpu)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IO:
		exit_io(vcpu);
		return true;
	case KVM_EXIT_IOAPIC_EOI: /* only for level-triggered lines, which there are none of */
		return true;
	default:
		return false;
	}
}

uint64_t arch_vcpu_position(const struct vcpu *vcpu)
{
	return processor_position(vcpu->fd);
}
