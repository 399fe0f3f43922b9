// SPDX-License-Identifier: Apache-2.0
#include "virtio/blk.h"

#include "virtio/blk_engine.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR_BYTES 512u
#define SECTOR_SHIFT 9
#define PHYSICAL_BLOCK_BYTES 4096u
#define OPTIMAL_IO_BYTES (128u << 10)
/* What one turn may move before others get theirs; more than a guest's read-ahead. */
#define TURN_BYTES (4u << 20)
/* A driver's own limit is far below this; it bounds the time one request takes on the loop thread. */
#define TRANSFER_BYTES_MAX (16u << 20)
/* Bounds the time that one discard or zeroing takes on the loop thread. */
#define RANGE_SECTORS_MAX (UINT32_C(64) << (20 - SECTOR_SHIFT))
#define FEATURE(bit) (UINT64_C(1) << (bit))

struct blk_request {
	struct blk_io io; /* the first member */
	uint16_t queue;
	uint16_t head;
	uint64_t in_bytes; /* to be written to guest memory, the status byte apart */
	struct iovec status;
	struct iovec iov[VQ_SIZE_MAX];
};

struct blk_disk {
	struct blk_engine engine; /* the first member */
	uint64_t free; /* bit i: requests[i] is not in use */
	struct blk_request requests[BLK_REQUESTS_MAX];
};
_Static_assert(BLK_REQUESTS_MAX == 64, "free is one word");

static struct virtio_blk *blk_of(struct virtio_device *dev)
{
	return (struct virtio_blk *)dev;
}

static struct blk_request *request_take(struct blk_disk *disk)
{
	unsigned int i;

	if (!disk->free)
		return NULL;
	i = (unsigned int)__builtin_ctzll(disk->free);
	disk->free &= disk->free - 1;
	return &disk->requests[i];
}

static void request_give(struct blk_disk *disk, struct blk_request *request)
{
	disk->free |= UINT64_C(1) << (request - disk->requests);
}

/*
 * Return the chain with its status byte and free the request. ret: 0 or -errno, -EOPNOTSUPP for
 * VIRTIO_BLK_S_UNSUPP.
 */
static void request_end(struct virtio_blk *blk, struct blk_request *request, int ret)
{
	struct vq *vq = &blk->dev.queues[request->queue];
	uint8_t status = ret == 0 ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
	uint32_t len = 1;

	if (ret == -EOPNOTSUPP)
		status = VIRTIO_BLK_S_UNSUPP;
	else if (ret == 0)
		len += (uint32_t)request->in_bytes;
	*(volatile uint8_t *)request->status.iov_base = status;
	vq_push(vq, request->head, len);
	request_give(blk->disk, request);
}

/* len_bytes at sector are whole sectors, at least one, within the capacity. */
static bool range_ok(const struct virtio_blk *blk, uint64_t sector, uint64_t len_bytes)
{
	uint64_t capacity = blk->options.backing.capacity_bytes >> SECTOR_SHIFT;

	return len_bytes && len_bytes % SECTOR_BYTES == 0 && sector <= capacity &&
	       len_bytes >> SECTOR_SHIFT <= capacity - sector;
}

/* The errno of a system call that is no -EOPNOTSUPP of ours. */
static int host_error(int ret)
{
	return ret < 0 ? -EIO : ret;
}

static int transfer_start(struct virtio_blk *blk, struct blk_request *request, enum blk_io_op op,
	uint64_t sector, const struct giov *data)
{
	if (data->len_bytes > TRANSFER_BYTES_MAX || !range_ok(blk, sector, data->len_bytes))
		return -EIO;
	if (op == BLK_IO_WRITE && blk->options.backing.ops->read_only)
		return -EROFS;
	request->in_bytes = op == BLK_IO_READ ? data->len_bytes : 0;
	request->io = (struct blk_io){
		.op = op,
		/* Section 5.2.6.2: a driver that cannot flush relies on every write. */
		.stable = !virtio_accepted(&blk->dev, VIRTIO_BLK_F_FLUSH),
		.pos_bytes = sector << SECTOR_SHIFT,
		.data = *data,
	};
	return host_error(blk_engine_start(&blk->disk->engine, &request->io));
}

static int flush_start(struct virtio_blk *blk, struct blk_request *request)
{
	if (!virtio_accepted(&blk->dev, VIRTIO_BLK_F_FLUSH))
		return -EOPNOTSUPP;
	request->io = (struct blk_io){.op = BLK_IO_FLUSH};
	return host_error(blk_engine_start(&blk->disk->engine, &request->io));
}

