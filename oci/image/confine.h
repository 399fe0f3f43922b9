// SPDX-License-Identifier: Apache-2.0
/* What the nursery and its workers can no longer do (docs/decisions/0009). */
#ifndef MVRUN_OCI_IMAGE_CONFINE_H
#define MVRUN_OCI_IMAGE_CONFINE_H

#include "base/err.h"
#include "oci/image/order.h"

#include <stdbool.h>
#include <sys/types.h>

/* How the nursery came into being. */
struct confinement {
	bool namespaces; /* it is the first process of namespaces of its own */
	bool user; /* among them a user namespace */
	bool degraded; /* what is missing may be */
	uid_t uid; /* who its parent is, outside */
	gid_t gid;
	pid_t parent;
};

/*
 * Confine this process, whose descriptors are already those it is to have. 0, when err says what is missing if
 * something is (degraded); or -errno with err set.
 */
int confine_nursery(const struct confinement *how, struct err *err);

/* From now on only what this order needs. 0 or -errno. */
int confine_worker(const struct order *order);

#endif
