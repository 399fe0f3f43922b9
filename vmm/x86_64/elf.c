// SPDX-License-Identifier: Apache-2.0
#include "vmm/x86_64/elf.h"

#include "base/io.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define XEN_ELFNOTE_PHYS32_ENTRY 18 /* Xen public/elfnote.h */
#define BZIMAGE_MAGIC_AT 0x202 /* boot.rst, "header": 'HdrS' */

static bool has_bytes_at(const uint8_t *head, size_t head_len, size_t at, const char *bytes, size_t len)
{
	return at <= head_len && len <= head_len - at && !memcmp(head + at, bytes, len);
}

/* The file is no ELF: say what it is, as far as its first bytes tell. */
static int refuse_foreign(const uint8_t *head, size_t head_len, struct err *err)
{
	static const struct {
		size_t at, len;
		const char *bytes, *what;
	} known[] = {
		{BZIMAGE_MAGIC_AT, 4, "HdrS",
			"a compressed kernel (bzImage): the uncompressed vmlinux is needed"},
		{0, 2, "\x1f\x8b", "compressed (gzip): unpack it first"},
		{0, 4, "\x28\xb5\x2f\xfd", "compressed (zstd): unpack it first"},
		{0, 5, "\xfd\x37zXZ", "compressed (xz): unpack it first"},
		{56, 4, "ARMd", "a kernel for arm64"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (has_bytes_at(head, head_len, known[i].at, known[i].bytes, known[i].len))
			return err_set(err, ENOEXEC, "the file is %s", known[i].what);
	}
	return err_set(err, ENOEXEC, "the file is not a kernel (no ELF header)");
}

static int header_check(const uint8_t *head, size_t head_len, Elf64_Ehdr *header, struct err *err)
{
	if (!head_len)
		return err_set(err, ENOEXEC, "the file is empty");
	if (!has_bytes_at(head, head_len, 0, ELFMAG, SELFMAG))
		return refuse_foreign(head, head_len, err);
	if (head_len < sizeof(*header))
		return err_set(err, ENOEXEC, "the file is truncated inside its ELF header");
	memcpy(header, head, sizeof(*header));
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
		header->e_machine != EM_X86_64)
		return err_set(err, ENOEXEC, "the file is not a kernel for x86_64 (ELF machine %u)",
			header->e_machine);
	if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
		return err_set(err, ENOEXEC, "the file is an ELF object, not a kernel");
	if (header->e_phentsize != sizeof(Elf64_Phdr) || !header->e_phnum)
		return err_set(err, ENOEXEC, "the kernel has no ELF program headers");
	if (header->e_phoff > head_len || header->e_phnum > (head_len - header->e_phoff) / sizeof(Elf64_Phdr))
		return err_set(err, ENOEXEC, "the kernel's ELF program headers are not at the file's start");
	return 0;
}

static int segment_add(struct elf_image *image, const Elf64_Phdr *phdr, uint64_t file_bytes, struct err *err)
{
	uint64_t end;

	if (image->n_segments == ELF_SEGMENTS_MAX)
		return err_set(err, ENOEXEC, "the kernel has more than %d segments", ELF_SEGMENTS_MAX);
	if (phdr->p_offset > file_bytes || phdr->p_filesz > file_bytes - phdr->p_offset)
		return err_set(err, ENOEXEC, "the kernel is truncated: a segment ends behind the file's end");
	if (phdr->p_filesz > phdr->p_memsz || __builtin_add_overflow(phdr->p_paddr, phdr->p_memsz, &end))
		return err_set(err, ENOEXEC, "the kernel has a segment of impossible size");
	image->segments[image->n_segments++] = (struct elf_segment){
		.offset = phdr->p_offset,
		.gpa = phdr->p_paddr,
		.file_bytes = phdr->p_filesz,
		.mem_bytes = phdr->p_memsz,
	};
	if (phdr->p_paddr < image->first_gpa)
		image->first_gpa = phdr->p_paddr;
	if (end > image->end_gpa)
		image->end_gpa = end;
	return 0;
}

