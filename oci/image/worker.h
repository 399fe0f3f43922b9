// SPDX-License-Identifier: Apache-2.0
/*
 * The process that decodes: one order, one answer. It is forked from the nursery with the answer's file and
 * what the order comes with as its only descriptors, takes what is left of its rights away (confine.h), and
 * then begins to read.
 */
#ifndef MVRUN_OCI_IMAGE_WORKER_H
#define MVRUN_OCI_IMAGE_WORKER_H

#include "oci/image/order.h"

/* Make libraries do in the nursery what they only do once and what a worker may not: read their settings. */
void worker_warm_up(void);

/* Carry the order out and end with status 0 when there is an answer. */
_Noreturn void worker_main(const struct order *order, int answer_fd, const int *fds);

#endif
