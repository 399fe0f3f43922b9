// SPDX-License-Identifier: Apache-2.0
#include "vmm/x86_64/elf.h"

#include "tests/unit/cm.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_BYTES 0x10000u

/* The head of a kernel of two segments and notes, to be spoilt. */
struct head {
	Elf64_Ehdr header;
	Elf64_Phdr phdrs[ELF_SEGMENTS_MAX + 2];
	uint8_t rest[ELF_HEAD_BYTES - sizeof(Elf64_Ehdr) - (ELF_SEGMENTS_MAX + 2) * sizeof(Elf64_Phdr)];
};

static struct head good(void)
{
	struct head head = {
		.header =
			{
				.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
					EV_CURRENT},
				.e_type = ET_EXEC,
				.e_machine = EM_X86_64,
				.e_entry = 0x1000100,
				.e_phoff = sizeof(Elf64_Ehdr),
				.e_phentsize = sizeof(Elf64_Phdr),
				.e_phnum = 3,
			},
		.phdrs =
			{
				{.p_type = PT_LOAD,
					.p_offset = 0x1000,
					.p_paddr = 0x1000000,
					.p_filesz = 0x2000,
					.p_memsz = 0x2000},
				{.p_type = PT_LOAD,
					.p_offset = 0x3000,
					.p_paddr = 0x1200000,
					.p_filesz = 0x1000,
					.p_memsz = 0x9000},
				{.p_type = PT_NOTE, .p_offset = 0x2f00, .p_filesz = 0x40},
			},
	};

	return head;
}

static int parse(const struct head *head, struct elf_image *image, struct err *err)
{
	*err = ERR_INIT;
	return elf_parse((const uint8_t *)head, sizeof(*head), FILE_BYTES, image, err);
}

#define assert_refused(head, words)                                                                          \
	do {                                                                                                 \
		struct elf_image image_;                                                                     \
		struct err err_;                                                                             \
		assert_int_equal(parse(&(head), &image_, &err_), -ENOEXEC);                                  \
		assert_non_null(strstr(err_.text, words));                                                   \
	} while (0)

static void test_a_good_one(void **state)
{
	struct head head = good();
	struct elf_image image;
	struct err err;

	(void)state;
	assert_int_equal(parse(&head, &image, &err), 0);
	assert_int_equal(image.n_segments, 2);
	assert_int_equal(image.segments[1].offset, 0x3000);
	assert_int_equal(image.segments[1].gpa, 0x1200000);
	assert_int_equal(image.segments[1].file_bytes, 0x1000);
	assert_int_equal(image.segments[1].mem_bytes, 0x9000);
	assert_int_equal(image.first_gpa, 0x1000000);
	assert_int_equal(image.end_gpa, 0x1209000);
	assert_int_equal(image.entry_gpa, 0x1000100);
	assert_int_equal(image.notes_offset, 0x2f00);
	assert_int_equal(image.notes_bytes, 0x40);
}

static void test_other_files_are_named(void **state)
{
	static const struct {
		size_t at;
		const char *bytes, *words;
	} other[] = {
		{0, "#!/bin/sh\n", "not a kernel"},
		{0x202, "HdrS", "the uncompressed vmlinux is needed"},
		{0, "\x1f\x8b\x08", "gzip"},
		{0, "\x28\xb5\x2f\xfd", "zstd"},
		{0, "\xfd\x37zXZ", "xz"},
		{56, "ARMd", "arm64"},
	};
	struct elf_image image;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(elf_parse(NULL, 0, 0, &image, &err), -ENOEXEC);
	assert_non_null(strstr(err.text, "empty"));
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		uint8_t head[1024] = {0};

		memcpy(head + other[i].at, other[i].bytes, strlen(other[i].bytes));
		assert_int_equal(elf_parse(head, sizeof(head), sizeof(head), &image, &err), -ENOEXEC);
		assert_non_null(strstr(err.text, other[i].words));
	}
	/* A magic that the file is too short for. */
	assert_int_equal(elf_parse((const uint8_t *)"\x7f", 1, 1, &image, &err), -ENOEXEC);
}

static void test_every_length_of_the_head(void **state)
{
	struct head head = good();
	size_t whole = sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr);
	struct elf_image image;
	struct err err;

	(void)state;
	for (size_t len = 0; len < whole; len++) {
		err = ERR_INIT;
		assert_int_equal(elf_parse((const uint8_t *)&head, len, len, &image, &err), -ENOEXEC);
	}
	err = ERR_INIT;
	assert_int_equal(elf_parse((const uint8_t *)&head, whole, FILE_BYTES, &image, &err), 0);
}

