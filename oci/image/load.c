// SPDX-License-Identifier: Apache-2.0
#include "oci/image/load.h"

#include "base/cleanup.h"
#include "base/num.h"
#include "oci/image/erofs.h"
#include "oci/image/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An image on its way into the store. */
struct work {
	struct load *load;
	const struct selection *selection;
	struct manifest manifest;
	struct image image;
	char *manifest_text, *config_text;
	size_t manifest_len, config_len;
	struct layer_job *jobs; /* one per different layer */
	size_t n_jobs;
	size_t job_of[IMAGE_LAYERS_MAX]; /* layer to job */
	uint16_t same[IMAGE_LAYERS_MAX]; /* layer to the first one that is equal to it */
	uint64_t bytes[IMAGE_LAYERS_MAX];
	struct table tables[IMAGE_LAYERS_MAX];
};

/* ---- what is to be loaded ---- */

/* The configuration says for which platform it is; without an index nothing else did. */
static int platform_check(const struct work *work, struct err *err)
{
	const struct load *load = work->load;
	const struct image *image = &work->image;
	char want[PLATFORM_TEXT_MAX], have[PLATFORM_TEXT_MAX];
	struct platform platform;

	if (platform_set(&platform, image->os, image->architecture, image->variant))
		return err_set(err, EBADMSG, "configuration: malformed platform");
	/* An index may be more exact about the variant, and has been asked already. */
	if (platform_score(&load->options.platform, &platform) || *work->selection->index)
		return 0;
	platform_format(&load->options.platform, want);
	platform_format(&platform, have);
	return err_set(err, ENOENT, "no image for %s in %s; it has %s", want, load->source.spec.path, have);
}

static int config_parse(struct work *work, size_t n_layers, struct err *err)
{
	auto_json *json = json_parse(work->config_text, work->config_len, "the configuration", err);
	int ret = json ? config_read(json, n_layers, &work->image, err) : -EBADMSG;

	return ret ? ret : platform_check(work, err);
}

/* Equal layers are one job, and one place on the disk. */
static int job_add(struct work *work, size_t layer, const struct layer_source *source)
{
	work->same[layer] = (uint16_t)layer;
	for (size_t i = 0; i < layer; i++) {
		if (strcmp(work->image.layers[i].diff_id, source->diff_id) != 0)
			continue;
		work->same[layer] = (uint16_t)i;
		work->job_of[layer] = work->job_of[i];
		return 1;
	}
	work->job_of[layer] = work->n_jobs;
	work->jobs[work->n_jobs++].source = *source;
	return 0;
}

static int jobs_alloc(struct work *work, size_t n_layers, struct err *err)
{
	work->jobs = calloc(n_layers ? n_layers : 1, sizeof(*work->jobs));
	if (!work->jobs)
		return err_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < n_layers; i++)
		work->jobs[i].source.blob.fd = -1;
	return 0;
}

static int oci_layer_add(struct work *work, size_t i, struct err *err)
{
	const struct manifest_layer *layer = &work->manifest.layers[i];
	struct layer_source source = {.compression = layer->compression, .blob.fd = -1};
	int ret;

	memcpy(source.digest, layer->digest, sizeof(source.digest));
	memcpy(source.diff_id, work->image.layers[i].diff_id, sizeof(source.diff_id));
	ret = source_blob(&work->load->source, layer->digest, &source.blob, err);
	if (ret)
		return ret;
	if (source.blob.bytes != layer->bytes) {
		fd_release(&source.blob.fd);
		return err_set(err, EBADMSG, "layer sha256:%.12s... has %llu bytes, expected %llu",
			layer->digest, (unsigned long long)source.blob.bytes,
			(unsigned long long)layer->bytes);
	}
	if (job_add(work, i, &source))
		fd_release(&source.blob.fd);
	return 0;
}

