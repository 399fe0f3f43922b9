// SPDX-License-Identifier: Apache-2.0
#include "tests/hostile/kernel/x86_64/cpu.h"

#include "tests/hostile/kernel/kernel.h"

#define CODE_SELECTOR 0x10
#define GATE_INTERRUPT 0x8e
#define VECTORS 256
#define VECTOR_NMI 2
#define VECTOR_EXTERNAL 32
#define VECTOR_TICK 0x40
#define VECTOR_SELF 0x41
#define TRAP_ENTRY_BYTES 16

#define PTE_PRESENT_WRITABLE 3u
#define PTE_LARGE 0x80u
#define LARGE_BYTES (UINT64_C(2) << 20)
#define MAPPED_GIB 5
#define ENTRIES 512

#define X2APIC_SPURIOUS 0x80f
#define X2APIC_EOI 0x80b
#define X2APIC_TIMER 0x832
#define X2APIC_TIMER_COUNT 0x838
#define X2APIC_TIMER_DIVIDE 0x83e
#define X2APIC_SELF 0x83f
#define APIC_ENABLED 0x1ffu
#define TIMER_PERIODIC 0x20000u
#define TIMER_DIVIDE_BY_1 0xbu
#define TIMER_PER_MS 1000000u /* KVM's timer counts nanoseconds */

#define PORT_POWER 0x604
#define POWER_OFF 0x2000
#define PORT_KEYBOARD 0x64
#define KEYBOARD_RESET 0xfe

struct trap {
	uint64_t r[15];
	uint64_t vector, error, rip, cs, flags, rsp, ss;
};

struct gate {
	uint16_t low, selector;
	uint8_t stack, type;
	uint16_t middle;
	uint32_t high, zero;
};

struct __attribute__((packed)) table_register {
	uint16_t limit;
	uint64_t base;
};

extern const uint8_t trap_entries[];
void trap_handle(struct trap *trap);

static struct gate gates[VECTORS] __attribute__((aligned(16)));
static uint64_t tables[2 + MAPPED_GIB][ENTRIES] __attribute__((aligned(4096)));
static volatile uint64_t resume_rip; /* where to go on if what is being done traps; 0: it must not */
uint64_t cpu_traps;

void trap_handle(struct trap *trap)
{
	if (trap->vector >= VECTOR_EXTERNAL) {
		(void)msr_write(X2APIC_EOI, 0);
		return;
	}
	if (trap->vector == VECTOR_NMI)
		return;
	if (resume_rip) {
		cpu_traps++;
		trap->rip = resume_rip;
		resume_rip = 0;
		return;
	}
	kernel_trapped(trap->vector, trap->rip, trap->error);
}

static void gates_fill(void)
{
	struct table_register idt = {sizeof(gates) - 1, (uintptr_t)gates};

	for (unsigned int i = 0; i < VECTORS; i++) {
		uint64_t entry = (uintptr_t)trap_entries + i * TRAP_ENTRY_BYTES;

		gates[i] = (struct gate){
			.low = (uint16_t)entry,
			.selector = CODE_SELECTOR,
			.type = GATE_INTERRUPT,
			.middle = (uint16_t)(entry >> 16),
			.high = (uint32_t)(entry >> 32),
		};
	}
	__asm__ volatile("lidt %0" : : "m"(idt));
}

/* One to one, so that registers and holes can be reached; there is one table of each of the upper levels. */
static void tables_fill(void)
{
	tables[0][0] = (uintptr_t)tables[1] | PTE_PRESENT_WRITABLE;
	for (uint64_t gib = 0; gib < MAPPED_GIB; gib++) {
		tables[1][gib] = (uintptr_t)tables[2 + gib] | PTE_PRESENT_WRITABLE;
		for (uint64_t i = 0; i < ENTRIES; i++)
			tables[2 + gib][i] =
				(gib * ENTRIES + i) * LARGE_BYTES | PTE_LARGE | PTE_PRESENT_WRITABLE;
	}
	__asm__ volatile("mov %0, %%cr3" : : "r"((uintptr_t)tables[0]) : "memory");
}

