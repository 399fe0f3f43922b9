// SPDX-License-Identifier: Apache-2.0
/* What the nursery and its workers can no longer do (docs/decisions/0009 has the whole list and its order). */
#ifndef MVRUN_OCI_IMAGE_CONFINE_H
#define MVRUN_OCI_IMAGE_CONFINE_H

#include "base/err.h"
#include "oci/image/order.h"

#include <stdbool.h>

/*
 * Confine this process, which is in namespaces of its own unless it was degraded. 0 or -errno with err set,
 * which says what to do; with degraded 0, and err says what is missing.
 */
int confine_nursery(bool degraded, bool namespaces, struct err *err);

/* From now on only what an order of this kind needs. 0 or -errno. */
int confine_worker(const struct order *order);

#endif
