// SPDX-License-Identifier: Apache-2.0
#include "oci/image/blob.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* zstd streams may begin with a frame to be skipped: 0x184D2A50 to 0x184D2A5F (RFC 8878, 3.1.2). */
static bool skippable_frame_at(const uint8_t *head, size_t len)
{
	return len >= 4 && (head[0] & 0xf0) == 0x50 && memcmp(head + 1, "\x2a\x4d\x18", 3) == 0;
}

int compression_detect(const uint8_t *head, size_t len, enum compression *out, struct err *err)
{
	*out = skippable_frame_at(head, len) ? COMPRESSION_ZSTD : COMPRESSION_NONE;
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
		if (len < magics[i].len || memcmp(head, magics[i].bytes, magics[i].len) != 0)
			continue;
		if (magics[i].compression < 0)
			return err_set(err, ENOTSUP,
				"compressed with %s: mvrun reads gzip, zstd and uncompressed data",
				magics[i].name);
		*out = (enum compression)magics[i].compression;
	}
	return 0;
}

int blob_compression(const struct blob_ref *blob, enum compression *out, struct err *err)
{
	uint8_t head[8];
	size_t len = blob->bytes < sizeof(head) ? (size_t)blob->bytes : sizeof(head);
	int ret = io_pread_exact(blob->fd, head, len, blob->offset);

	if (ret == -ENODATA)
		return err_set(err, EBADMSG, "the file ends early: it is truncated");
	return ret ? err_sys(err, ret, "read") : compression_detect(head, len, out, err);
}

int blob_of_file(int fd, struct blob_ref *blob, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "stat");
	*blob = (struct blob_ref){.fd = fd, .bytes = (uint64_t)st.st_size};
	return 0;
}

static int blob_hash(
	const struct blob_ref *blob, const atomic_int *cancel, struct hash *hash, uint8_t *buffer)
{
	for (uint64_t at = 0; at < blob->bytes;) {
		size_t step = blob->bytes - at < BLOB_CHUNK ? (size_t)(blob->bytes - at) : BLOB_CHUNK;
		int ret = io_pread_exact(blob->fd, buffer, step, blob->offset + at);

		if (!ret && cancel && atomic_load(cancel))
			ret = -EINTR;
		if (!ret)
			ret = hash_update(hash, buffer, step);
		if (ret)
			return ret;
		at += step;
	}
	return 0;
}

int blob_digest(const struct blob_ref *blob, const atomic_int *cancel, char hex[static DIGEST_HEX_LEN + 1],
	struct err *err)
{
	auto_free uint8_t *buffer = malloc(BLOB_CHUNK);
	struct hash hash = {0};
	int ret = buffer ? hash_init(&hash) : -ENOMEM;

	if (!ret)
		ret = blob_hash(blob, cancel, &hash, buffer);
	if (!ret)
		ret = hash_final_hex(&hash, hex);
	hash_done(&hash);
	return ret ? err_sys(err, ret, "read") : 0;
}
