// SPDX-License-Identifier: Apache-2.0
#include "oci/image/source.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/image/json.h"

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

/* Copy what cannot be read at random places, decompressing it, to a file without a name in the store. */
static int spool(
	const struct ingest *ingest, const struct stream_options *options, int from, int *to, struct err *err)
{
	auto_fd fd = openat(ingest->dir_fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	struct stream stream;
	const uint8_t *data;
	size_t len = 1;
	struct stat st;
	int ret;

	if (fd < 0)
		return err_sys(err, errno, "create a file in the store");
	if (fstat(from, &st) < 0)
		return err_sys(err, errno, "stat");
	ret = stream_open(
		&stream, &(struct blob_ref){.fd = from, .bytes = (uint64_t)st.st_size}, options, err);
	if (ret)
		return ret;
	while (!ret && len) {
		ret = stream_next(&stream, &data, &len, err);
		if (!ret && io_write_all(fd, data, len))
			ret = err_sys(err, errno, "write to the store");
	}
	stream_close(&stream);
	if (!ret)
		*to = fd_steal(&fd);
	return ret;
}

/* A pipe has neither length nor offsets: first make a file of it. */
static int pipe_copy(
	const struct ingest *ingest, const struct stream_options *options, int from, int *to, struct err *err)
{
	auto_fd fd = openat(ingest->dir_fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	auto_free uint8_t *buffer = malloc(STREAM_CHUNK);
	uint64_t total = 0;

	if (fd < 0 || !buffer)
		return err_sys(err, buffer ? errno : ENOMEM, "create a file in the store");
	for (;;) {
		ssize_t n = read(from, buffer, STREAM_CHUNK);
		int ret;

		if (atomic_load(options->cancel))
			return err_set(err, EINTR, "interrupted");
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "read");
		if (n == 0)
			break;
		total += (uint64_t)n;
		if (total > options->max_bytes)
			return err_set(err, EFBIG, "more than %llu bytes, the limit (--max-image-size)",
				(unsigned long long)options->max_bytes);
		ret = io_write_all(fd, buffer, (size_t)n);
		if (ret)
			return err_sys(err, ret, "write to the store");
	}
	*to = fd_steal(&fd);
	return 0;
}

/* Whether the archive in fd is compressed as a whole. */
static int compressed(int fd, bool *out, struct err *err)
{
	struct stream_options options = {.max_bytes = UINT64_MAX};
	struct stream stream;
	struct stat st;
	int ret;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "stat");
	ret = stream_open(
		&stream, &(struct blob_ref){.fd = fd, .bytes = (uint64_t)st.st_size}, &options, err);
	if (ret)
		return ret;
	*out = stream.compression != COMPRESSION_NONE;
	stream_close(&stream);
	return 0;
}

static int archive_open(struct source *source, const struct ingest *ingest, uint64_t max_bytes,
	const atomic_int *cancel, struct err *err)
{
	struct stream_options options = {.max_bytes = max_bytes, .cancel = cancel};
	bool packed = false;
	struct stat st;
	int ret = fstat(source->fd, &st) < 0 ? err_sys(err, errno, "stat") : 0;

	if (!ret && !S_ISREG(st.st_mode)) {
		auto_fd pipe = source->fd;

		source->fd = -1;
		ret = pipe_copy(ingest, &options, pipe, &source->fd, err);
	}
	if (!ret)
		ret = compressed(source->fd, &packed, err);
	if (!ret && packed) {
		auto_fd original = source->fd;

		source->fd = -1;
		ret = spool(ingest, &options, original, &source->fd, err);
	}
	return ret ? ret : archive_index(source, cancel, err);
}

/* What an archive is, by the files it must have. The OCI layout comes first: all of it is under digests. */
static int archive_kind(struct source *source, struct err *err)
{
	bool oci = archive_find(source, "oci-layout") && archive_find(source, "index.json");
	bool docker = archive_find(source, "manifest.json");

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

static int layout_check(const struct source *source, struct err *err)
{
	auto_free char *text = NULL;
	auto_json *json = NULL;
	const char *version;
	size_t len = 0;
	int ret = source_read_file(source, "oci-layout", 65536, &text, &len, err);

	if (ret == -ENOENT)
		return err_set(
			err, EBADMSG, "there is no oci-layout in this directory: it is no OCI image layout");
	if (ret)
		return ret;
	json = json_parse(text, len, "oci-layout", err);
	if (!json)
		return -EBADMSG;
	version = json_text(json, "imageLayoutVersion");
	if (!version || strncmp(version, "1.", 2) != 0)
		return err_set(err, ENOTSUP, "version %.20s of the OCI image layout is not supported",
			version ? version : "?");
	return 0;
}

static int open_checked(struct source *source, const struct ingest *ingest, uint64_t max_bytes,
	const atomic_int *cancel, struct err *err)
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
		ret = archive_open(source, ingest, max_bytes, cancel, err);
		if (!ret)
			ret = archive_kind(source, err);
	}
	if (!ret && source->transport != TRANSPORT_DOCKER_ARCHIVE)
		ret = layout_check(source, err);
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

int source_open(struct source *source, const struct source_spec *spec, const struct ingest *ingest,
	uint64_t max_bytes, const atomic_int *cancel, struct err *err)
{
	bool input = strcmp(spec->path, "-") == 0;
	int ret;

	*source = (struct source){.spec = *spec, .transport = spec->transport, .fd = -1};
	source->fd = input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : named_open(spec->path);
	if (source->fd < 0)
		return open_failed(input ? "standard input" : spec->path, errno, err);
	ret = input || named_is_usable(source->fd)
		      ? open_checked(source, ingest, max_bytes, cancel, err)
		      : err_set(err, EINVAL, "%s is neither a folder nor a file (\"-\" reads a pipe)",
				spec->path);
	if (!ret)
		return 0;
	source_close(source);
	return ret;
}

void source_close(struct source *source)
{
	archive_index_done(source);
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
	const struct archive_member *member;
	int fd;

	if (source->transport == TRANSPORT_OCI)
		return folder_file(source, name, blob, err);
	member = archive_find(source, name);
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
