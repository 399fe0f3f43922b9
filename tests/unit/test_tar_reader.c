// SPDX-License-Identifier: Apache-2.0
/* The tar reader and the streams below it, on archives built here. What whole images say is in tests/image. */
#include "base/err.h"
#include "base/io.h"
#include "oci/image/stream.h"
#include "oci/image/tar.h"
#include "tests/unit/cm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#define ARCHIVE_MAX 65536

struct archive {
	uint8_t bytes[ARCHIVE_MAX];
	size_t len;
};

static void checksum_set(uint8_t *header)
{
	unsigned int sum = 0;

	memset(header + 148, ' ', 8);
	for (int i = 0; i < TAR_BLOCK; i++)
		sum += header[i];
	snprintf((char *)header + 148, 8, "%06o", sum);
}

static uint8_t *entry_add(struct archive *a, char type, const char *name, const void *data, size_t len)
{
	uint8_t *header = a->bytes + a->len;

	memset(header, 0, TAR_BLOCK + (len + 511) / 512 * 512);
	strcpy((char *)header, name);
	memcpy(header + 100,
		"0000644\0"
		"0001750\0"
		"0001751\0",
		24);
	snprintf((char *)header + 124, 12, "%011zo", len);
	memcpy(header + 136, "00000000100\0", 12);
	header[156] = (uint8_t)type;
	memcpy(header + 257,
		"ustar\0"
		"00",
		8);
	memcpy(header + TAR_BLOCK, data, len);
	checksum_set(header);
	a->len += TAR_BLOCK + (len + 511) / 512 * 512;
	return header;
}

static void archive_end(struct archive *a)
{
	memset(a->bytes + a->len, 0, 2 * TAR_BLOCK);
	a->len += 2 * TAR_BLOCK;
}

struct reading {
	int fd;
	struct stream stream;
	struct tar tar;
	struct err err;
};

static void reading_begin(struct reading *r, const void *bytes, size_t len)
{
	*r = (struct reading){.fd = memfd_create("tar", 0)};
	assert_int_equal(io_pwrite_all(r->fd, bytes, len, 0), 0);
	assert_int_equal(stream_open(&r->stream, &(struct blob_ref){.fd = r->fd, .bytes = len},
				 COMPRESSION_NONE, &r->err),
		0);
	tar_init(&r->tar, &r->stream, false);
}

static void reading_end(struct reading *r)
{
	tar_done(&r->tar);
	stream_close(&r->stream);
	close(r->fd);
}

/* Read to the end or to an error: how many entries there were. */
static int read_all(const void *bytes, size_t len, int *n_entries)
{
	const struct tar_entry *entry;
	struct reading r;
	int ret;

	*n_entries = 0;
	reading_begin(&r, bytes, len);
	for (;;) {
		const uint8_t *data;
		size_t got = 1;

		ret = tar_next(&r.tar, &entry, &r.err);
		if (ret || !entry)
			break;
		++*n_entries;
		assert_true(entry->path && *entry->path && entry->mode <= 07777 &&
			    entry->mtime_nsec < 1000000000);
		while (!ret && got)
			ret = tar_read(&r.tar, &data, &got, &r.err);
		if (ret)
			break;
	}
	if (ret)
		assert_int_equal(r.err.code, -ret);
	reading_end(&r);
	return ret;
}

static const struct tar_entry *first(struct reading *r, struct archive *a)
{
	const struct tar_entry *entry;

	archive_end(a);
	reading_begin(r, a->bytes, a->len);
	if (tar_next(&r->tar, &entry, &r->err))
		fail_msg("%s", r->err.text);
	return entry;
}

static void test_plain_entry(void **state)
{
	struct archive *a = calloc(1, sizeof(*a));
	const struct tar_entry *entry;
	const uint8_t *data;
	struct reading r;
	size_t len;

	(void)state;
	entry_add(a, '0', "dir/file", "hello", 5);
	entry = first(&r, a);
	assert_string_equal(entry->path, "dir/file");
	assert_true(entry->type == TAR_FILE && entry->size == 5 && entry->stored == 5 && !entry->sparse);
	assert_true(
		entry->mode == 0644 && entry->uid == 01750 && entry->gid == 01751 && entry->mtime == 0100);
	assert_int_equal(entry->data_offset, TAR_BLOCK);
	assert_int_equal(tar_read(&r.tar, &data, &len, &r.err), 0);
	assert_int_equal(len, 5);
	assert_memory_equal(data, "hello", 5);
	assert_int_equal(tar_read(&r.tar, &data, &len, &r.err), 0);
	assert_int_equal(len, 0);
	assert_int_equal(tar_next(&r.tar, &entry, &r.err), 0);
	assert_null(entry);
	reading_end(&r);
	free(a);
}

