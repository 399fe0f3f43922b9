// SPDX-License-Identifier: Apache-2.0
#include "vmm/jail.h"

#include "jail/confine.h"
#include "virtio/blk_engine.h"
#include "vmm/calls.h"
#include "vmm/devices.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

_Static_assert(VMM_IO_WORKERS == BLK_IO_WORKERS, "the jail has room for the disks' threads");
#define FDS_FIXED                                                                                            \
	12u /* three streams, control, loop, end, the ring that holds the VM, the VM, timers, to spare */
#define FDS_PER_DEVICE 3u /* interrupt, kick, ring */
/* A console log may grow to this; what comes after it is lost. */
#define CONSOLE_LOG_MAX (UINT64_C(1) << 30)

static uint64_t fds_needed(const struct vmm_config *vm, size_t n_fds)
{
	return FDS_FIXED + n_fds + vm->vcpus + (DEVICES_FIXED + vm->n_disks) * FDS_PER_DEVICE + VMM_PORTS_MAX;
}

/* The end of the largest file that may be written. */
static uint64_t file_bytes_needed(const struct vmm_config *vm)
{
	uint64_t most = vm->flags & VMM_HAS_CONSOLE ? CONSOLE_LOG_MAX : 0;
	uint32_t segment = 0;

	for (uint32_t i = 0; i < vm->n_disks; segment += vm->disks[i].n_segments, i++) {
		const struct vmm_segment *disk = &vm->segments[segment];

		if (!vm->disks[i].read_only && disk->offset_bytes + disk->len_bytes > most)
			most = disk->offset_bytes + disk->len_bytes;
	}
	return most;
}

static int limits_set(const struct vmm_config *vm, size_t n_fds)
{
	int ret = confine_limit(RLIMIT_NOFILE, fds_needed(vm, n_fds));

	if (!ret)
		ret = confine_limit(RLIMIT_FSIZE, file_bytes_needed(vm));
	if (!ret)
		ret = confine_limit(RLIMIT_NPROC, VMM_THREADS_MAX(vm->vcpus));
	if (!ret)
		ret = confine_limit(RLIMIT_MEMLOCK, 0);
	if (!ret)
		ret = confine_limit(RLIMIT_MSGQUEUE, 0);
	return ret;
}

static int landlock_enter(const struct vmm_jail *jail, uint32_t *reached, struct err *err)
{
	int ret = confine_landlock();

	if (ret > 0) {
		*reached |= JAIL_LANDLOCK;
		return 0;
	}
	if (jail->optional & JAIL_LANDLOCK)
		return 0;
	return err_sys(err, ret,
		"Landlock, a part of the jail, is off or missing in this host's kernel (it needs Linux 5.13 "
		"and "
		"lsm=landlock; --degraded runs without it)");
}

int jail_enter(const struct vmm_config *vm, size_t n_fds, uint32_t *reached, struct err *err)
{
	const struct vmm_jail *jail = &vm->jail;
	int ret = 0;

	/* Made by the starter, or we would not be here. */
	*reached = jail->wanted & (JAIL_NAMESPACES | JAIL_USER | JAIL_CGROUP);
	if (jail->wanted & JAIL_NAMESPACES)
		ret = confine_root();
	if (ret)
		return err_sys(err, ret, "make an empty root for the jail (see mvrun doctor)");
	if (jail->wanted & JAIL_UID) {
		ret = confine_identity(jail->uid, jail->gid);
		*reached |= JAIL_UID;
	}
	if (ret)
		return err_sys(err, ret, "become user %u in the jail", jail->uid);
	ret = confine_capabilities();
	if (!ret)
		ret = confine_process(SIGKILL);
	if (ret)
		return err_sys(err, ret, "give up privileges");
	if (jail->wanted & JAIL_LANDLOCK)
		ret = landlock_enter(jail, reached, err);
	if (ret)
		return ret;
	ret = limits_set(vm, n_fds);
	if (ret)
		return err_sys(err, ret, "set the jail's limits");
	return jail_narrow(CALLS_ALL, err);
}

int jail_narrow(uint32_t calls, struct err *err)
{
	int ret = filter_install(vmm_calls, n_vmm_calls, calls);

	return ret ? err_sys(err, ret,
			     "install a seccomp filter (the host's kernel needs CONFIG_SECCOMP_FILTER)")
		   : 0;
}
