// SPDX-License-Identifier: Apache-2.0
#include "base/cleanup.h"
#include "base/io.h"
#include "oci/store/layout.h"
#include "oci/store/store.h"
#include "tests/unit/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* A real store below a fresh folder for each test. */
struct fixture {
	char folder[64];
	struct store store;
	struct err err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->folder, "/tmp/mvrun-test-store.XXXXXX");
	if (!mkdtemp(f->folder))
		return -1;
	*state = f;
	return store_open(&f->store, f->folder, STORE_CREATE, &f->err);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	store_close(&f->store);
	snprintf(command, sizeof(command), "rm -rf %s", f->folder);
	if (system(command))
		return -1;
	free(f);
	return 0;
}

static void hex_of(char fill, char hex[static DIGEST_HEX_LEN + 1])
{
	memset(hex, fill, DIGEST_HEX_LEN);
	hex[DIGEST_HEX_LEN] = '\0';
}

static void file_make(struct fixture *f, const char *path, uint64_t bytes)
{
	char parent[STORE_PATH_MAX];
	int fd;

	snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
	assert_int_equal(store_mkdir(&f->store, parent), 0);
	fd = openat(f->store.dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	close(fd);
}

static bool file_there(struct fixture *f, const char *path)
{
	return faccessat(f->store.dir_fd, path, F_OK, 0) == 0;
}

/* Put an image into the store as the loader does: its layer, its folder, its blobs. */
static struct image_id image_make(struct fixture *f, char manifest, char config, char layer)
{
	struct image_layer layers[1] = {{.bytes = IMAGE_ALIGN}};
	char *words[2] = {(char[]){"sh"}, (char[]){"\xc3\xa9 \"x\" \n"}};
	struct image image = {.layers = layers,
		.n_layers = 1,
		.meta_bytes = IMAGE_ALIGN,
		.size_bytes = 2 * IMAGE_ALIGN,
		.os = words[0],
		.user = words[1],
		.entrypoint = {.items = words, .n_items = 2}};
	struct ingest ingest;
	char path[STORE_PATH_MAX], name[64];

	hex_of(manifest, image.image.manifest);
	hex_of(config, image.id);
	hex_of(layer, layers[0].diff_id);
	assert_int_equal(ingest_open(&f->store, &ingest, &f->err), 0);
	path_layer(path, layers[0].diff_id, ".data");
	file_make(f, path, IMAGE_ALIGN);
	path_layer(path, layers[0].diff_id, ".tab");
	file_make(f, path, 10);
	assert_int_equal(ingest_put_blob(&ingest, image.id, "{}", 2, &f->err), 0);
	assert_int_equal(ingest_put_blob(&ingest, image.image.manifest, "{ }", 3, &f->err), 0);
	assert_int_equal(mkdirat(ingest.dir_fd, "image", 0700), 0);
	assert_int_equal(image_record_write(ingest.dir_fd, "image/image.json", &image, &f->err), 0);
	snprintf(name, sizeof(name), "ingest/%s/image/meta.erofs", ingest.name);
	file_make(f, name, IMAGE_ALIGN);
	path_image(path, image.image.manifest, "");
	assert_int_equal(ingest_replace(&ingest, "image", path, &f->err), 0);
	ingest_close(&ingest);
	return image.image;
}

static void tag(struct fixture *f, struct image_id id, const char *name)
{
	assert_int_equal(store_tag(&f->store, &id, name, &f->err), 0);
}

static void test_record_comes_back_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct image_id id = image_make(f, 'a', 'b', 'c');
	struct image image;
	char hex[DIGEST_HEX_LEN + 1];

	assert_int_equal(image_open(&f->store, &id, &image, &f->err), 0);
	hex_of('b', hex);
	assert_string_equal(image.id, hex);
	assert_string_equal(image.os, "sh");
	assert_string_equal(image.user, "\xc3\xa9 \"x\" \n");
	assert_string_equal(image.working_dir, "");
	assert_int_equal(image.entrypoint.n_items, 2);
	assert_string_equal(image.entrypoint.items[1], "\xc3\xa9 \"x\" \n");
	assert_int_equal(image.n_segments, 2);
	assert_true(image.segments[0].bytes == IMAGE_ALIGN && image.segments[1].bytes == IMAGE_ALIGN);
	image_close(&image);
	assert_int_equal(image.lease_fd, -1);
}

