// SPDX-License-Identifier: Apache-2.0
#include "oci/image/manifest.h"
#include "oci/image/platform.h"
#include "oci/image/stream.h"
#include "oci/store/store.h"
#include "tests/unit/cm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static json_t *parse(const char *text)
{
	struct err err = ERR_INIT;
	json_t *json = json_parse(text, strlen(text), "it", &err);

	if (!json)
		fail_msg("%s", err.text);
	return json;
}

static void test_json_limits(void **state)
{
	static const char *const bad[] = {"", "{", "[]", "1", "null", "{\"a\":1,\"a\":2}",
		"{\"a\":\"\\u0000\"}", "{\"a\":1e999}", "{\"a\":\"\xff\"}", "\xef\xbb\xbf{}", "{} x",
		"{\"a\":99999999999999999999}", "{'a':1}", "{\"a\":\"\\ud800\"}"};
	char deep[2 * JSON_DEPTH_MAX + 16];
	struct err err;
	json_t *json;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		err = ERR_INIT;
		assert_null(json_parse(bad[i], strlen(bad[i]), "it", &err));
		assert_int_equal(err.code, EBADMSG);
	}
	/* {"a":[[[...]]]} with one level too many, and just not. */
	for (int extra = 0; extra < 2; extra++) {
		size_t n = JSON_DEPTH_MAX - 1 + (size_t)extra;

		strcpy(deep, "{\"a\":");
		memset(deep + 5, '[', n);
		memset(deep + 5 + n, ']', n);
		strcpy(deep + 5 + 2 * n, "}");
		json = json_parse(deep, strlen(deep), "it", &err);
		assert_true(extra ? !json : json != NULL);
		json_decref(json);
	}
	/* Brackets in strings do not count. */
	json = parse("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
		     "\\\"[[[\"}");
	json_decref(json);
}

static void test_kinds(void **state)
{
	static const struct {
		const char *text;
		enum media_kind kind;
	} cases[] = {{"{\"manifests\":[]}", MEDIA_INDEX}, {"{\"config\":{},\"layers\":[]}", MEDIA_MANIFEST},
		{"{\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[]}", MEDIA_INDEX},
		{"{\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\",\"config\":{}}",
			MEDIA_MANIFEST},
		{"{\"schemaVersion\":1}", MEDIA_SCHEMA1}, {"{\"manifests\":[],\"layers\":[]}", MEDIA_OTHER},
		{"{\"mediaType\":5}", MEDIA_OTHER}, {"{}", MEDIA_OTHER},
		{"{\"mediaType\":\"text/html\",\"config\":{}}", MEDIA_OTHER}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *json = parse(cases[i].text);

		assert_int_equal(manifest_kind(json), cases[i].kind);
		json_decref(json);
	}
}

#define MANIFEST(size, type)                                                                                 \
	"{\"config\":{\"digest\":\"sha256:" HEX "\",\"size\":" size "},\"layers\":[{\"mediaType\":\"" type   \
	"\",\"digest\":\"sha256:" HEX "\",\"size\":5}]}"

static int manifest_code(const char *text, struct manifest *out)
{
	struct err err = ERR_INIT;
	json_t *json = parse(text);
	int ret = manifest_read(json, out, &err);

	json_decref(json);
	return ret;
}

static void test_manifest(void **state)
{
	struct manifest *m = malloc(sizeof(*m));

	(void)state;
	assert_int_equal(manifest_code(MANIFEST("7", "application/vnd.oci.image.layer.v1.tar+zstd"), m), 0);
	assert_int_equal(m->n_layers, 1);
	assert_int_equal(m->config_bytes, 7);
	assert_string_equal(m->layers[0].digest, HEX);
	assert_int_equal(m->layers[0].compression, COMPRESSION_ZSTD);
	assert_int_equal(
		manifest_code(MANIFEST("7", "application/vnd.docker.image.rootfs.diff.tar.gzip"), m), 0);
	assert_int_equal(m->layers[0].compression, COMPRESSION_GZIP);
	assert_int_equal(
		manifest_code(MANIFEST("-1", "application/vnd.oci.image.layer.v1.tar"), m), -EBADMSG);
	assert_int_equal(
		manifest_code(MANIFEST("1.0", "application/vnd.oci.image.layer.v1.tar"), m), -EBADMSG);
	assert_int_equal(
		manifest_code(MANIFEST("\"1\"", "application/vnd.oci.image.layer.v1.tar"), m), -EBADMSG);
	assert_int_equal(
		manifest_code(MANIFEST("9000000", "application/vnd.oci.image.layer.v1.tar"), m), -EFBIG);
	assert_int_equal(
		manifest_code(MANIFEST("7", "application/vnd.oci.image.layer.v1.tar+lzma"), m), -ENOTSUP);
	assert_int_equal(manifest_code("{\"config\":{}}", m), -EBADMSG);
	assert_int_equal(manifest_code("{\"config\":{},\"layers\":[]}", m), -EBADMSG);
	assert_int_equal(manifest_code("{\"config\":[],\"layers\":{}}", m), -EBADMSG);
	free(m);
}

