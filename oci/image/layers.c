// SPDX-License-Identifier: Apache-2.0
/* Layers into the store: as many at once as there are processors, each only once even among several loads. */
#include "oci/image/load.h"

#include "base/cleanup.h"
#include "base/clock.h"

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

static int table_of(const struct load *load, const char *diff_id, struct table_info *info)
{
	struct store *store = load->ingest.store;
	char path[STORE_PATH_MAX];
	struct table table;
	auto_fd fd = -1;
	struct stat st;
	int ret;

	path_layer(path, diff_id, ".tab");
	fd = openat(store->dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	ret = table_open(&table, fd);
	if (ret)
		return ret;
	*info = table.info;
	table_close(&table);
	path_layer(path, diff_id, ".data");
	if (!info->data_bytes)
		return 0;
	if (fstatat(store->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && (uint64_t)st.st_size == info->data_bytes ? 0 : -EBADMSG;
}

static int layer_make(struct pool *pool, struct layer_job *job, struct err *err)
{
	const struct load *load = pool->load;
	struct layer_limits limits = {.max_bytes = load->options.max_image_bytes,
		.max_entries = TREE_ENTRIES_MAX,
		.cancel = &pool->stop,
		.progress = &pool->done_bytes};
	char data[DIGEST_HEX_LEN + 8], table[DIGEST_HEX_LEN + 8], path[STORE_PATH_MAX];
	auto_fd data_fd = -1, table_fd = -1;
	int ret;

	snprintf(data, sizeof(data), "%s.data", job->source.diff_id);
	snprintf(table, sizeof(table), "%s.tab", job->source.diff_id);
	data_fd = ingest_create(&load->ingest, data, err);
	table_fd = data_fd < 0 ? -1 : ingest_create(&load->ingest, table, err);
	if (table_fd < 0)
		return -err->code;
	ret = layer_convert(&job->source, &limits, data_fd, table_fd, &job->info, err);
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
	if (table_of(pool->load, job->source.diff_id, &job->info) == 0) {
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
	unsigned int want = processors(), started = 0;
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
