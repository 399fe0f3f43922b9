// SPDX-License-Identifier: Apache-2.0
/*
 * The system calls of the decoders: one table for the filter of the nursery and those of the workers (jail/filter.h).
 *
 * The nursery's filter allows what any of them needs, and is put on before the first order is read. A worker narrows
 * it to what its kind of order takes before it looks at its input. None has a call that opens a file, makes a socket,
 * starts a program or makes memory executable; a worker has none that makes a process or a descriptor.
 */
#ifndef MVRUN_OCI_IMAGE_CALLS_H
#define MVRUN_OCI_IMAGE_CALLS_H

#include "jail/filter.h"
#include "oci/image/order.h"

#define CALLS_NURSERY (1u << 0)
#define CALLS_DOCUMENT (1u << 1) /* orders on documents, and MEMBERS */
#define CALLS_UNPACK (1u << 2)
#define CALLS_LAYER (1u << 3)
#define CALLS_TREE (1u << 4)
#define CALLS_WORKERS (CALLS_DOCUMENT | CALLS_UNPACK | CALLS_LAYER | CALLS_TREE)
#define CALLS_ALL (CALLS_NURSERY | CALLS_WORKERS)

extern const struct filter_rule image_calls[];
extern const size_t n_image_calls;

/* Which filter a worker has. */
uint32_t calls_of(enum order_kind kind);

#endif
