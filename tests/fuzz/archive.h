// SPDX-License-Identifier: Apache-2.0
/* Archives for the targets that read them: without right checksums, hardly an input would get past its first header. */
#ifndef MVRUN_TESTS_FUZZ_ARCHIVE_H
#define MVRUN_TESTS_FUZZ_ARCHIVE_H

#include "tests/fuzz/fuzz.h"

/* fuzz_file() of the bytes, in which every block that can be a header has its right checksum. */
int archive_file(unsigned number, const uint8_t *data, size_t len);

#endif
