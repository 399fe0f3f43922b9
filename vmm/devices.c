// SPDX-License-Identifier: Apache-2.0
#include "vmm/devices.h"

#include "base/io.h"
#include "virtio/mmio.h"
#include "vmm/arch.h"
#include "vmm/vm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#define PAGE_BYTES VIRTIO_MMIO_PAGE_BYTES
#define DISK_BLOCK_BYTES 512u

static uint64_t registers_read(void *ctx, uint64_t offset, unsigned len)
{
	uint64_t value = 0;

	if (len == 1 || len == 2 || len == 4 || len == 8)
		virtio_mmio_read(ctx, offset, &value, len);
	return value;
}

static void registers_write(void *ctx, uint64_t offset, unsigned len, uint64_t value)
{
	if (len == 1 || len == 2 || len == 4 || len == 8)
		virtio_mmio_write(ctx, offset, &value, len);
}

static const struct bus_ops registers_ops = {registers_read, registers_write};

static void writes_flush(void *ctx)
{
	vm_flush_writes(ctx);
}

/* The next free slot's page, and an eventfd that raises its interrupt. */
static int wiring_make(struct vm *vm, struct virtio_wiring *wiring)
{
	unsigned slot = vm->devices.n_slots;
	int ret;

	*wiring = (struct virtio_wiring){
		.mem = &vm->mem,
		.loop = &vm->loop,
		.page = vm->devices.pages + slot * PAGE_BYTES,
		.irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.flush_writes = writes_flush,
		.flush_ctx = vm,
	};
	if (wiring->irq_fd < 0)
		return -errno;
	ret = arch_irq_wire(vm, slot, wiring->irq_fd);
	return ret;
}

/* Tie the device that was made with the next slot's wiring to that slot. */
static int slot_take(struct vm *vm, struct virtio_device *dev)
{
	unsigned slot = vm->devices.n_slots++;
	uint64_t gpa = arch_virtio_gpa() + slot * PAGE_BYTES;
	int ret = 0;

	vm->devices.slots[slot] = dev;
	bus_add(&vm->mmio, gpa, PAGE_BYTES, &registers_ops, dev);
	if (vm->kvm.has_ioeventfd)
		ret = kvm_notify(&vm->kvm, gpa + VIRTIO_MMIO_NOTIFY_OFFSET, dev->kick_fd);
	for (unsigned i = 0; !ret && vm->kvm.coalesced_offset && i < VIRTIO_MMIO_LATE_RANGES; i++)
		ret = kvm_coalesce(&vm->kvm, gpa + virtio_mmio_late[i].offset, virtio_mmio_late[i].len_bytes);
	return ret;
}

static int fixed_init(struct vm *vm)
{
	struct devices *devices = &vm->devices;
	struct virtio_console_options console = {.out_fd = vm->config.console_fd, .in_fd = -1};
	struct virtio_wiring wiring;
	int ret = wiring_make(vm, &wiring);

	if (!ret)
		ret = virtio_vsock_init(&devices->vsock, &wiring, vm->config.vm.guest_cid);
	if (!ret)
		ret = slot_take(vm, &devices->vsock.dev);
	for (uint32_t i = 0; !ret && i < vm->config.vm.n_ports; i++)
		ret = virtio_vsock_allow(&devices->vsock, vm->config.vm.ports[i], vm->config.port_fds[i]);
	if (!ret)
		ret = wiring_make(vm, &wiring);
	if (!ret)
		ret = virtio_console_init(&devices->console, &wiring, &console);
	if (!ret)
		ret = slot_take(vm, &devices->console.dev);
	if (!ret)
		ret = wiring_make(vm, &wiring);
	if (!ret)
		ret = virtio_rng_init(&devices->rng, &wiring);
	if (!ret)
		ret = slot_take(vm, &devices->rng.dev);
	return ret;
}

static int disk_init(struct vm *vm, uint32_t index, const struct blk_segment *segments)
{
	const struct vmm_disk *disk = &vm->config.vm.disks[index];
	struct virtio_blk *blk = &vm->devices.disks[index];
	struct virtio_blk_options options = {.n_queues = 1, .block_bytes = DISK_BLOCK_BYTES};
	struct virtio_wiring wiring;
	int ret;

	snprintf(options.serial, sizeof(options.serial), "disk%" PRIu32, index);
	if (disk->read_only)
		ret = blk_backing_segments(&options.backing, segments, disk->n_segments);
	else
		ret = blk_backing_file(&options.backing, segments);
	if (!ret)
		ret = wiring_make(vm, &wiring);
	if (!ret)
		ret = virtio_blk_init(blk, &wiring, &options);
	if (!ret)
		ret = slot_take(vm, &blk->dev);
	return ret;
}

static int disks_init(struct vm *vm, struct err *err)
{
	const struct vmm_config *config = &vm->config.vm;
	struct blk_segment *segment = vm->devices.segments;

	for (uint32_t i = 0; i < config->n_segments; i++) {
		segment[i] = (struct blk_segment){
			.fd = vm->config.segment_fds[i],
			.offset_bytes = config->segments[i].offset_bytes,
			.len_bytes = config->segments[i].len_bytes,
		};
	}
	for (uint32_t i = 0; i < config->n_disks; i++) {
		int ret = disk_init(vm, i, segment);

		if (ret)
			return err_sys(err, ret, "make disk %" PRIu32, i);
		segment += config->disks[i].n_segments;
	}
	return 0;
}

int devices_init(struct vm *vm, struct err *err)
{
	struct devices *devices = &vm->devices;
	size_t bytes = (DEVICES_FIXED + vm->config.vm.n_disks) * (size_t)PAGE_BYTES;
	int ret;

	devices->pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (devices->pages == MAP_FAILED)
		return err_sys(err, errno, "map the register pages");
	ret = fixed_init(vm);
	if (ret)
		return err_sys(err, ret, "make the devices");
	ret = disks_init(vm, err);
	if (ret)
		return ret;
	/* Without the slot every access to the pages exits, and the bus serves it. */
	if (vm->kvm.has_readonly_mem) {
		ret = kvm_map(&vm->kvm, RAM_PARTS_MAX, arch_virtio_gpa(), devices->pages, bytes, true);
		if (ret)
			return err_sys(err, ret, "show the register pages to the guest");
	}
	return 0;
}
