// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/fuzz.h"

#include "base/io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* FNV-1a, 64 bits, over words where there are whole ones. */
#define NOTE_START UINT64_C(0xcbf29ce484222325)
#define NOTE_PRIME UINT64_C(0x100000001b3)

static uint64_t notes = NOTE_START;

void fuzz_note(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint64_t word;

	for (; len >= sizeof(word); len -= sizeof(word), bytes += sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		notes = (notes ^ word) * NOTE_PRIME;
		notes ^= notes >> 32;
	}
	for (; len; len--, bytes++)
		notes = (notes ^ *bytes) * NOTE_PRIME;
}

void fuzz_note_u64(uint64_t value)
{
	fuzz_note(&value, sizeof(value));
}

void fuzz_note_text(const char *text)
{
	fuzz_note(text, strlen(text) + 1);
}

uint64_t fuzz_notes_take(void)
{
	uint64_t taken = notes;

	notes = NOTE_START;
	return taken;
}

void fuzz_broken(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: must hold: %s\n", file, line, condition);
	abort();
}

int fuzz_file(unsigned number, const void *data, size_t len)
{
	static int files[FUZZ_FILES];

	fuzz_require(number < FUZZ_FILES);
	if (!files[number])
		files[number] = memfd_create("fuzz", MFD_CLOEXEC);
	fuzz_require(files[number] > 0);
	fuzz_require(ftruncate(files[number], 0) == 0);
	fuzz_require(lseek(files[number], 0, SEEK_SET) == 0);
	fuzz_require(io_pwrite_all(files[number], data, len, 0) == 0);
	return files[number];
}

bool fuzz_same(const uint8_t *a, const uint8_t *b, const uint8_t *may_differ, size_t len)
{
	if (memcmp(a, b, len) == 0)
		return true;
	for (size_t i = 0; i < len; i++) {
		if (a[i] != b[i] && !may_differ[i])
			return false;
	}
	return true;
}

char *fuzz_text(const uint8_t *data, size_t len)
{
	char *text = strndup((const char *)data, len);

	fuzz_require(text);
	return text;
}

uint64_t fuzz_take(struct fuzz_input *input, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes && input->left; i++, input->left--)
		value |= (uint64_t)*input->at++ << 8 * i;
	return value;
}

size_t fuzz_bytes(struct fuzz_input *input, size_t len, const uint8_t **bytes)
{
	size_t taken = len < input->left ? len : input->left;

	*bytes = input->at;
	input->at += taken;
	input->left -= taken;
	return taken;
}
