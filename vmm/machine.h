// SPDX-License-Identifier: Apache-2.0
/*
 * What mvrun-vmm is told, and what it answers: the whole interface between the monitor and the program that
 * starts it.
 *
 * mvrun-vmm is exec'd with one SOCK_SEQPACKET socket at file descriptor VMM_CONTROL_FD. The first message is
 * a struct vmm_config with the descriptors it speaks of, in this order:
 *
 *	/dev/kvm, kernel, [initramfs], [console], one per port, one per disk segment
 *
 * After that the starter may send struct vmm_request; the VMM sends struct vmm_jailed once it is confined, and
 * struct vmm_exit once, as its last act.
 * The VMM ends when the socket is closed. It opens nothing by name: every byte it reads comes through these
 * descriptors.
 */
#ifndef MVRUN_VMM_MACHINE_H
#define MVRUN_VMM_MACHINE_H

#include <stdint.h>

#define VMM_CONTROL_FD 3
#define VMM_CONFIG_MAGIC 0x6d767276u /* "vrvm" */
#define VMM_CONFIG_VERSION 2

#define VMM_VCPUS_MAX 64
#define VMM_RAM_MIN_BYTES (UINT64_C(32) << 20)
#define VMM_RAM_MAX_BYTES (UINT64_C(1) << 40)
#define VMM_DISKS_MAX 8
#define VMM_SEGMENTS_MAX 236
#define VMM_PORTS_MAX 8
#define VMM_CMDLINE_MAX 1536
/* Threads of a VMM: the loop, one per CPU, and those the kernel makes for block I/O that has to wait. */
#define VMM_IO_WORKERS 8u
#define VMM_THREADS_MAX(vcpus) (1u + (vcpus) + VMM_IO_WORKERS)

/* vmm_config.flags */
#define VMM_HAS_INITRAMFS (1u << 0)
#define VMM_HAS_CONSOLE                                                                                      \
	(1u << 1) /* a descriptor that console output is written to (never blocks the guest) */
#define VMM_DENSE (1u << 2) /* prefer little memory over a fast start: no huge pages */
#define VMM_PLAIN (1u << 3) /* use none of KVM's short cuts: slower, for telling whose fault something is */

struct vmm_disk {
	uint32_t n_segments; /* consecutive entries of vmm_config.segments */
	uint32_t read_only;
};

/*
 * len_bytes of the descriptor's file from offset_bytes on; both multiples of 512. Read past the file's end
 * as zeros.
 */
struct vmm_segment {
	uint64_t offset_bytes;
	uint64_t len_bytes;
};

/*
 * The jail. The starter has put this process into the namespaces and the cgroup that wanted speaks of; the rest is up to
 * the VMM (vmm/jail.h).
 */
struct vmm_jail {
	uint32_t wanted; /* enum jail_part (jail/confine.h) */
	uint32_t optional; /* those of wanted that may turn out to be impossible */
	uint32_t uid, gid; /* for JAIL_UID */
};

struct vmm_config {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t vcpus;
	uint64_t ram_bytes; /* a multiple of 1 MiB */
	uint32_t n_disks;
	uint32_t n_segments;
	uint32_t n_ports;
	uint32_t guest_cid;
	struct vmm_jail jail;
	struct vmm_disk disks[VMM_DISKS_MAX];
	uint32_t ports[VMM_PORTS_MAX]; /* vsock ports the guest may connect to, each once, to the descriptor
					  sent for it */
	struct vmm_segment segments[VMM_SEGMENTS_MAX];
	char cmdline[VMM_CMDLINE_MAX]; /* appended to what the VMM itself needs; NUL-terminated */
};

enum vmm_request_type {
	VMM_STOP = 1, /* end the VM now */
	VMM_ADD_PORT = 2, /* one descriptor comes along: allow the guest one connect to port */
};

struct vmm_request {
	uint32_t type;
	uint32_t port;
};

enum vmm_exit_reason {
	VMM_EXIT_STOPPED = 1, /* asked to, or the starter is gone */
	VMM_EXIT_GUEST_SHUTDOWN,
	VMM_EXIT_RESET,
	VMM_EXIT_PANIC,
	VMM_EXIT_TRIPLE_FAULT,
	VMM_EXIT_BAD_CONFIG, /* never ran: config, kernel or initramfs refused */
	VMM_EXIT_INTERNAL, /* KVM or the host failed */
};

/* Points of the way up, CLOCK_MONOTONIC microseconds; 0 where not reached. */
enum vmm_stamp {
	VMM_AT_MAIN,
	VMM_AT_VM_CREATED,
	VMM_AT_LOADED,
	VMM_AT_FIRST_RUN,
	VMM_AT_FIRST_CONNECT,
	VMM_STAMPS
};

/* The VMM is in its jail and has not yet looked at the kernel. Told from struct vmm_exit by its size. */
struct vmm_jailed {
	uint32_t reached; /* enum jail_part */
};

struct vmm_exit {
	uint32_t reason; /* enum vmm_exit_reason */
	uint32_t zero;
	uint64_t stamps_us[VMM_STAMPS];
	uint64_t exits_to_user; /* KVM_RUN returns, all vCPUs */
	char detail[512]; /* one line for the user; "" where the reason says it all */
	/* The end of what the guest wrote to its console; raw guest bytes, to be filtered. */
	char console[1024];
};

#endif
