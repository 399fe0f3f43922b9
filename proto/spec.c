// SPDX-License-Identifier: Apache-2.0
/*
 * The spec as bytes.
 *
 * Decoding goes over the items twice: the first pass counts what the lists need, so that every list is one
 * allocation whose size follows from the bytes that came; the second fills them in. Both passes see the same
 * const bytes.
 */
#include "proto/spec.h"

#include "base/buf.h"
#include "proto/bytes.h"
#include "proto/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ITEM_HEADER_BYTES 8
#define FIXED_BYTES 80
#define RLIMIT_BYTES 20

enum tag {
	TAG_FIXED = 1, /* all numbers, once */
	TAG_ARG,
	TAG_ENV,
	TAG_CWD,
	TAG_USER,
	TAG_HOSTNAME,
	TAG_MOUNT, /* u64 flags, then target, type, source, data, each with its NUL */
	TAG_MASKED_PATH,
	TAG_READ_ONLY_PATH,
	TAG_RLIMIT, /* u32 resource, u64 soft, u64 hard */
	TAG_SECCOMP,
	TAG_END,
};

struct item {
	enum tag tag;
	const uint8_t *bytes;
	size_t len;
};

static void item_put(struct buf *buf, enum tag tag, const void *bytes, size_t len)
{
	uint8_t header[ITEM_HEADER_BYTES];

	put_u16(header, (uint16_t)tag);
	put_u16(header + 2, 0);
	put_u32(header + 4, (uint32_t)len);
	buf_append(buf, header, sizeof(header));
	buf_append(buf, bytes, len);
}

static void text_put(struct buf *buf, enum tag tag, const char *text)
{
	item_put(buf, tag, text, strlen(text) + 1);
}

static void list_put(struct buf *buf, enum tag tag, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		text_put(buf, tag, list[i]);
}

static void fixed_put(struct buf *buf, const struct spec *spec)
{
	uint8_t at[FIXED_BYTES];

	put_u32(at, spec->flags);
	put_u32(at + 4, spec->root_disk);
	put_u64(at + 8, spec->capabilities);
	put_u64(at + 16, spec->upper_bytes);
	put_u64(at + 24, spec->memory_max_bytes);
	put_u64(at + 32, spec->pids_max);
	put_u64(at + 40, spec->cpu_max_milli);
	put_u32(at + 48, spec->umask);
	for (int i = 0; i < 3; i++)
		put_u32(at + 52 + 4 * i, spec->stream_ports[i]);
	put_u16(at + 64, spec->rows);
	put_u16(at + 66, spec->columns);
	memset(at + 68, 0, FIXED_BYTES - 68);
	item_put(buf, TAG_FIXED, at, sizeof(at));
}

static void mount_put(struct buf *buf, const struct spec_mount *mount)
{
	const char *const texts[] = {mount->target, mount->type, mount->source, mount->data};
	uint8_t header[ITEM_HEADER_BYTES], flags[8];
	size_t len = sizeof(flags);

	for (size_t i = 0; i < 4; i++)
		len += strlen(texts[i]) + 1;
	put_u16(header, TAG_MOUNT);
	put_u16(header + 2, 0);
	put_u32(header + 4, (uint32_t)len);
	put_u64(flags, mount->flags);
	buf_append(buf, header, sizeof(header));
	buf_append(buf, flags, sizeof(flags));
	for (size_t i = 0; i < 4; i++)
		buf_append(buf, texts[i], strlen(texts[i]) + 1);
}

static void rlimit_put(struct buf *buf, const struct spec_rlimit *rlimit)
{
	uint8_t at[RLIMIT_BYTES];

	put_u32(at, rlimit->resource);
	put_u64(at + 4, rlimit->soft);
	put_u64(at + 12, rlimit->hard);
	item_put(buf, TAG_RLIMIT, at, sizeof(at));
}

/* The rules of spec.h that do not depend on the encoding: both sides hold each other to them. */
static int spec_check(const struct spec *spec)
{
	if (!spec->n_args || !spec->cwd || spec->cwd[0] != '/' || !spec->user || !spec->hostname)
		return -EINVAL;
	if (spec->umask > 0777 || spec->seccomp_bytes % 8)
		return -EINVAL;
	for (size_t i = 0; i < spec->n_mounts; i++) {
		if (spec->mounts[i].target[0] != '/')
			return -EINVAL;
	}
	for (size_t i = 0; i < spec->n_masked_paths; i++) {
		if (spec->masked_paths[i][0] != '/')
			return -EINVAL;
	}
	for (size_t i = 0; i < spec->n_read_only_paths; i++) {
		if (spec->read_only_paths[i][0] != '/')
			return -EINVAL;
	}
	return 0;
}