static void test_damage_is_told(void **state)
{
	struct fixture *f = *state;
	struct image_id id = image_make(f, 'a', 'b', 'c');
	char path[STORE_PATH_MAX], hex[DIGEST_HEX_LEN + 1];
	struct image image;

	hex_of('c', hex);
	path_layer(path, hex, ".data");
	file_make(f, path, IMAGE_ALIGN / 2);
	assert_int_equal(image_open(&f->store, &id, &image, &f->err), -EBADMSG);
	assert_non_null(strstr(f->err.text, "load it again"));
	unlinkat(f->store.dir_fd, path, 0);
	assert_int_equal(image_open(&f->store, &id, &image, &f->err), -EBADMSG);
	assert_null(strstr(f->err.text, "No such file"));
	path_image(path, id.manifest, "image.json");
	file_make(f, path, 0);
	assert_int_equal(image_peek(&f->store, &id, &image, &f->err), -EBADMSG);
	assert_int_equal(store_replace(&f->store, path, "{\"version\":2}", 13), 0);
	assert_int_equal(image_peek(&f->store, &id, &image, &f->err), -EBADMSG);
	unlinkat(f->store.dir_fd, path, 0);
	assert_int_equal(image_peek(&f->store, &id, &image, &f->err), -ENOENT);
}

static void test_resolve(void **state)
{
	struct fixture *f = *state;
	struct image_id a = image_make(f, 'a', '1', 'c'), b = image_make(f, 'b', '2', 'c'), out;
	char text[160], hex[DIGEST_HEX_LEN + 1];

	tag(f, a, "busybox");
	tag(f, b, "quay.io/x/y:z");
	assert_int_equal(store_resolve(&f->store, "docker.io/library/busybox:latest", &out, &f->err), 0);
	assert_string_equal(out.manifest, a.manifest);
	assert_int_equal(store_resolve(&f->store, "quay.io/x/y:z", &out, &f->err), 0);
	assert_string_equal(out.manifest, b.manifest);
	assert_int_equal(store_resolve(&f->store, "quay.io/x/y", &out, &f->err), -ENOENT);
	assert_int_equal(store_resolve(&f->store, "1111", &out, &f->err), 0);
	assert_string_equal(out.manifest, a.manifest);
	assert_int_equal(store_resolve(&f->store, "111", &out, &f->err), -ENOENT);
	assert_int_equal(store_resolve(&f->store, "1112", &out, &f->err), -ENOENT);
	hex_of('2', hex);
	snprintf(text, sizeof(text), "sha256:%s", hex);
	assert_int_equal(store_resolve(&f->store, text, &out, &f->err), 0);
	assert_string_equal(out.manifest, b.manifest);
	assert_int_equal(store_resolve(&f->store, hex, &out, &f->err), 0);
	snprintf(text, sizeof(text), "quay.io/x/y@sha256:%s", b.manifest);
	assert_int_equal(store_resolve(&f->store, text, &out, &f->err), 0);
	assert_int_equal(store_resolve(&f->store, "UPPER", &out, &f->err), -EINVAL);
	assert_int_equal(store_resolve(&f->store, "../../etc", &out, &f->err), -EINVAL);
	/* A name wins over an ID. */
	tag(f, b, "1111");
	assert_int_equal(store_resolve(&f->store, "1111", &out, &f->err), 0);
	assert_string_equal(out.manifest, b.manifest);
}

static void test_ambiguous_id(void **state)
{
	struct fixture *f = *state;
	struct image_id id = image_make(f, 'a', '1', 'c'), out;
	struct image image;
	char path[STORE_PATH_MAX];

	/* Another configuration whose ID begins with the same digits. */
	image_make(f, 'b', '3', 'c');
	assert_int_equal(image_peek(&f->store, &id, &image, &f->err), 0);
	hex_of('e', image.image.manifest);
	image.id[60] = '0';
	path_image(path, image.image.manifest, "");
	assert_int_equal(store_mkdir(&f->store, path), 0);
	path_image(path, image.image.manifest, "image.json");
	assert_int_equal(image_record_write(f->store.dir_fd, path, &image, &f->err), 0);
	image_close(&image);
	assert_int_equal(store_resolve(&f->store, "1111", &out, &f->err), -EEXIST);
	assert_int_equal(store_resolve(&f->store, "3333", &out, &f->err), 0);
}

struct reported {
	int untagged, deleted;
};

static void count(void *ctx, const char *what, const char *name)
{
	struct reported *r = ctx;

	assert_non_null(name);
	r->untagged += strcmp(what, "Untagged") == 0;
	r->deleted += strcmp(what, "Deleted") == 0;
}

