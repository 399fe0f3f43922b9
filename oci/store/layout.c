// SPDX-License-Identifier: Apache-2.0
#include "oci/store/layout.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/store/ref.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

void path_layer(char path[static STORE_PATH_MAX], const char *diff_id, const char *suffix)
{
	snprintf(path, STORE_PATH_MAX, "layers/%.2s/%s%s", diff_id, diff_id, suffix);
}

void path_blob(char path[static STORE_PATH_MAX], const char *hex)
{
	snprintf(path, STORE_PATH_MAX, "blobs/sha256/%.2s/%s", hex, hex);
}

void path_image(char path[static STORE_PATH_MAX], const char *manifest, const char *file)
{
	snprintf(path, STORE_PATH_MAX, "images/%s%s%s", manifest, *file ? "/" : "", file);
}

void path_ref(char path[static STORE_PATH_MAX], const char *text)
{
	int used = snprintf(path, STORE_PATH_MAX, "refs/");

	snprintf(path + used, STORE_PATH_MAX - (size_t)used, "%s", text);
	ref_escape(path + used);
}

static int fsync_at(int dir_fd, const char *path)
{
	auto_fd fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

void path_parent(const char *path, char parent[static STORE_PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	if (slash)
		snprintf(parent, STORE_PATH_MAX, "%.*s", (int)(slash - path), path);
	else
		snprintf(parent, STORE_PATH_MAX, ".");
}

int store_mkdir(const struct store *store, const char *path)
{
	char part[STORE_PATH_MAX], parent[STORE_PATH_MAX];

	for (const char *at = path; *at; at++) {
		int ret;

		at += strcspn(at, "/");
		snprintf(part, sizeof(part), "%.*s", (int)(at - path), path);
		if (mkdirat(store->dir_fd, part, 0700) < 0) {
			if (errno != EEXIST)
				return -errno;
		} else {
			path_parent(part, parent);
			ret = fsync_at(store->dir_fd, parent);
			if (ret)
				return ret;
		}
		if (!*at)
			break;
	}
	return 0;
}

int store_lock(const struct store *store, int how)
{
	auto_fd fd = openat(store->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || flock(fd, how) < 0)
		return -errno;
	return fd_steal(&fd);
}

/* One level of tree_delete(): the store has two at most, and deeper means it is not ours. */
static int folder_empty(int fd, int depth)
{
	auto_dir dir = fdopendir(dup(fd));
	int ret = 0;

	if (!dir)
		return -errno;
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		auto_fd sub = -1;
		int failed = 0;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, e->d_name, 0) == 0)
			continue;
		if (errno != EISDIR && errno != EPERM) {
			ret = -errno;
			continue;
		}
		sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub < 0 || depth == 0)
			failed = -ENOTEMPTY;
		else
			failed = folder_empty(sub, depth - 1);
		if (!failed && unlinkat(fd, e->d_name, AT_REMOVEDIR) < 0)
			failed = -errno;
		ret = failed ? failed : ret;
	}
	return ret;
}

int tree_delete(int parent_fd, const char *name)
{
	auto_fd fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int ret = fd < 0 ? -errno : folder_empty(fd, 3);

	/* Even if it could not be read: it may be empty. */
	if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0)
		return 0;
	return ret ? ret : -errno;
}

int ref_put(struct store *store, const char *text, const struct image_id *id, struct err *err)
{
	char path[STORE_PATH_MAX], line[sizeof(DIGEST_PREFIX) + DIGEST_HEX_LEN + 2];
	int len = snprintf(line, sizeof(line), DIGEST_PREFIX "%s\n", id->manifest);
	int ret;

	path_ref(path, text);
	ret = store_mkdir(store, "refs");
	if (!ret)
		ret = store_replace(store, path, line, (size_t)len);
	if (ret)
		return err_sys(
			err, ret, "write the name %s to the store %s", ref_familiar(text), store->path);
	return 0;
}

int ref_get(const struct store *store, const char *text, struct image_id *out)
{
	auto_free char *line = NULL;
	char path[STORE_PATH_MAX];
	size_t len;
	int ret;

	path_ref(path, text);
	ret = io_read_file(store->dir_fd, path, 128, &line, &len);
	if (ret)
		return ret;
	if (!len || line[len - 1] != '\n')
		return -EBADMSG;
	line[len - 1] = '\0';
	return digest_parse(line, out->manifest) ? -EBADMSG : 0;
}
