// SPDX-License-Identifier: Apache-2.0
/*
 * Numbers and texts one after the other: how a worker (worker.h) tells the loader what it found.
 *
 * The writer is a struct buf. The reader trusts nothing: it stays within its bytes, a text has a limit and no
 * NUL inside, and the first thing that is wrong makes it fail from then on, so that a whole message can be
 * read and looked at once.
 */
#ifndef MVRUN_OCI_IMAGE_WIRE_H
#define MVRUN_OCI_IMAGE_WIRE_H

#include "base/buf.h"
#include "oci/store/digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void wire_put_number(struct buf *to, uint64_t number);
void wire_put_text(struct buf *to, const char *text);

struct wire {
	const uint8_t *at;
	size_t left;
	bool bad;
};

/* A number of at most max; 0 if there is none such, and the reader has failed then. */
uint64_t wire_number(struct wire *wire, uint64_t max);

/* A text of at most max bytes, inside the message; "" if there is none such, and the reader has failed then. */
const char *wire_text(struct wire *wire, size_t max);

/* A digest, or with optional also none (""). */
void wire_digest(struct wire *wire, bool optional, char hex[static DIGEST_HEX_LEN + 1]);

/* Whether everything was good and nothing is left. */
bool wire_end(const struct wire *wire);

#endif
