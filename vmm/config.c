// SPDX-License-Identifier: Apache-2.0
#include "vmm/config.h"

#include "base/io.h"
#include "jail/confine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define SECTOR_BYTES 512u
#define MIB_MASK ((UINT64_C(1) << 20) - 1)
#define GUEST_CID_MIN 3u /* 0 to 2 are reserved (virtio 1.2, 5.10.4) */
#define FLAGS_KNOWN (VMM_HAS_INITRAMFS | VMM_HAS_CONSOLE | VMM_DENSE | VMM_PLAIN)

_Static_assert(CONFIG_FDS_MAX <= IO_FDS_MAX, "the first message carries every descriptor");

size_t config_fds_wanted(const struct vmm_config *vm)
{
	return 2u + !!(vm->flags & VMM_HAS_INITRAMFS) + !!(vm->flags & VMM_HAS_CONSOLE) + vm->n_ports +
	       vm->n_segments;
}

static int machine_check(const struct vmm_config *vm, struct err *err)
{
	if (!vm->vcpus || vm->vcpus > VMM_VCPUS_MAX)
		return err_set(err, EINVAL, "%" PRIu32 " CPUs asked for: 1 to %d are possible", vm->vcpus,
			VMM_VCPUS_MAX);
	if (vm->ram_bytes < VMM_RAM_MIN_BYTES || vm->ram_bytes > VMM_RAM_MAX_BYTES)
		return err_set(err, EINVAL,
			"%" PRIu64 " bytes of memory asked for: %" PRIu64 " MiB to %" PRIu64
			" MiB are possible",
			vm->ram_bytes, VMM_RAM_MIN_BYTES >> 20, VMM_RAM_MAX_BYTES >> 20);
	if (vm->ram_bytes & MIB_MASK)
		return err_set(
			err, EINVAL, "memory of %" PRIu64 " bytes is not a multiple of 1 MiB", vm->ram_bytes);
	if (vm->guest_cid < GUEST_CID_MIN || vm->guest_cid == UINT32_MAX)
		return err_set(err, EINVAL, "guest CID %" PRIu32 " is reserved", vm->guest_cid);
	if (!memchr(vm->cmdline, '\0', sizeof(vm->cmdline)))
		return err_set(err, EINVAL, "the kernel command line does not end");
	for (const char *c = vm->cmdline; *c; c++) {
		if ((unsigned char)*c < ' ')
			return err_set(err, EINVAL, "the kernel command line holds a control character");
	}
	return 0;
}

static int ports_check(const struct vmm_config *vm, struct err *err)
{
	if (vm->n_ports > VMM_PORTS_MAX)
		return err_set(
			err, EINVAL, "%" PRIu32 " vsock ports: %d are possible", vm->n_ports, VMM_PORTS_MAX);
	for (uint32_t i = 0; i < vm->n_ports; i++) {
		for (uint32_t j = 0; j < i; j++) {
			if (vm->ports[i] == vm->ports[j])
				return err_set(
					err, EINVAL, "vsock port %" PRIu32 " is given twice", vm->ports[i]);
		}
	}
	return 0;
}

static int segment_check(const struct vmm_segment *segment, uint64_t *disk_bytes)
{
	uint64_t end;

	if (segment->offset_bytes % SECTOR_BYTES || segment->len_bytes % SECTOR_BYTES || !segment->len_bytes)
		return -EINVAL;
	/* Both the file offset and the disk must stay inside off_t. */
	if (__builtin_add_overflow(segment->offset_bytes, segment->len_bytes, &end) || end > INT64_MAX)
		return -EINVAL;
	if (__builtin_add_overflow(*disk_bytes, segment->len_bytes, disk_bytes) || *disk_bytes > INT64_MAX)
		return -EINVAL;
	return 0;
}