int spec_encode(const struct spec *spec, struct buf *buf)
{
	size_t before = buf->len;

	if (spec_check(spec))
		return -EINVAL;
	fixed_put(buf, spec);
	list_put(buf, TAG_ARG, spec->args, spec->n_args);
	list_put(buf, TAG_ENV, spec->env, spec->n_env);
	text_put(buf, TAG_CWD, spec->cwd);
	text_put(buf, TAG_USER, spec->user);
	text_put(buf, TAG_HOSTNAME, spec->hostname);
	for (size_t i = 0; i < spec->n_mounts; i++)
		mount_put(buf, &spec->mounts[i]);
	list_put(buf, TAG_MASKED_PATH, spec->masked_paths, spec->n_masked_paths);
	list_put(buf, TAG_READ_ONLY_PATH, spec->read_only_paths, spec->n_read_only_paths);
	for (size_t i = 0; i < spec->n_rlimits; i++)
		rlimit_put(buf, &spec->rlimits[i]);
	if (spec->seccomp_bytes)
		item_put(buf, TAG_SECCOMP, spec->seccomp, spec->seccomp_bytes);
	if (!buf_error(buf) && buf->len - before > PROTO_SPEC_MAX)
		return -EMSGSIZE;
	return buf_error(buf);
}

/* Take the next item off the front of (*at, *left). 0, or -EBADMSG when what is left is not one. */
static int item_next(const uint8_t **at, size_t *left, struct item *item)
{
	size_t len;

	if (*left < ITEM_HEADER_BYTES || get_u16(*at + 2))
		return -EBADMSG;
	len = get_u32(*at + 4);
	if (len > *left - ITEM_HEADER_BYTES)
		return -EBADMSG;
	if (get_u16(*at) < TAG_FIXED || get_u16(*at) >= TAG_END)
		return -EBADMSG;
	*item = (struct item){.tag = (enum tag)get_u16(*at), .bytes = *at + ITEM_HEADER_BYTES, .len = len};
	*at += ITEM_HEADER_BYTES + len;
	*left -= ITEM_HEADER_BYTES + len;
	return 0;
}

/* An item that is one text: ends with its only NUL. */
static const char *item_text(const struct item *item)
{
	if (!item->len || memchr(item->bytes, 0, item->len) != item->bytes + item->len - 1)
		return NULL;
	return (const char *)item->bytes;
}

static int fixed_get(const struct item *item, struct spec *spec)
{
	const uint8_t *at = item->bytes;

	if (item->len != FIXED_BYTES)
		return -EBADMSG;
	for (size_t i = 68; i < FIXED_BYTES; i++) {
		if (at[i])
			return -EBADMSG;
	}
	spec->flags = get_u32(at);
	spec->root_disk = get_u32(at + 4);
	spec->capabilities = get_u64(at + 8);
	spec->upper_bytes = get_u64(at + 16);
	spec->memory_max_bytes = get_u64(at + 24);
	spec->pids_max = get_u64(at + 32);
	spec->cpu_max_milli = get_u64(at + 40);
	spec->umask = get_u32(at + 48);
	for (int i = 0; i < 3; i++)
		spec->stream_ports[i] = get_u32(at + 52 + 4 * i);
	spec->rows = get_u16(at + 64);
	spec->columns = get_u16(at + 66);
	return 0;
}

static int mount_get(const struct item *item, struct spec_mount *mount)
{
	const char **const texts[] = {&mount->target, &mount->type, &mount->source, &mount->data};
	const uint8_t *at = item->bytes;
	size_t left = item->len;

	if (left < 8)
		return -EBADMSG;
	mount->flags = get_u64(at);
	at += 8;
	left -= 8;
	for (size_t i = 0; i < 4; i++) {
		const uint8_t *end = left ? memchr(at, 0, left) : NULL;

		if (!end)
			return -EBADMSG;
		*texts[i] = (const char *)at;
		left -= (size_t)(end + 1 - at);
		at = end + 1;
	}
	return left ? -EBADMSG : 0;
}

