// SPDX-License-Identifier: Apache-2.0
/* Running SHA-256 (libcrypto), and digests of small data. One thread per hash. */
#ifndef MVRUN_OCI_IMAGE_HASH_H
#define MVRUN_OCI_IMAGE_HASH_H

#include "oci/store/digest.h"

#include <stddef.h>
#include <stdint.h>

#define HASH_BYTES 32

struct hash {
	void *md; /* EVP_MD_CTX; NULL once finished */
};

/* 0 or -ENOMEM. hash_done() may follow in any case, more than once. */
int hash_init(struct hash *hash);
void hash_done(struct hash *hash);
int hash_update(struct hash *hash, const void *data, size_t len);

/* The digest as bytes, or as lower-case hex. Ends the hash. 0 or -ENOMEM. */
int hash_final(struct hash *hash, uint8_t out[static HASH_BYTES]);
int hash_final_hex(struct hash *hash, char hex[static DIGEST_HEX_LEN + 1]);

/* All at once. 0 or -ENOMEM. */
int hash_data_hex(const void *data, size_t len, char hex[static DIGEST_HEX_LEN + 1]);

#endif
