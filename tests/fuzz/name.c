// SPDX-License-Identifier: Apache-2.0
/* Names inside a layer: what passes is clean, cleaning it again changes nothing, and it only leads downwards. */
#include "tests/fuzz/fuzz.h"

#include "oci/image/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void parts_check(const char *path)
{
	for (const char *part = path; *part;) {
		size_t len = strcspn(part, "/");

		fuzz_require(len && len <= NAME_PART_MAX);
		fuzz_require(strncmp(part, ".", len) != 0 && (len != 2 || strncmp(part, "..", 2) != 0));
		part += len;
		/* No slash at the end. */
		fuzz_require(!*part || part[1]);
		part += *part == '/';
	}
}

void fuzz_one(const uint8_t *data, size_t len)
{
	char *path = fuzz_text(data, len), *again;
	size_t before = strlen(path);
	int ret = name_clean(path);

	fuzz_require(ret == 0 || ret == -EPERM || ret == -ENAMETOOLONG);
	fuzz_note_u64((uint64_t)ret);
	if (!ret) {
		enum name_kind kind = name_classify(path);
		const char *base = name_base(path);

		fuzz_require(strlen(path) <= before && strlen(path) <= NAME_PATH_MAX);
		parts_check(path);
		fuzz_require(base >= path && base <= path + strlen(path) && !strchr(base, '/'));
		fuzz_require(kind == NAME_PLAIN || strstr(path, ".wh."));
		fuzz_require(kind != NAME_WHITEOUT || strlen(base) > strlen(".wh."));
		again = strdup(path);
		fuzz_require(again && name_clean(again) == 0 && !strcmp(again, path));
		free(again);
		fuzz_note_text(path);
		fuzz_note_u64(kind);
	}
	free(path);
}
