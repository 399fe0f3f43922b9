// SPDX-License-Identifier: Apache-2.0
#include "oci/image/erofs_parts.h"

#include <string.h>

/* EROFS stores a number for the beginning of a name; what begins otherwise cannot be stored. */
static const struct {
	const char *prefix;
	uint8_t index;
	bool whole; /* the prefix is all of the name */
} prefixes[] = {
	{"user.", 1, false},
	{"system.posix_acl_access", 2, true},
	{"system.posix_acl_default", 3, true},
	{"trusted.", 4, false},
	{"security.", 6, false},
};

/*
 * The guest puts an overlay on top, and these would speak to it: they describe no file but some other
 * overlay.
 */
static bool speaks_to_overlay(const char *name)
{
	return strncmp(name, "trusted.overlay.", 16) == 0 || strncmp(name, "user.overlay.", 13) == 0;
}

/* The index of a name and where the rest of it begins; NULL if EROFS or we do not keep it. */
static const char *name_split(const char *name, uint8_t *index)
{
	if (speaks_to_overlay(name))
		return NULL;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t len = strlen(prefixes[i].prefix);

		if (strncmp(name, prefixes[i].prefix, len) != 0 || (prefixes[i].whole != !name[len]))
			continue;
		*index = prefixes[i].index;
		return name + len;
	}
	return NULL;
}

/* Step through the attributes: name, value and its length, and the place of the next one. */
static const uint8_t *xattr_step(const uint8_t *at, const char **name, const uint8_t **value, uint32_t *len)
{
	*name = (const char *)at;
	at += strlen(*name) + 1;
	memcpy(len, at, sizeof(*len));
	*value = at + sizeof(*len);
	return *value + *len;
}

static uint32_t entry_bytes(const char *rest, uint32_t value_len)
{
	return ((uint32_t)(sizeof(struct erofs_xattr_entry) + strlen(rest)) + value_len + 3) & ~UINT32_C(3);
}

uint32_t erofs_xattr_bytes(const struct tree_inode *inode)
{
	const uint8_t *at = inode->xattrs;
	uint32_t total = 0;

	/* Who has none may have no pointer either. */
	while (inode->xattrs_len && at < inode->xattrs + inode->xattrs_len) {
		const uint8_t *value;
		const char *name, *rest;
		uint32_t len;
		uint8_t index;

		at = xattr_step(at, &name, &value, &len);
		rest = name_split(name, &index);
		if (rest)
			total += entry_bytes(rest, len);
	}
	return total ? total + (uint32_t)sizeof(struct erofs_xattr_header) : 0;
}

void erofs_xattr_fill(const struct tree_inode *inode, uint8_t *out, uint32_t len)
{
	const uint8_t *at = inode->xattrs;

	memset(out, 0, len);
	out += sizeof(struct erofs_xattr_header);
	while (inode->xattrs_len && at < inode->xattrs + inode->xattrs_len) {
		const uint8_t *value;
		const char *name, *rest;
		uint32_t value_len;
		struct erofs_xattr_entry entry = {0};

		at = xattr_step(at, &name, &value, &value_len);
		rest = name_split(name, &entry.e_name_index);
		if (!rest)
			continue;
		entry.e_name_len = (uint8_t)strlen(rest);
		entry.e_value_size = (uint16_t)value_len;
		memcpy(out, &entry, sizeof(entry));
		memcpy(out + sizeof(entry), rest, entry.e_name_len);
		memcpy(out + sizeof(entry) + entry.e_name_len, value, value_len);
		out += entry_bytes(rest, value_len);
	}
}