void cpu_init(void)
{
	gates_fill();
	tables_fill();
	(void)msr_write(X2APIC_SPURIOUS, APIC_ENABLED);
	(void)msr_write(X2APIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
	(void)msr_write(X2APIC_TIMER, TIMER_PERIODIC | VECTOR_TICK);
	(void)msr_write(X2APIC_TIMER_COUNT, TICK_MS * TIMER_PER_MS);
}

void cpu_sleep(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

void cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* ---- what may trap ---- */

/* Set where to go on, do it, and say whether it did not trap. */
bool msr_read(uint32_t index, uint64_t *value)
{
	uint64_t before = cpu_traps;
	uint32_t low = 0, high = 0;

	__asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, %2; rdmsr; 1:"
			 : "=a"(low), "=d"(high), "=m"(resume_rip)
			 : "c"(index)
			 : "memory");
	resume_rip = 0;
	*value = (uint64_t)high << 32 | low;
	return cpu_traps == before;
}

bool msr_write(uint32_t index, uint64_t value)
{
	uint64_t before = cpu_traps;

	__asm__ volatile("lea 1f(%%rip), %%rbx; mov %%rbx, %0; wrmsr; 1:"
			 : "=m"(resume_rip)
			 : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "rbx", "memory");
	resume_rip = 0;
	return cpu_traps == before;
}

void machine_odd_instruction(uint64_t gpa)
{
	__asm__ volatile("lea 1f(%%rip), %%rbx; mov %%rbx, %0; lock cmpxchg16b (%1); 1:"
			 : "=m"(resume_rip)
			 : "r"(gpa), "a"(0), "d"(0), "c"(0)
			 : "rbx", "memory", "cc");
	resume_rip = 0;
}

/* ---- physical addresses ---- */

uint64_t phys_read(uint64_t gpa, unsigned int width)
{
	uint64_t value = 0;

	if (width == 1)
		__asm__ volatile("movb (%1), %b0" : "+q"(value) : "r"(gpa) : "memory");
	else if (width == 2)
		__asm__ volatile("movw (%1), %w0" : "+r"(value) : "r"(gpa) : "memory");
	else if (width == 4)
		__asm__ volatile("movl (%1), %k0" : "+r"(value) : "r"(gpa) : "memory");
	else
		__asm__ volatile("movq (%1), %0" : "+r"(value) : "r"(gpa) : "memory");
	return value;
}

void phys_write(uint64_t gpa, uint64_t value, unsigned int width)
{
	if (width == 1)
		__asm__ volatile("movb %b0, (%1)" : : "q"(value), "r"(gpa) : "memory");
	else if (width == 2)
		__asm__ volatile("movw %w0, (%1)" : : "r"(value), "r"(gpa) : "memory");
	else if (width == 4)
		__asm__ volatile("movl %k0, (%1)" : : "r"(value), "r"(gpa) : "memory");
	else
		__asm__ volatile("movq %0, (%1)" : : "r"(value), "r"(gpa) : "memory");
}

/* ---- ends ---- */

void machine_power_off(void)
{
	for (;;)
		out16(PORT_POWER, POWER_OFF);
}

void machine_reset(void)
{
	for (;;)
		out8(PORT_KEYBOARD, KEYBOARD_RESET);
}

void machine_triple_fault(void)
{
	const struct table_register none = {0, 0};

	__asm__ volatile("lidt %0; int3" : : "m"(none));
	machine_power_off();
}

void machine_spin(void)
{
	for (;;)
		__asm__ volatile("cli; 1: jmp 1b");
}

void machine_halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

void machine_jump(uint64_t gpa)
{
	__asm__ volatile("jmp *%0" : : "r"(gpa));
	__builtin_unreachable();
}

void machine_storm(void)
{
	(void)msr_write(X2APIC_TIMER_COUNT, 1);
	for (;;) {
		(void)msr_write(X2APIC_SELF, VECTOR_SELF);
		__asm__ volatile("sti; nop; cli");
	}
}

/* ---- parameters (zero-page.rst) ---- */

#define PARAMS_MAP_ENTRIES 0x1e8
#define PARAMS_CMDLINE 0x228
#define PARAMS_MAP 0x2d0
#define MAP_ENTRY_BYTES 20
#define MAP_RAM 1

uint64_t boot_ram_end(const void *params)
{
	const uint8_t *bytes = params;
	uint64_t end = 0;

	for (unsigned int i = 0; i < bytes[PARAMS_MAP_ENTRIES]; i++) {
		uint64_t range[2];
		uint32_t type;

		__builtin_memcpy(range, bytes + PARAMS_MAP + i * MAP_ENTRY_BYTES, sizeof(range));
		__builtin_memcpy(
			&type, bytes + PARAMS_MAP + i * MAP_ENTRY_BYTES + sizeof(range), sizeof(type));
		if (type == MAP_RAM && range[0] + range[1] > end && range[0] + range[1] <= RAM_END_MAX)
			end = range[0] + range[1];
	}
	return end;
}

const char *boot_cmdline(const void *params)
{
	uint32_t gpa;

	__builtin_memcpy(&gpa, (const uint8_t *)params + PARAMS_CMDLINE, sizeof(gpa));
	return (const char *)(uintptr_t)gpa;
}
