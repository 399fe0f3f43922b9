// SPDX-License-Identifier: Apache-2.0
#include "vmm/x86_64/boot.h"

#include "tests/unit/cm.h"
#include "vmm/arch.h"
#include "vmm/x86_64/layout.h"
#include "vmm/x86_64/mptable.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIB_BYTES (UINT64_C(1) << 20)
#define GUEST_BYTES (32 * MIB_BYTES)

static const struct elf_image kernel = {.first_gpa = 0x1000000, .end_gpa = 0x1234567, .entry_gpa = 0x1000000};

static void test_memory_is_split_around_the_hole(void **state)
{
	struct ram_part parts[RAM_PARTS_MAX];

	(void)state;
	assert_int_equal(arch_ram_parts(128 * MIB_BYTES, parts), 1);
	assert_int_equal(parts[0].bytes, 128 * MIB_BYTES);
	assert_int_equal(arch_ram_parts(LAYOUT_HOLE_GPA, parts), 1);
	assert_int_equal(arch_ram_parts(LAYOUT_HOLE_GPA + MIB_BYTES, parts), 2);
	assert_int_equal(parts[0].base_gpa, 0);
	assert_int_equal(parts[0].bytes, LAYOUT_HOLE_GPA);
	assert_int_equal(parts[1].base_gpa, LAYOUT_ABOVE_HOLE_GPA);
	assert_int_equal(parts[1].bytes, MIB_BYTES);
}

static void test_the_plan_overlaps_nothing(void **state)
{
	const struct ram_part ram = {0, GUEST_BYTES};
	struct boot_plan plan;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(boot_plan(&kernel, 12345, &ram, 1, &plan, &err), 0);
	assert_true(plan.params_gpa >= kernel.end_gpa && plan.params_gpa % 4096 == 0);
	assert_true(plan.cmdline_gpa >= plan.params_gpa + 4096);
	assert_true(plan.gdt_gpa >= plan.cmdline_gpa + BOOT_CMDLINE_MAX);
	assert_true(plan.pml4_gpa >= plan.gdt_gpa + BOOT_GDT_ENTRIES * 8 && plan.pml4_gpa % 4096 == 0);
	assert_true(plan.initramfs_gpa >= plan.pml4_gpa + 3 * 4096 && plan.initramfs_gpa % 4096 == 0);
	assert_int_equal(plan.end_gpa, plan.initramfs_gpa + 12345);
}

static void test_plans_that_do_not_fit(void **state)
{
	struct ram_part ram = {0, GUEST_BYTES};
	struct elf_image image = kernel;
	struct boot_plan plan;
	struct err err = ERR_INIT;
	uint64_t room;

	(void)state;
	assert_int_equal(boot_plan(&kernel, 0, &ram, 1, &plan, &err), 0);
	room = GUEST_BYTES - plan.initramfs_gpa;
	assert_int_equal(boot_plan(&kernel, room, &ram, 1, &plan, &err), 0);
	assert_int_equal(boot_plan(&kernel, room + 1, &ram, 1, &plan, &err), -EINVAL);
	assert_int_equal(boot_plan(&kernel, UINT64_MAX, &ram, 1, &plan, &err), -EINVAL);
	assert_non_null(strstr(err.text, "do not fit"));
	ram.bytes = kernel.end_gpa - 1;
	assert_int_equal(boot_plan(&kernel, 0, &ram, 1, &plan, &err), -EINVAL);
	assert_non_null(strstr(err.text, "does not fit"));
	ram.bytes = kernel.end_gpa + 4096;
	assert_int_equal(boot_plan(&kernel, 0, &ram, 1, &plan, &err), -EINVAL);
	image.first_gpa = LAYOUT_HIGH_START_GPA - 1;
	assert_int_equal(boot_plan(&image, 0, &ram, 1, &plan, &err), -ENOEXEC);
	image = kernel;
	image.end_gpa = UINT64_MAX;
	assert_int_equal(boot_plan(&image, 0, &ram, 1, &plan, &err), -ENOEXEC);
	/* It fits below the first GiB, its parameters do not. */
	ram.bytes = 4 * BOOT_MAPPED_BYTES;
	image.end_gpa = BOOT_MAPPED_BYTES - 4096;
	assert_int_equal(boot_plan(&image, 0, &ram, 1, &plan, &err), -ENOEXEC);
}

