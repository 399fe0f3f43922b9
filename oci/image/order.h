// SPDX-License-Identifier: Apache-2.0
/*
 * What the loader may ask a decoder to do: one message of fixed size, with descriptors.
 *
 * Theory of operation. Everything hostile is decoded in processes that have nothing and can reach nothing: no
 * network, no file but those handed to them, hardly a system call. The loader (main.c, load.c, select.c,
 * layers.c) opens files, hashes them, makes decisions on what decoders tell it, and alone touches the store;
 * it never parses a byte of an image itself.
 *
 *	loader ── orders ──▶ nursery ── fork ──▶ worker: one order, one answer, gone
 *	   ◀───────────── status ──┘                │
 *	   ◀────────────── answer (a file in memory, read once the worker is dead)
 *
 * The nursery (nursery.c) is forked before anything is opened and confines itself (confine.h). It reads
 * nothing but orders. For each it forks a worker, which gives up what else it could do, and only then looks at
 * its input. A worker sees the bytes of one thing, known by its digest wherever there is one, and what it
 * says is believed of this thing alone. So whoever takes a worker over with a hostile layer or configuration
 * can lie about his own, and about nothing else (docs/decisions/0009).
 *
 * An answer is wire.h: errno code, text, and if the code is 0 what the order asked for (answer.h).
 */
#ifndef MVRUN_OCI_IMAGE_ORDER_H
#define MVRUN_OCI_IMAGE_ORDER_H

#include "oci/image/blob.h"
#include "oci/store/image.h"

#include <stdbool.h>

enum order_kind {
	ORDER_LAYOUT, /* document: an oci-layout file */
	ORDER_INDEX, /* document: an index */
	ORDER_MANIFEST, /* document: a manifest */
	ORDER_PLATFORM, /* document: a configuration, of which only the platform is wanted */
	ORDER_CONFIG, /* document: a configuration, for n_layers layers */
	ORDER_DOCKER, /* document: manifest.json of a docker archive */
	ORDER_MEMBERS, /* archive: what is in it and where */
	ORDER_UNPACK, /* pipe in, pipe out: decompress */
	ORDER_LAYER, /* pipe in (tar), data out, table out: convert a layer */
	ORDER_TREE, /* file system out, tables in: merge n_layers layers */
	ORDER_KINDS,
};

#define ORDER_WHAT_MAX 24
#define ORDER_FDS_MAX (IMAGE_LAYERS_MAX + 1) /* besides the two that every order has */

struct order {
	uint32_t kind; /* enum order_kind */
	uint32_t compression; /* UNPACK: enum compression */
	uint64_t max_bytes; /* UNPACK: of what comes out; LAYER, TREE: of any file written */
	uint64_t bytes; /* documents, MEMBERS: of the file */
	uint64_t n_layers; /* CONFIG, TREE */
	char what[ORDER_WHAT_MAX]; /* documents: what messages call it */
	uint8_t uuid[16]; /* TREE */
	uint64_t layer_bytes[IMAGE_LAYERS_MAX]; /* TREE: see struct erofs_layout */
	uint16_t layer_same[IMAGE_LAYERS_MAX];
};

/* What an order may cost. */
struct order_limits {
	size_t answer_bytes;
	uint64_t memory_bytes; /* private and writable */
	unsigned int seconds; /* of a processor, and of waiting for its end */
};

const struct order_limits *order_limits(enum order_kind kind);

/* How many descriptors come with an order. */
size_t order_fds(const struct order *order);

/* Whether it is an order, and comes with what it should. */
bool order_good(const struct order *order, size_t n_fds);

#endif