static void notes_remember(struct elf_image *image, const Elf64_Phdr *phdr, uint64_t file_bytes)
{
	if (phdr->p_offset > file_bytes)
		return;
	image->notes_offset = phdr->p_offset;
	image->notes_bytes = phdr->p_filesz;
	if (image->notes_bytes > file_bytes - phdr->p_offset)
		image->notes_bytes = file_bytes - phdr->p_offset;
	if (image->notes_bytes > ELF_NOTES_BYTES)
		image->notes_bytes = ELF_NOTES_BYTES;
}

int elf_parse(
	const uint8_t *head, size_t head_len, uint64_t file_bytes, struct elf_image *image, struct err *err)
{
	Elf64_Ehdr header = {0};
	int ret = header_check(head, head_len, &header, err);

	if (ret)
		return ret;
	*image = (struct elf_image){.entry_gpa = header.e_entry, .first_gpa = UINT64_MAX};
	for (size_t i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr phdr;

		memcpy(&phdr, head + header.e_phoff + i * sizeof(phdr), sizeof(phdr));
		if (phdr.p_type == PT_NOTE)
			notes_remember(image, &phdr, file_bytes);
		if (phdr.p_type != PT_LOAD || !phdr.p_memsz)
			continue;
		ret = segment_add(image, &phdr, file_bytes, err);
		if (ret)
			return ret;
	}
	if (!image->n_segments)
		return err_set(err, ENOEXEC, "the kernel has nothing to load");
	return 0;
}

static size_t note_align(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

void elf_parse_notes(const uint8_t *notes, size_t len, struct elf_image *image)
{
	bool is_linux = false, has_pvh = false;
	uint32_t pvh_entry = 0;

	while (len >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		const uint8_t *name = notes + sizeof(note);
		size_t name_room, desc_room;

		memcpy(&note, notes, sizeof(note));
		len -= sizeof(note);
		if (note.n_namesz > len || note.n_descsz > len)
			break;
		name_room = note_align(note.n_namesz);
		desc_room = note_align(note.n_descsz);
		if (name_room > len || desc_room > len - name_room)
			break;
		if (note.n_namesz == sizeof("Linux") && !memcmp(name, "Linux", sizeof("Linux")))
			is_linux = true;
		if (note.n_namesz == sizeof("Xen") && !memcmp(name, "Xen", sizeof("Xen")) &&
			note.n_type == XEN_ELFNOTE_PHYS32_ENTRY && note.n_descsz >= sizeof(pvh_entry)) {
			memcpy(&pvh_entry, name + name_room, sizeof(pvh_entry));
			has_pvh = true;
		}
		notes = name + name_room + desc_room;
		len -= name_room + desc_room;
	}
	image->entry_kind = has_pvh && !is_linux ? ELF_ENTRY_PVH : ELF_ENTRY_LINUX64;
	if (image->entry_kind == ELF_ENTRY_PVH)
		image->entry_gpa = pvh_entry;
}

static bool entry_is_loaded(const struct elf_image *image)
{
	for (unsigned i = 0; i < image->n_segments; i++) {
		const struct elf_segment *segment = &image->segments[i];

		if (image->entry_gpa >= segment->gpa && image->entry_gpa - segment->gpa < segment->mem_bytes)
			return true;
	}
	return false;
}

int elf_read(int fd, struct elf_image *image, struct err *err)
{
	_Static_assert(ELF_HEAD_BYTES == ELF_NOTES_BYTES, "one buffer serves both");
	uint8_t block[ELF_HEAD_BYTES];
	size_t head_len = sizeof(block);
	struct stat st;
	int ret;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "read the kernel");
	if (!S_ISREG(st.st_mode))
		return err_set(err, ENOEXEC, "the kernel is not a regular file");
	if ((uint64_t)st.st_size < head_len)
		head_len = (size_t)st.st_size;
	ret = io_pread_exact(fd, block, head_len, 0);
	if (ret)
		return err_sys(err, ret, "read the kernel");
	ret = elf_parse(block, head_len, (uint64_t)st.st_size, image, err);
	if (ret)
		return ret;
	if (image->notes_bytes) {
		ret = io_pread_exact(fd, block, image->notes_bytes, image->notes_offset);
		if (ret)
			return err_sys(err, ret, "read the kernel's notes");
	}
	elf_parse_notes(block, image->notes_bytes, image);
	if (!entry_is_loaded(image))
		return err_set(err, ENOEXEC, "the kernel's entry point is outside of what it loads");
	return 0;
}