static int disks_check(const struct vmm_config *vm, struct err *err)
{
	uint32_t next = 0;

	if (vm->n_disks > VMM_DISKS_MAX || vm->n_segments > VMM_SEGMENTS_MAX)
		return err_set(err, EINVAL,
			"%" PRIu32 " disks of %" PRIu32 " segments: %d of %d are possible", vm->n_disks,
			vm->n_segments, VMM_DISKS_MAX, VMM_SEGMENTS_MAX);
	for (uint32_t i = 0; i < vm->n_disks; i++) {
		const struct vmm_disk *disk = &vm->disks[i];
		uint64_t disk_bytes = 0;

		if (!disk->n_segments || disk->n_segments > vm->n_segments - next || disk->read_only > 1)
			return err_set(err, EINVAL, "disk %" PRIu32 " is described wrongly", i);
		if (!disk->read_only && disk->n_segments != 1)
			return err_set(err, EINVAL, "disk %" PRIu32 " is writable and in pieces", i);
		for (uint32_t s = 0; s < disk->n_segments; s++, next++) {
			if (segment_check(&vm->segments[next], &disk_bytes))
				return err_set(err, EINVAL,
					"segment %" PRIu32 " of disk %" PRIu32 " is impossible", s, i);
		}
	}
	if (next != vm->n_segments)
		return err_set(err, EINVAL, "%" PRIu32 " segments belong to no disk", vm->n_segments - next);
	return 0;
}

static int jail_check(const struct vmm_jail *jail, struct err *err)
{
	const uint32_t parts = (1u << JAIL_PARTS) - 1;

	if (jail->wanted & ~parts || jail->optional & ~jail->wanted)
		return err_set(err, EPROTO, "the jail has unknown parts");
	if (jail->wanted & JAIL_UID &&
		(!jail->uid || !jail->gid || jail->uid == UINT32_MAX || jail->gid == UINT32_MAX))
		return err_set(err, EINVAL, "the jail has no user of its own");
	return 0;
}

int config_check(const struct vmm_config *vm, size_t len, size_t n_fds, struct err *err)
{
	int ret;

	if (len != sizeof(*vm) || vm->magic != VMM_CONFIG_MAGIC || vm->version != VMM_CONFIG_VERSION)
		return err_set(err, EPROTO,
			"the configuration is not of this version: mvrun and mvrun-vmm must match");
	if (vm->flags & ~FLAGS_KNOWN)
		return err_set(err, EPROTO, "the configuration has unknown flags 0x%" PRIx32,
			vm->flags & ~FLAGS_KNOWN);
	ret = jail_check(&vm->jail, err);
	if (!ret)
		ret = machine_check(vm, err);
	if (!ret)
		ret = ports_check(vm, err);
	if (!ret)
		ret = disks_check(vm, err);
	if (!ret && n_fds != config_fds_wanted(vm))
		ret = err_set(err, EPROTO, "the configuration came with %zu descriptors instead of %zu",
			n_fds, config_fds_wanted(vm));
	return ret;
}

int config_receive(int control_fd, struct config *config, struct err *err)
{
	int fds[CONFIG_FDS_MAX];
	const int *next = fds;
	size_t n_fds = 0;
	ssize_t len = io_recv_fds(control_fd, &config->vm, sizeof(config->vm), fds, CONFIG_FDS_MAX, &n_fds);
	int ret;

	if (len < 0)
		return err_sys(err, (int)len, "receive the configuration");
	if (!len)
		return err_set(err, EPROTO, "no configuration came");
	ret = config_check(&config->vm, (size_t)len, n_fds, err);
	if (ret)
		return ret;
	config->kvm_fd = *next++;
	config->kernel_fd = *next++;
	config->initramfs_fd = config->vm.flags & VMM_HAS_INITRAMFS ? *next++ : -1;
	config->console_fd = config->vm.flags & VMM_HAS_CONSOLE ? *next++ : -1;
	memcpy(config->port_fds, next, config->vm.n_ports * sizeof(int));
	next += config->vm.n_ports;
	memcpy(config->segment_fds, next, config->vm.n_segments * sizeof(int));
	return 0;
}
