// SPDX-License-Identifier: Apache-2.0
/* What the loader takes from a worker that may be anybody's (oci/image/wire.h, answer.h): all of it, or nothing. */
#include "tests/unit/cm.h"

#include "base/cleanup.h"
#include "oci/image/answer.h"
#include "oci/store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DIGEST_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ARCHIVE_BYTES 100000

/* A message as it comes from a worker: a copy on the heap, so that a sanitizer sees one byte too far. */
static struct answer answer_of(const struct buf *say)
{
	struct answer answer = {.data = malloc(say->len ? say->len : 1)};

	assert_non_null(answer.data);
	memcpy(answer.data, say->data, say->len);
	answer.wire = (struct wire){.at = answer.data, .left = say->len};
	return answer;
}

/* ---- the four kinds of message: what makes a good one, and what takes one ---- */

static void say_index(struct buf *say)
{
	struct descriptor list[2] = {
		{.digest = DIGEST_A, .bytes = 5, .kind = MEDIA_MANIFEST, .ref = "latest", .name = ""},
		{.digest = DIGEST_B,
			.bytes = INT64_MAX,
			.kind = MEDIA_INDEX,
			.has_platform = true,
			.ref = "",
			.name = "docker.io/a/b:c"}};

	platform_parse("linux/arm/v7", &list[1].platform);
	answer_put_index(say, MEDIA_INDEX, list, 2);
}

static int take_index(struct answer *answer)
{
	auto_free struct descriptor *list = NULL;
	enum media_kind kind;
	size_t n;
	int ret = answer_take_index(answer, &kind, &list, &n, NULL);

	for (size_t i = 0; !ret && i < n; i++) {
		assert_true(digest_hex_valid(list[i].digest));
		assert_true(list[i].kind <= MEDIA_SCHEMA1);
		assert_true(strlen(list[i].ref) + strlen(list[i].name) <= 2 * (size_t)JSON_MANIFEST_MAX);
	}
	return ret;
}

static void say_manifest(struct buf *say)
{
	static struct manifest manifest = {.config = DIGEST_A, .config_bytes = 100, .n_layers = 2};

	memcpy(manifest.layers[0].digest, DIGEST_A, sizeof(DIGEST_A));
	memcpy(manifest.layers[1].digest, DIGEST_B, sizeof(DIGEST_B));
	manifest.layers[1].compression = COMPRESSION_ZSTD;
	answer_put_manifest(say, MEDIA_MANIFEST, &manifest);
}

static int take_manifest(struct answer *answer)
{
	static struct manifest manifest;
	enum media_kind kind;
	int ret = answer_take_manifest(answer, &kind, &manifest, NULL);

	if (!ret) {
		assert_true(manifest.n_layers <= IMAGE_LAYERS_MAX && digest_hex_valid(manifest.config));
		assert_true(manifest.config_bytes <= JSON_CONFIG_MAX);
	}
	for (size_t i = 0; !ret && i < manifest.n_layers; i++)
		assert_true(digest_hex_valid(manifest.layers[i].digest));
	return ret;
}

static void say_config(struct buf *say)
{
	char *words[] = {(char[]){"sh"}, (char[]){"-c"}};
	char *empty = (char[]){""};
	struct image_layer layers[2] = {{.diff_id = DIGEST_A}, {.diff_id = DIGEST_B}};
	struct image image = {.os = (char[]){"linux"},
		.architecture = (char[]){"amd64"},
		.variant = empty,
		.created = empty,
		.user = (char[]){"0:0"},
		.working_dir = empty,
		.stop_signal = empty,
		.healthcheck = empty,
		.entrypoint = {words, 2},
		.labels = {words, 2},
		.layers = layers,
		.n_layers = 2};

	answer_put_config(say, &image);
}

static int take_config(struct answer *answer)
{
	struct image image = {.lease_fd = -1};
	int ret = answer_take_config(answer, 2, &image, NULL);

	if (!ret) {
		assert_int_equal(image.n_layers, 2);
		assert_true(digest_hex_valid(image.layers[0].diff_id));
		assert_true(digest_hex_valid(image.layers[1].diff_id));
		assert_int_equal(image.labels.n_items % 2, 0);
		assert_non_null(image.healthcheck);
	}
	image_close(&image);
	return ret;
}

static void say_docker(struct buf *say)
{
	json_t *json = json_loads("[{\"Config\":\"c.json\",\"RepoTags\":[\"a:b\",\"c:d\"],"
				  "\"Layers\":[\"x/layer.tar\"]},{\"Config\":\"d\"}]",
		0, NULL);

	assert_int_equal(answer_put_docker(say, json, NULL), 0);
	json_decref(json);
}

