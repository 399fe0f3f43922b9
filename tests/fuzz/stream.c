// SPDX-License-Identifier: Apache-2.0
/* What a blob unpacks to: never more than the limits allow, the same with and without hashes, skipped or read. */
#include "tests/fuzz/fuzz.h"

#include "oci/image/stream.h"

#include <errno.h>
#include <string.h>

#define OUTPUT_MAX (1u << 20)

struct outcome {
	int ret;
	uint64_t bytes;
	char in[DIGEST_HEX_LEN + 1], out[DIGEST_HEX_LEN + 1];
};

static int stream_read(struct stream *stream, struct hash *hash, uint64_t *bytes, struct err *err)
{
	for (;;) {
		const uint8_t *data;
		size_t len;
		int ret = stream_next(stream, &data, &len, err);

		if (ret || !len)
			return ret;
		fuzz_require(len <= OUTPUT_MAX - *bytes);
		*bytes += len;
		fuzz_require(hash_update(hash, data, len) == 0);
	}
}

static struct outcome outcome_of(const struct blob_ref *blob, bool hashed)
{
	struct stream_options options = {.max_bytes = OUTPUT_MAX, .hash = hashed};
	struct outcome outcome = {0};
	struct err err = ERR_INIT;
	struct stream stream;
	struct hash hash;

	fuzz_require(hash_init(&hash) == 0);
	outcome.ret = stream_open(&stream, blob, &options, &err);
	if (!outcome.ret) {
		outcome.ret = stream_read(&stream, &hash, &outcome.bytes, &err);
		fuzz_require(stream.in_pos <= blob->bytes);
		if (!outcome.ret && hashed) {
			char own[DIGEST_HEX_LEN + 1];

			fuzz_require(stream_digests(&stream, outcome.in, outcome.out) == 0);
			fuzz_require(hash_final_hex(&hash, own) == 0 && !strcmp(own, outcome.out));
		}
		stream_close(&stream);
	}
	hash_done(&hash);
	fuzz_require(err.code == -outcome.ret && (!outcome.ret || err.text[0]));
	return outcome;
}

/* Skipping leads as far as reading, where it is possible. */
static void skip_check(const struct blob_ref *blob, const struct outcome *read)
{
	struct stream_options options = {.max_bytes = OUTPUT_MAX};
	struct err err = ERR_INIT;
	struct stream stream;
	const uint8_t *data;
	size_t len;

	fuzz_require(stream_open(&stream, blob, &options, &err) == 0);
	if (stream.compression == COMPRESSION_NONE) {
		fuzz_require(stream_skip(&stream, read->bytes, &err) == 0);
		fuzz_require(stream_next(&stream, &data, &len, &err) == 0 && len == 0);
		fuzz_require(stream_skip(&stream, 1, &err) == -EBADMSG);
	} else {
		fuzz_require(stream_skip(&stream, read->bytes, &err) == -EINVAL);
	}
	stream_close(&stream);
}

/* The blob lies between other bytes, which must never show: the first byte says how many are in front. */
void fuzz_one(const uint8_t *data, size_t len)
{
	struct outcome hashed, plain;
	char digest[DIGEST_HEX_LEN + 1];
	struct blob_ref blob;

	if (len < 3 || data[0] > len - 2)
		return;
	blob = (struct blob_ref){
		.fd = fuzz_file(0, data, len), .offset = data[0] + 1u, .bytes = len - data[0] - 2u};
	hashed = outcome_of(&blob, true);
	plain = outcome_of(&blob, false);
	fuzz_require(hashed.ret == plain.ret && hashed.bytes == plain.bytes);
	if (!hashed.ret) {
		fuzz_require(blob_digest(&blob, NULL, digest, NULL) == 0 && !strcmp(digest, hashed.in));
		skip_check(&blob, &plain);
	}
	fuzz_note(&hashed.ret, sizeof(hashed.ret));
	fuzz_note_u64(hashed.bytes);
	fuzz_note_text(hashed.out);
}
