// SPDX-License-Identifier: Apache-2.0
#include "oci/image/stream.h"

#include "base/num.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define ZSTD_WINDOW_LOG_MAX 27

/* gzip cannot exceed 1032:1; zstd can, and does so only for a bomb or a file of nothing but zeros. */
#define RATIO_MAX 1100
#define RATIO_FREE (UINT64_C(1) << 30)

static const struct magic {
	const char *name;
	const char *bytes;
	size_t len;
	int compression; /* -1: known, not supported */
} magics[] = {
	{"gzip", "\x1f\x8b", 2, COMPRESSION_GZIP},
	{"zstd", "\x28\xb5\x2f\xfd", 4, COMPRESSION_ZSTD},
	{"bzip2", "BZh", 3, -1},
	{"xz",
		"\xfd"
		"7zXZ",
		5, -1},
	{"lz4", "\x04\x22\x4d\x18", 4, -1},
};

const char *compression_name(enum compression compression)
{
	static const char *const names[] = {"plain", "gzip", "zstd"};

	return names[compression];
}

/* ---- input ---- */

/* Refill the empty input buffer; in_len is 0 at the end of the blob. */
static int input_fill(struct stream *stream, struct err *err)
{
	uint64_t left = stream->blob.bytes - stream->in_pos;
	size_t want = left < STREAM_CHUNK ? (size_t)left : STREAM_CHUNK;
	ssize_t n;

	stream->in_at = stream->in_len = 0;
	if (stream->options.cancel && atomic_load(stream->options.cancel))
		return err_set(err, EINTR, "interrupted");
	if (!want)
		return 0;
	do
		n = pread(stream->blob.fd, stream->in, want, (off_t)(stream->blob.offset + stream->in_pos));
	while (n < 0 && errno == EINTR && !(stream->options.cancel && atomic_load(stream->options.cancel)));
	if (n < 0)
		return err_sys(err, errno, "read");
	if (n == 0)
		return err_set(err, EBADMSG, "the file ends early: it is truncated");
	stream->in_len = (size_t)n;
	stream->in_pos += (uint64_t)n;
	if (stream->options.progress)
		atomic_fetch_add(stream->options.progress, (uint64_t)n);
	if (stream->options.hash && hash_update(&stream->hash_in, stream->in, (size_t)n))
		return err_set(err, ENOMEM, "out of memory");
	return 0;
}

static bool magic_at(const struct stream *stream, const struct magic *magic)
{
	return stream->in_len >= magic->len && memcmp(stream->in, magic->bytes, magic->len) == 0;
}

/* zstd streams may begin with a frame to be skipped: 0x184D2A50 to 0x184D2A5F (RFC 8878, 3.1.2). */
static bool skippable_frame_at(const struct stream *stream)
{
	return stream->in_len >= 4 && (stream->in[0] & 0xf0) == 0x50 &&
	       memcmp(stream->in + 1, "\x2a\x4d\x18", 3) == 0;
}

static int compression_detect(struct stream *stream, struct err *err)
{
	int ret = input_fill(stream, err);

	if (ret)
		return ret;
	stream->compression = skippable_frame_at(stream) ? COMPRESSION_ZSTD : COMPRESSION_NONE;
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
		if (!magic_at(stream, &magics[i]))
			continue;
		if (magics[i].compression < 0)
			return err_set(err, ENOTSUP,
				"compressed with %s: mvrun reads gzip, zstd and uncompressed data",
				magics[i].name);
		stream->compression = (enum compression)magics[i].compression;
	}
	return 0;
}

/* ---- codecs ---- */

static int codec_open(struct stream *stream, struct err *err)
{
	int ok = 0;

	if (stream->compression == COMPRESSION_GZIP) {
		z_stream *z = stream->codec = calloc(1, sizeof(*z));

		ok = z && inflateInit2(z, 15 + 16) == Z_OK;
	} else {
		ZSTD_DStream *z = stream->codec = ZSTD_createDStream();

		ok = z && !ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX));
	}
	return ok ? 0 : err_set(err, ENOMEM, "out of memory");
}

static void codec_close(struct stream *stream)
{
	if (!stream->codec)
		return;
	if (stream->compression == COMPRESSION_GZIP) {
		inflateEnd(stream->codec);
		free(stream->codec);
	} else {
		ZSTD_freeDStream(stream->codec);
	}
	stream->codec = NULL;
}

/* One step of inflate. *got may be 0; codec_idle says whether a member ended with it. */
static int gzip_step(struct stream *stream, size_t room, size_t *got, struct err *err)
{
	z_stream *z = stream->codec;
	int ret;

	if (stream->codec_idle) {
		inflateReset(z);
		stream->codec_idle = false;
	}
	z->next_in = stream->in + stream->in_at;
	z->avail_in = (uInt)(stream->in_len - stream->in_at);
	z->next_out = stream->out + *got;
	z->avail_out = (uInt)room;
	ret = inflate(z, Z_NO_FLUSH);
	stream->in_at = stream->in_len - z->avail_in;
	*got += room - z->avail_out;
	if (ret == Z_STREAM_END)
		stream->codec_idle = true;
	else if (ret == Z_MEM_ERROR)
		return err_set(err, ENOMEM, "out of memory");
	else if (ret != Z_OK && ret != Z_BUF_ERROR)
		return err_set(err, EBADMSG, "damaged gzip data (%s)", z->msg ? z->msg : "no valid header");
	return 0;
}

