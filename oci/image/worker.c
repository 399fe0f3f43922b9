// SPDX-License-Identifier: Apache-2.0
#include "oci/image/worker.h"

#include "base/io.h"
#include "oci/image/answer.h"
#include "oci/image/confine.h"
#include "oci/image/erofs.h"
#include "oci/image/hash.h"
#include "oci/image/layer.h"
#include "oci/image/manifest.h"
#include "oci/image/members.h"
#include "oci/image/stream.h"
#include "oci/image/tree.h"
#include "oci/store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A whole worker's work: read the descriptors, write to say what the order asks for. 0 or -errno with err set. */
typedef int carry_out_fn(const struct order *order, const int *fds, struct buf *say, struct err *err);

/* ---- documents ---- */

static char *document_text(const struct order *order, int fd, struct err *err)
{
	char *text = malloc((size_t)order->bytes + 1);
	int ret = text ? io_pread_exact(fd, text, (size_t)order->bytes, 0) : -ENOMEM;

	if (!ret) {
		text[order->bytes] = '\0';
		return text;
	}
	free(text);
	err_sys(err, ret, "read %s", order->what);
	return NULL;
}

static json_t *document_parse(const struct order *order, int fd, struct err *err)
{
	char *text = document_text(order, fd, err);
	json_t *json = NULL;

	if (text)
		json = order->kind == ORDER_DOCKER
			       ? json_parse_array(text, (size_t)order->bytes, order->what, err)
			       : json_parse(text, (size_t)order->bytes, order->what, err);
	free(text);
	return json;
}

static int layout_do(const struct order *order, const int *fds, struct buf *say, struct err *err)
{
	auto_json *json = document_parse(order, fds[0], err);
	const char *version;

	(void)say;
	if (!json)
		return -err->code;
	version = json_text(json, "imageLayoutVersion");
	if (!version || strncmp(version, "1.", 2) != 0)
		return err_set(err, ENOTSUP, "version %.20s of the OCI image layout is not supported",
			version ? version : "?");
	return 0;
}

static int index_do(const struct order *order, const int *fds, struct buf *say, struct err *err)
{
	auto_json *json = document_parse(order, fds[0], err);
	struct descriptor *entries = NULL;
	size_t n = 0;
	int ret = json ? index_read(json, &entries, &n, err) : -err->code;

	if (!ret)
		answer_put_index(say, manifest_kind(json), entries, n);
	free(entries);
	return ret;
}

static int manifest_do(const struct order *order, const int *fds, struct buf *say, struct err *err)
{
	auto_json *json = document_parse(order, fds[0], err);
	struct manifest *manifest = malloc(sizeof(*manifest));
	int ret = json ? 0 : -err->code;

	if (!ret && !manifest)
		ret = err_set(err, ENOMEM, "out of memory");
	if (!ret)
		ret = manifest_read(json, manifest, err);
	if (!ret)
		answer_put_manifest(say, manifest_kind(json), manifest);
	free(manifest);
	return ret;
}

static int platform_do(const struct order *order, const int *fds, struct buf *say, struct err *err)
{
	auto_json *json = document_parse(order, fds[0], err);
	const char *os, *arch, *variant;

	if (!json)
		return -err->code;
	os = json_text(json, "os");
	arch = json_text(json, "architecture");
	variant = json_text(json, "variant");
	if (!os || !arch || !variant)
		return err_set(err, EBADMSG, "configuration: malformed platform");
	wire_put_text(say, os);
	wire_put_text(say, arch);
	wire_put_text(say, variant);
	return 0;
}

static int config_do(const struct order *order, const int *fds, struct buf *say, struct err *err)
{
	auto_json *json = document_parse(order, fds[0], err);
	struct image image = {.lease_fd = -1};
	int ret = json ? config_read(json, (size_t)order->n_layers, &image, err) : -err->code;

	if (!ret)
		answer_put_config(say, &image);
	image_close(&image);
	return ret;
}

static int docker_do(const struct order *order, const int *fds, struct buf *say, struct err *err)
{
	auto_json *json = document_parse(order, fds[0], err);

	return json ? answer_put_docker(say, json, err) : -err->code;
}

/* ---- archives ---- */

static int members_do(const struct order *order, const int *fds, struct buf *say, struct err *err)
{
	struct members members = {0};
	int ret = members_read(&members, &(struct blob_ref){.fd = fds[0], .bytes = order->bytes}, err);

	if (!ret)
		answer_put_members(say, &members);
	members_done(&members);
	return ret;
}