static int oci_prepare(struct work *work, struct err *err)
{
	const struct selection *selection = work->selection;
	struct load *load = work->load;
	auto_json *json = NULL;
	int ret = source_read_blob(&load->source, selection->manifest.digest, selection->manifest.bytes,
		JSON_MANIFEST_MAX, &work->manifest_text, &work->manifest_len, err);

	if (ret)
		return ret;
	json = json_parse(work->manifest_text, work->manifest_len, "the manifest", err);
	if (!json)
		return -EBADMSG;
	if (manifest_kind(json) != MEDIA_MANIFEST)
		return err_set(err, EBADMSG, "sha256:%.12s... is called a manifest but is none",
			selection->manifest.digest);
	ret = manifest_read(json, &work->manifest, err);
	if (!ret)
		ret = source_read_blob(&load->source, work->manifest.config, work->manifest.config_bytes,
			JSON_CONFIG_MAX, &work->config_text, &work->config_len, err);
	if (!ret)
		ret = config_parse(work, work->manifest.n_layers, err);
	if (!ret)
		ret = jobs_alloc(work, work->manifest.n_layers, err);
	for (size_t i = 0; !ret && i < work->manifest.n_layers; i++)
		ret = oci_layer_add(work, i, err);
	memcpy(work->image.id, work->manifest.config, sizeof(work->image.id));
	memcpy(work->image.image.manifest, selection->manifest.digest, sizeof(work->image.image.manifest));
	memcpy(work->image.index, selection->index, sizeof(work->image.index));
	return ret;
}

/* A file of a docker-archive is often called after its digest ("<hex>.json", "blobs/sha256/<hex>"). */
static bool name_digest(const char *name, const char *ending, char hex[static DIGEST_HEX_LEN + 1])
{
	const char *base = strrchr(name, '/');
	size_t len;

	base = base ? base + 1 : name;
	len = strlen(base);
	if (len != DIGEST_HEX_LEN + strlen(ending) || strcmp(base + DIGEST_HEX_LEN, ending) != 0)
		return false;
	snprintf(hex, DIGEST_HEX_LEN + 1, "%.64s", base);
	return digest_hex_valid(hex);
}

static int docker_config_read(struct work *work, const char *name, struct err *err)
{
	char hex[DIGEST_HEX_LEN + 1];
	int ret = source_read_file(
		&work->load->source, name, JSON_CONFIG_MAX, &work->config_text, &work->config_len, err);

	if (!ret && hash_data_hex(work->config_text, work->config_len, work->image.id))
		ret = err_set(err, ENOMEM, "out of memory");
	if (!ret && (name_digest(name, ".json", hex) || name_digest(name, "", hex)) &&
		strcmp(hex, work->image.id) != 0)
		ret = err_set(err, EBADMSG, "%.100s does not match its digest: it is sha256:%.12s...", name,
			work->image.id);
	return ret;
}

static int docker_layer_add(struct work *work, size_t i, const char *name, struct err *err)
{
	struct layer_source source = {.compression = -1, .blob.fd = -1};
	int ret;

	if (!name)
		return err_set(err, EBADMSG, "manifest.json is malformed");
	memcpy(source.diff_id, work->image.layers[i].diff_id, sizeof(source.diff_id));
	/* blobs/sha256/<hex> promises a digest; other names ("<id>/layer.tar") do not. */
	if (strncmp(name, "blobs/sha256/", 13) != 0 || !name_digest(name, "", source.digest))
		source.digest[0] = '\0';
	ret = source_file(&work->load->source, name, &source.blob, err);
	if (ret)
		return ret;
	if (job_add(work, i, &source))
		fd_release(&source.blob.fd);
	return 0;
}

static int docker_prepare(struct work *work, struct err *err)
{
	auto_json *json = NULL;
	const json_t *entry, *layers;
	const char *config;
	int ret = docker_manifest_read(work->load, &json, err);

	if (ret)
		return ret;
	entry = json_array_get(json, work->selection->docker_entry);
	layers = json_object_get(entry, "Layers");
	config = json_string_value(json_object_get(entry, "Config"));
	if (!config || (layers && !json_is_array(layers) && !json_is_null(layers)))
		return err_set(err, EBADMSG, "manifest.json is malformed");
	if (json_array_size(layers) > IMAGE_LAYERS_MAX)
		return err_set(err, EFBIG, "the image has %zu layers: at most %d are supported",
			json_array_size(layers), IMAGE_LAYERS_MAX);
	ret = docker_config_read(work, config, err);
	if (!ret)
		ret = config_parse(work, json_array_size(layers), err);
	if (!ret)
		ret = jobs_alloc(work, json_array_size(layers), err);
	for (size_t i = 0; !ret && i < json_array_size(layers); i++)
		ret = docker_layer_add(work, i, json_string_value(json_array_get(layers, i)), err);
	return ret;
}

