// SPDX-License-Identifier: Apache-2.0
/* Digests as text. Only what passed here may become part of a path. Any thread. */
#ifndef MVRUN_OCI_STORE_DIGEST_H
#define MVRUN_OCI_STORE_DIGEST_H

#include <stdbool.h>

#define DIGEST_HEX_LEN 64
#define DIGEST_PREFIX "sha256:"

/* True for exactly 64 lower-case hex digits. */
bool digest_hex_valid(const char *hex);

/*
 * Check "sha256:<64 lower-case hex digits>" (image-spec, descriptor.md, Digests) and copy the digits and a
 * NUL to hex. 0, -EINVAL (not of that form), -ENOTSUP (another algorithm); hex is untouched on failure.
 */
int digest_parse(const char *text, char hex[static DIGEST_HEX_LEN + 1]);

#endif
