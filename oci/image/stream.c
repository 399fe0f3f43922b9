// SPDX-License-Identifier: Apache-2.0
#include "oci/image/stream.h"

#include "base/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define ZSTD_WINDOW_LOG_MAX 27

/* ---- input ---- */

/* Fill the input buffer from a pipe, whose writes may come in any pieces. */
static int pipe_fill(struct stream *stream)
{
	while (stream->in_len < STREAM_CHUNK) {
		ssize_t n = read(stream->blob.fd, stream->in + stream->in_len, STREAM_CHUNK - stream->in_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		stream->in_len += (size_t)n;
	}
	return 0;
}

static int file_fill(struct stream *stream)
{
	uint64_t left = stream->blob.bytes - stream->in_pos;
	size_t want = left < STREAM_CHUNK ? (size_t)left : STREAM_CHUNK;
	int ret = io_pread_exact(stream->blob.fd, stream->in, want, stream->blob.offset + stream->in_pos);

	stream->in_len = ret ? 0 : want;
	return ret;
}

/* Refill the empty input buffer; in_len is 0 at the end of the blob. */
static int input_fill(struct stream *stream, struct err *err)
{
	int ret;

	stream->in_at = stream->in_len = 0;
	ret = stream->blob.bytes == BLOB_TO_END ? pipe_fill(stream) : file_fill(stream);
	if (ret == -ENODATA)
		return err_set(err, EBADMSG, "the file ends early: it is truncated");
	if (ret)
		return err_sys(err, ret, "read");
	stream->in_pos += stream->in_len;
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

int stream_open(
	struct stream *stream, const struct blob_ref *blob, enum compression compression, struct err *err)
{
	int ret = 0;

	*stream = (struct stream){.blob = *blob, .compression = compression};
	stream->in = malloc(STREAM_CHUNK);
	if (compression != COMPRESSION_NONE)
		stream->out = malloc(STREAM_CHUNK);
	if (!stream->in || (compression != COMPRESSION_NONE && !stream->out))
		ret = err_set(err, ENOMEM, "out of memory");
	else if (compression != COMPRESSION_NONE)
		ret = codec_open(stream, err);
	if (ret)
		stream_close(stream);
	return ret;
}

void stream_close(struct stream *stream)
{
	codec_close(stream);
	free(stream->in);
	free(stream->out);
	stream->in = stream->out = NULL;
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
	if (!ret)
		stream->out_bytes += *len;
	return ret;
}

int stream_skip(struct stream *stream, uint64_t bytes, struct err *err)
{
	uint64_t buffered = stream->in_len - stream->in_at;

	if (stream->compression != COMPRESSION_NONE || bytes < buffered || stream->blob.bytes == BLOB_TO_END)
		return err_set(err, EINVAL, "internal error: this stream cannot be skipped");
	bytes -= buffered;
	stream->in_at = stream->in_len;
	if (bytes > stream->blob.bytes - stream->in_pos)
		return err_set(err, EBADMSG, "the file ends early: it is truncated");
	stream->in_pos += bytes;
	return 0;
}