static void test_wrong_kinds_of_elf(void **state)
{
	struct head head = good();

	(void)state;
	head.header.e_machine = EM_AARCH64;
	assert_refused(head, "not a kernel for x86_64");
	head = good();
	head.header.e_ident[EI_CLASS] = ELFCLASS32;
	assert_refused(head, "not a kernel for x86_64");
	head = good();
	head.header.e_ident[EI_DATA] = ELFDATA2MSB;
	assert_refused(head, "not a kernel for x86_64");
	head = good();
	head.header.e_type = ET_REL;
	assert_refused(head, "object");
	head = good();
	head.header.e_phnum = 0;
	assert_refused(head, "no ELF program headers");
	head = good();
	head.header.e_phentsize = 32;
	assert_refused(head, "no ELF program headers");
}

static void test_program_headers_elsewhere(void **state)
{
	static const uint64_t places[] = {ELF_HEAD_BYTES, ELF_HEAD_BYTES - 8, ELF_HEAD_BYTES + 1, UINT64_MAX,
		UINT64_MAX - 63, UINT64_C(1) << 63};

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct head head = good();

		head.header.e_phoff = places[i];
		assert_refused(head, "not at the file's start");
	}
	struct head head = good();

	head.header.e_phnum = UINT16_MAX;
	assert_refused(head, "not at the file's start");
}

static void test_segments_that_lie(void **state)
{
	struct head head = good();

	(void)state;
	head.phdrs[0].p_offset = FILE_BYTES + 1;
	assert_refused(head, "truncated");
	head = good();
	head.phdrs[0].p_offset = UINT64_MAX; /* plus p_filesz wraps to something small */
	assert_refused(head, "truncated");
	head = good();
	head.phdrs[0].p_filesz = head.phdrs[0].p_memsz = FILE_BYTES;
	assert_refused(head, "truncated");
	head = good();
	head.phdrs[0].p_memsz = head.phdrs[0].p_filesz - 1;
	assert_refused(head, "impossible size");
	head = good();
	head.phdrs[1].p_memsz = UINT64_MAX;
	assert_refused(head, "impossible size");
	head = good();
	head.phdrs[1].p_paddr = UINT64_MAX - 0x8000;
	assert_refused(head, "impossible size");
	head = good();
	head.phdrs[0].p_type = head.phdrs[1].p_type = PT_NULL;
	assert_refused(head, "nothing to load");
	head = good();
	for (int i = 0; i < ELF_SEGMENTS_MAX + 1; i++)
		head.phdrs[i] = head.phdrs[0];
	head.header.e_phnum = ELF_SEGMENTS_MAX + 1;
	assert_refused(head, "more than 16 segments");
}

static void test_notes_are_cut_to_the_file(void **state)
{
	struct head head = good();
	struct elf_image image;
	struct err err;

	(void)state;
	head.phdrs[2].p_offset = FILE_BYTES - 8;
	assert_int_equal(parse(&head, &image, &err), 0);
	assert_int_equal(image.notes_bytes, 8);
	head.phdrs[2].p_offset = FILE_BYTES + 1;
	assert_int_equal(parse(&head, &image, &err), 0);
	assert_int_equal(image.notes_bytes, 0);
	head.phdrs[2].p_offset = 0;
	head.phdrs[2].p_filesz = UINT64_MAX;
	assert_int_equal(parse(&head, &image, &err), 0);
	assert_int_equal(image.notes_bytes, ELF_NOTES_BYTES);
}

static size_t note_put(uint8_t *notes, size_t at, const char *name, uint32_t type, uint32_t value)
{
	Elf64_Nhdr note = {.n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = sizeof(value), .n_type = type};

	memcpy(notes + at, &note, sizeof(note));
	memset(notes + at + sizeof(note), 0, 8);
	memcpy(notes + at + sizeof(note), name, strlen(name));
	at += sizeof(note) + ((note.n_namesz + 3) & ~3u);
	memcpy(notes + at, &value, sizeof(value));
	return at + sizeof(value);
}

