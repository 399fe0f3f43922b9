// SPDX-License-Identifier: Apache-2.0
#include "oci/image/name.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define WHITEOUT ".wh."
#define WHITEOUT_META ".wh..wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

static bool part_is(const char *part, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(part, text, len) == 0;
}

int name_clean(char *path)
{
	const char *in = path;
	char *out = path;
	bool absolute = *path == '/';

	while (*in) {
		size_t len = strcspn(in, "/");

		if (part_is(in, len, ".."))
			return -EPERM;
		if (len && !part_is(in, len, ".")) {
			if (absolute)
				return -EPERM;
			if (len > NAME_PART_MAX || (size_t)(out - path) + len + 1 > NAME_PATH_MAX)
				return -ENAMETOOLONG;
			if (out != path)
				*out++ = '/';
			memmove(out, in, len);
			out += len;
		}
		in += len + (in[len] == '/');
	}
	*out = '\0';
	return 0;
}

const char *name_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool folder_is_whiteout(const char *path, const char *base)
{
	for (const char *part = path; part < base; part = strchr(part, '/') + 1) {
		if (strncmp(part, WHITEOUT, strlen(WHITEOUT)) == 0)
			return true;
	}
	return false;
}

enum name_kind name_classify(const char *path)
{
	const char *base = name_base(path);
	const char *rest = base + strlen(WHITEOUT);

	if (strncmp(path, WHITEOUT_META, strlen(WHITEOUT_META)) == 0 && strcmp(path, WHITEOUT_OPAQUE) != 0)
		return NAME_IGNORED;
	if (folder_is_whiteout(path, base))
		return NAME_BAD;
	if (strncmp(base, WHITEOUT, strlen(WHITEOUT)) != 0)
		return NAME_PLAIN;
	if (strcmp(base, WHITEOUT_OPAQUE) == 0)
		return NAME_OPAQUE;
	if (strncmp(base, WHITEOUT_META, strlen(WHITEOUT_META)) == 0)
		return NAME_IGNORED;
	if (!*rest || strcmp(rest, ".") == 0 || strcmp(rest, "..") == 0)
		return NAME_BAD;
	return NAME_WHITEOUT;
}
