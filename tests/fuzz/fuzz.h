// SPDX-License-Identifier: Apache-2.0
/*
 * What a fuzz target is.
 *
 * A target is one file with one function, fuzz_one(), which drives a real function of the program with bytes that may
 * be anything, and checks what must hold whatever they are. The same file is built twice: with libFuzzer, to look for
 * inputs that break it (make fuzz), and with replay.c, to run it over the inputs of tests/fuzz/corpus (make check).
 *
 * What came of an input is told by fuzz_note(): the replay runs every input twice, with the stack and the heap dirtied
 * in between, and the notes must be the same.
 */
#ifndef MVRUN_TESTS_FUZZ_FUZZ_H
#define MVRUN_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The target. Leaves nothing behind: no memory, no descriptor. */
void fuzz_one(const uint8_t *data, size_t len);

/* Part of the outcome. */
void fuzz_note(const void *data, size_t len);
void fuzz_note_u64(uint64_t value);
void fuzz_note_text(const char *text);

/* The outcome so far, and forget it. */
uint64_t fuzz_notes_take(void);

/* An invariant. */
#define fuzz_require(condition)                                                                              \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			fuzz_broken(__FILE__, __LINE__, #condition);                                         \
	} while (0)
_Noreturn void fuzz_broken(const char *file, int line, const char *condition);

/*
 * A file that holds exactly data: one of FUZZ_FILES descriptors that the harness keeps open, valid until the next call
 * with the same number.
 */
#define FUZZ_FILES 8
int fuzz_file(unsigned number, const void *data, size_t len);

/* Whether the bytes are the same, but for those that may differ. */
bool fuzz_same(const uint8_t *a, const uint8_t *b, const uint8_t *may_differ, size_t len);

/* A NUL-terminated copy, cut at the first NUL of the input, on the heap: the caller frees it. */
char *fuzz_text(const uint8_t *data, size_t len);

/* The input taken apart from its front. What is not there reads as zeros. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

uint64_t fuzz_take(struct fuzz_input *input, unsigned bytes);

static inline uint8_t fuzz_u8(struct fuzz_input *input)
{
	return (uint8_t)fuzz_take(input, 1);
}

static inline uint16_t fuzz_u16(struct fuzz_input *input)
{
	return (uint16_t)fuzz_take(input, 2);
}

static inline uint32_t fuzz_u32(struct fuzz_input *input)
{
	return (uint32_t)fuzz_take(input, 4);
}

static inline uint64_t fuzz_u64(struct fuzz_input *input)
{
	return fuzz_take(input, 8);
}

/* Up to len bytes off the front: how many there were. */
size_t fuzz_bytes(struct fuzz_input *input, size_t len, const uint8_t **bytes);

#endif
