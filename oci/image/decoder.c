// SPDX-License-Identifier: Apache-2.0
#include "oci/image/decoder.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "oci/image/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define TICK_MS 100

/* ---- files in memory ---- */

/* A file in memory whose size is final. */
static int memory_file(const char *name, size_t bytes)
{
	auto_fd fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) < 0)
		return -errno;
	return fd_steal(&fd);
}

/* A copy that the worker cannot change. */
static int text_file(const char *text, size_t len)
{
	auto_fd fd = memory_file("document", len);
	int ret = fd < 0 ? fd : io_pwrite_all(fd, text, len, 0);

	if (!ret && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		ret = -errno;
	return ret ? ret : fd_steal(&fd);
}

/* ---- orders ---- */

void job_release(struct job *job)
{
	fd_release(&job->status_fd);
	fd_release(&job->answer_fd);
}

int job_begin(const struct decoder *decoder, const struct order *order, const int *fds, size_t n_fds,
	struct job *job, struct err *err)
{
	int all[ORDER_FDS_MAX + 2], pipe_fds[2], ret;
	auto_fd status = -1;

	*job = (struct job){
		.status_fd = -1, .answer_fd = -1, .limits = order_limits((enum order_kind)order->kind)};
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "start decoding");
	job->status_fd = pipe_fds[0];
	status = pipe_fds[1];
	job->answer_fd = memory_file("answer", job->limits->answer_bytes);
	if (job->answer_fd < 0) {
		ret = job->answer_fd;
	} else {
		all[0] = status;
		all[1] = job->answer_fd;
		memcpy(all + 2, fds, n_fds * sizeof(*fds));
		ret = io_send_fds(decoder->orders_fd, order, sizeof(*order), all, n_fds + 2);
	}
	if (!ret)
		return 0;
	job_release(job);
	if (ret == -EPIPE || ret == -ECONNRESET)
		return err_set(err, EIO, "the decoder is gone");
	return err_sys(err, ret, "start decoding");
}

/* A signal's usual meaning here, as the user may want to know it. */
static int status_check(int status, struct err *err)
{
	int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (number == SIGXCPU)
		return err_set(err, EIO, "decoding it takes too long: refused");
	if (number == SIGSYS)
		return err_set(err, EIO,
			"the decoder tried something it may not do: the image is damaged or hostile");
	/* The kernel's way of saying that memory was short, besides somebody's kill. */
	if (number == SIGKILL)
		return err_set(err, EIO, "the decoder was killed (is this host short of memory?)");
	if (number)
		return err_set(err, EIO,
			"the decoder was ended by signal %d: the image is damaged or hostile, or mvrun has a "
			"bug",
			number);
	return err_set(err, EIO, "the decoder failed");
}

static int status_wait(const struct job *job, const atomic_int *cancel, int *status, struct err *err)
{
	struct pollfd pollfd = {.fd = job->status_fd, .events = POLLIN};
	uint64_t until_ms = clock_now_ms() + job->limits->seconds * UINT64_C(1000);

	while (poll(&pollfd, 1, TICK_MS) <= 0) {
		if (cancel && atomic_load(cancel))
			return err_set(err, EINTR, "interrupted");
		if (clock_now_ms() > until_ms)
			return err_set(err, ETIMEDOUT, "decoding it takes too long: refused");
	}
	return io_read_exact(job->status_fd, status, sizeof(*status))
		       ? err_set(err, EIO, "the decoder is gone")
		       : 0;
}

int answer_bad(struct err *err)
{
	return err_set(
		err, EPROTO, "the decoder gave an answer that is none: the image is damaged or hostile");
}

/* Its writer is dead: what is read now does not change any more. */
static int answer_read(const struct job *job, struct answer *answer, struct err *err)
{
	uint64_t bytes = 0;
	int ret = io_pread_exact(job->answer_fd, &bytes, sizeof(bytes), 0);
	const char *text;
	int code;

	if (ret)
		return err_sys(err, ret, "read what was decoded");
	if (bytes > job->limits->answer_bytes - sizeof(bytes))
		return answer_bad(err);
	answer->data = malloc((size_t)bytes + 1);
	if (!answer->data)
		return err_set(err, ENOMEM, "out of memory");
	ret = io_pread_exact(job->answer_fd, answer->data, (size_t)bytes, sizeof(bytes));
	if (ret)
		return err_sys(err, ret, "read what was decoded");
	answer->wire = (struct wire){.at = answer->data, .left = (size_t)bytes};
	code = (int)wire_number(&answer->wire, 4095);
	text = wire_text(&answer->wire, ERR_TEXT_MAX);
	if (answer->wire.bad || (code && !*text))
		return answer_bad(err);
	return code ? err_set(err, code, "%s", text) : 0;
}

int job_end(struct job *job, const atomic_int *cancel, struct answer *answer, struct err *err)
{
	int status = 0;
	int ret = status_wait(job, cancel, &status, err);

	*answer = (struct answer){0};
	if (!ret)
		ret = status_check(status, err);
	if (!ret)
		ret = answer_read(job, answer, err);
	job_release(job);
	return ret;
}

void answer_done(struct answer *answer)
{
	free(answer->data);
	*answer = (struct answer){0};
}

int decoder_ask(const struct decoder *decoder, struct order *order, const char *text, size_t len,
	const atomic_int *cancel, struct answer *answer, struct err *err)
{
	auto_fd fd = text_file(text, len);
	struct job job;
	int ret;

	*answer = (struct answer){0};
	if (fd < 0)
		return err_sys(err, fd, "start decoding");
	order->bytes = len;
	ret = job_begin(decoder, order, &fd, 1, &job, err);
	return ret ? ret : job_end(&job, cancel, answer, err);
}

/* ---- the nursery ---- */

/* Its first and last word to us: whether it is confined. */
static int ready_wait(const struct decoder *decoder, struct err *err)
{
	struct nursery_ready ready;
	size_t n_fds;
	ssize_t n = io_recv_fds(decoder->orders_fd, &ready, sizeof(ready), NULL, 0, &n_fds);

	if (n != sizeof(ready))
		return err_set(err, EIO, "the decoder did not start");
	ready.text[sizeof(ready.text) - 1] = '\0';
	if (ready.code)
		return err_set(err, (int)ready.code, "%s", ready.text);
	if (ready.text[0])
		log_warn("--degraded: %s", ready.text);
	return 0;
}

int decoder_start(struct decoder *decoder, bool degraded, struct err *err)
{
	int ret = nursery_start(degraded, &decoder->nursery, &decoder->orders_fd);

	if (ret)
		return err_sys(err, ret,
			"this host does not let us make the namespaces that confine the decoder of images; "
			"allow "
			"user namespaces, or add --degraded");
	ret = ready_wait(decoder, err);
	if (ret)
		decoder_stop(decoder);
	return ret;
}

void decoder_stop(struct decoder *decoder)
{
	fd_release(&decoder->orders_fd);
	if (decoder->nursery <= 0)
		return;
	/* It is the first process of its pid namespace: with it go all workers. */
	kill(decoder->nursery, SIGKILL);
	while (waitpid(decoder->nursery, NULL, 0) < 0 && errno == EINTR)
		;
	decoder->nursery = 0;
}
