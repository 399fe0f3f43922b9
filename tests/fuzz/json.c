// SPDX-License-Identifier: Apache-2.0
/* JSON from strangers: what is accepted is within the limits of json.h, and survives being written and read again. */
#include "tests/fuzz/fuzz.h"

#include "oci/image/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void value_check(const json_t *value, unsigned depth)
{
	const char *key;
	json_t *member;
	size_t i;

	fuzz_require(value && depth <= JSON_DEPTH_MAX);
	if (json_is_string(value))
		fuzz_require(strlen(json_string_value(value)) == json_string_length(value));
	json_array_foreach(value, i, member) value_check(member, depth + 1);
	json_object_foreach((json_t *)(uintptr_t)value, key, member) value_check(member, depth + 1);
}

static json_t *parsed(const char *text, size_t len, struct err *err)
{
	json_t *json = json_parse(text, len, "it", err);

	fuzz_require(json ? json_is_object(json) && !err->code : err->code == EBADMSG && err->text[0]);
	return json;
}

static void members_check(const json_t *object)
{
	const char *key;
	json_t *member;

	json_object_foreach((json_t *)(uintptr_t)object, key, member)
	{
		const char *text = json_text(object, key);
		uint64_t size = UINT64_MAX;

		fuzz_require((text != NULL) == (json_is_string(member) || json_is_null(member)));
		if (json_size(object, key, &size) == 0)
			fuzz_require(json_is_integer(member) && size <= INT64_MAX);
		else
			fuzz_require(size == UINT64_MAX);
	}
}

/* Written out, it reads back as the same. */
static void round_trip(const json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
	struct err err = ERR_INIT;
	json_t *again;

	fuzz_require(text);
	again = parsed(text, strlen(text), &err);
	/* jansson prints what it read with 17 digits: numbers come back as they were. */
	fuzz_require(again && json_equal(json, again));
	fuzz_note_text(text);
	json_decref(again);
	free(text);
}

void fuzz_one(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	json_t *json = parsed((const char *)data, len, &err), *array;

	fuzz_note_text(err.text);
	if (json) {
		value_check(json, 1);
		members_check(json);
		round_trip(json);
	}
	err = ERR_INIT;
	array = json_parse_array((const char *)data, len, "it", &err);
	fuzz_require(array ? json_is_array(array) && !json : err.code == EBADMSG);
	if (array)
		value_check(array, 1);
	json_decref(array);
	json_decref(json);
}
