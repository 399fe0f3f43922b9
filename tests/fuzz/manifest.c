// SPDX-License-Identifier: Apache-2.0
/* Manifests: nothing but good digests, sizes and a number of layers within the limit comes out. */
#include "tests/fuzz/fuzz.h"

#include "oci/image/manifest.h"
#include "oci/image/stream.h"

#include <errno.h>

void fuzz_one(const uint8_t *data, size_t len)
{
	static struct manifest manifest;
	struct err err = ERR_INIT;
	json_t *json = json_parse((const char *)data, len, "it", &err);
	int ret;

	if (!json)
		return;
	fuzz_note_u64((uint64_t)manifest_kind(json));
	ret = manifest_read(json, &manifest, &err);
	fuzz_require(ret == 0 || ret == -EBADMSG || ret == -ENOTSUP || ret == -EFBIG);
	fuzz_require(err.code == -ret && (!ret || err.text[0]));
	fuzz_note_text(err.text);
	if (!ret) {
		fuzz_require(manifest.n_layers <= IMAGE_LAYERS_MAX && digest_hex_valid(manifest.config));
		fuzz_require(manifest.config_bytes <= JSON_CONFIG_MAX);
		for (size_t i = 0; i < manifest.n_layers; i++) {
			const struct manifest_layer *layer = &manifest.layers[i];

			fuzz_require(digest_hex_valid(layer->digest) && layer->bytes <= INT64_MAX);
			fuzz_require(layer->compression >= -1 && layer->compression <= COMPRESSION_ZSTD);
			fuzz_note_text(layer->digest);
			fuzz_note_u64(layer->bytes);
		}
	}
	json_decref(json);
}
