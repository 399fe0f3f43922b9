// SPDX-License-Identifier: Apache-2.0
/*
 * One virtual machine as the process that starts it sees it: mvrun-vmm (vmm/machine.h) as a child.
 *
 * The child dies with this process (PR_SET_PDEATHSIG, and the end of its control socket), lives in a session
 * of its own so that the terminal's signals reach only us, and holds no descriptor of ours but those handed
 * to it.
 */
#ifndef MVRUN_OCI_RUNTIME_MACHINE_H
#define MVRUN_OCI_RUNTIME_MACHINE_H

#include "base/err.h"
#include "oci/runtime/cgroup.h"
#include "oci/runtime/paths.h"
#include "oci/store/image.h"
#include "vmm/machine.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct machine_config {
	uint64_t memory_bytes;
	uint32_t vcpus;
	const char *kernel; /* path, or NULL for ours */
	const char *console_log; /* path that console output is written to, or NULL */
	const struct image *image; /* disk 0 */
	bool degraded; /* parts of the jail that this host cannot do may be missing */
};

/* What the machine is made of, all open: after this nothing the user named can be missing. */
struct machine_parts {
	int kvm_fd;
	int kernel_fd;
	int initramfs_fd;
	int console_fd;
	int null_fd;
};

struct machine {
	pid_t pid;
	int control_fd;
	struct cgroup cgroup;
	uint32_t jail_best; /* the parts (enum jail_part) that a host can do for us */
	uint32_t jail_reached; /* and those the monitor is in, once it is jailed */
	bool jailed;
	bool has_cgroups; /* this host has cgroups of version 2, whether or not we may make one */
	bool reported; /* exit holds the monitor's last words */
	bool reaped;
	bool hung; /* it had to be killed because it did not end by itself */
	struct vmm_exit exit;
	int wait_status; /* of waitpid, once reaped */
};

#define MACHINE_INIT ((struct machine){.pid = -1, .control_fd = -1, .cgroup = CGROUP_INIT})
#define MACHINE_PARTS_INIT ((struct machine_parts){-1, -1, -1, -1, -1})

/*
 * Open the parts. err says what is missing and what to do about it. Ended by machine_parts_close(), also
 * after a failure.
 */
int machine_parts_open(struct machine_parts *parts, const struct machine_config *config,
	const struct paths *paths, struct err *err);
void machine_parts_close(struct machine_parts *parts);

/*
 * Bound what the machine takes of the host, by a cgroup where there can be one (cgroup.h). Before machine_start(); undone
 * by machine_reap().
 */
void machine_limit(struct machine *machine, const struct machine_config *config, const char *id);

/*
 * Start the monitor and tell it what to be. ports and port_fds (n_ports of them) are the sockets the guest
 * may connect to; they stay the caller's. mask is the child's signal mask. 0 or -errno with err set.
 */
int machine_start(struct machine *machine, const struct machine_parts *parts,
	const struct machine_config *config, const struct paths *paths, const uint32_t *ports,
	const int *port_fds, size_t n_ports, const sigset_t *mask, struct err *err);

/* Take the message that made control_fd readable. True once there will be no more. */
bool machine_receive(struct machine *machine);

/* Ask the monitor to end at once. */
void machine_stop(struct machine *machine);

/*
 * Wait until the monitor's process is gone, and collect its last words. It is killed if it has none for patience_ms
 * (0: at once). Afterwards nothing of the machine is left.
 */
void machine_reap(struct machine *machine, int patience_ms);

/*
 * Why the machine ended, for somebody who did not want it to: one line in err (with the end of the console
 * where that helps), and the exit status to report. After machine_reap().
 */
int machine_verdict(const struct machine *machine, struct err *err);

#endif
