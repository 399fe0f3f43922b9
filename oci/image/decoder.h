// SPDX-License-Identifier: Apache-2.0
/*
 * The loader's end of the decoders (order.h says what they are).
 *
 * What a worker does wrong (it dies, answers nonsense, answers late) is a failure of its order with one line
 * of text. After any failure the caller ends the whole load; decoder_stop() leaves no process behind.
 */
#ifndef MVRUN_OCI_IMAGE_DECODER_H
#define MVRUN_OCI_IMAGE_DECODER_H

#include "base/err.h"
#include "oci/image/order.h"
#include "oci/image/wire.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

struct decoder {
	pid_t nursery; /* 0: none */
	int orders_fd; /* SOCK_SEQPACKET */
};

/*
 * Start the nursery and wait until it is confined. To be called before anything is opened that decoders are
 * not to inherit, and before there are threads. 0 or -errno with err set; with degraded what cannot be
 * confined is logged instead.
 */
int decoder_start(struct decoder *decoder, bool degraded, struct err *err);

/* Kill every decoder. */
void decoder_stop(struct decoder *decoder);

/* An order given. */
struct job {
	int status_fd; /* the nursery's word on how the worker ended */
	int answer_fd;
	const struct order_limits *limits;
};

/* What came back, in heap memory. */
struct answer {
	uint8_t *data;
	struct wire wire; /* behind code and text */
};

#define JOB_NONE ((struct job){.status_fd = -1, .answer_fd = -1})

/* Give an order. The descriptors stay the caller's. 0 or -errno with err set. Any thread. */
int job_begin(const struct decoder *decoder, const struct order *order, const int *fds, size_t n_fds,
	struct job *job, struct err *err);

/*
 * Wait until the worker is dead and take its answer. 0 or -errno with err set: the failure it reports, -EIO if
 * it died, -ETIMEDOUT, -EINTR when *cancel became nonzero. The caller ends *answer in any case. Any thread.
 */
int job_end(struct job *job, const atomic_int *cancel, struct answer *answer, struct err *err);

/* Let go of a job whose answer nobody needs. May follow job_end(). */
void job_release(struct job *job);

void answer_done(struct answer *answer);
#define auto_answer __attribute__((cleanup(answer_done))) struct answer

/* An order on a document in memory, from beginning to end: the worker gets a copy of the text. */
int decoder_ask(const struct decoder *decoder, struct order *order, const char *text, size_t len,
	const atomic_int *cancel, struct answer *answer, struct err *err);

/* What a reader of an answer says when it was not what it should be. Returns -EPROTO. */
int answer_bad(struct err *err);

#endif
