// SPDX-License-Identifier: Apache-2.0
/*
 * replay FOLDER|FILE...: run a target over inputs, without libFuzzer, so that any compiler and any build can do it.
 *
 * Every input runs twice and must have the same outcome; in between, the stack is filled with other bytes, so that what
 * depends on a value nobody set shows. Neither run may leave a descriptor open. Prints how many inputs there were; what
 * breaks ends the process there and then, with the input's name as the last line but the reason's.
 */
#include "tests/fuzz/fuzz.h"

#include "base/io.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_MAX (1u << 20)
#define STACK_BYTES (128u << 10)

__attribute__((noinline)) static void stack_fill(uint8_t value)
{
	uint8_t room[STACK_BYTES];
	volatile uint8_t *at = room;

	for (size_t i = 0; i < sizeof(room); i++)
		at[i] = value;
}

/* The lowest free descriptor: it moves when one was left open. */
static int descriptor_next(void)
{
	int fd = dup(STDIN_FILENO);

	close(fd);
	return fd;
}

static uint64_t outcome(const uint8_t *data, size_t len, uint8_t dirt)
{
	/* Its own block without a byte behind the last, so that AddressSanitizer sees a read beyond it. */
	uint8_t *copy = malloc(len ? len : 1);

	fuzz_require(copy);
	memcpy(copy, data, len);
	stack_fill(dirt);
	(void)fuzz_notes_take();
	fuzz_one(len ? copy : copy + 1, len);
	fuzz_require(memcmp(copy, data, len) == 0);
	free(copy);
	return fuzz_notes_take();
}

static void replay_file(const char *path)
{
	uint64_t first;
	char *data;
	size_t len;
	int fd;

	fuzz_require(io_read_file(AT_FDCWD, path, INPUT_MAX, &data, &len) == 0);
	fprintf(stderr, "%s\n", path);
	first = outcome((const uint8_t *)data, len, 0xaa);
	fd = descriptor_next();
	fuzz_require(outcome((const uint8_t *)data, len, 0x55) == first);
	fuzz_require(descriptor_next() == fd);
	free(data);
}

static unsigned replay_folder(const char *folder)
{
	struct dirent **names;
	int n = scandir(folder, &names, NULL, alphasort);
	unsigned count = 0;

	fuzz_require(n >= 0);
	for (int i = 0; i < n; i++) {
		char path[4096];

		if (names[i]->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
			replay_file(path);
			count++;
		}
		free(names[i]);
	}
	free(names);
	return count;
}

int main(int argc, char **argv)
{
	unsigned count = 0;

	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
			count += replay_folder(argv[i]);
		} else {
			replay_file(argv[i]);
			count++;
		}
	}
	printf("%u inputs\n", count);
	return count ? EXIT_SUCCESS : EXIT_FAILURE;
}
