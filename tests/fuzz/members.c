// SPDX-License-Identifier: Apache-2.0
/* An archive of images: every member is in the file, has a clean name, and is found by it; links lead to files. */
#include "tests/fuzz/archive.h"

#include "oci/image/members.h"
#include "oci/image/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void member_check(const struct members *members, size_t i, uint64_t bytes)
{
	const struct member *member = &members->items[i], *found = members_find(members, member->name);
	char *clean = strdup(member->name);

	fuzz_require(clean && name_clean(clean) == 0 && !strcmp(clean, member->name) && *clean);
	fuzz_require(!i || strcmp(member[-1].name, member->name) < 0);
	fuzz_require(member->link || (member->offset <= bytes && member->bytes <= bytes - member->offset));
	fuzz_require(member->link ? !found || !found->link : found == member);
	fuzz_note_text(member->name);
	fuzz_note_u64(found ? (uint64_t)(found - members->items) : UINT64_MAX);
	free(clean);
}

void fuzz_one(const uint8_t *data, size_t len)
{
	struct blob_ref archive = {.fd = archive_file(0, data, len), .bytes = len};
	struct members members = {0};
	struct err err = ERR_INIT;
	int ret = members_read(&members, &archive, &err);

	fuzz_require(err.code == -ret && (!ret || err.text[0]));
	for (size_t i = 0; !ret && i < members.n; i++)
		member_check(&members, i, len);
	fuzz_note_text(err.text);
	members_done(&members);
}