/*
 * A docker-archive has no manifest, but an image is named by the digest of one. So make the one that
 * describes what the archive has: the configuration, and the layers as they are uncompressed.
 */
static int docker_manifest_make(struct work *work, struct err *err)
{
	auto_json *layers = json_array(), *json = NULL;
	char digest[sizeof(DIGEST_PREFIX) + DIGEST_HEX_LEN];
	int bad = !layers;

	for (size_t i = 0; i < work->image.n_layers && !bad; i++) {
		snprintf(digest, sizeof(digest), DIGEST_PREFIX "%s", work->image.layers[i].diff_id);
		bad = json_array_append_new(
			layers, json_pack("{sssssI}", "mediaType",
					"application/vnd.docker.image.rootfs.diff.tar", "digest", digest,
					"size", (json_int_t)work->jobs[work->job_of[i]].info.tar_bytes));
	}
	snprintf(digest, sizeof(digest), DIGEST_PREFIX "%s", work->image.id);
	if (!bad)
		json = json_pack("{sisss{sssssI}sO}", "schemaVersion", 2, "mediaType",
			"application/vnd.docker.distribution.manifest.v2+json", "config", "mediaType",
			"application/vnd.docker.container.image.v1+json", "digest", digest, "size",
			(json_int_t)work->config_len, "layers", layers);
	work->manifest_text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	if (!work->manifest_text)
		return err_set(err, ENOMEM, "out of memory");
	work->manifest_len = strlen(work->manifest_text);
	if (hash_data_hex(work->manifest_text, work->manifest_len, work->image.image.manifest))
		return err_set(err, ENOMEM, "out of memory");
	return 0;
}

/* ---- the tree ---- */

