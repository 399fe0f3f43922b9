// SPDX-License-Identifier: Apache-2.0
/*
 * What a decoder that was taken over may say: each taker either refuses, or gives what the loader relies on, which
 * survives being put and taken again. The first byte chooses the taker.
 */
#include "tests/fuzz/fuzz.h"

#include "oci/image/answer.h"
#include "oci/image/name.h"
#include "oci/store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARCHIVE_BYTES (UINT64_C(1) << 20)
#define LAYERS 2

/* Takes an answer and puts what it got. 0, or what the taker returned. */
typedef int take_fn(struct answer *answer, struct buf *say, struct err *err);

static int take_index(struct answer *answer, struct buf *say, struct err *err)
{
	struct descriptor *entries = NULL;
	enum media_kind kind;
	size_t n;
	int ret = answer_take_index(answer, &kind, &entries, &n, err);

	if (ret)
		return ret;
	fuzz_require(n <= INDEX_ENTRIES_MAX && kind <= MEDIA_SCHEMA1);
	for (size_t i = 0; i < n; i++)
		fuzz_require(digest_hex_valid(entries[i].digest) && entries[i].bytes <= INT64_MAX);
	answer_put_index(say, kind, entries, n);
	free(entries);
	return 0;
}

static int take_manifest(struct answer *answer, struct buf *say, struct err *err)
{
	static struct manifest manifest;
	enum media_kind kind;
	int ret = answer_take_manifest(answer, &kind, &manifest, err);

	if (ret)
		return ret;
	fuzz_require(digest_hex_valid(manifest.config) && manifest.n_layers <= IMAGE_LAYERS_MAX);
	for (size_t i = 0; i < manifest.n_layers; i++)
		fuzz_require(
			digest_hex_valid(manifest.layers[i].digest) && manifest.layers[i].bytes <= INT64_MAX);
	answer_put_manifest(say, kind, &manifest);
	return 0;
}

static int take_config(struct answer *answer, struct buf *say, struct err *err)
{
	struct image image = {.lease_fd = -1};
	int ret = answer_take_config(answer, LAYERS, &image, err);

	if (!ret) {
		fuzz_require(image.n_layers == LAYERS && image.labels.n_items % 2 == 0 && image.user &&
			     image.created);
		for (size_t i = 0; i < LAYERS; i++)
			fuzz_require(digest_hex_valid(image.layers[i].diff_id));
		answer_put_config(say, &image);
	}
	image_close(&image);
	return ret;
}

static int take_members(struct answer *answer, struct buf *say, struct err *err)
{
	struct members members = {0};
	int ret = answer_take_members(answer, ARCHIVE_BYTES, &members, err);

	for (size_t i = 0; !ret && i < members.n; i++) {
		const struct member *member = &members.items[i],
				    *found = members_find(&members, member->name);

		fuzz_require(member->bytes <= ARCHIVE_BYTES - member->offset &&
			     strlen(member->name) <= NAME_PATH_MAX);
		fuzz_require(!i || strcmp(member[-1].name, member->name) < 0);
		fuzz_require(member->link ? !found || !found->link : found == member);
	}
	if (!ret)
		answer_put_members(say, &members);
	members_done(&members);
	return ret;
}

/* These two are put by other hands than answer.c's. */
static int take_docker(struct answer *answer, struct buf *say, struct err *err)
{
	struct docker_entry *entries = NULL;
	size_t n = 0;
	int ret = answer_take_docker(answer, &entries, &n, err);

	if (ret)
		return ret;
	wire_put_number(say, n);
	for (size_t i = 0; i < n; i++) {
		fuzz_require(entries[i].n_layers <= IMAGE_LAYERS_MAX + 1);
		wire_put_text(say, entries[i].config);
		wire_put_number(say, entries[i].n_tags);
		for (size_t j = 0; j < entries[i].n_tags; j++)
			wire_put_text(say, entries[i].tags[j]);
		wire_put_number(say, entries[i].n_layers);
		for (size_t j = 0; j < entries[i].n_layers; j++)
			wire_put_text(say, entries[i].layers[j]);
	}
	docker_entries_free(entries, n);
	return 0;
}

static int take_platform(struct answer *answer, struct buf *say, struct err *err)
{
	struct platform platform = {0};
	int ret = answer_take_platform(answer, &platform, err);

	if (ret)
		return ret;
	wire_put_text(say, platform.os);
	wire_put_text(say, platform.arch);
	wire_put_text(say, platform.variant);
	return 0;
}

static int take(take_fn *fn, const void *data, size_t len, struct buf *say)
{
	struct answer answer = {.wire = {.at = data, .left = len}};
	struct err err = ERR_INIT;
	int ret = fn(&answer, say, &err);

	fuzz_require(ret == 0 || ret == -EPROTO || ret == -EBADMSG);
	fuzz_require(err.code == -ret && (!ret || err.text[0]));
	return ret;
}

void fuzz_one(const uint8_t *data, size_t len)
{
	static take_fn *const takers[] = {
		take_index, take_manifest, take_config, take_members, take_docker, take_platform};
	struct buf first, second;
	take_fn *fn;

	if (!len)
		return;
	fn = takers[data[0] % (sizeof(takers) / sizeof(takers[0]))];
	buf_init(&first, 1u << 20);
	buf_init(&second, 1u << 20);
	if (!take(fn, data + 1, len - 1, &first)) {
		fuzz_require(take(fn, first.data, first.len, &second) == 0);
		fuzz_require(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
		fuzz_note(first.data, first.len);
	}
	buf_done(&first);
	buf_done(&second);
}
