// SPDX-License-Identifier: Apache-2.0
/* The index of an archive: what is in it and where. */
#include "oci/image/name.h"
#include "oci/image/source.h"
#include "oci/image/tar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MEMBERS_MAX 100000
#define LINK_HOPS 8

static int member_add(struct source *source, const struct tar_entry *entry, struct err *err)
{
	struct archive_member *grown, member = {.offset = entry->data_offset, .bytes = entry->stored};
	size_t n = source->n_members;
	bool link = entry->type == TAR_SYMLINK || entry->type == TAR_HARDLINK;

	if (n == MEMBERS_MAX)
		return err_set(err, EFBIG, "the archive has more than %d files", MEMBERS_MAX);
	if (!(n & (n - 1))) {
		grown = reallocarray(source->members, n ? n * 2 : 1, sizeof(*grown));
		if (!grown)
			return err_set(err, ENOMEM, "out of memory");
		source->members = grown;
	}
	member.symlink = entry->type == TAR_SYMLINK;
	member.name = strdup(entry->path);
	member.link = link ? strdup(entry->link) : NULL;
	source->members[source->n_members++] = member;
	return member.name && (!link || member.link) ? 0 : err_set(err, ENOMEM, "out of memory");
}

static int entry_index(struct source *source, const struct tar_entry *entry, struct err *err)
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
	return member_add(source, entry, err);
}

static int member_compare(const void *a, const void *b)
{
	return strcmp(((const struct archive_member *)a)->name, ((const struct archive_member *)b)->name);
}

static int members_sort(struct source *source, struct err *err)
{
	if (!source->n_members)
		return err_set(err, EBADMSG, "the archive is empty");
	qsort(source->members, source->n_members, sizeof(*source->members), member_compare);
	for (size_t i = 1; i < source->n_members; i++) {
		if (member_compare(&source->members[i - 1], &source->members[i]) == 0)
			return err_set(err, EBADMSG, "the archive has two files with the name \"%.200s\"",
				source->members[i].name);
	}
	return 0;
}

int archive_index(struct source *source, const atomic_int *cancel, struct err *err)
{
	struct stream_options options = {.max_bytes = UINT64_MAX, .cancel = cancel};
	const struct tar_entry *entry = NULL;
	struct stream stream;
	struct tar tar;
	struct stat st;
	int ret;

	if (fstat(source->fd, &st) < 0)
		return err_sys(err, errno, "stat");
	ret = stream_open(
		&stream, &(struct blob_ref){.fd = source->fd, .bytes = (uint64_t)st.st_size}, &options, err);
	if (ret)
		return ret;
	tar_init(&tar, &stream, true);
	do {
		ret = tar_next(&tar, &entry, err);
		if (!ret && entry)
			ret = entry_index(source, entry, err);
	} while (!ret && entry);
	tar_done(&tar);
	stream_close(&stream);
	return ret ? ret : members_sort(source, err);
}

void archive_index_done(struct source *source)
{
	for (size_t i = 0; i < source->n_members; i++) {
		free(source->members[i].name);
		free(source->members[i].link);
	}
	free(source->members);
	source->members = NULL;
	source->n_members = 0;
}

/* Where a symbolic link leads, as a name inside the archive. False if out of it. */
static bool link_resolve(const struct archive_member *member, char out[static NAME_PATH_MAX + 1])
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

const struct archive_member *archive_find(const struct source *source, const char *name)
{
	char work[NAME_PATH_MAX + 1];

	if (strlen(name) > NAME_PATH_MAX)
		return NULL;
	memcpy(work, name, strlen(name) + 1);
	if (name_clean(work))
		return NULL;
	for (int hops = 0; hops < LINK_HOPS; hops++) {
		struct archive_member key = {.name = work};
		const struct archive_member *found =
			bsearch(&key, source->members, source->n_members, sizeof(key), member_compare);

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
