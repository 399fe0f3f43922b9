// SPDX-License-Identifier: Apache-2.0
#include "vmm/x86_64/boot.h"

#include "vmm/x86_64/layout.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define PAGE_BYTES UINT64_C(4096)
#define MEMORY_RANGES (RAM_PARTS_MAX + 2) /* below the MP table, the table, the parts */

static uint64_t page_up(uint64_t value)
{
	return (value + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

static uint64_t mib_up(uint64_t bytes)
{
	return (bytes + (1u << 20) - 1) >> 20;
}

static int kernel_place_check(const struct elf_image *image, uint64_t low_bytes, struct err *err)
{
	if (image->first_gpa < LAYOUT_HIGH_START_GPA)
		return err_set(err, ENOEXEC, "the kernel wants to be loaded at 0x%" PRIx64 ", below 1 MiB",
			image->first_gpa);
	if (image->end_gpa > BOOT_MAPPED_BYTES)
		return err_set(err, ENOEXEC,
			"the kernel wants to be loaded at 0x%" PRIx64 ", above the first GiB",
			image->first_gpa);
	if (image->end_gpa > low_bytes)
		return err_set(err, EINVAL,
			"the kernel does not fit: it takes the memory up to %" PRIu64
			" MiB, the VM has %" PRIu64 " MiB",
			mib_up(image->end_gpa), low_bytes >> 20);
	return 0;
}

int boot_plan(const struct elf_image *image, uint64_t initramfs_bytes, const struct ram_part *ram,
	unsigned n_ram, struct boot_plan *plan, struct err *err)
{
	uint64_t low_bytes = ram[0].bytes;
	int ret = kernel_place_check(image, low_bytes, err);

	if (ret)
		return ret;
	*plan = (struct boot_plan){.n_ram = n_ram};
	memcpy(plan->ram, ram, n_ram * sizeof(*ram));
	plan->params_gpa = page_up(image->end_gpa);
	plan->cmdline_gpa = plan->params_gpa + PAGE_BYTES;
	plan->gdt_gpa = plan->cmdline_gpa + BOOT_CMDLINE_MAX;
	plan->pml4_gpa = plan->cmdline_gpa + PAGE_BYTES;
	plan->initramfs_gpa = plan->pml4_gpa + 3 * PAGE_BYTES;
	plan->initramfs_bytes = initramfs_bytes;
	if (plan->initramfs_gpa > low_bytes || initramfs_bytes > low_bytes - plan->initramfs_gpa)
		return err_set(err, EINVAL,
			"kernel and initramfs do not fit: they take %" PRIu64
			" MiB and more, the VM has %" PRIu64 " MiB",
			mib_up(plan->initramfs_gpa) + (initramfs_bytes >> 20), low_bytes >> 20);
	if (plan->initramfs_gpa > BOOT_MAPPED_BYTES)
		return err_set(err, ENOEXEC, "the kernel leaves no room for its parameters in the first GiB");
	plan->end_gpa = plan->initramfs_gpa + initramfs_bytes;
	return 0;
}

/* Intel SDM 3A 4.5: 2 MiB pages, so that no processor feature is needed. */
#define PTE_PRESENT_WRITABLE UINT64_C(3)
#define PTE_LARGE (UINT64_C(1) << 7)
#define TABLE_ENTRIES 512
#define LARGE_BYTES (UINT64_C(2) << 20)

int boot_tables_write(const struct gmem *mem, const struct boot_plan *plan)
{
	/* Null, unused, 64-bit code, data, task (boot.rst: __BOOT_CS is 0x10, __BOOT_DS 0x18). */
	static const uint64_t gdt[BOOT_GDT_ENTRIES] = {0, 0, UINT64_C(0x00af9b000000ffff),
		UINT64_C(0x00cf93000000ffff), UINT64_C(0x008f8b000000ffff)};
	uint64_t *tables = gmem_slice(mem, gpa_of(plan->pml4_gpa), 3 * PAGE_BYTES);
	uint64_t *directory;

	if (!tables)
		return -EFAULT;
	directory = tables + 2 * TABLE_ENTRIES;
	tables[0] = (plan->pml4_gpa + PAGE_BYTES) | PTE_PRESENT_WRITABLE;
	tables[TABLE_ENTRIES] = (plan->pml4_gpa + 2 * PAGE_BYTES) | PTE_PRESENT_WRITABLE;
	for (uint64_t i = 0; i < TABLE_ENTRIES; i++)
		directory[i] = i * LARGE_BYTES | PTE_PRESENT_WRITABLE | PTE_LARGE;
	return gmem_write(mem, gpa_of(plan->gdt_gpa), gdt, sizeof(gdt));
}

enum { MEMORY_RAM = 1, MEMORY_RESERVED = 2 }; /* the same numbers in E820 and in PVH's map */

struct memory_range {
	uint64_t gpa, bytes;
	uint32_t type;
};

/* What there is of memory, in ascending order; how many ranges. */
static unsigned memory_map(const struct boot_plan *plan, struct memory_range *map)
{
	unsigned n = 0;

	map[n++] = (struct memory_range){0, LAYOUT_MPTABLE_GPA, MEMORY_RAM};
	map[n++] = (struct memory_range){
		LAYOUT_MPTABLE_GPA, LAYOUT_LOW_END_GPA - LAYOUT_MPTABLE_GPA, MEMORY_RESERVED};
	for (unsigned i = 0; i < plan->n_ram; i++) {
		uint64_t start = i ? plan->ram[i].base_gpa : LAYOUT_HIGH_START_GPA;
		uint64_t end = plan->ram[i].base_gpa + plan->ram[i].bytes;

		map[n++] = (struct memory_range){start, end - start, MEMORY_RAM};
	}
	return n;
}

#define LOADER_UNKNOWN 0xff
#define BOOT_FLAG 0xaa55
#define HEADER_MAGIC 0x53726448u /* "HdrS" */
#define PROTOCOL_VERSION 0x020f

int boot_linux_write(const struct gmem *mem, const struct boot_plan *plan)
{
	struct memory_range map[MEMORY_RANGES];
	unsigned n_ranges = memory_map(plan, map);
	struct boot_params *params = gmem_slice(mem, gpa_of(plan->params_gpa), sizeof(*params));

	if (!params)
		return -EFAULT;
	params->hdr.type_of_loader = LOADER_UNKNOWN;
	params->hdr.boot_flag = BOOT_FLAG;
	params->hdr.header = HEADER_MAGIC;
	params->hdr.version = PROTOCOL_VERSION;
	params->hdr.loadflags = LOADED_HIGH;
	params->hdr.cmd_line_ptr = (uint32_t)plan->cmdline_gpa;
	params->hdr.cmdline_size = BOOT_CMDLINE_MAX - 1;
	if (plan->initramfs_bytes) {
		params->hdr.ramdisk_image = (uint32_t)plan->initramfs_gpa;
		params->hdr.ramdisk_size = (uint32_t)plan->initramfs_bytes;
	}
	params->e820_entries = (uint8_t)n_ranges;
	for (unsigned i = 0; i < n_ranges; i++) {
		params->e820_table[i].addr = map[i].gpa;
		params->e820_table[i].size = map[i].bytes;
		params->e820_table[i].type = map[i].type;
	}
	return 0;
}

/* Xen public/arch-x86/hvm/start_info.h, version 1 */
#define PVH_MAGIC UINT32_C(0x336ec578)

struct pvh_start {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t n_modules;
	uint64_t modules_gpa;
	uint64_t cmdline_gpa;
	uint64_t rsdp_gpa;
	uint64_t memmap_gpa;
	uint32_t n_memmap;
	uint32_t reserved;
};

struct pvh_module {
	uint64_t gpa, bytes, cmdline_gpa, reserved;
};

struct pvh_memory {
	uint64_t gpa, bytes;
	uint32_t type, reserved;
};

/* What the parameters' page holds then. */
struct pvh_page {
	struct pvh_start start;
	struct pvh_module initramfs;
	struct pvh_memory memmap[MEMORY_RANGES];
};

_Static_assert(sizeof(struct pvh_start) == 56 && sizeof(struct pvh_page) <= PAGE_BYTES, "as specified");

int boot_pvh_write(const struct gmem *mem, const struct boot_plan *plan)
{
	struct memory_range map[MEMORY_RANGES];
	struct pvh_page page = {
		.start =
			{
				.magic = PVH_MAGIC,
				.version = 1,
				.n_modules = plan->initramfs_bytes ? 1 : 0,
				.modules_gpa = plan->params_gpa + offsetof(struct pvh_page, initramfs),
				.cmdline_gpa = plan->cmdline_gpa,
				.memmap_gpa = plan->params_gpa + offsetof(struct pvh_page, memmap),
				.n_memmap = memory_map(plan, map),
			},
		.initramfs = {.gpa = plan->initramfs_gpa, .bytes = plan->initramfs_bytes},
	};

	for (unsigned i = 0; i < page.start.n_memmap; i++)
		page.memmap[i] = (struct pvh_memory){map[i].gpa, map[i].bytes, map[i].type, 0};
	return gmem_write(mem, gpa_of(plan->params_gpa), &page, sizeof(page));
}