static void test_config(void **state)
{
	json_t *json =
		parse("{\"os\":\"linux\",\"architecture\":\"amd64\",\"created\":null,\"config\":{\"Env\":["
		      "\"A=b\"],\"Cmd\":null,"
		      "\"Entrypoint\":[\"/x\",\"\"],\"Labels\":{\"k\":\"v\"},\"Volumes\":{\"/data\":{}},"
		      "\"Healthcheck\":{\"Test\":[\"CMD\"]}},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":["
		      "\"sha256:" HEX "\"]}}");
	struct image image = {.lease_fd = -1};
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(config_read(json, 1, &image, &err), 0);
	assert_string_equal(image.env.items[0], "A=b");
	assert_int_equal(image.cmd.n_items, 0);
	assert_string_equal(image.entrypoint.items[1], "");
	assert_string_equal(image.labels.items[1], "v");
	assert_string_equal(image.volumes.items[0], "/data");
	assert_string_equal(image.healthcheck, "{\"Test\":[\"CMD\"]}");
	assert_string_equal(image.user, "");
	assert_string_equal(image.layers[0].diff_id, HEX);
	image_close(&image);
	assert_int_equal(config_read(json, 2, &image, &err), -EBADMSG);
	image_close(&image);
	json_decref(json);
	json = parse("{\"config\":{\"Env\":[1]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}");
	assert_int_equal(config_read(json, 0, &image, &err), -EBADMSG);
	image_close(&image);
	json_decref(json);
}

/* What config_read() says about a configuration with n strings of len bytes under key. */
static void assert_config_says(const char *key, size_t n, size_t len, const char *words)
{
	char *text = calloc(1, len + 1);
	json_t *list = json_array(), *json = json_pack("{s:{s:o}}", "config", key, list);
	struct err err = ERR_INIT;
	struct image image = {.lease_fd = -1};

	memset(text, 'x', len);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(text));
	assert_int_equal(config_read(json, 0, &image, &err), -E2BIG);
	assert_non_null(strstr(err.text, key));
	assert_non_null(strstr(err.text, words));
	image_close(&image);
	json_decref(json);
	free(text);
}

static void test_config_with_too_much(void **state)
{
	(void)state;
	assert_config_says("Env", 20001, 1, "has 20001 entries, the limit is 16384");
	assert_config_says("Cmd", 16385, 1, "has 16385 entries");
	assert_config_says("Entrypoint", 1, (1 << 20) + 1, "1048577 bytes, the limit is 1048576");
}

static int score(const char *want, const char *have)
{
	struct platform a, b;

	assert_int_equal(platform_parse(want, &a), 0);
	assert_int_equal(platform_parse(have, &b), 0);
	return platform_score(&a, &b);
}

static void test_platforms(void **state)
{
	static const char *const bad[] = {
		"", "/", "linux/", "/amd64", "a/b/c/d", "linux/amd64/", "linux/am d64", "linux/../x"};
	struct platform p;
	char text[PLATFORM_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(platform_parse(bad[i], &p), -EINVAL);
	assert_int_equal(platform_parse("aarch64", &p), 0);
	platform_format(&p, text);
	assert_string_equal(text, "linux/arm64");
	assert_true(score("linux/arm64", "linux/arm64/v8") == 100);
	assert_true(score("linux/amd64", "x86_64") == 100);
	assert_true(score("linux/amd64", "linux/arm64") == 0);
	assert_true(score("linux/amd64", "windows/amd64") == 0);
	assert_true(score("linux/amd64", "linux/amd64/v3") == 0);
	assert_true(score("linux/amd64/v3", "linux/amd64/v2") > score("linux/amd64/v3", "linux/amd64"));
	assert_true(score("linux/amd64/v3", "linux/amd64") > 0);
	assert_true(score("linux/arm", "linux/arm/v7") == 100);
	assert_true(score("linux/arm", "linux/arm/v6") > score("linux/arm", "linux/arm/v5"));
	assert_true(score("linux/arm/v6", "linux/arm/v7") == 0);
	assert_true(score("linux/arm64", "linux/arm/v7") == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_limits),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_manifest),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_config_with_too_much),
		cmocka_unit_test(test_platforms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
