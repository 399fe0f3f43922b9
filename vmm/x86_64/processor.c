// SPDX-License-Identifier: Apache-2.0
#include "vmm/x86_64/processor.h"

#include "vmm/kvm.h"
#include "vmm/x86_64/boot.h"

#include <errno.h>
#include <linux/kvm.h>

/* Intel SDM 4, model-specific registers */
#define MSR_MISC_ENABLE 0x1a0
#define MISC_ENABLE_FAST_STRING 1
#define MSR_MTRR_DEFAULT 0x2ff
#define MTRR_DEFAULT_WRITE_BACK (1u << 11 | 6) /* enabled, and everything is write-back */

#define CR0_PE (UINT64_C(1) << 0)
#define CR0_ET (UINT64_C(1) << 4)
#define CR0_NE (UINT64_C(1) << 5)
#define CR0_PG (UINT64_C(1) << 31)
#define CR4_PAE (UINT64_C(1) << 5)
#define EFER_LME (UINT64_C(1) << 8)
#define EFER_LMA (UINT64_C(1) << 10)
#define APIC_BASE_X2APIC (UINT64_C(1) << 10)
#define RFLAGS_ALWAYS_ONE 2

int processor_prepare(int vcpu_fd)
{
	struct { /* struct kvm_msrs with its entries */
		uint32_t nmsrs, pad;
		struct kvm_msr_entry entries[2];
	} msrs = {
		.nmsrs = 2,
		.entries =
			{
				{.index = MSR_MTRR_DEFAULT, .data = MTRR_DEFAULT_WRITE_BACK},
				/* Unknown to AMD processors, and so last: KVM stops at what it refuses. */
				{.index = MSR_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRING},
			},
	};
	int ret = kvm_call(vcpu_fd, KVM_SET_MSRS, &msrs);

	return ret < 0 ? ret : ret < 1 ? -EIO : 0;
}

static void segments_set(struct kvm_sregs *sregs, bool is_64bit)
{
	struct kvm_segment segment = {.limit = UINT32_MAX, .present = 1, .s = 1, .g = 1};

	segment.selector = BOOT_CODE_SELECTOR;
	segment.type = 0xb; /* code, readable, accessed */
	segment.l = is_64bit;
	segment.db = !is_64bit;
	sregs->cs = segment;
	segment.selector = BOOT_DATA_SELECTOR;
	segment.type = 0x3; /* data, writable, accessed */
	segment.l = 0;
	segment.db = 1;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = segment;
	sregs->tr = (struct kvm_segment){
		.selector = BOOT_TASK_SELECTOR,
		.limit = 0x67,
		.type = 0xb, /* busy task state */
		.present = 1,
	};
}

int processor_enter(int vcpu_fd, const struct processor_entry *entry)
{
	struct kvm_regs regs = {.rip = entry->rip, .rflags = RFLAGS_ALWAYS_ONE};
	struct kvm_sregs sregs;
	int ret = kvm_call(vcpu_fd, KVM_GET_SREGS, &sregs);

	if (ret)
		return ret;
	segments_set(&sregs, !entry->pvh);
	sregs.gdt =
		(struct kvm_dtable){.base = entry->gdt_gpa, .limit = BOOT_GDT_ENTRIES * sizeof(uint64_t) - 1};
	sregs.idt = (struct kvm_dtable){0};
	sregs.cr0 = CR0_PE | CR0_ET | CR0_NE;
	if (entry->pvh) {
		regs.rbx = entry->params_gpa;
	} else {
		regs.rsi = entry->params_gpa;
		sregs.cr0 |= CR0_PG;
		sregs.cr3 = entry->pml4_gpa;
		sregs.cr4 |= CR4_PAE;
		sregs.efer |= EFER_LME | EFER_LMA;
	}
	/*
	 * As a firmware with more processors than xAPIC can count leaves it: no register access is an MMIO
	 * exit.
	 */
	sregs.apic_base |= APIC_BASE_X2APIC;
	ret = kvm_call(vcpu_fd, KVM_SET_SREGS, &sregs);
	return ret ? ret : kvm_call(vcpu_fd, KVM_SET_REGS, &regs);
}

uint64_t processor_position(int vcpu_fd)
{
	struct kvm_regs regs;

	return kvm_call(vcpu_fd, KVM_GET_REGS, &regs) ? 0 : regs.rip;
}
