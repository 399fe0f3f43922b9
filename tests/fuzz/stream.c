// SPDX-License-Identifier: Apache-2.0
/* What a blob unpacks to: the same from a file and from a pipe, in pieces that are not too large, skipped or read. */
#include "tests/fuzz/fuzz.h"

#include "oci/image/stream.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_MAX (1u << 20)

struct outcome {
	int ret;
	uint64_t bytes;
	char digest[DIGEST_HEX_LEN + 1];
};

/* To the end, or until it is enough: how much comes out is not the stream's to limit. */
static int stream_read(struct stream *stream, struct hash *hash, uint64_t *bytes, struct err *err)
{
	while (*bytes <= OUTPUT_MAX) {
		const uint8_t *data;
		size_t len;
		int ret = stream_next(stream, &data, &len, err);

		if (ret || !len)
			return ret;
		fuzz_require(len <= STREAM_CHUNK);
		*bytes += len;
		fuzz_require(hash_update(hash, data, len) == 0);
	}
	return 0;
}

static struct outcome outcome_of(const struct blob_ref *blob, enum compression compression)
{
	struct outcome outcome = {0};
	struct err err = ERR_INIT;
	struct stream stream;
	struct hash hash;

	fuzz_require(hash_init(&hash) == 0);
	fuzz_require(stream_open(&stream, blob, compression, &err) == 0);
	outcome.ret = stream_read(&stream, &hash, &outcome.bytes, &err);
	fuzz_require(stream.in_pos <= blob->bytes);
	fuzz_require(hash_final_hex(&hash, outcome.digest) == 0);
	stream_close(&stream);
	fuzz_require(err.code == -outcome.ret && (!outcome.ret || err.text[0]));
	return outcome;
}

/* The same bytes as a pipe would bring them. */
static struct outcome outcome_piped(const uint8_t *data, size_t len, enum compression compression)
{
	struct blob_ref blob = {.fd = fuzz_file(1, data, len), .bytes = BLOB_TO_END};

	fuzz_require(lseek(blob.fd, 0, SEEK_SET) == 0);
	return outcome_of(&blob, compression);
}

/* Skipping leads as far as reading, where it is possible. */
static void skip_check(const struct blob_ref *blob, enum compression compression, const struct outcome *read)
{
	struct err err = ERR_INIT;
	struct stream stream;
	const uint8_t *data;
	size_t len;

	fuzz_require(stream_open(&stream, blob, compression, &err) == 0);
	if (compression == COMPRESSION_NONE) {
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
	struct outcome from_file, from_pipe;
	char digest[DIGEST_HEX_LEN + 1];
	enum compression compression;
	struct err err = ERR_INIT;
	struct blob_ref blob;

	if (len < 3 || data[0] > len - 2)
		return;
	blob = (struct blob_ref){
		.fd = fuzz_file(0, data, len), .offset = data[0] + 1u, .bytes = len - data[0] - 2u};
	if (blob_compression(&blob, &compression, &err)) {
		fuzz_require(err.code == ENOTSUP && err.text[0]);
		return;
	}
	from_file = outcome_of(&blob, compression);
	from_pipe = outcome_piped(data + blob.offset, (size_t)blob.bytes, compression);
	fuzz_require(from_file.ret == from_pipe.ret && from_file.bytes == from_pipe.bytes);
	fuzz_require(!strcmp(from_file.digest, from_pipe.digest));
	if (!from_file.ret && from_file.bytes <= OUTPUT_MAX) {
		fuzz_require(blob_digest(&blob, NULL, digest, NULL) == 0);
		fuzz_require(compression != COMPRESSION_NONE || !strcmp(digest, from_file.digest));
		skip_check(&blob, compression, &from_file);
	}
	fuzz_note(&from_file.ret, sizeof(from_file.ret));
	fuzz_note_u64(from_file.bytes);
	fuzz_note_text(from_file.digest);
}
