// SPDX-License-Identifier: Apache-2.0
/*
 * JSON from strangers (jansson), within limits: size, depth, no duplicate names, no NUL in strings, valid
 * UTF-8, numbers that fit (image-spec, canonicalization.md, and I-JSON, RFC 7493).
 */
#ifndef MVRUN_OCI_IMAGE_JSON_H
#define MVRUN_OCI_IMAGE_JSON_H

#include "base/err.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 64
#define JSON_MANIFEST_MAX (4u << 20) /* manifests and indexes: what registries allow */
#define JSON_CONFIG_MAX (8u << 20)

static inline void json_release(json_t **json)
{
	json_decref(*json);
}
#define auto_json __attribute__((cleanup(json_release))) json_t

/* Parse an object. NULL with err set (EBADMSG, naming what) if it is not one within the limits. */
json_t *json_parse(const char *text, size_t len, const char *what, struct err *err);

/* The same for an array. */
json_t *json_parse_array(const char *text, size_t len, const char *what, struct err *err);

/* The text of a member, "" where it is absent or null. NULL where it is something else. Borrowed. */
const char *json_text(const json_t *object, const char *key);

/* A member that is a whole number from 0 to 2^63 - 1. 0 or -EINVAL. */
int json_size(const json_t *object, const char *key, uint64_t *out);

#endif