static int id_read(struct virtio_blk *blk, struct blk_request *request, struct vq_chain *chain)
{
	if (chain->in.len_bytes < BLK_SERIAL_BYTES)
		return -EIO;
	request->in_bytes = giov_write(&chain->in, blk->options.serial, BLK_SERIAL_BYTES);
	return 0;
}

/* DISCARD and WRITE_ZEROES (section 5.2.6): one range each, as config space says. */
static int range_clear(struct virtio_blk *blk, struct vq_chain *chain, uint32_t type)
{
	const struct blk_backing *backing = &blk->options.backing;
	bool discard = type == VIRTIO_BLK_T_DISCARD;
	struct virtio_blk_discard_write_zeroes range;
	uint64_t len_bytes;

	if (!virtio_accepted(&blk->dev, discard ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES))
		return -EOPNOTSUPP;
	if (chain->out.len_bytes != sizeof(range))
		return -EIO;
	giov_read(&chain->out, &range, sizeof(range));
	if (range.flags & ~(discard ? 0u : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP))
		return -EOPNOTSUPP;
	len_bytes = (uint64_t)range.num_sectors << SECTOR_SHIFT;
	if (range.num_sectors > RANGE_SECTORS_MAX || !range_ok(blk, range.sector, len_bytes))
		return -EIO;
	if (discard)
		return backing->ops->discard(backing, range.sector << SECTOR_SHIFT, len_bytes);
	return backing->ops->zeroes(backing, range.sector << SECTOR_SHIFT, len_bytes, range.flags);
}

/* 0, BLK_IO_RUNNING, or -errno; -EOPNOTSUPP means VIRTIO_BLK_S_UNSUPP. */
static int request_start(struct virtio_blk *blk, struct blk_request *request, struct vq_chain *chain)
{
	struct virtio_blk_outhdr header;

	if (chain->fault || giov_read(&chain->out, &header, sizeof(header)) != sizeof(header))
		return -EIO;
	switch (header.type) {
	case VIRTIO_BLK_T_IN:
		return transfer_start(blk, request, BLK_IO_READ, header.sector, &chain->in);
	case VIRTIO_BLK_T_OUT:
		return transfer_start(blk, request, BLK_IO_WRITE, header.sector, &chain->out);
	case VIRTIO_BLK_T_FLUSH:
		return flush_start(blk, request);
	case VIRTIO_BLK_T_GET_ID:
		return id_read(blk, request, chain);
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return range_clear(blk, chain, header.type);
	default:
		return -EOPNOTSUPP;
	}
}

/* Take one request off the ring and start it. 1, 0 if there is none, -EBADMSG. *bytes: what it moves. */
static int request_next(struct virtio_blk *blk, uint16_t queue, uint64_t *bytes)
{
	struct vq *vq = &blk->dev.queues[queue];
	struct blk_request *request = request_take(blk->disk);
	struct vq_chain chain;
	int ret = vq_next(vq, &chain, request->iov);

	if (ret <= 0) {
		request_give(blk->disk, request);
		return ret;
	}
	*bytes = chain.out.len_bytes + chain.in.len_bytes;
	request->queue = queue;
	request->head = chain.head;
	request->in_bytes = 0;
	/* Without a place for the status there is nothing to say but that the chain is free again. */
	if (!chain.tail_ok) {
		vq_push(vq, chain.head, 0);
		request_give(blk->disk, request);
		return 1;
	}
	giov_pop_byte(&chain.in, &request->status);
	ret = request_start(blk, request, &chain);
	if (ret != BLK_IO_RUNNING)
		request_end(blk, request, ret);
	return 1;
}

/* 0 if the queue is empty or all requests are in use; 1 if there is more to do; -EBADMSG. */
static int queue_service(struct virtio_blk *blk, uint16_t queue)
{
	struct vq *vq = &blk->dev.queues[queue];
	uint64_t moved = 0;
	int budget = BLK_QUEUE_SIZE;

	while (blk->disk->free) {
		uint64_t bytes = 0;
		int ret = request_next(blk, queue, &bytes);

		if (ret < 0)
			return ret;
		if (!ret)
			return vq_enable_kicks(vq);
		moved += bytes;
		if (!--budget || moved >= TURN_BYTES)
			return 1;
	}
	return 0;
}

static int blk_service(struct virtio_device *dev)
{
	struct virtio_blk *blk = blk_of(dev);
	int more = 0;

	for (uint16_t i = 0; i < dev->n_queues; i++) {
		int ret = queue_service(blk, i);

		if (ret < 0)
			return ret;
		more |= ret;
	}
	return !blk_engine_submit(&blk->disk->engine) || more;
}

