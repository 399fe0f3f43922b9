// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/archive.h"

#include "oci/image/tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECKSUM_AT 148
#define CHECKSUM_BYTES 8
#define MAGIC_AT 257

static bool header_like(const uint8_t *block)
{
	bool number = true;

	for (int i = 0; i < 6; i++)
		number = number && block[CHECKSUM_AT + i] >= '0' && block[CHECKSUM_AT + i] <= '7';
	return number || memcmp(block + MAGIC_AT, "ustar", 5) == 0;
}

static void checksum_set(uint8_t *block)
{
	char text[CHECKSUM_BYTES];
	unsigned sum = 0;

	memset(block + CHECKSUM_AT, ' ', CHECKSUM_BYTES);
	for (int i = 0; i < TAR_BLOCK; i++)
		sum += block[i];
	snprintf(text, sizeof(text), "%06o", sum);
	memcpy(block + CHECKSUM_AT, text, 7);
}

int archive_file(unsigned number, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	int fd;

	fuzz_require(copy);
	if (len)
		memcpy(copy, data, len);
	for (size_t at = 0; len - at >= TAR_BLOCK; at += TAR_BLOCK) {
		if (header_like(copy + at))
			checksum_set(copy + at);
	}
	fd = fuzz_file(number, copy, len);
	free(copy);
	return fd;
}
