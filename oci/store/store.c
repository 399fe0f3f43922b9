// SPDX-License-Identifier: Apache-2.0
#include "oci/store/store.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/store/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define STORE_VERSION "mvrun store 1\n"

static int path_default(struct store *store, struct err *err)
{
	const char *set = getenv("MVRUN_STORE"), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	int len;

	if (set && *set)
		len = snprintf(store->path, sizeof(store->path), "%s", set);
	else if (geteuid() == 0)
		len = snprintf(store->path, sizeof(store->path), "/var/lib/mvrun");
	else if (data && data[0] == '/')
		len = snprintf(store->path, sizeof(store->path), "%s/mvrun", data);
	else if (home && home[0] == '/')
		len = snprintf(store->path, sizeof(store->path), "%s/.local/share/mvrun", home);
	else
		return err_set(err, EINVAL, "no place for the image store: set MVRUN_STORE or HOME");
	if (len >= (int)sizeof(store->path))
		return err_set(err, ENAMETOOLONG, "the path of the image store is too long");
	return 0;
}

/* Make the folder and the ones above it; what is there stays as it is. */
static int folders_make(const char *path)
{
	char part[sizeof(((struct store *)0)->path)];

	for (const char *at = path + (*path == '/');; at++) {
		at += strcspn(at, "/");
		snprintf(part, sizeof(part), "%.*s", (int)(at - path), path);
		if (*part && mkdir(part, *at ? 0755 : 0700) < 0 && errno != EEXIST)
			return -errno;
		if (!*at)
			return 0;
	}
}

static int version_check(struct store *store, int flags, struct err *err)
{
	auto_free char *text = NULL;
	int ret = io_read_file(store->dir_fd, "VERSION", 128, &text, NULL);

	if (ret == -ENOENT && flags & STORE_CREATE) {
		ret = store_replace(store, "VERSION", STORE_VERSION, strlen(STORE_VERSION));
		return ret ? err_sys(err, ret, "write to the image store %s", store->path) : 0;
	}
	if (ret == -ENOENT)
		return err_set(
			err, ENOENT, "there is no image store at %s yet: load an image first", store->path);
	if (ret)
		return err_sys(err, ret, "read the version of the image store %s", store->path);
	if (strcmp(text, STORE_VERSION) != 0)
		return err_set(err, EPROTO,
			"the image store %s has another format (%.*s): this mvrun reads \"%.*s\"",
			store->path, (int)strcspn(text, "\n"), text, (int)strlen(STORE_VERSION) - 1,
			STORE_VERSION);
	return 0;
}

int store_open(struct store *store, const char *path, int flags, struct err *err)
{
	int ret = 0;

	*store = (struct store){.dir_fd = -1};
	if (!path)
		ret = path_default(store, err);
	else if (snprintf(store->path, sizeof(store->path), "%s", path) >= (int)sizeof(store->path))
		ret = err_set(err, ENAMETOOLONG, "the path of the image store is too long");
	if (ret)
		return ret;
	if (flags & STORE_CREATE) {
		ret = folders_make(store->path);
		/* Not in the system's words, which for this one are those of a missing command. */
		if (ret == -ENOENT)
			return err_set(err, ENOENT, "the image store %s cannot be made there", store->path);
		if (ret)
			return err_sys(err, ret, "make the image store %s", store->path);
	}
	store->dir_fd = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dir_fd < 0 && errno == ENOENT)
		return err_set(
			err, ENOENT, "there is no image store at %s yet: load an image first", store->path);
	if (store->dir_fd < 0)
		return err_sys(err, errno, "open the image store %s", store->path);
	ret = version_check(store, flags, err);
	if (ret)
		store_close(store);
	return ret;
}

void store_close(struct store *store)
{
	fd_release(&store->dir_fd);
}
