// SPDX-License-Identifier: Apache-2.0
/*
 * A VM as seen by who started it: mvrun-vmm with the hostile kernel, a console that is read, ports whose
 * far ends send back what they get and are allowed again when a connection has ended.
 */
#ifndef MVRUN_TESTS_HOSTILE_HOST_VM_H
#define MVRUN_TESTS_HOSTILE_HOST_VM_H

#include "vmm/machine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VM_LINE_BYTES 512

struct vm;
/* The guest's kernel has said a line that begins with '@', without that. */
typedef void vm_line_fn(struct vm *vm, const char *line);

struct vm_options {
	const char *vmm, *kernel, *disk, *words; /* words: of the command line */
	uint64_t ram_bytes;
	uint32_t n_ports;
	bool deaf; /* nobody reads the console, beyond what a pipe holds */
	bool echo; /* far ends send back; otherwise port 0 is the caller's */
	vm_line_fn *line;
	void *ctx;
};

struct vm {
	struct vm_options options;
	pid_t pid;
	int control_fd, console_fd;
	int port_fds[VMM_PORTS_MAX];
	char text[VM_LINE_BYTES];
	size_t len;
	bool ended; /* the VMM is gone */
	struct vmm_exit end; /* reason 0: it said nothing */
};

/* Ends the process if the host cannot do it. */
void vm_start(struct vm *vm, const struct vm_options *options);
/* Serve what there is, waiting up to timeout_ms for it. */
void vm_serve(struct vm *vm, int timeout_ms);
/* Ask for the end. */
void vm_stop(struct vm *vm);
/* Reap the VMM, killing it if it is still there, and close everything. True if it had ended by itself. */
bool vm_done(struct vm *vm);

/*
 * What the VMM uses besides the guest's memory: KiB of pages that are its own, descriptors, ticks of
 * processors.
 */
uint64_t vm_private_kib(const struct vm *vm);
unsigned int vm_fds(const struct vm *vm);
uint64_t vm_cpu_ms(const struct vm *vm);

#endif
