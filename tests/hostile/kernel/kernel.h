// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel that carries the hostile driver into a VM.
 *
 * It has one processor, no user space and no memory management: the driver's memory is the end of RAM, and
 * a second such part below it belongs to the reporter, a driver of the console that says how far things
 * are. What it is to do is on the command line, hostile=WORD (main.c).
 */
#ifndef MVRUN_TESTS_HOSTILE_KERNEL_KERNEL_H
#define MVRUN_TESTS_HOSTILE_KERNEL_KERNEL_H

#include "tests/hostile/driver/hostile.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOTS_MAX 11
#define SLOT_VSOCK 0
#define SLOT_CONSOLE 1

struct kernel {
	struct hostile attacker, reporter;
	uint64_t ram_end;
	const char *cmdline;
	bool patient; /* wait for a device for ever, not some seconds: a good guest on a busy host */
	uint64_t n_passed, n_failed; /* cases and rounds */
	uint64_t failures_before;
	char complaint[200]; /* the first of a case */
};

/* An exception nobody expected. */
_Noreturn void kernel_trapped(uint64_t vector, uint64_t rip, uint64_t error);

/* <arch>/machine.c: what the driver is given. */
extern const struct hostile_ops kernel_ops;
void kernel_driver_init(struct kernel *kernel, struct hostile *h, uint64_t end_gpa, uint64_t seed);

/* report.c: text for the host, a line at a time; lines begin with '@'. */
struct text {
	size_t len;
	char bytes[400];
};
void text_add(struct text *text, const char *string);
void text_add_number(struct text *text, uint64_t value, unsigned int base);
void report(struct kernel *kernel, const struct text *text);
void report_words(struct kernel *kernel, const char *words);

/* <arch>/sweeps.c: what is no device's business. step: of ports, all low ones and then every so many'th. */
void sweep_ports(struct kernel *kernel, uint32_t step);
void sweep_holes(struct kernel *kernel);
void sweep_msrs(struct kernel *kernel);

/* endless.c: until the machine is stopped. */
_Noreturn void echo_for_ever(struct kernel *kernel);
_Noreturn void flood_for_ever(struct kernel *kernel);
_Noreturn void kick_for_ever(struct kernel *kernel);

#endif
