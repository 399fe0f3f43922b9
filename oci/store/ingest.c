// SPDX-License-Identifier: Apache-2.0
#include "oci/store/layout.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

/* Delete one entry of ingest/ if its owner is dead, which is when its lock is free. */
static void stale_delete(int ingest_fd, const char *name)
{
	auto_fd fd = openat(ingest_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0)
		return;
	if (S_ISDIR(st.st_mode))
		tree_delete(ingest_fd, name);
	else
		unlinkat(ingest_fd, name, 0);
}

/* True if something was there to delete. */
static bool stale_sweep(const struct store *store)
{
	auto_fd fd = openat(store->dir_fd, "ingest", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir dir = fd < 0 ? NULL : fdopendir(dup(fd));
	bool found = false;

	if (!dir)
		return false;
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		if (e->d_name[0] == '.')
			continue;
		stale_delete(fd, e->d_name);
		found = true;
	}
	return found;
}

/* A path below ingest/ that nobody else has. */
static int unfinished_path(char path[static STORE_PATH_MAX], char name[static INGEST_NAME_MAX])
{
	uint8_t random[12];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	num_format_hex(random, sizeof(random), name);
	snprintf(path, STORE_PATH_MAX, "ingest/%s", name);
	return 0;
}

/*
 * Lock what was just made. Before that another loader may take it for a dead one's and delete it; then it has
 * no name any more, and we make another: -EAGAIN.
 */
static int unfinished_lock(int fd)
{
	struct stat st;

	if (flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0)
		return -errno;
	return st.st_nlink ? 0 : -EAGAIN;
}