static int unpack_do(const struct order *order, const int *fds, struct buf *say, struct err *err)
{
	struct blob_ref blob = {.fd = fds[0], .bytes = BLOB_TO_END};
	struct stream stream;
	const uint8_t *data;
	size_t len = 1;
	int ret;

	(void)say;
	ret = stream_open(&stream, &blob, (enum compression)order->compression, err);
	if (ret)
		return ret;
	while (!ret && len) {
		ret = stream_next(&stream, &data, &len, err);
		if (!ret && io_write_all(fds[1], data, len))
			ret = err_set(err, EPIPE, "nobody takes what is unpacked");
	}
	stream_close(&stream);
	return ret;
}

static int layer_do(const struct order *order, const int *fds, struct buf *say, struct err *err)
{
	(void)say;
	return layer_convert(fds[0], order->max_bytes, fds[1], fds[2], err);
}

/* ---- the tree ---- */

static int layers_merge(const struct order *order, struct table *tables, struct tree *tree, struct err *err)
{
	for (size_t i = 0; i < order->n_layers; i++) {
		int ret = tree_apply(tree, &tables[i], (uint16_t)i, err);

		if (ret)
			return err_wrap(
				err, "layer number %zu of %llu", i + 1, (unsigned long long)order->n_layers);
	}
	tree_finish(tree);
	return 0;
}

static int tree_do(const struct order *order, const int *fds, struct buf *say, struct err *err)
{
	static struct table tables[IMAGE_LAYERS_MAX];
	struct erofs_layout layout = {.layer_bytes = order->layer_bytes,
		.layer_same = order->layer_same,
		.n_layers = (uint16_t)order->n_layers};
	uint64_t meta_bytes = 0;
	struct tree tree;
	int ret = 0;

	(void)say;
	memcpy(layout.uuid, order->uuid, sizeof(layout.uuid));
	for (size_t i = 0; i < order->n_layers; i++) {
		ret = table_open(&tables[i], fds[1 + i]);
		if (ret)
			return err_sys(err, ret, "read the table of layer number %zu", i + 1);
	}
	ret = tree_init(&tree, err);
	if (ret)
		return ret;
	ret = layers_merge(order, tables, &tree, err);
	return ret ? ret : erofs_write(&tree, &layout, fds[0], &meta_bytes, err);
}

/* ---- the whole ---- */

static carry_out_fn *const carry_out[ORDER_KINDS] = {
	[ORDER_LAYOUT] = layout_do,
	[ORDER_INDEX] = index_do,
	[ORDER_MANIFEST] = manifest_do,
	[ORDER_PLATFORM] = platform_do,
	[ORDER_CONFIG] = config_do,
	[ORDER_DOCKER] = docker_do,
	[ORDER_MEMBERS] = members_do,
	[ORDER_UNPACK] = unpack_do,
	[ORDER_LAYER] = layer_do,
	[ORDER_TREE] = tree_do,
};

void worker_warm_up(void)
{
	char hex[DIGEST_HEX_LEN + 1];

	/* libcrypto looks for its configuration, jansson for random numbers. */
	hash_data_hex("", 0, hex);
	json_object_seed(0);
}

/* Length, code, text, and what was asked for. */
static int answer_write(int fd, const struct err *err, struct buf *say, size_t max)
{
	struct buf all;
	uint64_t len;
	int ret;

	buf_init(&all, max);
	wire_put_number(&all, 0);
	wire_put_number(&all, (uint64_t)err->code);
	wire_put_text(&all, err->text);
	if (!err->code)
		buf_append(&all, say->data, say->len);
	len = all.len - sizeof(len);
	ret = buf_error(&all);
	if (ret)
		return ret;
	memcpy(all.data, &len, sizeof(len));
	return io_pwrite_all(fd, all.data, all.len, 0);
}

_Noreturn void worker_main(const struct order *order, int answer_fd, const int *fds)
{
	size_t max = order_limits((enum order_kind)order->kind)->answer_bytes;
	struct err err = ERR_INIT;
	struct buf say;

	buf_init(&say, max);
	if (confine_worker(order))
		_exit(1);
	if (carry_out[order->kind](order, fds, &say, &err) == 0) {
		err = ERR_INIT;
		if (buf_error(&say))
			err_set(&err, EFBIG, "there is more in it than can be handled");
	}
	_exit(answer_write(answer_fd, &err, &say, max) ? 1 : 0);
}