static void test_numbers_in_base_256(void **state)
{
	struct archive *a = calloc(1, sizeof(*a));
	const struct tar_entry *entry;
	struct reading r;
	uint8_t *header;

	(void)state;
	header = entry_add(a, '0', "f", "", 0);
	memcpy(header + 108, "\x80\0\0\0\x7f\xff\xff\xff", 8);
	memcpy(header + 136, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", 12);
	checksum_set(header);
	entry = first(&r, a);
	assert_true(entry->uid == 0x7fffffff);
	assert_true(entry->mtime == -2);
	reading_end(&r);
	free(a);
}

static void test_ustar_prefix(void **state)
{
	struct archive *a = calloc(1, sizeof(*a));
	struct reading r;
	uint8_t *header = entry_add(a, '0', "file", "", 0);

	(void)state;
	strcpy((char *)header + 345, "some/prefix");
	checksum_set(header);
	assert_string_equal(first(&r, a)->path, "some/prefix/file");
	reading_end(&r);
	/* A name may fill its field without a NUL. */
	memset(a, 0, sizeof(*a));
	header = entry_add(a, '0', "", "", 0);
	memset(header, 'n', 100);
	checksum_set(header);
	assert_int_equal(strlen(first(&r, a)->path), 100);
	reading_end(&r);
	free(a);
}

static void test_pax_values(void **state)
{
	static const char pax[] =
		"17 path=new/name\n22 mtime=-1.250000001\n13 uid=70000\n26 SCHILY.xattr.user.a=\0\1\n"
		"25 SCHILY.xattr.user.b=x\n25 SCHILY.xattr.user.b=y\n"
		"35 LIBARCHIVE.xattr.user.c%25=aGk=\n";
	struct archive *a = calloc(1, sizeof(*a));
	const struct tar_entry *entry;
	struct reading r;

	(void)state;
	entry_add(a, 'x', "pax", pax, sizeof(pax) - 1);
	entry_add(a, '0', "old", "", 0);
	entry = first(&r, a);
	assert_string_equal(entry->path, "new/name");
	assert_true(entry->mtime == -2 && entry->mtime_nsec == 749999999);
	assert_int_equal(entry->uid, 70000);
	assert_int_equal(entry->xattrs_len, (7 + 4 + 2) + (7 + 4 + 1) + (8 + 4 + 2));
	assert_memory_equal(
		entry->xattrs, "user.a\0\2\0\0\0\0\1user.b\0\1\0\0\0yuser.c%\0\2\0\0\0hi", entry->xattrs_len);
	/* They are for one entry only. */
	reading_end(&r);
	free(a);
}

static void test_names_are_bytes(void **state)
{
	/* NFC, NFD, and no UTF-8 at all. */
	static const char *const names[] = {
		"12 path=\xc3\xa9\n", "13 path=e\xcc\x81\n", "12 path=\xff\xfe\n"};
	static const char *const wanted[] = {"\xc3\xa9", "e\xcc\x81", "\xff\xfe"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct archive *a = calloc(1, sizeof(*a));
		char text[64];
		struct reading r;

		/* The lengths above are put right here, so that the table stays readable. */
		snprintf(text, sizeof(text), "%zu%s", strlen(names[i]), names[i] + 2);
		entry_add(a, 'x', "pax", text, strlen(text));
		entry_add(a, '0', "old", "", 0);
		assert_string_equal(first(&r, a)->path, wanted[i]);
		reading_end(&r);
		free(a);
	}
}

static void sample_make(struct archive *a)
{
	static const char pax[] = "17 path=new/name\n25 SCHILY.xattr.user.b=x\n";
	static const char sparse[] = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n21 GNU.sparse.name=s\n"
				     "30 GNU.sparse.realsize=100000\n";
	char map[1024] = "2\n0\n10\n90000\n5\n";

	memset(a, 0, sizeof(*a));
	memcpy(map + 512, "0123456789abcde", 15);
	entry_add(a, '5', "dir/", "", 0);
	entry_add(a, '0', "dir/file", "hello", 5);
	entry_add(a, 'x', "pax", pax, sizeof(pax) - 1);
	entry_add(a, '0', "old", "contents", 8);
	entry_add(a, 'L', "long", "a/much/longer/name", 19);
	entry_add(a, '0', "short", "x", 1);
	entry_add(a, 'x', "pax", sparse, sizeof(sparse) - 1);
	entry_add(a, '0', "sparse", map, 527);
	archive_end(a);
}

/* Cut anywhere, an archive is an error or ends at a header, and never has more entries. */
static void test_every_truncation(void **state)
{
	struct archive *a = malloc(sizeof(*a));
	int whole, n;

	(void)state;
	sample_make(a);
	assert_int_equal(read_all(a->bytes, a->len, &whole), 0);
	assert_int_equal(whole, 5);
	for (size_t len = 0; len < a->len; len++) {
		int ret = read_all(a->bytes, len, &n);

		assert_true(n <= whole);
		if (ret)
			assert_int_equal(ret, -EBADMSG);
		else
			/* At a header, or in the zeros at the end. */
			assert_true(len % TAR_BLOCK == 0 || len > a->len - TAR_BLOCK);
	}
	free(a);
}

/* Damage with the checksum put right again: whatever comes of it, it ends, and within its bounds. */
static void test_mutations(void **state)
{
	struct archive *clean = malloc(sizeof(*clean)), *a = malloc(sizeof(*a));
	uint64_t seed = 0x9e3779b97f4a7c15;
	int refused = 0, n;

	(void)state;
	sample_make(clean);
	for (int round = 0; round < 4000; round++) {
		*a = *clean;
		for (int i = 0; i < 3; i++) {
			seed = seed * 6364136223846793005 + 1442695040888963407;
			a->bytes[(seed >> 33) % a->len] = (uint8_t)(seed >> 25);
		}
		for (size_t at = 0; at + TAR_BLOCK <= a->len; at += TAR_BLOCK) {
			if (memcmp(a->bytes + at + 257, "ustar", 5) == 0)
				checksum_set(a->bytes + at);
		}
		refused += read_all(a->bytes, a->len, &n) != 0;
	}
	assert_true(refused > 100);
	free(clean);
	free(a);
}

static size_t gzip_make(const void *data, size_t len, uint8_t *out, size_t room)
{
	z_stream z = {0};

	assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)data;
	z.avail_in = (uInt)len;
	z.next_out = out;
	z.avail_out = (uInt)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return room - z.avail_out;
}

