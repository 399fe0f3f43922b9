// SPDX-License-Identifier: Apache-2.0
/*
 * Which of an image's variants runs here (image-spec, image-index.md, platform; Go's names for
 * architectures).
 */
#ifndef MVRUN_OCI_IMAGE_PLATFORM_H
#define MVRUN_OCI_IMAGE_PLATFORM_H

#define PLATFORM_PART_MAX 31
#define PLATFORM_TEXT_MAX (3 * (PLATFORM_PART_MAX + 1))

struct platform {
	char os[PLATFORM_PART_MAX + 1];
	char arch[PLATFORM_PART_MAX + 1];
	char variant[PLATFORM_PART_MAX + 1];
};

/* This machine. */
void platform_host(struct platform *out);

/* "linux/arm64", "linux/arm/v7", "arm64". 0 or -EINVAL. Aliases (x86_64, aarch64) become the proper name. */
int platform_parse(const char *text, struct platform *out);

/* From the parts a file has; longer or strange ones are -EINVAL. */
int platform_set(struct platform *out, const char *os, const char *arch, const char *variant);

/*
 * How well an image for `have` serves who wants `want`: 0 not at all, else the higher the better. arm64 is
 * v8; arm without variant is v7 and runs older ones; amd64 is v1 unless asked for more, which runs older ones
 * too.
 */
int platform_score(const struct platform *want, const struct platform *have);

/* "linux/arm64" or "linux/arm/v7". */
void platform_format(const struct platform *platform, char text[static PLATFORM_TEXT_MAX]);

#endif
