// SPDX-License-Identifier: Apache-2.0
/* Image references: what is accepted has one complete form, which parses to itself and makes a file name. */
#include "tests/fuzz/fuzz.h"

#include "oci/store/ref.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void digest_check(const struct ref *ref)
{
	fuzz_require(!ref->digest[0] || digest_hex_valid(ref->digest));
}

/* The text that names an image in the store. */
static void form_check(const struct ref *ref, const char *text)
{
	char name[REF_TEXT_MAX + 1];
	struct ref again;

	fuzz_require(ref_parse(text, &again) == 0);
	fuzz_require(!strcmp(again.name, ref->name) && !strcmp(again.tag, ref->tag) && !again.digest[0]);
	/* The short form means the same. */
	fuzz_require(ref_parse(ref_familiar(text), &again) == 0);
	fuzz_require(!strcmp(again.name, ref->name) && !strcmp(again.tag, ref->tag));
	memcpy(name, text, sizeof(name));
	ref_escape(name);
	fuzz_require(!strchr(name, '/') && name[0] != '.' && name[0] != '-');
	ref_unescape(name);
	fuzz_require(!strcmp(name, text));
}

void fuzz_one(const uint8_t *data, size_t len)
{
	char *text = fuzz_text(data, len);
	char form[REF_TEXT_MAX + 1] = "";
	struct ref ref = {.name = "untouched"};
	int ret = ref_parse(text, &ref);

	fuzz_require(ret == 0 || ret == -EINVAL || ret == -ENAMETOOLONG || ret == -ENOTSUP);
	if (ret) {
		fuzz_require(!strcmp(ref.name, "untouched"));
	} else {
		digest_check(&ref);
		fuzz_require(ref.tag[0] || ref.digest[0]);
		fuzz_require(strchr(ref.name, '/') && !strstr(ref.name, "..") && !strstr(ref.name, "//"));
		if (ref_format(&ref, form) == 0)
			form_check(&ref, form);
		fuzz_note_text(ref.name);
		fuzz_note_text(ref.tag);
	}
	fuzz_note_u64((uint64_t)ret);
	free(text);
}
