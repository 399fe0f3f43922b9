// SPDX-License-Identifier: Apache-2.0
#include "oci/image/order.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)

/*
 * Memory: what the worst input that is still accepted takes, and as much again. jansson makes twenty bytes and
 * more of one of text; zstd's largest window is 128 MiB; a tree of four million files takes a gigabyte.
 * Seconds: what takes a moment gets minutes, for machines that are slow or busy.
 */
static const struct order_limits limits[ORDER_KINDS] = {
	[ORDER_LAYOUT] = {64 * KIB, 64 * MIB, 120},
	[ORDER_INDEX] = {8 * MIB, 512 * MIB, 120},
	[ORDER_MANIFEST] = {64 * KIB, 512 * MIB, 120},
	[ORDER_PLATFORM] = {64 * KIB, 1024 * MIB, 120},
	[ORDER_CONFIG] = {16 * MIB, 1024 * MIB, 120},
	[ORDER_DOCKER] = {8 * MIB, 512 * MIB, 120},
	[ORDER_MEMBERS] = {64 * MIB, 512 * MIB, 600},
	[ORDER_UNPACK] = {64 * KIB, 256 * MIB, 120},
	[ORDER_LAYER] = {64 * KIB, 128 * MIB, 120},
	[ORDER_TREE] = {64 * KIB, 3072 * MIB, 600},
};

const struct order_limits *order_limits(enum order_kind kind)
{
	return &limits[kind];
}

size_t order_fds(const struct order *order)
{
	switch ((enum order_kind)order->kind) {
	case ORDER_UNPACK:
		return 2;
	case ORDER_LAYER:
		return 3;
	case ORDER_TREE:
		return 1 + (size_t)order->n_layers;
	case ORDER_LAYOUT:
	case ORDER_INDEX:
	case ORDER_MANIFEST:
	case ORDER_PLATFORM:
	case ORDER_CONFIG:
	case ORDER_DOCKER:
	case ORDER_MEMBERS:
	case ORDER_KINDS:
		break;
	}
	return 1;
}

bool order_good(const struct order *order, size_t n_fds)
{
	return order->kind < ORDER_KINDS && order->n_layers <= IMAGE_LAYERS_MAX &&
	       order->compression <= COMPRESSION_ZSTD && n_fds == order_fds(order);
}