static int stream_total(const uint8_t *bytes, size_t len, uint64_t *total)
{
	int fd = memfd_create("blob", 0), ret;
	struct err err = ERR_INIT;
	struct stream stream;
	const uint8_t *data;
	size_t got = 1;

	*total = 0;
	assert_int_equal(io_pwrite_all(fd, bytes, len, 0), 0);
	ret = stream_open(&stream, &(struct blob_ref){.fd = fd, .bytes = len}, COMPRESSION_GZIP, &err);
	if (!ret) {
		while (!ret && got) {
			ret = stream_next(&stream, &data, &got, &err);
			*total += ret ? 0 : got;
		}
		stream_close(&stream);
	}
	close(fd);
	return ret;
}

static void test_gzip_members(void **state)
{
	enum { BYTES = 1000000 };
	uint8_t *zeros = calloc(1, BYTES), *out = malloc(BYTES);
	size_t one = gzip_make(zeros, BYTES, out, BYTES), two;
	uint64_t total;

	(void)state;
	two = one + gzip_make("abc", 3, out + one, BYTES - one);
	assert_int_equal(stream_total(out, one, &total), 0);
	assert_int_equal(total, BYTES);
	assert_int_equal(stream_total(out, two, &total), 0);
	assert_int_equal(total, BYTES + 3);
	for (size_t len = 2; len < two; len++) {
		if (len != one)
			assert_int_equal(stream_total(out, len, &total), -EBADMSG);
	}
	out[two] = 'x';
	assert_int_equal(stream_total(out, two + 1, &total), -EBADMSG);
	out[two - 5] ^= 1;
	assert_int_equal(stream_total(out, two, &total), -EBADMSG);
	free(zeros);
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_entry),
		cmocka_unit_test(test_numbers_in_base_256),
		cmocka_unit_test(test_ustar_prefix),
		cmocka_unit_test(test_pax_values),
		cmocka_unit_test(test_names_are_bytes),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_gzip_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
