// SPDX-License-Identifier: Apache-2.0
#include "oci/image/hash.h"

#include "base/num.h"

#include <errno.h>
#include <openssl/evp.h>

int hash_init(struct hash *hash)
{
	hash->md = EVP_MD_CTX_new();
	if (hash->md && EVP_DigestInit_ex(hash->md, EVP_sha256(), NULL) == 1)
		return 0;
	hash_done(hash);
	return -ENOMEM;
}

void hash_done(struct hash *hash)
{
	EVP_MD_CTX_free(hash->md);
	hash->md = NULL;
}

int hash_update(struct hash *hash, const void *data, size_t len)
{
	return EVP_DigestUpdate(hash->md, data, len) == 1 ? 0 : -ENOMEM;
}

int hash_final(struct hash *hash, uint8_t out[static HASH_BYTES])
{
	int ok = EVP_DigestFinal_ex(hash->md, out, NULL);

	hash_done(hash);
	return ok == 1 ? 0 : -ENOMEM;
}

int hash_final_hex(struct hash *hash, char hex[static DIGEST_HEX_LEN + 1])
{
	uint8_t raw[HASH_BYTES];
	int ret = hash_final(hash, raw);

	if (!ret)
		num_format_hex(raw, sizeof(raw), hex);
	return ret;
}

int hash_data_hex(const void *data, size_t len, char hex[static DIGEST_HEX_LEN + 1])
{
	struct hash hash;
	int ret = hash_init(&hash);

	if (!ret)
		ret = hash_update(&hash, data, len);
	if (!ret)
		ret = hash_final_hex(&hash, hex);
	hash_done(&hash);
	return ret;
}
