// SPDX-License-Identifier: Apache-2.0
/* What the parts of the tar reader need of each other: tar.c (entries), tar_pax.c, tar_sparse.c. */
#ifndef MVRUN_OCI_IMAGE_TAR_PARTS_H
#define MVRUN_OCI_IMAGE_TAR_PARTS_H

#include "oci/image/tar.h"

/* "tar archive, byte N: text", -EBADMSG. */
int tar_bad(const struct tar *tar, struct err *err, const char *text);

/* Copy exactly len bytes out of the archive. The end of the archive is an error. */
int tar_take(struct tar *tar, void *out, size_t len, struct err *err);

/* A number field: octal, or base-256 where the first byte has its top bit set. -EINVAL, -ERANGE (above max). */
int tar_number(const uint8_t *field, size_t len, uint64_t max, uint64_t *out);

/* Take in one pax extended header. text has len bytes. global: type 'g', which may change nothing. */
int tar_pax_parse(struct tar *tar, const char *text, size_t len, bool global, struct err *err);

/* An unsigned decimal number that is all of text[0..len). -EINVAL, -ERANGE. */
int tar_decimal(const char *text, size_t len, uint64_t max, uint64_t *out);

/* Append one piece to the pending map. -EBADMSG with err set when there are too many. */
int tar_piece_add(struct tar *tar, uint64_t offset, uint64_t bytes, struct err *err);

/* Read the map of an entry of type 'S' from its header and the extension blocks behind it. */
int tar_sparse_old(struct tar *tar, uint64_t *realsize, struct err *err);

/* Read the map that begins the contents of a pax sparse file 1.0, reducing *stored by its size. */
int tar_sparse_map(struct tar *tar, uint64_t *stored, struct err *err);

/* Check the pending map against sizes and put it into the entry. */
int tar_sparse_finish(struct tar *tar, uint64_t realsize, uint64_t stored, struct err *err);

#endif
