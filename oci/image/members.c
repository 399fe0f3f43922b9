// SPDX-License-Identifier: Apache-2.0
/* Reading what is in an archive and where (in a worker), and looking it up (in the loader). */
#include "oci/image/members.h"

#include "oci/image/name.h"
#include "oci/image/stream.h"
#include "oci/image/tar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINK_HOPS 8

static int member_add(struct members *members, const struct tar_entry *entry, struct err *err)
{
	struct member *grown, member = {.offset = entry->data_offset, .bytes = entry->stored};
	size_t n = members->n;
	bool link = entry->type == TAR_SYMLINK || entry->type == TAR_HARDLINK;

	if (n == MEMBERS_MAX)
		return err_set(err, EFBIG, "the archive has more than %d files", MEMBERS_MAX);
	if (!(n & (n - 1))) {
		grown = reallocarray(members->items, n ? n * 2 : 1, sizeof(*grown));
		if (!grown)
			return err_set(err, ENOMEM, "out of memory");
		members->items = grown;
	}
	member.symlink = entry->type == TAR_SYMLINK;
	member.name = strdup(entry->path);
	/* Longer than any name is to nothing. */
	if (link)
		member.link = strdup(strlen(entry->link) > NAME_PATH_MAX ? "" : entry->link);
	members->items[members->n++] = member;
	return member.name && (!link || member.link) ? 0 : err_set(err, ENOMEM, "out of memory");
}

static int entry_index(struct members *members, const struct tar_entry *entry, struct err *err)
{
	int ret = name_clean(entry->path);

	if (ret)
		return err_set(err, EBADMSG, "the archive has a file with the name \"%.200s\": refused",
			entry->path);
	if (entry->sparse)
		return err_set(err, ENOTSUP, "the archive has a sparse file: refused");
	if (!*entry->path ||
		(entry->type != TAR_FILE && entry->type != TAR_SYMLINK && entry->type != TAR_HARDLINK))
		return 0;
	return member_add(members, entry, err);
}

static int member_compare(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static int members_sort(struct members *members, struct err *err)
{
	if (!members->n)
		return err_set(err, EBADMSG, "the archive is empty");
	qsort(members->items, members->n, sizeof(*members->items), member_compare);
	for (size_t i = 1; i < members->n; i++) {
		if (member_compare(&members->items[i - 1], &members->items[i]) == 0)
			return err_set(err, EBADMSG, "the archive has two files with the name \"%.200s\"",
				members->items[i].name);
	}
	return 0;
}

int members_read(struct members *members, const struct blob_ref *archive, struct err *err)
{
	const struct tar_entry *entry = NULL;
	struct stream stream;
	struct tar tar;
	int ret = stream_open(&stream, archive, COMPRESSION_NONE, err);

	if (ret)
		return ret;
	tar_init(&tar, &stream, true);
	do {
		ret = tar_next(&tar, &entry, err);
		if (!ret && entry)
			ret = entry_index(members, entry, err);
	} while (!ret && entry);
	tar_done(&tar);
	stream_close(&stream);
	return ret ? ret : members_sort(members, err);
}

void members_done(struct members *members)
{
	for (size_t i = 0; i < members->n; i++) {
		free(members->items[i].name);
		free(members->items[i].link);
	}
	free(members->items);
	*members = (struct members){0};
}

/* Where a symbolic link leads, as a name inside the archive. False if out of it. */
static bool link_resolve(const struct member *member, char out[static NAME_PATH_MAX + 1])
{
	const char *base = name_base(member->name), *in = member->link;
	size_t used = (size_t)(base - member->name);

	memcpy(out, member->name, used);
	while (*in) {
		size_t len = strcspn(in, "/");

		if (len == 2 && in[0] == '.' && in[1] == '.') {
			if (!used)
				return false;
			/* Back to behind the slash before the last one. */
			for (used--; used && out[used - 1] != '/';)
				used--;
		} else if (len && !(len == 1 && in[0] == '.')) {
			if (len > NAME_PART_MAX || used + len + 1 > NAME_PATH_MAX)
				return false;
			memcpy(out + used, in, len);
			used += len;
			out[used++] = '/';
		} else if (in == member->link && !len) {
			return false;
		}
		in += len + (in[len] == '/');
	}
	if (used)
		used--;
	out[used] = '\0';
	return true;
}

const struct member *members_find(const struct members *members, const char *name)
{
	char work[NAME_PATH_MAX + 1];

	if (strlen(name) > NAME_PATH_MAX)
		return NULL;
	memcpy(work, name, strlen(name) + 1);
	if (name_clean(work))
		return NULL;
	for (int hops = 0; hops < LINK_HOPS; hops++) {
		struct member key = {.name = work};
		const struct member *found =
			bsearch(&key, members->items, members->n, sizeof(key), member_compare);

		if (!found || !found->link)
			return found;
		if (found->symlink) {
			if (!link_resolve(found, work))
				return NULL;
		} else {
			if (strlen(found->link) > NAME_PATH_MAX)
				return NULL;
			memcpy(work, found->link, strlen(found->link) + 1);
			if (name_clean(work))
				return NULL;
		}
	}
	return NULL;
}
