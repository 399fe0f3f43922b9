// SPDX-License-Identifier: Apache-2.0
/* Indexes: every entry that comes out has a good digest, a size and a platform that can be written down. */
#include "tests/fuzz/fuzz.h"

#include "oci/image/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A platform that an index may have reads back as itself, and serves those who want exactly it. */
static void platform_check(const struct platform *platform)
{
	char text[PLATFORM_TEXT_MAX];
	struct platform again;

	platform_format(platform, text);
	fuzz_note_text(text);
	if (platform_parse(text, &again) == 0 && !strcmp(again.arch, platform->arch) &&
		!strcmp(again.os, platform->os))
		fuzz_require(platform_score(&again, platform) > 0);
}

static void entry_check(const struct descriptor *entry)
{
	fuzz_require(digest_hex_valid(entry->digest) && entry->bytes <= INT64_MAX);
	fuzz_require(entry->ref && entry->name);
	fuzz_note_text(entry->digest);
	fuzz_note_text(entry->ref);
	fuzz_note_text(entry->name);
	if (entry->has_platform)
		platform_check(&entry->platform);
}

void fuzz_one(const uint8_t *data, size_t len)
{
	struct descriptor *entries = NULL;
	struct err err = ERR_INIT;
	size_t n_entries = 0;
	json_t *json = json_parse((const char *)data, len, "it", &err);
	int ret;

	if (!json)
		return;
	ret = index_read(json, &entries, &n_entries, &err);
	fuzz_require(ret == 0 || ret == -EBADMSG || ret == -ENOTSUP || ret == -EFBIG);
	fuzz_require(err.code == -ret && (!ret || err.text[0]));
	fuzz_require(n_entries <= INDEX_ENTRIES_MAX);
	for (size_t i = 0; !ret && i < n_entries; i++)
		entry_check(&entries[i]);
	fuzz_note_text(err.text);
	free(entries);
	json_decref(json);
}