static int rlimit_get(const struct item *item, struct spec_rlimit *rlimit)
{
	if (item->len != RLIMIT_BYTES)
		return -EBADMSG;
	*rlimit = (struct spec_rlimit){.resource = get_u32(item->bytes),
		.soft = get_u64(item->bytes + 4),
		.hard = get_u64(item->bytes + 12)};
	return 0;
}

static int text_add(const struct item *item, const char **list, size_t *count)
{
	const char *text = item_text(item);

	if (!text)
		return -EBADMSG;
	list[(*count)++] = text;
	return 0;
}

static int text_set(const struct item *item, const char **field)
{
	if (*field)
		return -EBADMSG;
	*field = item_text(item);
	return *field ? 0 : -EBADMSG;
}

static int item_apply(const struct item *item, struct spec *spec)
{
	switch (item->tag) {
	case TAG_FIXED:
		return fixed_get(item, spec);
	case TAG_ARG:
		return text_add(item, spec->args, &spec->n_args);
	case TAG_ENV:
		return text_add(item, spec->env, &spec->n_env);
	case TAG_CWD:
		return text_set(item, &spec->cwd);
	case TAG_USER:
		return text_set(item, &spec->user);
	case TAG_HOSTNAME:
		return text_set(item, &spec->hostname);
	case TAG_MOUNT:
		return mount_get(item, &spec->mounts[spec->n_mounts++]);
	case TAG_MASKED_PATH:
		return text_add(item, spec->masked_paths, &spec->n_masked_paths);
	case TAG_READ_ONLY_PATH:
		return text_add(item, spec->read_only_paths, &spec->n_read_only_paths);
	case TAG_RLIMIT:
		return rlimit_get(item, &spec->rlimits[spec->n_rlimits++]);
	case TAG_SECCOMP:
		if (spec->seccomp)
			return -EBADMSG;
		spec->seccomp = item->bytes;
		spec->seccomp_bytes = item->len;
		return 0;
	case TAG_END:
		break;
	}
	return -EBADMSG;
}

static int items_count(const uint8_t *data, size_t len, size_t counts[TAG_END])
{
	struct item item;

	while (len) {
		if (item_next(&data, &len, &item))
			return -EBADMSG;
		counts[item.tag]++;
	}
	return counts[TAG_FIXED] == 1 ? 0 : -EBADMSG;
}

/* One more than needed: lists of texts end with NULL. */
static int lists_allocate(struct spec *spec, const size_t counts[TAG_END])
{
	spec->args = calloc(counts[TAG_ARG] + 1, sizeof(*spec->args));
	spec->env = calloc(counts[TAG_ENV] + 1, sizeof(*spec->env));
	spec->mounts = calloc(counts[TAG_MOUNT] + 1, sizeof(*spec->mounts));
	spec->masked_paths = calloc(counts[TAG_MASKED_PATH] + 1, sizeof(*spec->masked_paths));
	spec->read_only_paths = calloc(counts[TAG_READ_ONLY_PATH] + 1, sizeof(*spec->read_only_paths));
	spec->rlimits = calloc(counts[TAG_RLIMIT] + 1, sizeof(*spec->rlimits));
	if (!spec->args || !spec->env || !spec->mounts || !spec->masked_paths || !spec->read_only_paths ||
		!spec->rlimits)
		return -ENOMEM;
	return 0;
}

static int spec_fill(const uint8_t *data, size_t len, struct spec *spec)
{
	size_t counts[TAG_END] = {0};
	struct item item;
	int ret = items_count(data, len, counts);

	if (!ret)
		ret = lists_allocate(spec, counts);
	while (!ret && len) {
		ret = item_next(&data, &len, &item);
		if (!ret)
			ret = item_apply(&item, spec);
	}
	if (!ret && spec_check(spec))
		ret = -EBADMSG;
	return ret;
}

int spec_decode(const uint8_t *data, size_t len, struct spec *spec)
{
	struct spec decoded = {0};
	int ret;

	if (len > PROTO_SPEC_MAX)
		return -EBADMSG;
	ret = spec_fill(data, len, &decoded);
	if (ret)
		spec_done(&decoded);
	else
		*spec = decoded;
	return ret;
}

void spec_done(struct spec *spec)
{
	free(spec->args);
	free(spec->env);
	free(spec->mounts);
	free(spec->masked_paths);
	free(spec->read_only_paths);
	free(spec->rlimits);
	*spec = (struct spec){0};
}