static void test_remove_takes_only_what_nobody_else_needs(void **state)
{
	struct fixture *f = *state;
	struct image_id a = image_make(f, 'a', '1', 'c'), b = image_make(f, 'b', '2', 'c'), out;
	struct reported r = {0};
	char shared[STORE_PATH_MAX], blob[STORE_PATH_MAX], hex[DIGEST_HEX_LEN + 1];

	hex_of('c', hex);
	path_layer(shared, hex, ".data");
	hex_of('1', hex);
	path_blob(blob, hex);
	tag(f, a, "one");
	tag(f, a, "two");
	tag(f, b, "three");
	assert_int_equal(store_remove(&f->store, "one", false, count, &r, &f->err), 0);
	assert_int_equal(r.untagged, 1);
	assert_int_equal(r.deleted, 0);
	assert_int_equal(store_resolve(&f->store, "two", &out, &f->err), 0);
	assert_true(file_there(f, blob));
	assert_int_equal(store_remove(&f->store, "two", false, count, &r, &f->err), 0);
	assert_int_equal(r.deleted, 1);
	assert_false(file_there(f, blob));
	assert_true(file_there(f, shared));
	assert_int_equal(store_remove(&f->store, "2222", false, count, &r, &f->err), 0);
	assert_int_equal(r.deleted, 2);
	assert_int_equal(r.untagged, 3);
	assert_false(file_there(f, shared));
	assert_int_equal(store_remove(&f->store, "three", false, count, &r, &f->err), -ENOENT);
}

static void test_remove_by_id_with_several_names_needs_force(void **state)
{
	struct fixture *f = *state;
	struct image_id a = image_make(f, 'a', '1', 'c'), out;

	tag(f, a, "one");
	tag(f, a, "two");
	assert_int_equal(store_remove(&f->store, "1111", false, NULL, NULL, &f->err), -EBUSY);
	assert_int_equal(store_resolve(&f->store, "one", &out, &f->err), 0);
	assert_int_equal(store_remove(&f->store, "1111", true, NULL, NULL, &f->err), 0);
	assert_int_equal(store_resolve(&f->store, "one", &out, &f->err), -ENOENT);
	assert_int_equal(store_resolve(&f->store, "1111", &out, &f->err), -ENOENT);
}

/* One configuration, loaded with its layers packed in two ways. */
static void test_remove_by_id_takes_every_manifest(void **state)
{
	struct fixture *f = *state;
	struct image_id a = image_make(f, 'a', '1', 'c'), b = image_make(f, 'b', '1', 'c'), out;
	struct reported r = {0};
	struct image image;

	tag(f, a, "one");
	tag(f, b, "two");
	assert_int_equal(store_remove(&f->store, "1111", false, NULL, NULL, &f->err), -EBUSY);
	assert_int_equal(image_open(&f->store, &a, &image, &f->err), 0);
	/* One of them is in use: nothing goes. */
	assert_int_equal(store_remove(&f->store, "1111", true, count, &r, &f->err), -EBUSY);
	assert_int_equal(store_resolve(&f->store, "one", &out, &f->err), 0);
	assert_int_equal(store_resolve(&f->store, "two", &out, &f->err), 0);
	image_close(&image);
	assert_int_equal(store_remove(&f->store, "1111", true, count, &r, &f->err), 0);
	assert_int_equal(r.untagged, 2);
	assert_int_equal(r.deleted, 1);
	assert_int_equal(store_resolve(&f->store, "1111", &out, &f->err), -ENOENT);
	assert_int_equal(store_resolve(&f->store, "one", &out, &f->err), -ENOENT);
	assert_int_equal(image_open(&f->store, &b, &image, &f->err), -ENOENT);
}

/* A name or a manifest's digest means one manifest, whatever else has its configuration. */
static void test_remove_by_name_or_digest_takes_one_manifest(void **state)
{
	struct fixture *f = *state;
	struct image_id a = image_make(f, 'a', '1', 'c'), b = image_make(f, 'b', '1', 'c'),
			c = image_make(f, 'd', '1', 'c'), out;
	char digest[DIGEST_HEX_LEN + 32], hex[DIGEST_HEX_LEN + 1];
	struct image image;

	tag(f, a, "one");
	tag(f, b, "two");
	tag(f, c, "three");
	assert_int_equal(store_remove(&f->store, "one", false, NULL, NULL, &f->err), 0);
	hex_of('b', hex);
	snprintf(digest, sizeof(digest), "two@sha256:%s", hex);
	assert_int_equal(store_remove(&f->store, digest, false, NULL, NULL, &f->err), 0);
	assert_int_equal(image_open(&f->store, &a, &image, &f->err), -ENOENT);
	assert_int_equal(image_open(&f->store, &b, &image, &f->err), -ENOENT);
	assert_int_equal(store_resolve(&f->store, "three", &out, &f->err), 0);
}

