// SPDX-License-Identifier: Apache-2.0
#include "oci/image/load.h"

#include "base/cleanup.h"
#include "base/num.h"

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
	struct order tree; /* what it takes to write the file system */
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
	struct order order = {.kind = ORDER_CONFIG, .n_layers = n_layers, .what = "the configuration"};
	const struct load *load = work->load;
	auto_answer answer = {0};
	int ret = decoder_ask(
		load->decoder, &order, work->config_text, work->config_len, load->cancel, &answer, err);

	if (!ret)
		ret = answer_take_config(&answer, n_layers, &work->image, err);
	return ret ? ret : platform_check(work, err);
}

/* Equal layers are one job, and one place on the disk. */
static int job_add(struct work *work, size_t layer, const struct layer_source *source)
{
	work->tree.layer_same[layer] = (uint16_t)layer;
	for (size_t i = 0; i < layer; i++) {
		if (strcmp(work->image.layers[i].diff_id, source->diff_id) != 0)
			continue;
		work->tree.layer_same[layer] = (uint16_t)i;
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

static int manifest_take(struct work *work, struct err *err)
{
	struct order order = {.kind = ORDER_MANIFEST, .what = "the manifest"};
	const struct selection *selection = work->selection;
	struct load *load = work->load;
	auto_answer answer = {0};
	enum media_kind kind = MEDIA_OTHER;
	int ret = source_read_blob(&load->source, selection->manifest.digest, selection->manifest.bytes,
		JSON_MANIFEST_MAX, &work->manifest_text, &work->manifest_len, err);

	if (!ret)
		ret = decoder_ask(load->decoder, &order, work->manifest_text, work->manifest_len,
			load->cancel, &answer, err);
	if (!ret)
		ret = answer_take_manifest(&answer, &kind, &work->manifest, err);
	if (!ret && kind != MEDIA_MANIFEST)
		ret = err_set(err, EBADMSG, "sha256:%.12s... is called a manifest but is none",
			selection->manifest.digest);
	return ret;
}

static int oci_prepare(struct work *work, struct err *err)
{
	const struct selection *selection = work->selection;
	int ret = manifest_take(work, err);

	if (!ret)
		ret = source_read_blob(&work->load->source, work->manifest.config,
			work->manifest.config_bytes, JSON_CONFIG_MAX, &work->config_text, &work->config_len,
			err);
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

static int docker_prepare_entry(struct work *work, const struct docker_entry *entry, struct err *err)
{
	int ret;

	if (entry->n_layers > IMAGE_LAYERS_MAX)
		return err_set(err, EFBIG, "the image has too many layers: at most %d are supported",
			IMAGE_LAYERS_MAX);
	ret = docker_config_read(work, entry->config, err);
	if (!ret)
		ret = config_parse(work, entry->n_layers, err);
	if (!ret)
		ret = jobs_alloc(work, entry->n_layers, err);
	for (size_t i = 0; !ret && i < entry->n_layers; i++)
		ret = docker_layer_add(work, i, entry->layers[i], err);
	return ret;
}

static int docker_prepare(struct work *work, struct err *err)
{
	struct docker_entry *entries = NULL;
	auto_answer answer = {0};
	size_t n = 0;
	int ret = docker_manifest_read(work->load, &answer, &entries, &n, err);

	if (ret)
		return ret;
	/* It is read again for each image, and might say less than before. */
	ret = work->selection->docker_entry < n
		      ? docker_prepare_entry(work, &entries[work->selection->docker_entry], err)
		      : answer_bad(err);
	docker_entries_free(entries, n);
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

static int sizes_set(struct work *work, struct err *err)
{
	uint64_t total = 0;
	size_t n_segments = 1;

	for (size_t i = 0; i < work->image.n_layers; i++) {
		uint64_t bytes =
			work->tree.layer_same[i] == i ? work->jobs[work->job_of[i]].info.data_bytes : 0;

		work->tree.layer_bytes[i] = work->image.layers[i].bytes = bytes;
		total += bytes;
		n_segments += bytes != 0;
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

static int tables_open(const struct work *work, int *fds, struct err *err)
{
	const struct store *store = work->load->ingest.store;

	for (size_t i = 0; i < work->image.n_layers; i++) {
		char path[STORE_PATH_MAX];

		path_layer(path, work->image.layers[i].diff_id, ".tab");
		fds[i] = openat(store->dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fds[i] < 0)
			return err_sys(err, errno, "open layer sha256:%.12s... in the store",
				work->image.layers[i].diff_id);
	}
	return 0;
}

/* Have the tables (fds[1] and on) merged into the file system (fds[0]). */
static int tree_order(struct work *work, const int *fds, struct err *err)
{
	const struct load *load = work->load;
	char uuid[2 * sizeof(work->tree.uuid) + 1];
	auto_answer answer = {0};
	struct blob_ref meta;
	struct job job;
	int ret;

	snprintf(uuid, sizeof(uuid), "%.32s", work->image.image.manifest);
	num_parse_hex(uuid, work->tree.uuid, sizeof(work->tree.uuid));
	work->tree.kind = ORDER_TREE;
	work->tree.n_layers = work->image.n_layers;
	work->tree.max_bytes = load->options.max_image_bytes;
	ret = job_begin(load->decoder, &work->tree, fds, work->image.n_layers + 1, &job, err);
	if (!ret)
		ret = job_end(&job, load->cancel, &answer, err);
	if (!ret)
		ret = blob_of_file(fds[0], &meta, err);
	if (!ret && (!meta.bytes || meta.bytes % IMAGE_ALIGN))
		ret = answer_bad(err);
	if (ret)
		return ret;
	work->image.meta_bytes = meta.bytes;
	work->image.size_bytes += meta.bytes;
	return 0;
}

static int tree_write(struct work *work, struct err *err)
{
	int fds[ORDER_FDS_MAX];
	int ret;

	for (size_t i = 0; i < ORDER_FDS_MAX; i++)
		fds[i] = -1;
	fds[0] = ingest_create(&work->load->ingest, "image/meta.erofs", err);
	ret = fds[0] < 0 ? fds[0] : tables_open(work, fds + 1, err);
	if (!ret)
		ret = tree_order(work, fds, err);
	for (size_t i = 0; i < ORDER_FDS_MAX; i++)
		fd_release(&fds[i]);
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
