// SPDX-License-Identifier: Apache-2.0
/* What the kernel needs of an architecture: x86_64/ so far. */
#ifndef MVRUN_TESTS_HOSTILE_KERNEL_ARCH_H
#define MVRUN_TESTS_HOSTILE_KERNEL_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#define NOWHERE_GPA UINT64_C(0xc8000000) /* neither memory nor registers */
#define TICK_MS 2u

/* Trap table, page tables for the first 5 GiB, and a timer that ticks every TICK_MS. */
void cpu_init(void);

/* Sleep until the next tick. */
void cpu_sleep(void);
void cpu_relax(void);

/* One access to a physical address, by one plain instruction. */
uint64_t phys_read(uint64_t gpa, unsigned int width);
void phys_write(uint64_t gpa, uint64_t value, unsigned int width);

/* Ways to end. None returns. */
_Noreturn void machine_power_off(void);
_Noreturn void machine_reset(void);
_Noreturn void machine_triple_fault(void);
_Noreturn void machine_spin(void); /* interrupts off */
_Noreturn void machine_halt(void); /* interrupts off */
_Noreturn void machine_jump(uint64_t gpa);
/* An instruction on registers that no hypervisor emulates. Returns if it did anyway, or trapped. */
void machine_odd_instruction(uint64_t gpa);
/* Timer ticks and interrupts to itself, as fast as they come. */
_Noreturn void machine_storm(void);

/* From the parameters: the end of RAM below 3 GiB, and the command line. */
uint64_t boot_ram_end(const void *params);
const char *boot_cmdline(const void *params);

#endif
