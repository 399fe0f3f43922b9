// SPDX-License-Identifier: Apache-2.0
#include "oci/image/manifest.h"

#include "oci/image/stream.h"

#include <errno.h>
#include <string.h>

#define OCI "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."

static const struct {
	const char *type;
	enum media_kind kind;
} documents[] = {
	{OCI "manifest.v1+json", MEDIA_MANIFEST},
	{OCI "index.v1+json", MEDIA_INDEX},
	{DOCKER "distribution.manifest.v2+json", MEDIA_MANIFEST},
	{DOCKER "distribution.manifest.list.v2+json", MEDIA_INDEX},
	{DOCKER "distribution.manifest.v1+json", MEDIA_SCHEMA1},
	{DOCKER "distribution.manifest.v1+prettyjws", MEDIA_SCHEMA1},
};

static const struct {
	const char *type;
	enum compression compression;
} layers[] = {
	{OCI "layer.v1.tar", COMPRESSION_NONE},
	{OCI "layer.v1.tar+gzip", COMPRESSION_GZIP},
	{OCI "layer.v1.tar+zstd", COMPRESSION_ZSTD},
	{OCI "layer.nondistributable.v1.tar", COMPRESSION_NONE},
	{OCI "layer.nondistributable.v1.tar+gzip", COMPRESSION_GZIP},
	{OCI "layer.nondistributable.v1.tar+zstd", COMPRESSION_ZSTD},
	{DOCKER "image.rootfs.diff.tar", COMPRESSION_NONE},
	{DOCKER "image.rootfs.diff.tar.gzip", COMPRESSION_GZIP},
	{DOCKER "image.rootfs.diff.tar.zstd", COMPRESSION_ZSTD},
	{DOCKER "image.rootfs.foreign.diff.tar", COMPRESSION_NONE},
	{DOCKER "image.rootfs.foreign.diff.tar.gzip", COMPRESSION_GZIP},
};

static enum media_kind kind_of(const char *type)
{
	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
		if (strcmp(type, documents[i].type) == 0)
			return documents[i].kind;
	}
	return MEDIA_OTHER;
}

enum media_kind manifest_kind(const json_t *document)
{
	const char *type = json_text(document, "mediaType");
	bool manifests = json_object_get(document, "manifests") != NULL;
	bool config = json_object_get(document, "config") || json_object_get(document, "layers");

	/* One document that is both could be read as either (CVE-2021-41190). */
	if (!type || (manifests && config))
		return MEDIA_OTHER;
	if (*type)
		return kind_of(type);
	if (json_integer_value(json_object_get(document, "schemaVersion")) == 1)
		return MEDIA_SCHEMA1;
	return manifests ? MEDIA_INDEX : config ? MEDIA_MANIFEST : MEDIA_OTHER;
}

/* The digest and size every descriptor has. */
static int content_read(
	const json_t *json, char digest[static DIGEST_HEX_LEN + 1], uint64_t *bytes, struct err *err)
{
	const char *text = json_text(json, "digest");
	int ret = text ? digest_parse(text, digest) : -EINVAL;

	if (ret == -ENOTSUP)
		return err_set(err, ENOTSUP, "\"%.80s\": only sha256 digests are supported", text);
	if (ret)
		return err_set(err, EBADMSG, "\"%.80s\" is not a valid digest", text ? text : "");
	if (json_size(json, "size", bytes))
		return err_set(err, EBADMSG, "sha256:%.12s...: no valid size", digest);
	return 0;
}

static int platform_read(const json_t *json, struct descriptor *out)
{
	const json_t *platform = json_object_get(json, "platform");
	const char *os = json_text(platform, "os"), *arch = json_text(platform, "architecture");
	const char *variant = json_text(platform, "variant");

	if (!platform || json_is_null(platform))
		return 0;
	if (!os || !arch || !variant || platform_set(&out->platform, os, arch, variant))
		return -EINVAL;
	out->has_platform = true;
	out->attestation = strcmp(os, "unknown") == 0 && strcmp(arch, "unknown") == 0;
	return 0;
}

static int descriptor_read(const json_t *json, struct descriptor *out, struct err *err)
{
	const json_t *annotations = json_object_get(json, "annotations");
	const char *type = json_text(json, "mediaType");
	int ret;

	*out = (struct descriptor){0};
	ret = content_read(json, out->digest, &out->bytes, err);
	if (ret)
		return ret;
	out->ref = json_text(annotations, "org.opencontainers.image.ref.name");
	out->name = json_text(annotations, "io.containerd.image.name");
	if (!type || !out->ref || !out->name || platform_read(json, out))
		return err_set(err, EBADMSG, "sha256:%.12s...: malformed descriptor", out->digest);
	out->kind = kind_of(type);
	return 0;
}

int index_read(const json_t *index, struct descriptor **entries, size_t *n_entries, struct err *err)
{
	const json_t *array = json_object_get(index, "manifests");
	size_t n = json_array_size(array);
	struct descriptor *list;
	int ret = 0;

	if (!json_is_array(array))
		return err_set(err, EBADMSG, "the index has no list of manifests");
	if (n > INDEX_ENTRIES_MAX)
		return err_set(err, EFBIG, "the index has more than %d entries", INDEX_ENTRIES_MAX);
	list = calloc(n ? n : 1, sizeof(*list));
	if (!list)
		return err_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < n && !ret; i++)
		ret = descriptor_read(json_array_get(array, i), &list[i], err);
	if (ret) {
		free(list);
		return err_wrap(err, "index");
	}
	*entries = list;
	*n_entries = n;
	return 0;
}

static int layer_read(const json_t *json, struct manifest_layer *out, struct err *err)
{
	const char *type = json_text(json, "mediaType");
	int ret = content_read(json, out->digest, &out->bytes, err);

	if (ret)
		return ret;
	for (size_t i = 0; type && i < sizeof(layers) / sizeof(layers[0]); i++) {
		if (strcmp(type, layers[i].type) == 0) {
			out->compression = (int)layers[i].compression;
			return 0;
		}
	}
	return err_set(err, ENOTSUP, "layers of type \"%.100s\" are not supported", type ? type : "");
}

int manifest_read(const json_t *json, struct manifest *out, struct err *err)
{
	const json_t *array = json_object_get(json, "layers");
	size_t n = json_array_size(array);
	int ret;

	*out = (struct manifest){0};
	if (!json_is_object(json_object_get(json, "config")) || !json_is_array(array))
		return err_set(err, EBADMSG, "the manifest has no configuration or no layers");
	if (n > IMAGE_LAYERS_MAX)
		return err_set(err, EFBIG, "the image has %zu layers: at most %d are supported", n,
			IMAGE_LAYERS_MAX);
	ret = content_read(json_object_get(json, "config"), out->config, &out->config_bytes, err);
	for (; !ret && out->n_layers < n; out->n_layers++)
		ret = layer_read(json_array_get(array, out->n_layers), &out->layers[out->n_layers], err);
	if (!ret && out->config_bytes > JSON_CONFIG_MAX)
		ret = err_set(err, EFBIG, "the configuration is larger than %u MiB", JSON_CONFIG_MAX >> 20);
	return ret ? err_wrap(err, "manifest") : 0;
}