struct guest {
	uint8_t *ram;
	struct gmem mem;
	struct boot_plan plan;
};

static int guest_make(void **state)
{
	static const struct ram_part parts[] = {{0, GUEST_BYTES}, {LAYOUT_ABOVE_HOLE_GPA, 2 * MIB_BYTES}};
	struct guest *guest = calloc(1, sizeof(*guest));
	struct err err = ERR_INIT;

	assert_non_null(guest);
	guest->ram = calloc(1, GUEST_BYTES);
	assert_non_null(guest->ram);
	assert_int_equal(gmem_add(&guest->mem, gpa_of(0), guest->ram, GUEST_BYTES), 0);
	assert_int_equal(boot_plan(&kernel, 12345, parts, 2, &guest->plan, &err), 0);
	*state = guest;
	return 0;
}

static int guest_drop(void **state)
{
	struct guest *guest = *state;

	free(guest->ram);
	free(guest);
	return 0;
}

static void test_page_tables_map_the_first_gib_to_itself(void **state)
{
	struct guest *guest = *state;
	const uint64_t *table;
	uint64_t next;

	assert_int_equal(boot_tables_write(&guest->mem, &guest->plan), 0);
	table = (const void *)(guest->ram + guest->plan.pml4_gpa);
	next = table[0] & ~UINT64_C(0xfff);
	assert_int_equal(table[0] & 3, 3);
	table = (const void *)(guest->ram + next);
	assert_int_equal(table[0] & 3, 3);
	assert_int_equal(table[1], 0);
	table = (const void *)(guest->ram + (table[0] & ~UINT64_C(0xfff)));
	for (uint64_t i = 0; i < 512; i++)
		assert_int_equal(table[i], i << 21 | 0x83);
}

static void test_linux_finds_its_zero_page(void **state)
{
	struct guest *guest = *state;
	const struct boot_params *params = (const void *)(guest->ram + guest->plan.params_gpa);
	uint64_t end = 0;

	assert_int_equal(boot_linux_write(&guest->mem, &guest->plan), 0);
	assert_memory_equal(&params->hdr.header, "HdrS", 4);
	assert_int_equal(params->hdr.type_of_loader, 0xff);
	assert_int_equal(params->hdr.cmd_line_ptr, guest->plan.cmdline_gpa);
	assert_int_equal(params->hdr.ramdisk_image, guest->plan.initramfs_gpa);
	assert_int_equal(params->hdr.ramdisk_size, 12345);
	assert_int_equal(params->e820_entries, 4);
	for (int i = 0; i < params->e820_entries; i++) {
		assert_true(params->e820_table[i].addr >= end && params->e820_table[i].size);
		end = params->e820_table[i].addr + params->e820_table[i].size;
	}
	assert_int_equal(params->e820_table[1].addr, LAYOUT_MPTABLE_GPA);
	assert_int_equal(params->e820_table[1].type, 2);
	assert_int_equal(params->e820_table[2].addr + params->e820_table[2].size, GUEST_BYTES);
	assert_int_equal(params->e820_table[3].addr, LAYOUT_ABOVE_HOLE_GPA);
}

