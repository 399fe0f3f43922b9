// SPDX-License-Identifier: Apache-2.0
#include "oci/store/ref.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_DOMAIN "docker.io"
#define DEFAULT_FOLDER "library/"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

static bool in_set(char c, const char *set)
{
	return c && strchr(set, c);
}

/* [a-z0-9]+ ((. | _ | __ | -+) [a-z0-9]+)*, all of the len bytes. */
static bool path_part_valid(const char *at, size_t len)
{
	size_t i = 0;

	for (;;) {
		size_t start = i;

		while (i < len && in_set(at[i], LOWER DIGIT))
			i++;
		if (i == start)
			return false;
		if (i == len)
			return true;
		if (at[i] == '-') {
			while (i < len && at[i] == '-')
				i++;
		} else if (at[i] == '.') {
			i++;
		} else if (at[i] == '_') {
			i += i + 1 < len && at[i + 1] == '_' ? 2 : 1;
		} else {
			return false;
		}
	}
}

static bool path_valid(const char *path)
{
	for (;;) {
		size_t len = strcspn(path, "/");

		if (!path_part_valid(path, len))
			return false;
		if (!path[len])
			return true;
		path += len + 1;
	}
}

static bool port_valid(const char *text)
{
	size_t len = strspn(text, DIGIT);

	return len && len <= 5 && !text[len];
}

static bool ipv6_domain_valid(const char *domain)
{
	size_t len = strspn(domain + 1, DIGIT "abcdefABCDEF:");
	const char *rest = domain + 1 + len;

	return len && *rest == ']' && (!rest[1] || (rest[1] == ':' && port_valid(rest + 2)));
}

/* Labels of letters, digits and inner hyphens, joined by dots, then an optional port. */
static bool domain_valid(const char *domain)
{
	if (*domain == '[')
		return ipv6_domain_valid(domain);
	for (;;) {
		size_t len = strspn(domain, LOWER UPPER DIGIT "-");

		if (!len || domain[0] == '-' || domain[len - 1] == '-')
			return false;
		domain += len;
		if (!*domain)
			return true;
		if (*domain == ':')
			return port_valid(domain + 1);
		if (*domain != '.')
			return false;
		domain++;
	}
}

/* Whether the part before the first slash is a registry rather than a folder of the default one. */
static bool part_is_domain(const char *part, size_t len)
{
	return strcspn(part, ".:[" UPPER) < len ||
	       (len == strlen("localhost") && strncmp(part, "localhost", len) == 0);
}

static int name_complete(const char *text, char name[static REF_NAME_MAX + 1])
{
	char domain[REF_NAME_MAX + 1] = DEFAULT_DOMAIN;
	const char *slash = strchr(text, '/');
	const char *path = text, *folder = "";

	if (slash && part_is_domain(text, (size_t)(slash - text))) {
		snprintf(domain, sizeof(domain), "%.*s", (int)(slash - text), text);
		if (strcmp(domain, "index." DEFAULT_DOMAIN) == 0)
			memcpy(domain, DEFAULT_DOMAIN, sizeof(DEFAULT_DOMAIN));
		path = slash + 1;
	}
	if (strcmp(domain, DEFAULT_DOMAIN) == 0 && !strchr(path, '/'))
		folder = DEFAULT_FOLDER;
	if (!domain_valid(domain) || !path_valid(path))
		return -EINVAL;
	if (snprintf(name, REF_NAME_MAX + 1, "%s/%s%s", domain, folder, path) > REF_NAME_MAX)
		return -ENAMETOOLONG;
	return 0;
}

static bool tag_valid(const char *tag)
{
	size_t len = strspn(tag, LOWER UPPER DIGIT "_.-");

	return len && len <= REF_TAG_MAX && !tag[len] && tag[0] != '.' && tag[0] != '-';
}

int ref_parse(const char *text, struct ref *out)
{
	char work[REF_NAME_MAX + 1 + REF_TAG_MAX + 1 + sizeof(DIGEST_PREFIX) + DIGEST_HEX_LEN + 1];
	struct ref ref = {0};
	char *at, *colon;
	int ret;

	if (strlen(text) >= sizeof(work))
		return -ENAMETOOLONG;
	memcpy(work, text, strlen(text) + 1);
	at = strchr(work, '@');
	if (at) {
		*at = '\0';
		ret = digest_parse(at + 1, ref.digest);
		if (ret)
			return ret;
	}
	colon = strrchr(work, ':');
	if (colon && !strchr(colon, '/')) {
		*colon = '\0';
		if (!tag_valid(colon + 1))
			return -EINVAL;
		memcpy(ref.tag, colon + 1, strlen(colon + 1) + 1);
	} else if (!at) {
		memcpy(ref.tag, "latest", sizeof("latest"));
	}
	if (strlen(work) > REF_NAME_MAX)
		return -ENAMETOOLONG;
	if (digest_hex_valid(work))
		return -EINVAL;
	ret = name_complete(work, ref.name);
	if (ret)
		return ret;
	*out = ref;
	return 0;
}

int ref_format(const struct ref *ref, char text[static REF_TEXT_MAX + 1])
{
	size_t name_len = strlen(ref->name), tag_len = strlen(ref->tag);

	if (!tag_len)
		return -EINVAL;
	if (name_len + 1 + tag_len > REF_TEXT_MAX)
		return -ENAMETOOLONG;
	memcpy(text, ref->name, name_len);
	text[name_len] = ':';
	memcpy(text + name_len + 1, ref->tag, tag_len + 1);
	return 0;
}

/* A name of 64 hexadecimal digits: alone, it would be an image ID. */
static bool name_is_id(const char *name)
{
	size_t len = strspn(name, DIGIT "abcdef");

	return len == DIGEST_HEX_LEN && (!name[len] || name[len] == ':');
}

const char *ref_familiar(const char *text)
{
	static const char domain[] = DEFAULT_DOMAIN "/";
	static const char folder[] = DEFAULT_FOLDER;
	const char *path, *slash, *last;

	if (strncmp(text, domain, strlen(domain)) != 0)
		return text;
	path = text + strlen(domain);
	slash = strchr(path, '/');
	/* docker.io/a.b/c keeps its registry: without it, a.b would be one. */
	if (slash && part_is_domain(path, (size_t)(slash - path)))
		return text;
	if (strncmp(path, folder, strlen(folder)) != 0)
		return path;
	/* library/a/b keeps its folder: without it, it would be another name. */
	last = path + strlen(folder);
	return strchr(last, '/') || name_is_id(last) ? path : last;
}

void ref_escape(char *text)
{
	for (; *text; text++) {
		if (*text == '/')
			*text = '+';
	}
}

void ref_unescape(char *text)
{
	for (; *text; text++) {
		if (*text == '+')
			*text = '/';
	}
}
