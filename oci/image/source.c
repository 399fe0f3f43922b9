// SPDX-License-Identifier: Apache-2.0
#include "oci/image/source.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/image/answer.h"
#include "oci/image/feed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- what the user wrote ---- */

int source_parse(const char *text, struct source_spec *spec, struct err *err)
{
	static const struct {
		const char *prefix;
		enum transport transport;
	} transports[] = {{"oci:", TRANSPORT_OCI}, {"oci-archive:", TRANSPORT_OCI_ARCHIVE},
		{"docker-archive:", TRANSPORT_DOCKER_ARCHIVE}};
	const char *colon = NULL;
	size_t len;

	*spec = (struct source_spec){.transport = TRANSPORT_AUTO};
	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
		size_t prefix = strlen(transports[i].prefix);

		if (strncmp(text, transports[i].prefix, prefix) != 0)
			continue;
		spec->transport = transports[i].transport;
		text += prefix;
		colon = strchr(text, ':');
		break;
	}
	len = colon ? (size_t)(colon - text) : strlen(text);
	if (!len)
		return err_set(err, EINVAL,
			"which image? Give a file, or oci:DIR[:TAG], oci-archive:FILE[:TAG], "
			"docker-archive:FILE[:NAME]");
	if (len >= sizeof(spec->path) || (colon && strlen(colon + 1) >= sizeof(spec->reference)))
		return err_set(err, ENAMETOOLONG, "the name of the image is too long");
	memcpy(spec->path, text, len);
	snprintf(spec->reference, sizeof(spec->reference), "%s", colon ? colon + 1 : "");
	return 0;
}

/* ---- opening ---- */

/* Where a file is missing we say so in words of our own: engines read "no such file" as "command not found". */
static int open_failed(const char *path, int code, struct err *err)
{
	if (code == ENOENT)
		return err_set(err, ENOENT, "%s does not exist", path);
	return err_sys(err, code, "cannot open %s", path);
}

/* A file without a name in the store. */
static int spool_file(const struct source_tools *tools, struct err *err)
{
	int fd = openat(tools->ingest->dir_fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	return fd < 0 ? err_sys(err, errno, "create a file in the store") : fd;
}

/* What is compressed as a whole cannot be read at random places: unpack it to a file. */
static int spool(
	const struct source_tools *tools, enum compression compression, int from, int *to, struct err *err)
{
	auto_fd fd = spool_file(tools, err);
	struct feed feed = {.compression = compression,
		.decoder = tools->decoder,
		.to_fd = -1,
		.max_bytes = tools->max_bytes,
		.any_ratio = tools->any_ratio,
		.cancel = tools->cancel};
	int ret = fd < 0 ? fd : blob_of_file(from, &feed.blob, err);

	if (ret)
		return ret;
	feed.to_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (feed.to_fd < 0)
		return err_sys(err, errno, "dup");
	ret = feed_run(&feed, err);
	if (!ret)
		*to = fd_steal(&fd);
	return ret;
}

/* A pipe has neither length nor offsets: first make a file of it. */
static int pipe_copy(const struct source_tools *tools, int from, int *to, struct err *err)
{
	auto_fd fd = spool_file(tools, err);
	auto_free uint8_t *buffer = NULL;
	uint64_t total = 0;

	if (fd < 0)
		return fd;
	buffer = malloc(BLOB_CHUNK);
	if (!buffer)
		return err_set(err, ENOMEM, "out of memory");
	for (;;) {
		ssize_t n = read(from, buffer, BLOB_CHUNK);
		int ret;

		if (atomic_load(tools->cancel))
			return err_set(err, EINTR, "interrupted");
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "read");
		if (n == 0)
			break;
		total += (uint64_t)n;
		if (total > tools->max_bytes)
			return err_set(err, EFBIG, "more than %llu bytes, the limit (--max-image-size)",
				(unsigned long long)tools->max_bytes);
		ret = io_write_all(fd, buffer, (size_t)n);
		if (ret)
			return err_sys(err, ret, "write to the store");
	}
	*to = fd_steal(&fd);
	return 0;
}

