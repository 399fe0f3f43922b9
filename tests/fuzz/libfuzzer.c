// SPDX-License-Identifier: Apache-2.0
/* How libFuzzer calls a target. Only in a build of the variant fuzz. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	(void)fuzz_notes_take();
	fuzz_one(data, len);
	return 0;
}