static int zstd_step(struct stream *stream, size_t room, size_t *got, struct err *err)
{
	ZSTD_inBuffer in = {.src = stream->in, .size = stream->in_len, .pos = stream->in_at};
	ZSTD_outBuffer out = {.dst = stream->out, .size = *got + room, .pos = *got};
	size_t ret = ZSTD_decompressStream(stream->codec, &out, &in);

	if (ZSTD_isError(ret))
		return err_set(err, EBADMSG, "damaged zstd data (%s)", ZSTD_getErrorName(ret));
	stream->in_at = in.pos;
	*got = out.pos;
	stream->codec_idle = ret == 0;
	return 0;
}

static int codec_step(struct stream *stream, size_t *got, struct err *err)
{
	size_t room = STREAM_CHUNK - *got;

	return stream->compression == COMPRESSION_GZIP ? gzip_step(stream, room, got, err)
						       : zstd_step(stream, room, got, err);
}

/* Decompress until the output buffer is full or the input buffer empty. *got is 0 only at the end. */
static int codec_next(struct stream *stream, size_t *got, struct err *err)
{
	*got = 0;
	for (;;) {
		bool drained = stream->in_at == stream->in_len;
		int ret;

		if (drained && *got)
			return 0;
		ret = drained ? input_fill(stream, err) : 0;
		if (!ret && !stream->in_len && stream->codec_idle)
			return 0;
		/* With no input left the codec may still hold output back. */
		if (!ret)
			ret = codec_step(stream, got, err);
		if (ret)
			return ret;
		if (*got == STREAM_CHUNK)
			return 0;
		if (!stream->in_len && !*got)
			return err_set(err, EBADMSG, "the compressed data ends early: it is truncated");
	}
}

/* ---- interface ---- */

int stream_open(struct stream *stream, const struct blob_ref *blob, const struct stream_options *options,
	struct err *err)
{
	int ret;

	*stream = (struct stream){.blob = *blob, .options = *options, .codec_idle = false};
	stream->in = malloc(STREAM_CHUNK);
	if (!stream->in || (options->hash && (hash_init(&stream->hash_in) || hash_init(&stream->hash_out)))) {
		stream_close(stream);
		return err_set(err, ENOMEM, "out of memory");
	}
	ret = compression_detect(stream, err);
	if (!ret && stream->compression != COMPRESSION_NONE) {
		stream->out = malloc(STREAM_CHUNK);
		ret = stream->out ? codec_open(stream, err) : err_set(err, ENOMEM, "out of memory");
	}
	if (ret)
		stream_close(stream);
	return ret;
}

void stream_close(struct stream *stream)
{
	codec_close(stream);
	hash_done(&stream->hash_in);
	hash_done(&stream->hash_out);
	free(stream->in);
	free(stream->out);
	stream->in = stream->out = NULL;
}

static int limits_check(const struct stream *stream, struct err *err)
{
	if (stream->out_bytes > stream->options.max_bytes)
		return err_set(err, EFBIG, "unpacks to more than %llu bytes, the limit (--max-image-size)",
			(unsigned long long)stream->options.max_bytes);
	if (stream->out_bytes > RATIO_FREE && stream->out_bytes / RATIO_MAX > stream->in_pos)
		return err_set(err, EFBIG, "unpacks to more than %d times its size: refused", RATIO_MAX);
	return 0;
}

int stream_next(struct stream *stream, const uint8_t **data, size_t *len, struct err *err)
{
	int ret = 0;

	if (stream->compression == COMPRESSION_NONE) {
		if (stream->in_at == stream->in_len)
			ret = input_fill(stream, err);
		*data = stream->in + stream->in_at;
		*len = stream->in_len - stream->in_at;
		stream->in_at = stream->in_len;
	} else {
		ret = codec_next(stream, len, err);
		*data = stream->out;
	}
	if (ret)
		return ret;
	stream->out_bytes += *len;
	/* What is not compressed comes out as it went in, and was hashed there. */
	if (stream->options.hash && stream->compression != COMPRESSION_NONE &&
		hash_update(&stream->hash_out, *data, *len))
		return err_set(err, ENOMEM, "out of memory");
	return limits_check(stream, err);
}

int stream_skip(struct stream *stream, uint64_t bytes, struct err *err)
{
	uint64_t buffered = stream->in_len - stream->in_at;

	if (stream->compression != COMPRESSION_NONE || stream->options.hash || bytes < buffered)
		return err_set(err, EINVAL, "internal error: this stream cannot be skipped");
	bytes -= buffered;
	stream->in_at = stream->in_len;
	if (bytes > stream->blob.bytes - stream->in_pos)
		return err_set(err, EBADMSG, "the file ends early: it is truncated");
	stream->in_pos += bytes;
	return 0;
}

int stream_digests(
	struct stream *stream, char in[static DIGEST_HEX_LEN + 1], char out[static DIGEST_HEX_LEN + 1])
{
	int ret = hash_final_hex(&stream->hash_in, in);

	if (!ret && stream->compression == COMPRESSION_NONE)
		memcpy(out, in, DIGEST_HEX_LEN + 1);
	else if (!ret)
		ret = hash_final_hex(&stream->hash_out, out);
	return ret;
}

int blob_digest(const struct blob_ref *blob, const atomic_int *cancel, char hex[static DIGEST_HEX_LEN + 1],
	struct err *err)
{
	struct stream stream = {.blob = *blob, .options = {.hash = true, .cancel = cancel}};
	int ret;

	stream.in = malloc(STREAM_CHUNK);
	if (!stream.in || hash_init(&stream.hash_in)) {
		free(stream.in);
		return err_set(err, ENOMEM, "out of memory");
	}
	do
		ret = input_fill(&stream, err);
	while (!ret && stream.in_len);
	if (!ret && hash_final_hex(&stream.hash_in, hex))
		ret = err_set(err, ENOMEM, "out of memory");
	stream_close(&stream);
	return ret;
}
