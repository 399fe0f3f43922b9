// SPDX-License-Identifier: Apache-2.0
/* Layers into the store: several at once, each only once even among several loads. */
#include "oci/image/load.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/image/feed.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define THREADS_MAX 16
#define TICK_MS 100
#define LINE_MS 10000

struct pool {
	struct load *load;
	struct layer_job *jobs;
	size_t n_jobs;
	atomic_size_t next;
	atomic_int stop; /* a signal, or a failure of one: the others need not go on */
	_Atomic uint64_t done_bytes;
	_Atomic uint64_t unpacked_bytes;
	uint64_t total_bytes;
	pthread_mutex_t lock; /* of the rest */
	pthread_cond_t changed;
	unsigned int running;
	size_t finished;
	unsigned int ticks;
	struct err err; /* the first failure */
	size_t failed;
};

/* ---- one layer ---- */

/* What the store has of a layer, if it has it whole. */
static int layer_find(const struct load *load, const char *diff_id, struct table_info *info)
{
	struct store *store = load->ingest.store;
	char path[STORE_PATH_MAX];
	auto_fd fd = -1;
	struct stat st;
	int ret;

	path_layer(path, diff_id, ".tab");
	fd = openat(store->dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	ret = table_peek(fd, info);
	if (ret || !info->data_bytes)
		return ret;
	path_layer(path, diff_id, ".data");
	if (fstatat(store->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && (uint64_t)st.st_size == info->data_bytes ? 0 : -EBADMSG;
}

static int digest_failed(struct err *err, const char *what, const char *expected, const char *found)
{
	return err_set(err, EBADMSG, "the %s: expected sha256:%.12s..., found sha256:%.12s...", what,
		expected, found);
}

static int digests_check(const struct layer_source *source, const struct feed *feed, struct err *err)
{
	if (source->digest[0] && strcmp(feed->digest, source->digest) != 0)
		return digest_failed(err, "data does not match its digest", source->digest, feed->digest);
	if (strcmp(feed->unpacked_digest, source->diff_id) != 0)
		return digest_failed(err, "unpacked data does not match its diff ID", source->diff_id,
			feed->unpacked_digest);
	return 0;
}

/*
 * A damaged blob usually fails as a damaged archive first. Then its digest is the better explanation: see
 * whether it is right.
 */
static int explain(const struct layer_source *source, const atomic_int *cancel, int code, struct err *err)
{
	char found[DIGEST_HEX_LEN + 1];

	if (code != -EBADMSG || !source->digest[0] || blob_digest(&source->blob, cancel, found, NULL) ||
		strcmp(found, source->digest) == 0)
		return code;
	return digest_failed(err, "data does not match its digest", source->digest, found);
}

static int compression_find(const struct layer_source *source, enum compression *out, struct err *err)
{
	int ret = blob_compression(&source->blob, out, err);

	if (ret || source->compression < 0 || (int)*out == source->compression)
		return ret;
	return err_set(err, EBADMSG, "the data is %s, its media type says %s", compression_name(*out),
		compression_name((enum compression)source->compression));
}

/* Give the order to make data and table of what comes out of the pipe whose other end is *to_fd. */
static int conversion_begin(
	struct pool *pool, int data_fd, int table_fd, int *to_fd, struct job *job, struct err *err)
{
	const struct load *load = pool->load;
	struct order order = {.kind = ORDER_LAYER, .max_bytes = load->options.max_image_bytes};
	int pipe_fds[2], ret;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "start decoding");
	fcntl(pipe_fds[1], F_SETPIPE_SZ, FEED_PIPE_BYTES);
	io_set_nonblock(pipe_fds[1]);
	*to_fd = pipe_fds[1];
	ret = job_begin(load->decoder, &order, (int[]){pipe_fds[0], data_fd, table_fd}, 3, job, err);
	close(pipe_fds[0]);
	return ret;
}

/* Convert a layer into two empty files. Nothing of it is used unless both digests were right. */
static int layer_convert_by_worker(struct pool *pool, const struct layer_source *source, int data_fd,
	int table_fd, uint64_t *tar_bytes, struct err *err)
{
	struct feed feed = {.blob = source->blob,
		.decoder = pool->load->decoder,
		.to_fd = -1,
		.max_bytes = pool->load->options.max_image_bytes,
		.any_ratio = pool->load->options.any_ratio,
		.cancel = &pool->stop,
		.progress = &pool->done_bytes,
		.total = &pool->unpacked_bytes};
	auto_answer answer = {0};
	struct job job = JOB_NONE;
	int ret = compression_find(source, &feed.compression, err);

	if (!ret)
		ret = conversion_begin(pool, data_fd, table_fd, &feed.to_fd, &job, err);
	if (!ret)
		ret = feed_run(&feed, err);
	/* Who does not want the rest has found something wrong, and says what. */
	if (!ret || ret == -EPIPE)
		ret = job_end(&job, &pool->stop, &answer, err);
	if (!ret)
		ret = digests_check(source, &feed, err);
	*tar_bytes = feed.unpacked_bytes;
	fd_release(&feed.to_fd);
	job_release(&job);
	return explain(source, &pool->stop, ret, err);
}

/* What a worker wrote, as far as that has to be right for what others rely on. */
static int files_check(
	int data_fd, int table_fd, uint64_t tar_bytes, struct table_info *info, struct err *err)
{
	struct blob_ref data;
	int ret = table_peek(table_fd, info);

	if (!ret)
		ret = blob_of_file(data_fd, &data, err);
	if (!ret && (data.bytes != info->data_bytes || tar_bytes != info->tar_bytes))
		ret = -EBADMSG;
	return ret ? answer_bad(err) : 0;
}

static int layer_make(struct pool *pool, struct layer_job *job, struct err *err)
{
	const struct load *load = pool->load;
	char data[DIGEST_HEX_LEN + 8], table[DIGEST_HEX_LEN + 8], path[STORE_PATH_MAX];
	auto_fd data_fd = -1;
	auto_fd table_fd = -1;
	uint64_t tar_bytes = 0;
	int ret;

	snprintf(data, sizeof(data), "%s.data", job->source.diff_id);
	snprintf(table, sizeof(table), "%s.tab", job->source.diff_id);
	data_fd = ingest_create(&load->ingest, data, err);
	table_fd = data_fd < 0 ? -1 : ingest_create(&load->ingest, table, err);
	if (table_fd < 0)
		return -err->code;
	ret = layer_convert_by_worker(pool, &job->source, data_fd, table_fd, &tar_bytes, err);
	if (!ret)
		ret = files_check(data_fd, table_fd, tar_bytes, &job->info, err);
	if (!ret && job->info.data_bytes) {
		path_layer(path, job->source.diff_id, ".data");
		ret = ingest_replace(&load->ingest, data, path, err);
	}
	/* The table comes last: where it is, the data is. */
	if (!ret) {
		path_layer(path, job->source.diff_id, ".tab");
		ret = ingest_replace(&load->ingest, table, path, err);
	}
	return ret;
}

static int layer_obtain(struct pool *pool, struct layer_job *job, struct err *err)
{
	int ret, lock = layer_lock(&pool->load->ingest, job->source.diff_id, err);

	if (lock < 0)
		return lock;
	if (layer_find(pool->load, job->source.diff_id, &job->info) == 0) {
		atomic_fetch_add(&pool->done_bytes, job->source.blob.bytes);
		ret = 0;
	} else {
		ret = layer_make(pool, job, err);
	}
	layer_unlock(&pool->load->ingest, job->source.diff_id, lock);
	return ret;
}

/* ---- all of them ---- */

static void *worker(void *ctx)
{
	struct pool *pool = ctx;

	for (;;) {
		size_t i = atomic_fetch_add(&pool->next, 1);
		struct err err = ERR_INIT;
		int ret;

		if (i >= pool->n_jobs || atomic_load(&pool->stop))
			break;
		ret = layer_obtain(pool, &pool->jobs[i], &err);
		pthread_mutex_lock(&pool->lock);
		if (ret && !pool->err.code) {
			pool->err = err;
			pool->failed = i;
			atomic_store(&pool->stop, 1);
		}
		pool->finished++;
		pthread_mutex_unlock(&pool->lock);
	}
	pthread_mutex_lock(&pool->lock);
	pool->running--;
	pthread_cond_signal(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* On a terminal one line that changes; elsewhere a line now and then, for what takes long. */
static void progress_show(struct pool *pool, bool last)
{
	const struct load_options *options = &pool->load->options;
	uint64_t done = atomic_load(&pool->done_bytes);
	double done_mb = (double)done / 1e6, total_mb = (double)pool->total_bytes / 1e6;

	if (options->progress_fd >= 0)
		dprintf(options->progress_fd, "%llu %llu\n", (unsigned long long)done,
			(unsigned long long)pool->total_bytes);
	if (options->progress == PROGRESS_TERMINAL)
		dprintf(STDERR_FILENO, "\r\033[Kloading: %zu of %zu layers, %.1f of %.1f MB%s",
			pool->finished, pool->n_jobs, done_mb, total_mb, last ? "\r\033[K" : "");
	if (options->progress == PROGRESS_LINES && !last && ++pool->ticks % (LINE_MS / TICK_MS) == 0)
		dprintf(STDERR_FILENO, "loading: %zu of %zu layers, %.1f of %.1f MB\n", pool->finished,
			pool->n_jobs, done_mb, total_mb);
}

/* Wait for the workers, showing progress. A signal makes them stop, also those who wait for a lock. */
static void pool_wait(struct pool *pool, const pthread_t *threads, unsigned int n_threads)
{
	pthread_mutex_lock(&pool->lock);
	while (pool->running) {
		struct timespec until;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += TICK_MS * 1000000L;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000L;
		}
		if (pthread_cond_timedwait(&pool->changed, &pool->lock, &until) != ETIMEDOUT)
			continue;
		if (atomic_load(pool->load->cancel))
			atomic_store(&pool->stop, 1);
		/* Its handler does nothing; flock() returns. A thread that has ended has not been joined yet. */
		for (unsigned int i = 0; atomic_load(&pool->stop) && i < n_threads; i++)
			pthread_kill(threads[i], SIGUSR1);
		progress_show(pool, false);
	}
	progress_show(pool, true);
	pthread_mutex_unlock(&pool->lock);
}

static unsigned int processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned int)CPU_COUNT(&set) : 1;
}

static int pool_init(struct pool *pool)
{
	pthread_condattr_t attr;
	int ret = pthread_condattr_init(&attr);

	if (!ret)
		ret = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (!ret)
		ret = pthread_cond_init(&pool->changed, &attr);
	if (!ret)
		ret = pthread_mutex_init(&pool->lock, NULL);
	return ret;
}

int layers_load(struct load *load, struct layer_job *jobs, size_t n_jobs, struct err *err)
{
	struct pool pool = {.load = load, .jobs = jobs, .n_jobs = n_jobs};
	/* A layer's thread waits for its workers most of the time. */
	unsigned int want = 2 * processors(), started = 0;
	pthread_t threads[THREADS_MAX];

	if (pool_init(&pool))
		return err_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < n_jobs; i++)
		pool.total_bytes += jobs[i].source.blob.bytes;
	if (want > n_jobs)
		want = (unsigned int)n_jobs;
	if (want > THREADS_MAX)
		want = THREADS_MAX;
	pthread_mutex_lock(&pool.lock);
	while (started < want && pthread_create(&threads[started], NULL, worker, &pool) == 0)
		started++;
	pool.running = started;
	pthread_mutex_unlock(&pool.lock);
	pool_wait(&pool, threads, started);
	for (unsigned int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	pthread_cond_destroy(&pool.changed);
	pthread_mutex_destroy(&pool.lock);
	if (atomic_load(load->cancel))
		return err_set(err, EINTR, "interrupted");
	if (pool.err.code) {
		*err = pool.err;
		return err_wrap(err, "layer sha256:%.12s... (number %zu of %zu)",
			jobs[pool.failed].source.diff_id, pool.failed + 1, n_jobs);
	}
	return started || !n_jobs ? 0 : err_set(err, EAGAIN, "cannot start a thread");
}
