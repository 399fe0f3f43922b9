// SPDX-License-Identifier: Apache-2.0
#include "oci/image/json.h"

#include <errno.h>
#include <stdbool.h>

/* The library recurses as deep as the text does, so look first. Strings are skipped, errors left to it. */
static bool depth_good(const char *text, size_t len)
{
	unsigned int depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '{' || c == '[') && ++depth > JSON_DEPTH_MAX)
			return false;
		else if (!quoted && (c == '}' || c == ']') && depth)
			depth--;
	}
	return true;
}

static json_t *parse(const char *text, size_t len, json_type type, const char *what, struct err *err)
{
	json_error_t error;
	json_t *json;

	if (!depth_good(text, len)) {
		err_set(err, EBADMSG, "%s is nested deeper than %d levels", what, JSON_DEPTH_MAX);
		return NULL;
	}
	json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!json) {
		err_set(err, EBADMSG, "%s is not valid JSON (line %d: %s)", what, error.line, error.text);
		return NULL;
	}
	if (json_typeof(json) == type)
		return json;
	json_decref(json);
	err_set(err, EBADMSG, "%s is not a JSON %s", what, type == JSON_ARRAY ? "array" : "object");
	return NULL;
}

json_t *json_parse(const char *text, size_t len, const char *what, struct err *err)
{
	return parse(text, len, JSON_OBJECT, what, err);
}

json_t *json_parse_array(const char *text, size_t len, const char *what, struct err *err)
{
	return parse(text, len, JSON_ARRAY, what, err);
}

const char *json_text(const json_t *object, const char *key)
{
	const json_t *member = json_object_get(object, key);

	return !member || json_is_null(member) ? "" : json_string_value(member);
}

int json_size(const json_t *object, const char *key, uint64_t *out)
{
	const json_t *member = json_object_get(object, key);

	if (!json_is_integer(member) || json_integer_value(member) < 0)
		return -EINVAL;
	*out = (uint64_t)json_integer_value(member);
	return 0;
}