static int tables_open(struct work *work, struct err *err)
{
	struct store *store = work->load->ingest.store;

	for (size_t i = 0; i < work->image.n_layers; i++) {
		char path[STORE_PATH_MAX];
		auto_fd fd = -1;
		int ret;

		path_layer(path, work->image.layers[i].diff_id, ".tab");
		fd = openat(store->dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		ret = fd < 0 ? -errno : table_open(&work->tables[i], fd);
		if (ret)
			return err_sys(err, ret, "open layer sha256:%.12s... in the store",
				work->image.layers[i].diff_id);
	}
	return 0;
}

static int sizes_set(struct work *work, struct err *err)
{
	uint64_t total = 0;
	size_t n_segments = 1;

	for (size_t i = 0; i < work->image.n_layers; i++) {
		work->bytes[i] = work->same[i] == i ? work->tables[i].info.data_bytes : 0;
		work->image.layers[i].bytes = work->bytes[i];
		total += work->bytes[i];
		n_segments += work->bytes[i] != 0;
	}
	if (n_segments > IMAGE_SEGMENTS_MAX)
		return err_set(err, EFBIG, "the image has %zu layers with contents: at most %d are supported",
			n_segments - 1, IMAGE_SEGMENTS_MAX - 1);
	if (total > work->load->options.max_image_bytes)
		return err_set(err, EFBIG, "the image takes %llu bytes, the limit is %llu (--max-image-size)",
			(unsigned long long)total, (unsigned long long)work->load->options.max_image_bytes);
	work->image.size_bytes = total;
	return 0;
}

static int layers_merge(struct work *work, struct tree *tree, struct err *err)
{
	size_t n = work->image.n_layers;

	for (size_t i = 0; i < n; i++) {
		int ret = tree_apply(tree, &work->tables[i], (uint16_t)i, err);

		if (ret)
			return err_wrap(err, "layer sha256:%.12s... (number %zu of %zu)",
				work->image.layers[i].diff_id, i + 1, n);
		if (atomic_load(work->load->cancel))
			return err_set(err, EINTR, "interrupted");
	}
	tree_finish(tree);
	return 0;
}

static int tree_write(struct work *work, struct err *err)
{
	struct erofs_layout layout = {.layer_bytes = work->bytes,
		.layer_same = work->same,
		.n_layers = (uint16_t)work->image.n_layers};
	auto_fd fd = ingest_create(&work->load->ingest, "image/meta.erofs", err);
	char uuid[2 * sizeof(layout.uuid) + 1];
	struct tree tree;
	int ret;

	if (fd < 0)
		return fd;
	snprintf(uuid, sizeof(uuid), "%.32s", work->image.image.manifest);
	num_parse_hex(uuid, layout.uuid, sizeof(layout.uuid));
	ret = tree_init(&tree, err);
	if (ret)
		return ret;
	ret = layers_merge(work, &tree, err);
	if (!ret)
		ret = erofs_write(&tree, &layout, fd, &work->image.meta_bytes, err);
	work->image.size_bytes += work->image.meta_bytes;
	tree_done(&tree);
	return ret;
}

/* ---- into the store ---- */

/* Whether the store has the image, whole. */
static bool image_there(const struct work *work)
{
	struct image image;

	if (image_open(work->load->ingest.store, &work->image.image, &image, NULL))
		return false;
	image_close(&image);
	return true;
}

static int image_commit(struct work *work, struct err *err)
{
	const struct ingest *ingest = &work->load->ingest;
	char path[STORE_PATH_MAX];
	int ret = ingest_put_blob(ingest, work->image.id, work->config_text, work->config_len, err);

	if (!ret)
		ret = ingest_put_blob(
			ingest, work->image.image.manifest, work->manifest_text, work->manifest_len, err);
	if (!ret)
		ret = image_record_write(ingest->dir_fd, "image/image.json", &work->image, err);
	if (ret)
		return ret;
	path_image(path, work->image.image.manifest, "");
	ret = ingest_replace(ingest, "image", path, err);
	/* If a damaged one was there, it is now here. */
	tree_delete(ingest->dir_fd, "image");
	return ret;
}

static int image_build(struct work *work, struct err *err)
{
	bool docker = work->load->source.transport == TRANSPORT_DOCKER_ARCHIVE;
	int ret = layers_load(work->load, work->jobs, work->n_jobs, err);

	if (!ret && docker)
		ret = docker_manifest_make(work, err);
	if (ret || (docker && image_there(work)))
		return ret;
	ret = tables_open(work, err);
	if (!ret)
		ret = sizes_set(work, err);
	if (!ret && mkdirat(work->load->ingest.dir_fd, "image", 0700) < 0)
		ret = err_sys(err, errno, "make a folder in the store");
	if (!ret)
		ret = tree_write(work, err);
	return ret ? ret : image_commit(work, err);
}

static void work_free(struct work *work)
{
	for (size_t i = 0; i < work->n_jobs; i++)
		fd_release(&work->jobs[i].source.blob.fd);
	for (size_t i = 0; i < work->image.n_layers; i++)
		table_close(&work->tables[i]);
	image_close(&work->image);
	free(work->jobs);
	free(work->manifest_text);
	free(work->config_text);
	free(work);
}

static int names_put(struct work *work, load_report_fn *report, void *ctx, struct err *err)
{
	const struct selection *selection = work->selection;
	char id[sizeof(DIGEST_PREFIX) + DIGEST_HEX_LEN];

	snprintf(id, sizeof(id), DIGEST_PREFIX "%s", work->image.id);
	for (size_t i = 0; i < selection->n_names; i++) {
		int ret = ref_put(work->load->ingest.store, selection->names[i], &work->image.image, err);

		if (ret)
			return ret;
		report(ctx, ref_familiar(selection->names[i]), id);
	}
	if (!selection->n_names)
		report(ctx, NULL, id);
	return 0;
}

static int image_load(struct load *load, const struct selection *selection, load_report_fn *report, void *ctx,
	struct err *err)
{
	struct work *work = calloc(1, sizeof(*work));
	bool docker = load->source.transport == TRANSPORT_DOCKER_ARCHIVE;
	int ret;

	if (!work)
		return err_set(err, ENOMEM, "out of memory");
	work->load = load;
	work->selection = selection;
	work->image.lease_fd = -1;
	ret = docker ? docker_prepare(work, err) : oci_prepare(work, err);
	if (!ret && (docker || !image_there(work)))
		ret = image_build(work, err);
	if (!ret)
		ret = names_put(work, report, ctx, err);
	work_free(work);
	return ret;
}

int load_run(struct load *load, load_report_fn *report, void *ctx, struct err *err)
{
	struct selection *list = NULL;
	size_t n = 0;
	int ret = select_images(load, &list, &n, err);

	for (size_t i = 0; i < n && !ret; i++)
		ret = image_load(load, &list[i], report, ctx, err);
	selections_free(list, n);
	return ret;
}
