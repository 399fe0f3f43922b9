// SPDX-License-Identifier: Apache-2.0
#include "base/io.h"
#include "oci/image/name.h"
#include "oci/image/table.h"
#include "oci/store/image.h"
#include "tests/unit/cm.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint32_t chunks[] = {0, TABLE_CHUNK_HOLE, 5};
static const uint8_t xattrs[] = "user.a\0\3\0\0\0abc";

static const struct table_entry entries[] = {
	{.type = TAR_DIR, .path = "", .link = "", .mode = 0755, .kind = NAME_PLAIN},
	{.type = TAR_FILE,
		.path = "dir/file",
		.link = "",
		.mode = 04755,
		.uid = 70000,
		.gid = 80000,
		.mtime = -5,
		.mtime_nsec = 999999999,
		.size = 8193,
		.block = 3,
		.xattrs = xattrs,
		.xattrs_len = sizeof(xattrs) - 1},
	{.type = TAR_FILE, .path = "sparse", .link = "", .size = 9000, .chunks = chunks, .n_chunks = 3},
	{.type = TAR_SYMLINK, .path = "link", .link = "../anywhere", .mode = 0777},
	{.type = TAR_CHAR, .path = "null", .link = "", .rdev = 0x103},
	{.type = TAR_FILE, .path = ".wh.gone", .link = "", .kind = NAME_WHITEOUT},
};
#define N_ENTRIES (sizeof(entries) / sizeof(*entries))

static int table_make(const struct table_entry *list, size_t n)
{
	int fd = memfd_create("table", 0);
	struct table_info info = {.data_bytes = IMAGE_ALIGN, .tar_bytes = 12345};
	struct table_writer writer;

	assert_int_equal(table_writer_init(&writer, fd, UINT64_MAX), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(table_write(&writer, &list[i]), 0);
	assert_int_equal(table_writer_finish(&writer, &info), 0);
	table_writer_done(&writer);
	return fd;
}

static void test_round_trip(void **state)
{
	int fd = table_make(entries, N_ENTRIES);
	struct table table;
	struct table_entry entry;
	uint64_t at = 0;

	(void)state;
	assert_int_equal(table_open(&table, fd), 0);
	assert_int_equal(table.info.n_entries, N_ENTRIES);
	assert_int_equal(table.info.tar_bytes, 12345);
	for (size_t i = 0; i < N_ENTRIES; i++) {
		const struct table_entry *want = &entries[i];

		assert_true(table_next(&table, &at, &entry));
		assert_string_equal(entry.path, want->path);
		assert_string_equal(entry.link, want->link);
		assert_true(entry.type == want->type && entry.mode == want->mode && entry.uid == want->uid &&
			    entry.gid == want->gid && entry.mtime == want->mtime &&
			    entry.mtime_nsec == want->mtime_nsec && entry.size == want->size &&
			    entry.block == want->block && entry.rdev == want->rdev &&
			    entry.n_chunks == want->n_chunks && entry.xattrs_len == want->xattrs_len);
		if (want->n_chunks)
			assert_memory_equal(entry.chunks, want->chunks, want->n_chunks * 4);
		if (want->xattrs_len)
			assert_memory_equal(entry.xattrs, want->xattrs, want->xattrs_len);
	}
	assert_false(table_next(&table, &at, &entry));
	table_close(&table);
	close(fd);
}

/* Whatever byte is wrong, and wherever it is cut: no table. */
static void test_any_damage_is_seen(void **state)
{
	int fd = table_make(entries, N_ENTRIES);
	struct table table;
	struct stat st;

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t at = 0; at < st.st_size; at++) {
		uint8_t byte, flipped;

		assert_int_equal(io_pread_exact(fd, &byte, 1, (uint64_t)at), 0);
		flipped = byte ^ 0x40;
		assert_int_equal(io_pwrite_all(fd, &flipped, 1, (uint64_t)at), 0);
		assert_int_equal(table_open(&table, fd), -EBADMSG);
		assert_int_equal(io_pwrite_all(fd, &byte, 1, (uint64_t)at), 0);
	}
	assert_int_equal(table_open(&table, fd), 0);
	table_close(&table);
	for (off_t len = st.st_size - 1; len >= 0; len--) {
		assert_int_equal(ftruncate(fd, len), 0);
		assert_int_equal(table_open(&table, fd), -EBADMSG);
	}
	close(fd);
}

/* Tables with a right checksum that no loader of ours writes. */
static void test_what_makes_no_sense_is_refused(void **state)
{
	static const struct table_entry bad[] = {
		{.type = TAR_FILE, .path = "../x", .link = ""},
		{.type = TAR_FILE, .path = "/x", .link = ""},
		{.type = TAR_FILE, .path = "a//b", .link = ""},
		{.type = TAR_FILE, .path = ".wh.x", .link = "", .kind = NAME_PLAIN},
		{.type = TAR_FILE, .path = "x", .link = "", .kind = NAME_WHITEOUT},
		{.type = TAR_FILE, .path = "x", .link = "", .mode = 010000},
		{.type = TAR_FILE, .path = "x", .link = "", .mtime_nsec = 1000000000},
		{.type = TAR_FILE, .path = "x", .link = "", .size = IMAGE_ALIGN + 1},
		{.type = TAR_FILE, .path = "x", .link = "", .size = 1, .block = IMAGE_ALIGN / TABLE_BLOCK},
		{.type = TAR_FILE, .path = "x", .link = "", .size = 9000, .chunks = chunks, .n_chunks = 2},
		{.type = TAR_FILE,
			.path = "x",
			.link = "",
			.size = 9000,
			.chunks = chunks,
			.n_chunks = 3,
			.chunk_bits = 32},
		{.type = TAR_FILE,
			.path = "x",
			.link = "",
			.size = 9000,
			.chunks = chunks,
			.n_chunks = 3,
			.chunk_bits = 64},
		{.type = TAR_FILE, .path = "x", .link = "", .chunk_bits = 1},
		{.type = TAR_DIR, .path = "x", .link = "", .size = 9000, .chunks = chunks, .n_chunks = 3},
		{.type = TAR_FIFO + 1, .path = "x", .link = ""},
		{.type = TAR_FILE,
			.path = "x",
			.link = "",
			.xattrs = xattrs,
			.xattrs_len = sizeof(xattrs) - 2},
	};
	struct table table;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int fd = table_make(&bad[i], 1);

		if (table_open(&table, fd) != -EBADMSG)
			fail_msg("case %zu was taken", i);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_any_damage_is_seen),
		cmocka_unit_test(test_what_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
