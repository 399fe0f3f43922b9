// SPDX-License-Identifier: Apache-2.0
/*
 * The first message to the monitor. It goes through a socket as the real one does, with as many descriptors as the
 * input says; what is accepted adds up without wrapping.
 */
#include "tests/fuzz/fuzz.h"

#include "base/io.h"
#include "vmm/config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void disks_check(const struct vmm_config *vm)
{
	uint32_t next = 0;

	fuzz_require(vm->n_disks <= VMM_DISKS_MAX && vm->n_segments <= VMM_SEGMENTS_MAX);
	for (uint32_t i = 0; i < vm->n_disks; i++) {
		uint64_t bytes = 0;

		for (uint32_t s = 0; s < vm->disks[i].n_segments; s++, next++) {
			const struct vmm_segment *segment = &vm->segments[next];

			fuzz_require(next < vm->n_segments && segment->len_bytes <= INT64_MAX - bytes);
			fuzz_require(segment->offset_bytes <= INT64_MAX - segment->len_bytes);
			bytes += segment->len_bytes;
		}
		fuzz_require(bytes && (vm->disks[i].read_only || vm->disks[i].n_segments == 1));
	}
	fuzz_require(next == vm->n_segments);
}

static void config_good(const struct config *config)
{
	const struct vmm_config *vm = &config->vm;

	fuzz_require(vm->vcpus && vm->vcpus <= VMM_VCPUS_MAX && vm->n_ports <= VMM_PORTS_MAX);
	fuzz_require(vm->ram_bytes >= VMM_RAM_MIN_BYTES && vm->ram_bytes <= VMM_RAM_MAX_BYTES);
	fuzz_require(vm->guest_cid > 2 && vm->guest_cid < UINT32_MAX);
	fuzz_require(memchr(vm->cmdline, 0, sizeof(vm->cmdline)) && !strchr(vm->cmdline, '\n'));
	fuzz_require((config->initramfs_fd >= 0) == !!(vm->flags & VMM_HAS_INITRAMFS));
	fuzz_require((config->console_fd >= 0) == !!(vm->flags & VMM_HAS_CONSOLE));
	disks_check(vm);
	close(config->kvm_fd);
	close(config->kernel_fd);
	if (config->initramfs_fd >= 0)
		close(config->initramfs_fd);
	if (config->console_fd >= 0)
		close(config->console_fd);
	for (uint32_t i = 0; i < vm->n_ports; i++)
		close(config->port_fds[i]);
	for (uint32_t i = 0; i < vm->n_segments; i++)
		close(config->segment_fds[i]);
}

/* Through the socket, only for what the check accepts: it leaves descriptors open, because the process ends. */
static void receive(const struct vmm_config *vm, size_t n_fds)
{
	struct config config;
	struct err err = ERR_INIT;
	int sockets[2], fds[CONFIG_FDS_MAX];

	fuzz_require(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) == 0);
	for (size_t i = 0; i < n_fds; i++)
		fds[i] = sockets[0];
	fuzz_require(io_send_fds(sockets[0], vm, sizeof(*vm), fds, n_fds) == 0);
	fuzz_require(config_receive(sockets[1], &config, &err) == 0);
	fuzz_require(memcmp(&config.vm, vm, sizeof(*vm)) == 0);
	config_good(&config);
	close(sockets[0]);
	close(sockets[1]);
}

/*
 * Three bytes: how many descriptors come along, how many bytes of the message do not, and whether it is of this version;
 * then the message.
 */
void fuzz_one(const uint8_t *data, size_t len)
{
	static struct vmm_config vm;
	struct fuzz_input input = {data, len};
	struct err err = ERR_INIT;
	size_t n_fds = fuzz_u8(&input), message_len = sizeof(vm) - fuzz_u8(&input);
	bool other = fuzz_u8(&input) & 1;
	const uint8_t *bytes;
	int ret;

	vm = (struct vmm_config){0};
	len = fuzz_bytes(&input, sizeof(vm), &bytes);
	memcpy(&vm, bytes, len);
	if (!other) {
		vm.magic = VMM_CONFIG_MAGIC;
		vm.version = VMM_CONFIG_VERSION;
	}
	ret = config_check(&vm, message_len, n_fds, &err);
	fuzz_require(ret == 0 || ret == -EINVAL || ret == -EPROTO);
	fuzz_require(err.code == -ret && (!ret || err.text[0]));
	fuzz_note_text(err.text);
	if (!ret)
		receive(&vm, n_fds);
}
