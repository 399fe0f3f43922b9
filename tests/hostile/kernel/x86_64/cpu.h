// SPDX-License-Identifier: Apache-2.0
/* What only x86_64 has: ports, MSRs, and its map of the machine. */
#ifndef MVRUN_TESTS_HOSTILE_KERNEL_X86_64_CPU_H
#define MVRUN_TESTS_HOSTILE_KERNEL_X86_64_CPU_H

#include "tests/hostile/kernel/arch.h"

#include <stdbool.h>
#include <stdint.h>

#define RAM_END_MAX UINT64_C(0xc0000000)
#define WINDOW_GPA UINT64_C(0xd0000000)
#define IOAPIC_GPA UINT64_C(0xfec00000)
#define LAPIC_GPA UINT64_C(0xfee00000)

/* Traps that were caught while something that may trap was done. */
extern uint64_t cpu_traps;

/* Read or write an MSR. False if the processor refused. */
bool msr_read(uint32_t index, uint64_t *value);
bool msr_write(uint32_t index, uint64_t value);

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint16_t in16(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

/* count accesses of one instruction. */
static inline void in8_many(uint16_t port, void *to, uint64_t count)
{
	__asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
}

static inline void out8_many(uint16_t port, const void *from, uint64_t count)
{
	__asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(port) : "memory");
}

static inline void copy_many(uint64_t to, uint64_t from, uint64_t count)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

#endif
