// SPDX-License-Identifier: Apache-2.0
#include "oci/image/platform.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* What the kernel, Debian and others say, and what images say. */
static const struct {
	const char *alias;
	const char *arch;
	const char *variant;
} aliases[] = {
	{"x86_64", "amd64", ""},
	{"x86-64", "amd64", ""},
	{"aarch64", "arm64", ""},
	{"armhf", "arm", "v7"},
	{"armel", "arm", "v6"},
	{"i386", "386", ""},
};

static bool part_good(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	size_t len = strlen(text);

	return len <= PLATFORM_PART_MAX && strspn(text, allowed) == len;
}

int platform_set(struct platform *out, const char *os, const char *arch, const char *variant)
{
	if (!part_good(os) || !part_good(arch) || !part_good(variant))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
		if (strcmp(arch, aliases[i].alias) != 0)
			continue;
		arch = aliases[i].arch;
		if (!*variant)
			variant = aliases[i].variant;
	}
	if (strcmp(arch, "arm64") == 0 && strcmp(variant, "v8") == 0)
		variant = "";
	if (strcmp(arch, "amd64") == 0 && strcmp(variant, "v1") == 0)
		variant = "";
	if (strcmp(arch, "arm") == 0 && !*variant)
		variant = "v7";
	snprintf(out->os, sizeof(out->os), "%s", os);
	snprintf(out->arch, sizeof(out->arch), "%s", arch);
	snprintf(out->variant, sizeof(out->variant), "%s", variant);
	return 0;
}

void platform_host(struct platform *out)
{
	struct utsname name;

	*out = (struct platform){.os = "linux"};
	if (uname(&name) == 0)
		platform_set(out, "linux", name.machine, "");
}

int platform_parse(const char *text, struct platform *out)
{
	char work[PLATFORM_TEXT_MAX], *part[3] = {work, NULL, NULL};
	size_t n = 1;

	if (snprintf(work, sizeof(work), "%s", text) >= (int)sizeof(work))
		return -EINVAL;
	for (char *at = work; *at; at++) {
		if (*at != '/')
			continue;
		if (n == 3)
			return -EINVAL;
		*at = '\0';
		part[n++] = at + 1;
	}
	if (n == 1) {
		part[1] = work;
		part[0] = NULL;
	}
	if (!*part[1] || (part[0] && !*part[0]) || (part[2] && !*part[2]))
		return -EINVAL;
	return platform_set(out, part[0] ? part[0] : "linux", part[1], part[2] ? part[2] : "");
}

/* The number of "v7"; 1 for none, -1 for anything else. */
static int variant_level(const char *variant)
{
	if (!*variant)
		return 1;
	return variant[0] == 'v' && variant[1] >= '1' && variant[1] <= '9' && !variant[2] ? variant[1] - '0'
											  : -1;
}

int platform_score(const struct platform *want, const struct platform *have)
{
	int level = variant_level(have->variant), limit = variant_level(want->variant);

	if (strcmp(want->os, have->os) != 0 || strcmp(want->arch, have->arch) != 0)
		return 0;
	if (strcmp(want->variant, have->variant) == 0)
		return 100;
	if (strcmp(want->arch, "arm") != 0 && strcmp(want->arch, "amd64") != 0)
		return 0;
	return level > 0 && level <= limit ? level : 0;
}

void platform_format(const struct platform *platform, char text[static PLATFORM_TEXT_MAX])
{
	snprintf(text, PLATFORM_TEXT_MAX, "%s/%s%s%s", platform->os, platform->arch,
		*platform->variant ? "/" : "", platform->variant);
}
