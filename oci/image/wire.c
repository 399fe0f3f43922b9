// SPDX-License-Identifier: Apache-2.0
#include "oci/image/wire.h"

#include <string.h>

void wire_put_number(struct buf *to, uint64_t number)
{
	buf_append(to, &number, sizeof(number));
}

void wire_put_text(struct buf *to, const char *text)
{
	size_t len = strlen(text);

	wire_put_number(to, len);
	buf_append(to, text, len + 1);
}

static const uint8_t *take(struct wire *wire, size_t len)
{
	const uint8_t *at = wire->at;

	if (wire->bad || len > wire->left) {
		wire->bad = true;
		return NULL;
	}
	wire->at += len;
	wire->left -= len;
	return at;
}

uint64_t wire_number(struct wire *wire, uint64_t max)
{
	const uint8_t *at = take(wire, sizeof(uint64_t));
	uint64_t number = 0;

	if (at)
		memcpy(&number, at, sizeof(number));
	if (number <= max)
		return number;
	wire->bad = true;
	return 0;
}

const char *wire_text(struct wire *wire, size_t max)
{
	size_t len = (size_t)wire_number(wire, max);
	const uint8_t *at = take(wire, len + 1);

	if (at && at[len] == '\0' && !memchr(at, '\0', len))
		return (const char *)at;
	wire->bad = true;
	return "";
}

void wire_digest(struct wire *wire, bool optional, char hex[static DIGEST_HEX_LEN + 1])
{
	const char *text = wire_text(wire, DIGEST_HEX_LEN);

	hex[0] = '\0';
	if (digest_hex_valid(text))
		memcpy(hex, text, DIGEST_HEX_LEN + 1);
	else if (!optional || *text)
		wire->bad = true;
}

bool wire_end(const struct wire *wire)
{
	return !wire->bad && !wire->left;
}