/* A descriptor for reading only, whatever the one we have is for: a worker is to get it. */
static int reader_open(int fd)
{
	char path[64];

	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return fcntl(fd, F_DUPFD_CLOEXEC, 3);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int archive_index(struct source *source, const struct source_tools *tools, struct err *err)
{
	struct order order = {.kind = ORDER_MEMBERS};
	auto_fd reader = reader_open(source->fd);
	auto_answer answer = {0};
	struct blob_ref archive;
	struct job job;
	int ret = reader < 0 ? err_sys(err, errno, "open it for reading") : 0;

	if (!ret)
		ret = blob_of_file(source->fd, &archive, err);
	if (ret)
		return ret;
	order.bytes = archive.bytes;
	ret = job_begin(tools->decoder, &order, &reader, 1, &job, err);
	if (!ret)
		ret = job_end(&job, tools->cancel, &answer, err);
	return ret ? ret : answer_take_members(&answer, archive.bytes, &source->members, err);
}

static int archive_open(struct source *source, const struct source_tools *tools, struct err *err)
{
	enum compression compression = COMPRESSION_NONE;
	struct blob_ref archive;
	struct stat st;
	int ret = fstat(source->fd, &st) < 0 ? err_sys(err, errno, "stat") : 0;

	if (!ret && !S_ISREG(st.st_mode)) {
		auto_fd pipe = source->fd;

		source->fd = -1;
		ret = pipe_copy(tools, pipe, &source->fd, err);
	}
	if (!ret)
		ret = blob_of_file(source->fd, &archive, err);
	if (!ret)
		ret = blob_compression(&archive, &compression, err);
	if (!ret && compression != COMPRESSION_NONE) {
		auto_fd original = source->fd;

		source->fd = -1;
		ret = spool(tools, compression, original, &source->fd, err);
	}
	return ret ? ret : archive_index(source, tools, err);
}

/* What an archive is, by the files it must have. The OCI layout comes first: all of it is under digests. */
static int archive_kind(struct source *source, struct err *err)
{
	bool oci =
		members_find(&source->members, "oci-layout") && members_find(&source->members, "index.json");
	bool docker = members_find(&source->members, "manifest.json");

	if (source->transport == TRANSPORT_AUTO && (oci || docker))
		source->transport = oci ? TRANSPORT_OCI_ARCHIVE : TRANSPORT_DOCKER_ARCHIVE;
	else if (source->transport == TRANSPORT_AUTO)
		return err_set(err, EBADMSG,
			"neither oci-layout nor manifest.json is in it: this is no image archive");
	if (source->transport == TRANSPORT_OCI_ARCHIVE && !oci)
		return err_set(err, EBADMSG, "no oci-layout in it: this is no OCI archive");
	if (source->transport == TRANSPORT_DOCKER_ARCHIVE && !docker)
		return err_set(err, EBADMSG, "no manifest.json in it: this is no docker archive");
	return 0;
}

static int layout_check(const struct source *source, const struct source_tools *tools, struct err *err)
{
	struct order order = {.kind = ORDER_LAYOUT, .what = "oci-layout"};
	auto_free char *text = NULL;
	auto_answer answer = {0};
	size_t len = 0;
	int ret = source_read_file(source, "oci-layout", 65536, &text, &len, err);

	if (ret == -ENOENT)
		return err_set(
			err, EBADMSG, "there is no oci-layout in this directory: it is no OCI image layout");
	return ret ? ret : decoder_ask(tools->decoder, &order, text, len, tools->cancel, &answer, err);
}

static int open_checked(struct source *source, const struct source_tools *tools, struct err *err)
{
	struct stat st;
	int ret = 0;

	if (fstat(source->fd, &st) < 0)
		return err_sys(err, errno, "stat");
	if (source->transport == TRANSPORT_AUTO && S_ISDIR(st.st_mode))
		source->transport = TRANSPORT_OCI;
	if ((source->transport == TRANSPORT_OCI) != S_ISDIR(st.st_mode))
		return err_set(err, EINVAL,
			S_ISDIR(st.st_mode) ? "this is a folder: use oci:" : "this is no folder");
	if (source->transport != TRANSPORT_OCI) {
		ret = archive_open(source, tools, err);
		if (!ret)
			ret = archive_kind(source, err);
	}
	if (!ret && source->transport != TRANSPORT_DOCKER_ARCHIVE)
		ret = layout_check(source, tools, err);
	return ret;
}

/* Opening a pipe without a writer would wait for one. */
static int named_open(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

static bool named_is_usable(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

int source_open(struct source *source, const struct source_spec *spec, const struct source_tools *tools,
	struct err *err)
{
	bool input = strcmp(spec->path, "-") == 0;
	int ret;

	*source = (struct source){.spec = *spec, .transport = spec->transport, .fd = -1};
	source->fd = input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : named_open(spec->path);
	if (source->fd < 0)
		return open_failed(input ? "standard input" : spec->path, errno, err);
	ret = input || named_is_usable(source->fd)
		      ? open_checked(source, tools, err)
		      : err_set(err, EINVAL, "%s is neither a folder nor a file (\"-\" reads a pipe)",
				spec->path);
	if (!ret)
		return 0;
	source_close(source);
	return ret;
}

void source_close(struct source *source)
{
	members_done(&source->members);
	fd_release(&source->fd);
}

/* ---- contents ---- */

static int folder_file(const struct source *source, const char *path, struct blob_ref *blob, struct err *err)
{
	auto_fd fd = openat(source->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return err_set(err, ENOENT, "%s is missing", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EBADMSG, "%s is no file", path);
	*blob = (struct blob_ref){.fd = fd_steal(&fd), .bytes = (uint64_t)st.st_size};
	return 0;
}

int source_file(const struct source *source, const char *name, struct blob_ref *blob, struct err *err)
{
	const struct member *member;
	int fd;

	if (source->transport == TRANSPORT_OCI)
		return folder_file(source, name, blob, err);
	member = members_find(&source->members, name);
	if (!member)
		return err_set(err, ENOENT, "%.200s is missing", name);
	fd = fcntl(source->fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_sys(err, errno, "dup");
	*blob = (struct blob_ref){.fd = fd, .offset = member->offset, .bytes = member->bytes};
	return 0;
}

int source_blob(const struct source *source, const char *hex, struct blob_ref *blob, struct err *err)
{
	char name[sizeof("blobs/sha256/") + DIGEST_HEX_LEN];
	int ret;

	snprintf(name, sizeof(name), "blobs/sha256/%s", hex);
	ret = source_file(source, name, blob, err);
	return ret == -ENOENT ? err_set(err, ENOENT, "blob sha256:%.12s... is missing", hex) : ret;
}

static int read_range(
	const struct blob_ref *blob, size_t max, const char *what, char **text, size_t *len, struct err *err)
{
	auto_free char *data = NULL;
	int ret;

	if (blob->bytes > max)
		return err_set(err, EFBIG, "%s is larger than %zu KiB", what, max >> 10);
	data = malloc((size_t)blob->bytes + 1);
	if (!data)
		return err_set(err, ENOMEM, "out of memory");
	ret = io_pread_exact(blob->fd, data, (size_t)blob->bytes, blob->offset);
	if (ret)
		return err_sys(err, ret, "read %s", what);
	data[blob->bytes] = '\0';
	*len = (size_t)blob->bytes;
	*text = ptr_steal(data);
	return 0;
}

int source_read_file(
	const struct source *source, const char *name, size_t max, char **text, size_t *len, struct err *err)
{
	struct blob_ref blob = {.fd = -1};
	int ret = source_file(source, name, &blob, err);

	if (!ret)
		ret = read_range(&blob, max, name, text, len, err);
	fd_release(&blob.fd);
	return ret;
}

int source_read_blob(const struct source *source, const char *hex, uint64_t bytes, size_t max, char **text,
	size_t *len, struct err *err)
{
	char what[sizeof("blob sha256:...") + 12], found[DIGEST_HEX_LEN + 1];
	struct blob_ref blob = {.fd = -1};
	int ret = source_blob(source, hex, &blob, err);

	snprintf(what, sizeof(what), "blob sha256:%.12s...", hex);
	if (!ret && bytes != UINT64_MAX && blob.bytes != bytes)
		ret = err_set(err, EBADMSG, "%s has %llu bytes, expected %llu", what,
			(unsigned long long)blob.bytes, (unsigned long long)bytes);
	if (!ret)
		ret = read_range(&blob, max, what, text, len, err);
	fd_release(&blob.fd);
	if (ret)
		return ret;
	ret = hash_data_hex(*text, *len, found);
	if (!ret && strcmp(found, hex) == 0)
		return 0;
	free(*text);
	*text = NULL;
	return ret ? err_set(err, ENOMEM, "out of memory")
		   : err_set(err, EBADMSG, "%s does not match its digest: it is sha256:%.12s...", what,
			     found);
}
