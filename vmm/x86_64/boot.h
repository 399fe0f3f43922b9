// SPDX-License-Identifier: Apache-2.0
/*
 * What a kernel finds in memory when it is entered: where it goes, as plain arithmetic, and its contents.
 *
 * Behind the kernel's last byte come, page by page, the parameters (Linux: the zero page; PVH:
 * hvm_start_info), the command line with the segment table, and page tables that map the first GiB to itself;
 * then the initramfs. So all that is touched before the kernel has memory management of its own lies
 * together, in the huge pages the kernel is in, and a boot takes a dozen faults fewer.
 */
#ifndef MVRUN_VMM_X86_64_BOOT_H
#define MVRUN_VMM_X86_64_BOOT_H

#include "base/err.h"
#include "mem/gmem.h"
#include "vmm/ram.h"
#include "vmm/x86_64/elf.h"

#include <stddef.h>
#include <stdint.h>

#define BOOT_CMDLINE_MAX 2048 /* with its NUL; what Linux for x86 has room for */
#define BOOT_MAPPED_BYTES (UINT64_C(1) << 30)

/* Selectors of the 64-bit boot protocol (boot.rst), also good for PVH. */
#define BOOT_CODE_SELECTOR 0x10
#define BOOT_DATA_SELECTOR 0x18
#define BOOT_TASK_SELECTOR 0x20
#define BOOT_GDT_ENTRIES 5

struct boot_plan {
	uint64_t params_gpa; /* one page */
	uint64_t cmdline_gpa; /* BOOT_CMDLINE_MAX bytes, the segment table behind it */
	uint64_t gdt_gpa;
	uint64_t pml4_gpa; /* three pages: one table of each level */
	uint64_t initramfs_gpa, initramfs_bytes;
	uint64_t end_gpa; /* of all this */
	struct ram_part ram[RAM_PARTS_MAX];
	unsigned n_ram;
};

/*
 * Place everything. The error says how much memory would be needed, or what is wrong with the kernel's
 * addresses.
 */
int boot_plan(const struct elf_image *image, uint64_t initramfs_bytes, const struct ram_part *ram,
	unsigned n_ram, struct boot_plan *plan, struct err *err);

/* Write the page tables (as if all of BOOT_MAPPED_BYTES were RAM) and the segment table. 0 or -EFAULT. */
int boot_tables_write(const struct gmem *mem, const struct boot_plan *plan);

/* The zero page of Linux (boot.rst and zero-page.rst). 0 or -EFAULT. */
int boot_linux_write(const struct gmem *mem, const struct boot_plan *plan);

/* The start information of PVH (Xen public/arch-x86/hvm/start_info.h). 0 or -EFAULT. */
int boot_pvh_write(const struct gmem *mem, const struct boot_plan *plan);

#endif