static void test_notes_choose_the_entry(void **state)
{
	struct elf_image image = {.entry_gpa = 0x1000};
	uint8_t notes[256] = {0};
	size_t len = 0, first;

	(void)state;
	elf_parse_notes(notes, 0, &image);
	assert_int_equal(image.entry_kind, ELF_ENTRY_LINUX64);
	len = first = note_put(notes, len, "Xen", 5, 1);
	len = note_put(notes, len, "Xen", 18, 0x2000);
	elf_parse_notes(notes, len, &image);
	assert_int_equal(image.entry_kind, ELF_ENTRY_PVH);
	assert_int_equal(image.entry_gpa, 0x2000);
	/* A Linux that also knows PVH is entered as Linux. */
	image.entry_gpa = 0x1000;
	len = note_put(notes, len, "Linux", 0x100, 0);
	elf_parse_notes(notes, len, &image);
	assert_int_equal(image.entry_kind, ELF_ENTRY_LINUX64);
	assert_int_equal(image.entry_gpa, 0x1000);
	/* Cut anywhere, the notes before the cut count. */
	for (size_t cut = 0; cut < len; cut++) {
		image.entry_gpa = 0x1000;
		elf_parse_notes(notes, cut, &image);
		assert_int_equal(image.entry_kind == ELF_ENTRY_PVH, cut >= first + 20 && cut < len);
	}
}

static void test_notes_with_impossible_lengths(void **state)
{
	static const uint32_t lengths[] = {UINT32_MAX, UINT32_MAX - 3, 0x80000000u, 1000};
	struct elf_image image;

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		uint8_t notes[64];
		size_t len = note_put(notes, 0, "Xen", 18, 0x2000);

		image = (struct elf_image){.entry_gpa = 0x1000};
		memcpy(notes, &lengths[i], sizeof(uint32_t));
		elf_parse_notes(notes, len, &image);
		assert_int_equal(image.entry_kind, ELF_ENTRY_LINUX64);
		len = note_put(notes, 0, "Xen", 18, 0x2000);
		memcpy(notes + 4, &lengths[i], sizeof(uint32_t));
		elf_parse_notes(notes, len, &image);
		assert_int_equal(image.entry_kind, ELF_ENTRY_LINUX64);
	}
}

static int head_file(const struct head *head)
{
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, FILE_BYTES), 0);
	assert_int_equal(pwrite(fd, head, sizeof(*head), 0), sizeof(*head));
	return fd;
}

static void test_whole_files(void **state)
{
	struct head head = good();
	struct elf_image image;
	struct err err = ERR_INIT;
	uint8_t notes[64];
	int fd = head_file(&head), pipes[2];

	(void)state;
	assert_int_equal(elf_read(fd, &image, &err), 0);
	assert_int_equal(image.entry_kind, ELF_ENTRY_LINUX64);
	note_put(notes, 0, "Xen", 18, 0x1200004);
	assert_int_equal(pwrite(fd, notes, sizeof(notes), 0x2f00), sizeof(notes));
	assert_int_equal(elf_read(fd, &image, &err), 0);
	assert_int_equal(image.entry_kind, ELF_ENTRY_PVH);
	/* An entry that is not in any segment: in the note, then in the header. */
	note_put(notes, 0, "Xen", 18, 0x1209000);
	assert_int_equal(pwrite(fd, notes, sizeof(notes), 0x2f00), sizeof(notes));
	assert_int_equal(elf_read(fd, &image, &err), -ENOEXEC);
	assert_non_null(strstr(err.text, "entry point"));
	close(fd);
	head.header.e_entry = UINT64_C(0xffffffff81000000);
	fd = head_file(&head);
	assert_int_equal(elf_read(fd, &image, &err), -ENOEXEC);
	close(fd);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(elf_read(pipes[0], &image, &err), -ENOEXEC);
	assert_non_null(strstr(err.text, "regular file"));
	close(pipes[0]);
	close(pipes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_good_one),
		cmocka_unit_test(test_other_files_are_named),
		cmocka_unit_test(test_every_length_of_the_head),
		cmocka_unit_test(test_wrong_kinds_of_elf),
		cmocka_unit_test(test_program_headers_elsewhere),
		cmocka_unit_test(test_segments_that_lie),
		cmocka_unit_test(test_notes_are_cut_to_the_file),
		cmocka_unit_test(test_notes_choose_the_entry),
		cmocka_unit_test(test_notes_with_impossible_lengths),
		cmocka_unit_test(test_whole_files),
	};

	return cmocka_run_group_tests_name("elf", tests, NULL, NULL);
}