static int ingest_try(struct ingest *ingest)
{
	int store_fd = ingest->store->dir_fd;
	char path[STORE_PATH_MAX];
	auto_fd fd = -1;
	int ret = unfinished_path(path, ingest->name);

	if (ret)
		return ret;
	if (mkdirat(store_fd, path, 0700) < 0)
		return -errno;
	fd = openat(store_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		ret = errno == ENOENT ? -EAGAIN : -errno;
	else
		ret = unfinished_lock(fd);
	if (ret)
		unlinkat(store_fd, path, AT_REMOVEDIR);
	else
		ingest->dir_fd = fd_steal(&fd);
	return ret;
}

/* Make and lock a folder with a random name. */
static int ingest_mkdir(struct ingest *ingest)
{
	int ret = -EAGAIN;

	for (int tries = 0; tries < 100 && ret == -EAGAIN; tries++)
		ret = ingest_try(ingest);
	return ret;
}

int ingest_open(struct store *store, struct ingest *ingest, struct err *err)
{
	auto_fd lock = -1;
	int ret = store_mkdir(store, "ingest");

	*ingest = (struct ingest){.store = store, .store_lock_fd = -1, .dir_fd = -1};
	if (ret)
		return err_sys(err, ret, "make the folder ingest in the store %s", store->path);
	if (stale_sweep(store)) {
		/* A loader died: it may have left whole layers that no image mentions. */
		lock = store_lock(store, LOCK_EX | LOCK_NB);
		if (lock >= 0)
			store_sweep(store);
		fd_release(&lock);
	}
	lock = store_lock(store, LOCK_SH);
	if (lock < 0)
		return err_sys(err, lock, "lock the store %s", store->path);
	ret = ingest_mkdir(ingest);
	if (ret)
		return err_sys(err, ret, "make a folder to work in in the store %s", store->path);
	ingest->store_lock_fd = fd_steal(&lock);
	return 0;
}

void ingest_close(struct ingest *ingest)
{
	char path[STORE_PATH_MAX];

	if (ingest->dir_fd < 0)
		return;
	snprintf(path, sizeof(path), "ingest/%s", ingest->name);
	tree_delete(ingest->store->dir_fd, path);
	fd_release(&ingest->dir_fd);
	fd_release(&ingest->store_lock_fd);
}

static int parent_sync(const struct store *store, const char *path)
{
	char parent[STORE_PATH_MAX];
	auto_fd fd = -1;

	path_parent(path, parent);
	fd = openat(store->dir_fd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* As ingest_try(), a file. The fd or -errno. */
static int unfinished_create(const struct store *store, char path[static STORE_PATH_MAX])
{
	char name[INGEST_NAME_MAX];
	auto_fd fd = -1;
	int ret = unfinished_path(path, name);

	if (ret)
		return ret;
	fd = openat(store->dir_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ret = unfinished_lock(fd);
	if (ret)
		unlinkat(store->dir_fd, path, 0);
	return ret ? ret : fd_steal(&fd);
}

int store_replace(const struct store *store, const char *path, const void *data, size_t len)
{
	char temp[STORE_PATH_MAX];
	auto_fd fd = -1;
	int ret = store_mkdir(store, "ingest");

	if (ret)
		return ret;
	do
		fd = unfinished_create(store, temp);
	while (fd == -EAGAIN);
	if (fd < 0)
		return fd;
	ret = io_write_all(fd, data, len);
	if (!ret && fsync(fd) < 0)
		ret = -errno;
	if (!ret && renameat(store->dir_fd, temp, store->dir_fd, path) < 0)
		ret = -errno;
	if (ret)
		unlinkat(store->dir_fd, temp, 0);
	return ret ? ret : parent_sync(store, path);
}

int ingest_create(const struct ingest *ingest, const char *name, struct err *err)
{
	int fd = openat(ingest->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? err_sys(err, errno, "create a file in the store %s", ingest->store->path) : fd;
}

/* Sync name itself, and if it is a folder first the files in it (which it holds directly). */
static int entry_sync(int dir_fd, const char *name)
{
	auto_fd fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	auto_dir dir = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode)) {
		dir = fdopendir(dup(fd));
		if (!dir)
			return -errno;
		for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
			auto_fd file = e->d_name[0] == '.'
					       ? -1
					       : openat(fd, e->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

			if (e->d_name[0] != '.' && (file < 0 || fsync(file) < 0))
				return -errno;
		}
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int commit(const struct ingest *ingest, const char *name, const char *path, unsigned int flags)
{
	const struct store *store = ingest->store;
	char parent[STORE_PATH_MAX];
	int ret;

	path_parent(path, parent);
	ret = store_mkdir(store, parent);
	if (!ret)
		ret = entry_sync(ingest->dir_fd, name);
	if (!ret && renameat2(ingest->dir_fd, name, store->dir_fd, path, flags) < 0)
		ret = -errno;
	return ret ? ret : parent_sync(store, path);
}

int ingest_commit(const struct ingest *ingest, const char *name, const char *path, struct err *err)
{
	int ret = commit(ingest, name, path, RENAME_NOREPLACE);

	if (ret == 0 || ret == -EEXIST)
		return ret;
	return err_sys(err, ret, "finish %.20s in the store %s", path, ingest->store->path);
}

int ingest_replace(const struct ingest *ingest, const char *name, const char *path, struct err *err)
{
	int ret = commit(ingest, name, path, RENAME_NOREPLACE);

	if (ret == -EEXIST)
		ret = commit(ingest, name, path, RENAME_EXCHANGE);
	if (ret)
		return err_sys(err, ret, "finish %.20s in the store %s", path, ingest->store->path);
	return 0;
}

int ingest_put_blob(
	const struct ingest *ingest, const char *hex, const void *data, size_t len, struct err *err)
{
	auto_fd fd = -1;
	char path[STORE_PATH_MAX], name[DIGEST_HEX_LEN + 8];
	int ret;

	path_blob(path, hex);
	if (faccessat(ingest->store->dir_fd, path, F_OK, 0) == 0)
		return 0;
	snprintf(name, sizeof(name), "b%s", hex);
	fd = ingest_create(ingest, name, err);
	if (fd < 0)
		return fd;
	ret = io_write_all(fd, data, len);
	if (ret)
		return err_sys(err, ret, "write to the store %s", ingest->store->path);
	ret = ingest_commit(ingest, name, path, err);
	return ret == -EEXIST ? 0 : ret;
}

int layer_lock(const struct ingest *ingest, const char *diff_id, struct err *err)
{
	char path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "ingest/%s.lock", diff_id);
	for (;;) {
		auto_fd fd =
			openat(ingest->store->dir_fd, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		/* -EAGAIN: the holder we waited for has deleted the file, and the lock is on another one now. */
		int ret = fd < 0 ? -errno : unfinished_lock(fd);

		if (!ret)
			return fd_steal(&fd);
		if (ret != -EAGAIN)
			return err_sys(err, ret, "lock a layer in the store %s", ingest->store->path);
	}
}

void layer_unlock(const struct ingest *ingest, const char *diff_id, int fd)
{
	char path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "ingest/%s.lock", diff_id);
	unlinkat(ingest->store->dir_fd, path, 0);
	fd_release(&fd);
}