static uint32_t u32_at(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static uint64_t u64_at(const uint8_t *p)
{
	uint64_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static void test_pvh_finds_its_start_info(void **state)
{
	struct guest *guest = *state;
	const uint8_t *start = guest->ram + guest->plan.params_gpa;
	const uint8_t *module, *map;

	/* Offsets of Xen's public/arch-x86/hvm/start_info.h. */
	assert_int_equal(boot_pvh_write(&guest->mem, &guest->plan), 0);
	assert_int_equal(u32_at(start), 0x336ec578);
	assert_int_equal(u32_at(start + 4), 1);
	assert_int_equal(u32_at(start + 12), 1);
	assert_int_equal(u64_at(start + 24), guest->plan.cmdline_gpa);
	module = guest->ram + u64_at(start + 16);
	assert_int_equal(u64_at(module), guest->plan.initramfs_gpa);
	assert_int_equal(u64_at(module + 8), 12345);
	assert_int_equal(u32_at(start + 48), 4);
	map = guest->ram + u64_at(start + 40);
	assert_int_equal(u64_at(map), 0);
	assert_int_equal(u64_at(map + 8), LAYOUT_MPTABLE_GPA);
	assert_int_equal(u32_at(map + 16), 1);
	assert_int_equal(u64_at(map + 3 * 24), LAYOUT_ABOVE_HOLE_GPA);
}

static void test_outside_of_memory_is_refused(void **state)
{
	struct guest *guest = *state;
	struct boot_plan plan = guest->plan;

	plan.params_gpa = plan.pml4_gpa = GUEST_BYTES - 1024;
	assert_int_equal(boot_tables_write(&guest->mem, &plan), -EFAULT);
	assert_int_equal(boot_linux_write(&guest->mem, &plan), -EFAULT);
	plan.params_gpa = GUEST_BYTES - 8;
	assert_int_equal(boot_pvh_write(&guest->mem, &plan), -EFAULT);
}

static unsigned sum(const uint8_t *bytes, size_t len)
{
	unsigned total = 0;

	for (size_t i = 0; i < len; i++)
		total += bytes[i];
	return total & 0xff;
}

static void test_mp_table(void **state)
{
	static const unsigned sizes[] = {1, 2, 64, MPTABLE_CPUS_MAX};

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		uint8_t page[MPTABLE_BYTES] = {0};
		const uint8_t *pointer = page + (LAYOUT_MP_POINTER_GPA - LAYOUT_MPTABLE_GPA),
			      *entry = page + 44;
		unsigned count[5] = {0}, entries = 0;
		size_t len;

		mptable_write(page, sizes[s], 11);
		assert_memory_equal(pointer, "_MP_", 4);
		assert_int_equal(u32_at(pointer + 4), LAYOUT_MPTABLE_GPA);
		assert_int_equal(sum(pointer, 16), 0);
		assert_memory_equal(page, "PCMP", 4);
		len = u32_at(page + 4) & 0xffff;
		assert_int_equal(sum(page, len), 0);
		while (entry < page + len) {
			assert_true(entry[0] < 5);
			if (entry[0] == 0)
				assert_int_equal(entry[1], count[0]);
			if (entry[0] == 3)
				assert_int_equal(entry[7], LAYOUT_IRQ_FIRST + count[3]);
			count[entry[0]]++;
			entry += entry[0] ? 8 : 20;
			entries++;
		}
		assert_ptr_equal(entry, page + len);
		assert_int_equal(entries, u32_at(page + 32) >> 16);
		assert_int_equal(count[0], sizes[s]);
		assert_int_equal(count[1], 1);
		assert_int_equal(count[2], 1);
		assert_int_equal(count[3], 11);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_is_split_around_the_hole),
		cmocka_unit_test(test_the_plan_overlaps_nothing),
		cmocka_unit_test(test_plans_that_do_not_fit),
		cmocka_unit_test_setup_teardown(
			test_page_tables_map_the_first_gib_to_itself, guest_make, guest_drop),
		cmocka_unit_test_setup_teardown(test_linux_finds_its_zero_page, guest_make, guest_drop),
		cmocka_unit_test_setup_teardown(test_pvh_finds_its_start_info, guest_make, guest_drop),
		cmocka_unit_test_setup_teardown(test_outside_of_memory_is_refused, guest_make, guest_drop),
		cmocka_unit_test(test_mp_table),
	};

	return cmocka_run_group_tests_name("boot", tests, NULL, NULL);
}