static int take_docker(struct answer *answer)
{
	struct docker_entry *entries = NULL;
	size_t n = 0, sum = 0;
	int ret = answer_take_docker(answer, &entries, &n, NULL);

	assert_true(ret || (n && n <= INDEX_ENTRIES_MAX));
	for (size_t i = 0; i < n; i++) {
		assert_true(entries[i].n_tags <= NAMES_MAX && entries[i].n_layers <= IMAGE_LAYERS_MAX + 1);
		sum += strlen(entries[i].config);
		for (size_t j = 0; j < entries[i].n_tags; j++)
			sum += strlen(entries[i].tags[j]);
		for (size_t j = 0; j < entries[i].n_layers; j++)
			sum += strlen(entries[i].layers[j]);
	}
	assert_true(sum <= 1000);
	docker_entries_free(entries, n);
	return ret;
}

static void say_members(struct buf *say)
{
	struct member items[] = {{(char[]){"a"}, NULL, false, 512, 1000},
		{(char[]){"b/c"}, (char[]){"../a"}, true, 2048, 0},
		{(char[]){"d"}, (char[]){"a"}, false, ARCHIVE_BYTES, 0}};

	answer_put_members(say, &(struct members){.items = items, .n = 3});
}

static int take_members(struct answer *answer)
{
	struct members members = {0};
	int ret = answer_take_members(answer, ARCHIVE_BYTES, &members, NULL);

	for (size_t i = 0; !ret && i < members.n; i++) {
		const struct member *member = &members.items[i];

		assert_true(
			member->offset <= ARCHIVE_BYTES && member->bytes <= ARCHIVE_BYTES - member->offset);
		assert_true(*member->name && *member->name != '/' && !strstr(member->name, ".."));
		assert_true(!i || strcmp(members.items[i - 1].name, member->name) < 0);
		/* Whatever links lead to, it is one of these or nothing. */
		members_find(&members, member->name);
	}
	members_done(&members);
	return ret;
}

static const struct {
	const char *name;
	void (*say)(struct buf *say);
	int (*take)(struct answer *answer);
} kinds[] = {{"index", say_index, take_index}, {"manifest", say_manifest, take_manifest},
	{"config", say_config, take_config}, {"docker", say_docker, take_docker},
	{"members", say_members, take_members}};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int take(size_t kind, const struct buf *say)
{
	auto_answer answer = answer_of(say);

	return kinds[kind].take(&answer);
}

/* ---- tests ---- */

static void what_is_put_is_taken(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++) {
		struct buf say;

		buf_init(&say, 1 << 20);
		kinds[k].say(&say);
		assert_int_equal(buf_error(&say), 0);
		assert_int_equal(take(k, &say), 0);
		buf_done(&say);
	}
}

static void a_part_or_more_is_nothing(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++) {
		struct buf say;
		size_t whole;

		buf_init(&say, 1 << 20);
		kinds[k].say(&say);
		whole = say.len;
		for (say.len = 0; say.len < whole; say.len++)
			assert_int_equal(take(k, &say), -EPROTO);
		buf_append(&say, "", 1);
		assert_int_equal(take(k, &say), -EPROTO);
		buf_done(&say);
	}
}

/* A message of one kind is none of another. */
static void kinds_are_not_mixed_up(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++) {
		for (size_t other = 0; other < N_KINDS; other++) {
			struct buf say;

			buf_init(&say, 1 << 20);
			kinds[k].say(&say);
			assert_int_equal(take(other, &say), other == k ? 0 : -EPROTO);
			buf_done(&say);
		}
	}
}

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Good messages with a few bytes changed: what is taken holds what the takers above assert. */
static void changed_bytes_are_taken_or_not(void **state)
{
	static const uint64_t interesting[] = {
		0, 1, 2, 63, 64, 65, 240, 241, 1000, 1001, 4095, 4096, ARCHIVE_BYTES, INT64_MAX, UINT64_MAX};
	uint64_t seed = 0x6d7672756e;
	size_t taken = 0, refused = 0;

	(void)state;
	for (int round = 0; round < 60000; round++) {
		size_t k = random_next(&seed) % N_KINDS;
		struct buf say;

		buf_init(&say, 1 << 20);
		kinds[k].say(&say);
		for (uint64_t changes = random_next(&seed) % 4 + 1; changes; changes--) {
			size_t at = random_next(&seed) % say.len;

			if (at + 8 <= say.len && random_next(&seed) % 2)
				memcpy(say.data + at,
					&interesting[random_next(&seed) %
						     (sizeof(interesting) / sizeof(interesting[0]))],
					8);
			else
				say.data[at] = (uint8_t)random_next(&seed);
		}
		if (take(k, &say))
			refused++;
		else
			taken++;
		buf_done(&say);
	}
	assert_true(taken > 100 && refused > 100);
}

