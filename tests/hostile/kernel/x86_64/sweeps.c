// SPDX-License-Identifier: Apache-2.0
/* Ports, holes in memory and MSRs (M9, M10 of the catalogue). */
#include "tests/hostile/driver/driver.h"
#include "tests/hostile/kernel/kernel.h"
#include "tests/hostile/kernel/x86_64/cpu.h"

#define PORTS 0x10000u
#define PORT_POWER 0x604u
#define PORT_KEYBOARD 0x64u
#define LOW_PORTS 0x1000u
#define STRING_BYTES 4096u
#define MSR_SAMPLES 3000u
#define PATTERN 0x5a5a5a5au

static void outcome(struct kernel *kernel, bool good, const char *name, const char *what, uint64_t count)
{
	struct text text = {0};

	text_add(&text, good ? "@ok " : "@FAIL ");
	text_add(&text, name);
	text_add(&text, ": ");
	text_add_number(&text, count, 10);
	text_add(&text, what);
	kernel->n_passed += good;
	kernel->n_failed += !good;
	report(kernel, &text);
}

/* Nothing that is written here means anything, not even where something would. */
static void port_write(uint32_t port)
{
	if (port == PORT_KEYBOARD) {
		out8(PORT_KEYBOARD, 0xff);
		out16(PORT_KEYBOARD, 0xfe);
		out32(PORT_KEYBOARD, 0xfe);
		return;
	}
	if (port == PORT_POWER) {
		out8(PORT_POWER, 0x20);
		out16(PORT_POWER, 0x2001);
		out32(PORT_POWER, 0x2000);
		return;
	}
	out8((uint16_t)port, (uint8_t)PATTERN);
	out16((uint16_t)port, (uint16_t)PATTERN);
	out32((uint16_t)port, PATTERN);
}

/* M9: every port (or every step'th), in every width, both ways; the lower ones always. */
void sweep_ports(struct kernel *kernel, uint32_t step)
{
	struct hostile *h = &kernel->attacker;
	uint64_t odd = 0, count = 0;

	h->name = "M9 ports";
	for (uint32_t port = 0; port < PORTS; port += port < LOW_PORTS ? 1 : step) {
		bool known = port - PORT_POWER < 2 || port == PORT_KEYBOARD;

		odd += !known && in8((uint16_t)port) != UINT8_MAX;
		(void)in16((uint16_t)port);
		(void)in32((uint16_t)port);
		port_write(port);
		count += 6;
	}
	outcome(kernel, !odd, h->name, " accesses", count);
	/* String instructions come in batches. */
	for (uint32_t port = 0x60; port < 0x68; port++) {
		in8_many((uint16_t)port, host_at(h, gpa_at(h, PLACE_FREE)), STRING_BYTES);
		out8_many(0x80, h->memory, STRING_BYTES);
	}
	outcome(kernel, true, "M9 strings", " bytes each", STRING_BYTES);
}

static uint64_t hole_touch(uint64_t gpa)
{
	uint64_t sum = 0;

	for (unsigned int width = 1; width <= 8; width *= 2) {
		phys_write(gpa, PATTERN, width);
		sum += phys_read(gpa, width);
	}
	phys_write(gpa + 3, PATTERN, 4);
	return sum + phys_read(gpa + 1, 2);
}

/* The redirection entries stay masked, whatever else they say: interrupts are not what is tried here. */
static void ioapic_touch(struct hostile *h)
{
	for (uint32_t index = 0; index < 0x100; index++) {
		phys_write(IOAPIC_GPA, index, 4);
		phys_write(IOAPIC_GPA + 0x10, (uint32_t)random_next(h) | 0x10000, 4);
		(void)phys_read(IOAPIC_GPA + 0x10, 4);
	}
	for (uint64_t offset = 0x14; offset < 0x1000; offset += 61)
		(void)hole_touch(IOAPIC_GPA + offset);
}

/* M9: where there is no memory, at the borders of what there is, and in between. */
void sweep_holes(struct kernel *kernel)
{
	const uint64_t ranges[][3] = {
		{0xa0000, 0x100000, 0x2000},
		{kernel->ram_end, kernel->ram_end + 0x10000, 0x1000},
		{RAM_END_MAX - 0x2000, RAM_END_MAX + 0x2000, 0x400},
		{RAM_END_MAX, WINDOW_GPA, 0x3ff000},
		{WINDOW_GPA + SLOTS_MAX * 0x1000, IOAPIC_GPA - 0x10, 0xfff000},
		{0xffff0000, 0x100000010, 0x1ff0},
		{UINT64_C(1) << 32, UINT64_C(5) << 30, 0x1fff000},
	};
	struct hostile *h = &kernel->attacker;
	uint64_t count = 0;

	h->name = "M9 holes";
	for (unsigned int i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		for (uint64_t gpa = ranges[i][0]; gpa + 8 <= ranges[i][1]; gpa += ranges[i][2], count++)
			(void)hole_touch(gpa);
	}
	outcome(kernel, true, h->name, " places", count);
	ioapic_touch(h);
	outcome(kernel, true, "M9 I/O APIC", " registers", 0x100);
	copy_many(WINDOW_GPA, gpa_at(h, 0), 0x1000);
	copy_many(gpa_at(h, PLACE_FREE), WINDOW_GPA, 0x1000);
	copy_many(RAM_END_MAX, gpa_at(h, 0), 0x100);
	outcome(kernel, true, "M1 strings", " bytes", 0x1000);
	for (unsigned int slot = 0; slot < SLOTS_MAX && hostile_choose(h, slot); slot++)
		outcome(kernel, hostile_revive(h), "M9 devices afterwards", "", slot);
}

/* Registers that would stop or redirect this very kernel: commands of the local APIC. */
static bool msr_is_command(uint32_t index)
{
	return index >= 0x800 && index < 0x900;
}

static void msr_touch(uint32_t index, uint64_t *known)
{
	uint64_t value;

	if (!msr_read(index, &value))
		return;
	++*known;
	if (!msr_is_command(index))
		(void)msr_write(index, value);
}

/* M10: those there are, those near them, paravirtual ones with nonsense in them, and samples of the rest. */
void sweep_msrs(struct kernel *kernel)
{
	static const uint32_t ranges[][2] = {{0, 0x2000}, {0x40000000, 0x40000200}, {0x4b564d00, 0x4b564e00},
		{0xc0000000, 0xc0000400}, {0xc0010000, 0xc0011100}};
	struct hostile *h = &kernel->attacker;
	uint64_t known = 0;

	h->name = "M10 MSRs";
	for (unsigned int i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		for (uint32_t index = ranges[i][0]; index < ranges[i][1]; index++)
			msr_touch(index, &known);
	}
	for (unsigned int i = 0; i < MSR_SAMPLES; i++)
		msr_touch((uint32_t)random_next(h), &known);
	for (uint32_t index = 0x4b564d00; index < 0x4b564d10; index++) {
		(void)msr_write(index, UINT64_MAX);
		(void)msr_write(index, RAM_END_MAX | 1);
		(void)msr_write(index, 0);
	}
	outcome(kernel, known > 10 && cpu_traps > 1000, h->name, " are known", known);
}