static void test_an_image_in_use_stays(void **state)
{
	struct fixture *f = *state;
	struct image_id a = image_make(f, 'a', '1', 'c'), out;
	struct image image;

	tag(f, a, "one");
	tag(f, a, "two");
	assert_int_equal(image_open(&f->store, &a, &image, &f->err), 0);
	/* A name that is not the last may go. */
	assert_int_equal(store_remove(&f->store, "two", false, NULL, NULL, &f->err), 0);
	assert_int_equal(store_remove(&f->store, "one", true, NULL, NULL, &f->err), -EBUSY);
	assert_int_equal(store_resolve(&f->store, "one", &out, &f->err), 0);
	image_close(&image);
	assert_int_equal(store_remove(&f->store, "one", false, NULL, NULL, &f->err), 0);
	assert_int_equal(image_open(&f->store, &a, &image, &f->err), -ENOENT);
}

static void test_a_name_of_a_missing_image_can_be_removed(void **state)
{
	struct fixture *f = *state;
	struct image_id a = image_make(f, 'a', '1', 'c');
	char path[STORE_PATH_MAX];
	struct reported r = {0};

	tag(f, a, "one");
	path_image(path, a.manifest, "");
	assert_int_equal(tree_delete(f->store.dir_fd, path), 0);
	assert_int_equal(store_remove(&f->store, "one", false, count, &r, &f->err), 0);
	assert_int_equal(r.untagged, 1);
}

static void test_list(void **state)
{
	struct fixture *f = *state;
	struct image_id a = image_make(f, 'a', '1', 'c');
	struct store_list list;

	assert_int_equal(store_list(&f->store, &list, &f->err), 0);
	assert_int_equal(list.n_entries, 1);
	assert_null(list.entries[0].name);
	store_list_done(&list);
	tag(f, a, "zeta");
	tag(f, a, "alpha:2");
	file_make(f, "refs/docker.io+library+x:y.tmp-77", 5);
	assert_int_equal(store_list(&f->store, &list, &f->err), 0);
	assert_int_equal(list.n_entries, 2);
	assert_string_equal(list.entries[0].name, "alpha:2");
	assert_string_equal(list.entries[1].name, "zeta:latest");
	assert_true(list.entries[0].size_bytes == 2 * IMAGE_ALIGN);
	store_list_done(&list);
}

static void test_dead_loaders_leave_nothing(void **state)
{
	struct fixture *f = *state;
	struct ingest dead, live, next;
	char path[STORE_PATH_MAX], orphan[STORE_PATH_MAX], hex[DIGEST_HEX_LEN + 1];

	assert_int_equal(ingest_open(&f->store, &dead, &f->err), 0);
	assert_true(ingest_create(&dead, "half", &f->err) >= 0);
	hex_of('d', hex);
	path_layer(orphan, hex, ".data");
	file_make(f, orphan, 10);
	snprintf(path, sizeof(path), "ingest/%s/half", dead.name);
	/* What the kernel does when a process dies. */
	close(dead.dir_fd);
	close(dead.store_lock_fd);
	assert_true(file_there(f, path));
	assert_int_equal(ingest_open(&f->store, &live, &f->err), 0);
	assert_false(file_there(f, path));
	assert_false(file_there(f, orphan));
	/* A live one keeps what it has. */
	assert_true(ingest_create(&live, "mine", &f->err) >= 0);
	assert_int_equal(ingest_open(&f->store, &next, &f->err), 0);
	snprintf(path, sizeof(path), "ingest/%s/mine", live.name);
	assert_true(file_there(f, path));
	ingest_close(&next);
	ingest_close(&live);
	assert_false(file_there(f, path));
}

static void test_commit_never_replaces(void **state)
{
	struct fixture *f = *state;
	struct ingest ingest;
	auto_free char *text = NULL;
	int fd;

	assert_int_equal(ingest_open(&f->store, &ingest, &f->err), 0);
	fd = ingest_create(&ingest, "one", &f->err);
	assert_int_equal(io_write_all(fd, "1", 1), 0);
	close(fd);
	fd = ingest_create(&ingest, "two", &f->err);
	assert_int_equal(io_write_all(fd, "2", 1), 0);
	close(fd);
	assert_int_equal(ingest_commit(&ingest, "one", "layers/aa/x", &f->err), 0);
	assert_int_equal(ingest_commit(&ingest, "two", "layers/aa/x", &f->err), -EEXIST);
	assert_int_equal(io_read_file(f->store.dir_fd, "layers/aa/x", 10, &text, NULL), 0);
	assert_string_equal(text, "1");
	free(text);
	assert_int_equal(ingest_replace(&ingest, "two", "layers/aa/x", &f->err), 0);
	assert_int_equal(io_read_file(f->store.dir_fd, "layers/aa/x", 10, &text, NULL), 0);
	assert_string_equal(text, "2");
	ingest_close(&ingest);
}