static void on_ring(struct loop_source *source, uint32_t events)
{
	struct virtio_blk *blk = source->ctx;
	struct blk_io *io;
	int ret = 0;

	(void)events;
	if (virtio_enter(&blk->dev)) {
		while ((io = blk_engine_reap(&blk->disk->engine, &ret)) != NULL)
			request_end(blk, (struct blk_request *)io, host_error(ret));
		ret = blk_service(&blk->dev);
	}
	virtio_leave(&blk->dev, ret);
}

/* Whatever was under way belongs to nobody: it is cancelled, and its requests are free again. */
static void blk_reset(struct virtio_device *dev)
{
	struct blk_disk *disk = blk_of(dev)->disk;

	blk_engine_drain(&disk->engine);
	disk->free = UINT64_MAX;
}

static const struct virtio_ops blk_ops = {
	.id = VIRTIO_ID_BLOCK,
	.service = blk_service,
	.reset = blk_reset,
};

static uint64_t blk_features(const struct virtio_blk_options *options)
{
	const struct blk_backing_ops *ops = options->backing.ops;
	uint64_t features = FEATURE(VIRTIO_BLK_F_SEG_MAX) | FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
			    FEATURE(VIRTIO_BLK_F_TOPOLOGY);

	features |= ops->read_only ? FEATURE(VIRTIO_BLK_F_RO) : FEATURE(VIRTIO_BLK_F_FLUSH);
	if (ops->discard)
		features |= FEATURE(VIRTIO_BLK_F_DISCARD);
	if (ops->zeroes)
		features |= FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
	if (options->n_queues > 1)
		features |= FEATURE(VIRTIO_BLK_F_MQ);
	return features;
}

/* Section 5.2.4. */
static struct virtio_blk_config config_space(const struct virtio_blk_options *options)
{
	uint32_t per_physical = PHYSICAL_BLOCK_BYTES / options->block_bytes;

	return (struct virtio_blk_config){
		.capacity = options->backing.capacity_bytes >> SECTOR_SHIFT,
		.seg_max = BLK_QUEUE_SIZE - 2, /* without indirect descriptors, header and status take two */
		.blk_size = options->block_bytes,
		.physical_block_exp = (uint8_t)__builtin_ctz(per_physical),
		.min_io_size = (uint16_t)per_physical,
		.opt_io_size = OPTIMAL_IO_BYTES / options->block_bytes,
		.num_queues = options->n_queues,
		.max_discard_sectors = RANGE_SECTORS_MAX,
		.max_discard_seg = 1,
		.discard_sector_alignment = PHYSICAL_BLOCK_BYTES / SECTOR_BYTES,
		.max_write_zeroes_sectors = RANGE_SECTORS_MAX,
		.max_write_zeroes_seg = 1,
		.write_zeroes_may_unmap = 1,
	};
}

static int options_check(const struct virtio_blk_options *options)
{
	bool size_ok = options->block_bytes == SECTOR_BYTES || options->block_bytes == PHYSICAL_BLOCK_BYTES;

	if (!size_ok || options->backing.capacity_bytes % options->block_bytes || !options->n_queues ||
		options->n_queues > BLK_QUEUES_MAX)
		return -EINVAL;
	return 0;
}

int virtio_blk_init(
	struct virtio_blk *blk, const struct virtio_wiring *wiring, const struct virtio_blk_options *options)
{
	struct virtio_blk_config config;
	struct virtio_model model = {.ops = &blk_ops, .config = &config, .config_len_bytes = sizeof(config)};
	int ret = options_check(options);

	if (ret)
		return ret;
	config = config_space(options);
	model.features = blk_features(options);
	model.n_queues = options->n_queues;
	for (uint16_t i = 0; i < options->n_queues; i++)
		model.queue_size[i] = BLK_QUEUE_SIZE;
	blk->options = *options;
	blk->disk = calloc(1, sizeof(*blk->disk));
	if (!blk->disk)
		return -ENOMEM;
	blk->disk->free = UINT64_MAX;
	blk_engine_init(
		&blk->disk->engine, &blk->options.backing, wiring->loop, on_ring, blk, options->no_uring);
	ret = virtio_device_init(&blk->dev, wiring, &model);
	if (ret) {
		blk_engine_done(&blk->disk->engine);
		free(blk->disk);
		blk->disk = NULL;
	}
	return ret;
}

void virtio_blk_done(struct virtio_blk *blk)
{
	virtio_device_done(&blk->dev);
	blk_engine_done(&blk->disk->engine);
	free(blk->disk);
	blk->disk = NULL;
}
