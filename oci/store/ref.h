// SPDX-License-Identifier: Apache-2.0
/*
 * Image references, with the grammar and the completion that docker and podman users know
 * (distribution/reference): [domain/]path[:tag][@digest].
 */
#ifndef MVRUN_OCI_STORE_REF_H
#define MVRUN_OCI_STORE_REF_H

#include "oci/store/digest.h"

#include <stddef.h>

#define REF_NAME_MAX 255 /* repository, as docker limits it */
#define REF_TAG_MAX 128
#define REF_TEXT_MAX 250 /* repository and tag together: it becomes a file name */

struct ref {
	char name[REF_NAME_MAX + 1]; /* complete: docker.io/library/busybox */
	char tag[REF_TAG_MAX + 1]; /* "latest" when the text had neither tag nor digest, else may be "" */
	char digest[DIGEST_HEX_LEN + 1]; /* "" if none */
};

/*
 * Parse and complete what a user wrote. 0; -EINVAL (against the grammar, or a bare 64-digit hex number, which
 * is an image ID); -ENAMETOOLONG; -ENOTSUP (digest of another algorithm). *out is untouched on failure.
 */
int ref_parse(const char *text, struct ref *out);

/* "docker.io/library/busybox:latest". Needs a tag. 0 or -ENAMETOOLONG (above REF_TEXT_MAX), -EINVAL (no tag). */
int ref_format(const struct ref *ref, char text[static REF_TEXT_MAX + 1]);

/* Where docker's short form begins: "busybox:latest" in "docker.io/library/busybox:latest". */
const char *ref_familiar(const char *text);

/* The file name of a formatted reference and back, in place: '/' is the only byte a file name cannot have. */
void ref_escape(char *text);
void ref_unescape(char *text);

#endif