static int members_of(const struct member *items, size_t n)
{
	struct buf say;
	int ret;

	buf_init(&say, 1 << 20);
	answer_put_members(&say, &(struct members){.items = (struct member *)(uintptr_t)items, .n = n});
	ret = take(4, &say);
	buf_done(&say);
	return ret;
}

static void members_stay_in_the_archive(void **state)
{
	static const char *const bad_names[] = {"", "/a", "../a", "a/../../b", "a//b", "./a", "a/", ".."};
	struct member good[] = {{(char[]){"a"}, NULL, false, 0, 1}, {(char[]){"b"}, NULL, false, 0, 1}};
	struct member turned[] = {good[1], good[0]}, twice[] = {good[0], good[0]}, one = good[0];

	(void)state;
	assert_int_equal(members_of(good, 2), 0);
	assert_int_equal(members_of(turned, 2), -EPROTO);
	assert_int_equal(members_of(twice, 2), -EPROTO);
	for (size_t i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++) {
		one.name = (char *)(uintptr_t)bad_names[i];
		assert_int_equal(members_of(&one, 1), -EPROTO);
	}
	one = good[0];
	one.offset = ARCHIVE_BYTES;
	one.bytes = 0;
	assert_int_equal(members_of(&one, 1), 0);
	one.bytes = 1;
	assert_int_equal(members_of(&one, 1), -EPROTO);
	one.offset = ARCHIVE_BYTES + 1;
	assert_int_equal(members_of(&one, 1), -EPROTO);
	one.offset = UINT64_MAX;
	one.bytes = 2;
	assert_int_equal(members_of(&one, 1), -EPROTO);
}

static int digest_said(const char *digest)
{
	struct manifest manifest = {.config_bytes = 1};
	struct buf say;
	int ret;

	buf_init(&say, 1 << 20);
	wire_put_number(&say, MEDIA_MANIFEST);
	wire_put_text(&say, digest);
	wire_put_number(&say, manifest.config_bytes);
	wire_put_number(&say, 0);
	ret = take(1, &say);
	buf_done(&say);
	return ret;
}

static void digests_are_digests(void **state)
{
	(void)state;
	assert_int_equal(digest_said(DIGEST_A), 0);
	assert_int_equal(digest_said(""), -EPROTO);
	assert_int_equal(digest_said(DIGEST_A "a"), -EPROTO);
	assert_int_equal(digest_said("../../../../etc/passwd"), -EPROTO);
	assert_int_equal(
		digest_said("../aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), -EPROTO);
	assert_int_equal(
		digest_said("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), -EPROTO);
}

static void numbers_and_texts_have_limits(void **state)
{
	struct wire wire;
	struct buf say;

	(void)state;
	buf_init(&say, 100);
	wire_put_number(&say, 5);
	wire_put_text(&say, "four");
	wire = (struct wire){.at = say.data, .left = say.len};
	assert_int_equal(wire_number(&wire, 5), 5);
	assert_string_equal(wire_text(&wire, 4), "four");
	assert_true(wire_end(&wire));
	wire = (struct wire){.at = say.data, .left = say.len};
	assert_int_equal(wire_number(&wire, 4), 0);
	assert_true(wire.bad);
	/* Once it has failed it stays so. */
	assert_string_equal(wire_text(&wire, 100), "");
	assert_false(wire_end(&wire));
	wire = (struct wire){.at = say.data + 8, .left = say.len - 8};
	assert_string_equal(wire_text(&wire, 3), "");
	assert_true(wire.bad);
	/* A NUL inside, and none behind. */
	say.data[17] = '\0';
	wire = (struct wire){.at = say.data + 8, .left = say.len - 8};
	assert_string_equal(wire_text(&wire, 4), "");
	say.data[17] = 'o';
	say.data[20] = 'x';
	wire = (struct wire){.at = say.data + 8, .left = say.len - 8};
	assert_string_equal(wire_text(&wire, 4), "");
	buf_done(&say);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_is_taken),
		cmocka_unit_test(a_part_or_more_is_nothing),
		cmocka_unit_test(kinds_are_not_mixed_up),
		cmocka_unit_test(changed_bytes_are_taken_or_not),
		cmocka_unit_test(members_stay_in_the_archive),
		cmocka_unit_test(digests_are_digests),
		cmocka_unit_test(numbers_and_texts_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
