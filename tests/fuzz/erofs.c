// SPDX-License-Identifier: Apache-2.0
/* The EROFS writer: what a strict reader of our own finds in the file system is the tree that went in. */
#include "tests/fuzz/erofs_reader.h"
#include "tests/fuzz/layers.h"

#include "oci/image/tree.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void image_write(struct tree *tree, const struct erofs_layout *layout)
{
	int fd = fuzz_file(LAYERS_MAX, NULL, 0);
	struct err err = ERR_INIT;
	uint64_t meta_bytes;
	struct stat st;
	uint8_t *image;

	fuzz_require(erofs_write(tree, layout, fd, &meta_bytes, &err) == 0);
	fuzz_require(fstat(fd, &st) == 0 && (uint64_t)st.st_size == meta_bytes);
	image = mmap(NULL, meta_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	fuzz_require(image != MAP_FAILED);
	erofs_compare(image, meta_bytes, tree, layout);
	/* Neither the time nor the keys of hash tables show: the start has all that is not zero in a small image. */
	fuzz_note(image, 64u << 10);
	munmap(image, meta_bytes);
}

/* The first byte says whether the second layer occurs twice. */
void fuzz_one(const uint8_t *data, size_t len)
{
	static const uint64_t bytes[LAYERS_MAX] = {
		LAYER_DATA_BYTES, LAYER_DATA_BYTES, LAYER_DATA_BYTES, LAYER_DATA_BYTES};
	struct fuzz_input input = {data, len};
	uint16_t same[LAYERS_MAX] = {0, fuzz_u8(&input) & 1, 2, 3};
	struct erofs_layout layout = {.layer_bytes = bytes, .layer_same = same, .uuid = "mvrun fuzz uuid"};
	struct err err = ERR_INIT;
	struct layers layers;
	struct tree tree;
	int ret = 0;

	layers_make(&layers, &input);
	layout.n_layers = layers.n_layers;
	fuzz_require(tree_init(&tree, &err) == 0);
	for (uint16_t i = 0; !ret && i < layers.n_layers; i++)
		ret = tree_apply(&tree, &layers.tables[i], i, &err);
	if (!ret) {
		tree_finish(&tree);
		image_write(&tree, &layout);
	}
	tree_done(&tree);
	layers_done(&layers);
}