static void test_removal_waits_for_loads(void **state)
{
	struct fixture *f = *state;
	struct ingest ingest;
	int fd;

	assert_int_equal(ingest_open(&f->store, &ingest, &f->err), 0);
	assert_int_equal(store_lock(&f->store, LOCK_EX | LOCK_NB), -EWOULDBLOCK);
	fd = store_lock(&f->store, LOCK_SH | LOCK_NB);
	assert_true(fd >= 0);
	close(fd);
	ingest_close(&ingest);
	fd = store_lock(&f->store, LOCK_EX | LOCK_NB);
	assert_true(fd >= 0);
	close(fd);
}

static void test_layer_lock_is_exclusive(void **state)
{
	struct fixture *f = *state;
	struct ingest ingest;
	char hex[DIGEST_HEX_LEN + 1], path[STORE_PATH_MAX];
	int fd, other;

	hex_of('a', hex);
	snprintf(path, sizeof(path), "ingest/%s.lock", hex);
	assert_int_equal(ingest_open(&f->store, &ingest, &f->err), 0);
	fd = layer_lock(&ingest, hex, &f->err);
	assert_true(fd >= 0);
	other = openat(f->store.dir_fd, path, O_RDWR);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
	layer_unlock(&ingest, hex, fd);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
	close(other);
	assert_false(file_there(f, path));
	ingest_close(&ingest);
}

/* What was there before or all that is new, and in no case anything that a loader would take for a name. */
static void test_replace_leaves_nothing_else(void **state)
{
	struct fixture *f = *state;
	auto_free char *text = NULL;
	struct store_list list;

	assert_int_equal(store_mkdir(&f->store, "refs"), 0);
	assert_int_equal(store_replace(&f->store, "refs/one", "first", 5), 0);
	assert_int_equal(store_replace(&f->store, "refs/one", "second", 6), 0);
	assert_int_equal(io_read_file(f->store.dir_fd, "refs/one", 100, &text, NULL), 0);
	assert_string_equal(text, "second");
	assert_int_equal(store_replace(&f->store, "none/one", "x", 1), -ENOENT);
	assert_int_equal(unlinkat(f->store.dir_fd, "refs/one", 0), 0);
	assert_int_equal(unlinkat(f->store.dir_fd, "refs", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(f->store.dir_fd, "ingest", AT_REMOVEDIR), 0);
	assert_int_equal(store_list(&f->store, &list, &f->err), 0);
	assert_int_equal(list.n_entries, 0);
	store_list_done(&list);
}

static void test_versions(void **state)
{
	struct fixture *f = *state;
	struct store other;

	assert_int_equal(store_open(&other, "/tmp/mvrun-no-such-store", 0, &f->err), -ENOENT);
	assert_null(strstr(f->err.text, "No such file"));
	assert_int_equal(store_replace(&f->store, "VERSION", "mvrun store 2\n", 14), 0);
	assert_int_equal(store_open(&other, f->folder, 0, &f->err), -EPROTO);
	assert_int_equal(store_open(&other, f->folder, STORE_CREATE, &f->err), -EPROTO);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_record_comes_back_as_it_was),
		STORE_TEST(test_damage_is_told),
		STORE_TEST(test_resolve),
		STORE_TEST(test_ambiguous_id),
		STORE_TEST(test_remove_takes_only_what_nobody_else_needs),
		STORE_TEST(test_remove_by_id_with_several_names_needs_force),
		STORE_TEST(test_remove_by_id_takes_every_manifest),
		STORE_TEST(test_remove_by_name_or_digest_takes_one_manifest),
		STORE_TEST(test_an_image_in_use_stays),
		STORE_TEST(test_a_name_of_a_missing_image_can_be_removed),
		STORE_TEST(test_list),
		STORE_TEST(test_dead_loaders_leave_nothing),
		STORE_TEST(test_commit_never_replaces),
		STORE_TEST(test_removal_waits_for_loads),
		STORE_TEST(test_layer_lock_is_exclusive),
		STORE_TEST(test_replace_leaves_nothing_else),
		STORE_TEST(test_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
