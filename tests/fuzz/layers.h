// SPDX-License-Identifier: Apache-2.0
/* Layers for the targets that merge them: tables made of the input, written and opened by the real code. */
#ifndef MVRUN_TESTS_FUZZ_LAYERS_H
#define MVRUN_TESTS_FUZZ_LAYERS_H

#include "oci/image/table.h"
#include "tests/fuzz/fuzz.h"

#define LAYERS_MAX 4
#define LAYER_ENTRIES_MAX 64
#define LAYER_DATA_BYTES (UINT64_C(8) << 20)

struct layers {
	struct table tables[LAYERS_MAX];
	uint16_t n_layers;
};

/* Use up the input. Few different names, so that entries meet; every kind of entry. */
void layers_make(struct layers *layers, struct fuzz_input *input);
void layers_done(struct layers *layers);

#endif
