// SPDX-License-Identifier: Apache-2.0
#include "oci/store/digest.h"

#include <errno.h>
#include <string.h>

bool digest_hex_valid(const char *hex)
{
	size_t len = strspn(hex, "0123456789abcdef");

	return len == DIGEST_HEX_LEN && !hex[len];
}

/* "algorithm:encoded", whatever the algorithm: enough to tell an unknown one from nonsense. */
static bool digest_wellformed(const char *text)
{
	size_t algorithm = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+._-");

	return algorithm && text[algorithm] == ':' && text[algorithm + 1];
}

int digest_parse(const char *text, char hex[static DIGEST_HEX_LEN + 1])
{
	size_t prefix = strlen(DIGEST_PREFIX);

	if (strncmp(text, DIGEST_PREFIX, prefix) != 0)
		return digest_wellformed(text) ? -ENOTSUP : -EINVAL;
	if (!digest_hex_valid(text + prefix))
		return -EINVAL;
	memcpy(hex, text + prefix, DIGEST_HEX_LEN + 1);
	return 0;
}
