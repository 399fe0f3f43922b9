// SPDX-License-Identifier: Apache-2.0
/*
 * A few instructions in each mode that a kernel passes through: real, protected, and 64-bit with paging and
 * an atomic operation on 16 bytes, which Linux uses early and which instruction emulators tend not to know.
 * Each ends with a byte written to a port; that byte is the proof.
 */
#include "oci/runtime/kvm_probe.h"
#include "oci/runtime/tiny_machine.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define CODE_GPA 0x1000
#define PML4_GPA 0x2000
#define PDPT_GPA 0x3000
#define PD_GPA 0x4000
#define PROOF_PORT 0xf4
/* Three pages that KVM on older Intel processors wants for real mode, out of the guest's way. */
#define TSS_GPA 0xfffbd000

#define CR0_PE (1u << 0)
#define CR0_PG (1u << 31)
#define CR4_PAE (1u << 5)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)
#define PAGE_PRESENT_WRITE 3
#define PAGE_LARGE (1u << 7)

enum mode { MODE_REAL, MODE_PROTECTED, MODE_LONG, MODES };

static const struct {
	const char *name;
	uint8_t code[48];
	uint8_t proof;
} modes[MODES] = {
	[MODE_REAL] = {"real mode",
		{
			0xba, 0xf4, 0x00, /* mov dx, 0xf4 */
			0xb0, 0x42, /* mov al, 0x42 */
			0xee, /* out dx, al */
			0xf4, /* hlt */
		},
		0x42},
	[MODE_PROTECTED] = {"protected mode",
		{
			0x66, 0xba, 0xf4, 0x00, /* mov dx, 0xf4 */
			0xb0, 0x43, /* mov al, 0x43 */
			0xee, 0xf4, /* out dx, al; hlt */
		},
		0x43},
	[MODE_LONG] = {"64-bit mode",
		{
			0xbf, 0x00, 0x50, 0x00, 0x00, /* mov edi, 0x5000 (zeroed memory) */
			0x31, 0xc0, 0x31, 0xd2, /* xor eax, eax; xor edx, edx */
			0xbb, 0x44, 0x00, 0x00, 0x00, /* mov ebx, 0x44 */
			0x31, 0xc9, /* xor ecx, ecx */
			0xf0, 0x48, 0x0f, 0xc7, 0x0f, /* lock cmpxchg16b [rdi] */
			0x8a, 0x07, /* mov al, [rdi] */
			0x66, 0xba, 0xf4, 0x00, /* mov dx, 0xf4 */
			0xee, 0xf4, /* out dx, al; hlt */
		},
		0x44},
};

static void put_entry(uint8_t *memory, uint32_t gpa, uint64_t entry)
{
	memcpy(memory + gpa, &entry, sizeof(entry));
}

static void memory_fill(uint8_t *memory, enum mode mode)
{
	memcpy(memory + CODE_GPA, modes[mode].code, sizeof(modes[mode].code));
	put_entry(memory, PML4_GPA, PDPT_GPA | PAGE_PRESENT_WRITE);
	put_entry(memory, PDPT_GPA, PD_GPA | PAGE_PRESENT_WRITE);
	put_entry(memory, PD_GPA, PAGE_LARGE | PAGE_PRESENT_WRITE);
}

static int machine_init(struct tiny_machine *m, int kvm_fd, enum mode mode)
{
	int ret = tiny_machine_init(m, kvm_fd, 0);

	if (ret)
		return ret;
	memory_fill(m->memory, mode);
	ioctl(m->vm_fd, KVM_SET_TSS_ADDR, TSS_GPA);
	if (ioctl(m->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return -errno;
	return tiny_machine_add_cpu(m, kvm_fd);
}

/* Flat segments of the mode: 16 bits from address 0, or 32 or 64 bits over everything. */
static void segments_init(struct kvm_sregs *sregs, enum mode mode)
{
	struct kvm_segment code = {.limit = 0xffff, .type = 11, .present = 1, .s = 1}, data;

	if (mode != MODE_REAL) {
		code.limit = 0xffffffff;
		code.selector = 8;
		code.g = 1;
		code.db = mode == MODE_PROTECTED;
		code.l = mode == MODE_LONG;
	}
	data = code;
	data.type = 3;
	data.selector = mode == MODE_REAL ? 0 : 16;
	data.l = 0;
	data.db = mode != MODE_REAL;
	sregs->cs = code;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
}

static int registers_init(struct tiny_machine *m, enum mode mode)
{
	struct kvm_regs regs = {.rip = CODE_GPA, .rsp = 0x8000, .rflags = 2};
	struct kvm_sregs sregs;

	if (ioctl(m->vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	segments_init(&sregs, mode);
	if (mode != MODE_REAL)
		sregs.cr0 |= CR0_PE;
	if (mode == MODE_LONG) {
		sregs.cr3 = PML4_GPA;
		sregs.cr4 |= CR4_PAE;
		sregs.cr0 |= CR0_PG;
		sregs.efer |= EFER_LME | EFER_LMA;
	}
	if (ioctl(m->vcpu_fd, KVM_SET_SREGS, &sregs) < 0)
		return -errno;
	return ioctl(m->vcpu_fd, KVM_SET_REGS, &regs) < 0 ? -errno : 0;
}

/* Did the guest write the right byte to the right port? */
static void proof_check(const struct kvm_run *run, enum mode mode, struct kvm_trial *trial)
{
	char text[64];

	if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT &&
		run->io.port == PROOF_PORT) {
		if (((const uint8_t *)run)[run->io.data_offset] == modes[mode].proof)
			trial->passed = true;
		else
			kvm_trial_failed(trial, "the guest computed a wrong result", 0);
		return;
	}
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		snprintf(text, sizeof(text), "KVM cannot emulate an instruction (internal error %u)",
			run->internal.suberror);
	else
		snprintf(text, sizeof(text), "unexpected exit %u", run->exit_reason);
	kvm_trial_failed(trial, text, 0);
}

bool kvm_trial_run(int kvm_fd, size_t i, struct kvm_trial *trial)
{
	struct tiny_machine m;
	int ret;

	if (i >= MODES)
		return false;
	*trial = (struct kvm_trial){0};
	snprintf(trial->name, sizeof(trial->name), "%s", modes[i].name);
	ret = machine_init(&m, kvm_fd, (enum mode)i);
	if (ret)
		kvm_trial_failed(trial, "create a machine", -ret);
	else if ((ret = registers_init(&m, (enum mode)i)) != 0)
		kvm_trial_failed(trial, "set the registers", -ret);
	else if (ioctl(m.vcpu_fd, KVM_RUN, 0) < 0)
		kvm_trial_failed(trial, "run the guest", errno);
	else
		proof_check(m.run, (enum mode)i, trial);
	tiny_machine_done(&m);
	return true;
}
