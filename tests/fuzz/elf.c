// SPDX-License-Identifier: Apache-2.0
/*
 * Kernel images, loaded into a small RAM: what is accepted lies inside the file and inside the memory, and neither its
 * segments nor the parameters behind it reach beyond.
 */
#include "tests/fuzz/fuzz.h"

#include "base/num.h"
#include "vmm/x86_64/boot.h"
#include "vmm/x86_64/elf.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define RAM_BYTES (UINT64_C(8) << 20)

/* Guest memory between pages without access; made once, given back to the kernel after each use. */
static uint8_t *ram(void)
{
	static uint8_t *area;

	if (!area) {
		area = mmap(NULL, RAM_BYTES + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		fuzz_require(area != MAP_FAILED);
		fuzz_require(mprotect(area + 4096, RAM_BYTES, PROT_READ | PROT_WRITE) == 0);
	}
	return area + 4096;
}

static void segments_check(const struct elf_image *image, uint64_t file_bytes)
{
	fuzz_require(image->n_segments && image->n_segments <= ELF_SEGMENTS_MAX);
	for (unsigned i = 0; i < image->n_segments; i++) {
		const struct elf_segment *segment = &image->segments[i];

		fuzz_require(
			segment->offset <= file_bytes && segment->file_bytes <= file_bytes - segment->offset);
		fuzz_require(segment->file_bytes <= segment->mem_bytes);
		fuzz_require(segment->gpa >= image->first_gpa &&
			     segment->mem_bytes <= image->end_gpa - segment->gpa);
		fuzz_note(segment, sizeof(*segment));
	}
	fuzz_require(image->notes_bytes <= ELF_NOTES_BYTES);
	fuzz_require(!image->notes_bytes || image->notes_bytes <= file_bytes - image->notes_offset);
}

static void load(const struct elf_image *image, uint64_t initramfs_bytes)
{
	struct ram_part part = {.bytes = RAM_BYTES};
	struct gmem mem = {0};
	struct err err = ERR_INIT;
	struct boot_plan plan;
	int ret = boot_plan(image, initramfs_bytes, &part, 1, &plan, &err);

	fuzz_require(err.code == -ret && (!ret || err.text[0]));
	fuzz_note_text(err.text);
	if (ret)
		return;
	fuzz_require(image->end_gpa <= RAM_BYTES && image->first_gpa >= MIB);
	fuzz_require(plan.params_gpa >= image->end_gpa && plan.initramfs_gpa > plan.pml4_gpa);
	fuzz_require(plan.end_gpa <= RAM_BYTES && plan.end_gpa - plan.initramfs_gpa == initramfs_bytes);
	fuzz_require(gmem_add(&mem, gpa_of(0), ram(), RAM_BYTES) == 0);
	for (unsigned i = 0; i < image->n_segments; i++) {
		const struct elf_segment *segment = &image->segments[i];

		fuzz_require(
			!segment->mem_bytes || gmem_slice(&mem, gpa_of(segment->gpa), segment->mem_bytes));
	}
	fuzz_require(boot_tables_write(&mem, &plan) == 0);
	ret = image->entry_kind == ELF_ENTRY_PVH ? boot_pvh_write(&mem, &plan)
						 : boot_linux_write(&mem, &plan);
	fuzz_require(ret == 0);
	fuzz_require(madvise(ram(), RAM_BYTES, MADV_DONTNEED) == 0);
}

/* Two bytes say how large the initramfs is, in units of 256 bytes; the rest is the kernel. */
void fuzz_one(const uint8_t *data, size_t len)
{
	struct fuzz_input input = {data, len};
	uint64_t initramfs_bytes = (uint64_t)fuzz_u16(&input) << 8;
	int fd = fuzz_file(0, input.at, input.left), ret;
	struct elf_image image = {0};
	struct err err = ERR_INIT;

	ret = elf_read(fd, &image, &err);
	fuzz_require(ret == 0 || ret == -ENOEXEC);
	fuzz_require(err.code == -ret && (!ret || err.text[0]));
	fuzz_note_text(err.text);
	if (ret)
		return;
	segments_check(&image, input.left);
	fuzz_note_u64(image.entry_gpa);
	load(&image, initramfs_bytes);
}
