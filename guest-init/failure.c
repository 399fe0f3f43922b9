// SPDX-License-Identifier: Apache-2.0
#include "guest-init/failure.h"

#include <errno.h>
#include <string.h>

size_t text_join(char *out, size_t size, const char *const parts[])
{
	size_t used = 0;

	for (; *parts; parts++) {
		size_t len = strnlen(*parts, size - 1 - used);

		memcpy(out + used, *parts, len);
		used += len;
	}
	out[used] = '\0';
	return used;
}

const char *text_u64(uint64_t value, char room[TEXT_U64_BYTES])
{
	char *at = &room[TEXT_U64_BYTES - 1];

	*at = '\0';
	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return at;
}

static const char *error_text(int error)
{
	switch (error) {
	case ENOENT:
		return "it is not there";
	case EACCES:
	case EPERM:
		return "the guest kernel refused it";
	default:
		return strerror(error);
	}
}

int failure_set(struct failure *failure, uint32_t exit_status, int error, const char *const parts[])
{
	size_t used = text_join(failure->text, sizeof(failure->text), parts);

	if (error) {
		const char *const tail[] = {": ", error_text(error), NULL};

		text_join(failure->text + used, sizeof(failure->text) - used, tail);
	}
	for (char *at = failure->text; *at; at++) {
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	}
	failure->exit_status = exit_status;
	failure->error = error;
	return error ? -error : -EINVAL;
}
