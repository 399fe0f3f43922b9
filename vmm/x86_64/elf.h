// SPDX-License-Identifier: Apache-2.0
/*
 * Reading an uncompressed kernel, an ELF file for x86_64, which may be anything: it is the user's.
 *
 * Two ways in are known, and the file's notes tell them apart:
 *   - the 64-bit entry of Linux (Documentation/arch/x86/boot.rst, "64-bit boot protocol"): e_entry, which in
 *     a vmlinux is the physical address of startup_64. Taken for Linux, recognised by a note whose owner is
 *     "Linux" (every vmlinux since 4.19 has one), and for a file that has no PVH note.
 *   - PVH (Xen, docs/misc/pvh.pandoc): the 32-bit address in the note XEN_ELFNOTE_PHYS32_ENTRY. Taken for
 *     every other kernel that has the note: BSDs, unikernels. Linux would do too, but spends 256 exits looking
 *     for Xen.
 */
#ifndef MVRUN_VMM_X86_64_ELF_H
#define MVRUN_VMM_X86_64_ELF_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define ELF_SEGMENTS_MAX 16
#define ELF_HEAD_BYTES 4096 /* header and program headers are here or the file is refused */
#define ELF_NOTES_BYTES 4096 /* notes behind this are not looked at */

enum elf_entry_kind { ELF_ENTRY_LINUX64, ELF_ENTRY_PVH };

struct elf_segment {
	uint64_t offset; /* in the file */
	uint64_t gpa;
	uint64_t file_bytes; /* at most mem_bytes; the rest is zeros */
	uint64_t mem_bytes;
};

struct elf_image {
	struct elf_segment segments[ELF_SEGMENTS_MAX];
	unsigned n_segments;
	uint64_t notes_offset, notes_bytes; /* 0 bytes: none; inside the file, at most ELF_NOTES_BYTES */
	uint64_t first_gpa, end_gpa; /* what all segments span */
	uint64_t entry_gpa;
	enum elf_entry_kind entry_kind;
};

/*
 * Check the first head_len bytes (at most ELF_HEAD_BYTES) of a file of file_bytes and fill *image but for the
 * notes. After this every segment lies inside the file and no sum of its fields wraps; whether it lies inside
 * the guest's memory is for the loader to check. The error is one line that says what the file is instead.
 */
int elf_parse(
	const uint8_t *head, size_t head_len, uint64_t file_bytes, struct elf_image *image, struct err *err);

/* Choose the way in from the contents of the notes segment (len 0: there is none). Broken notes are ignored. */
void elf_parse_notes(const uint8_t *notes, size_t len, struct elf_image *image);

/* Both, from a file. Reads with pread; fd stays the caller's. */
int elf_read(int fd, struct elf_image *image, struct err *err);

#endif
