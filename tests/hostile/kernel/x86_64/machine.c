// SPDX-License-Identifier: Apache-2.0
/* What the driver is given: registers by real accesses, waiting by the timer, addresses of this machine. */
#include "tests/hostile/kernel/kernel.h"
#include "tests/hostile/kernel/x86_64/cpu.h"

#define PAGE_BYTES 0x1000u
#define EAGER_ROUNDS 40u
#define EAGER_PAUSES 50u
#define PATIENCE_ROUNDS 5000u /* of TICK_MS */

static uint64_t register_gpa(unsigned int slot, uint32_t offset)
{
	return WINDOW_GPA + slot * PAGE_BYTES + offset;
}

static uint64_t ops_read(void *ctx, unsigned int slot, uint32_t offset, unsigned int width)
{
	(void)ctx;
	return phys_read(register_gpa(slot, offset), width);
}

static void ops_write(void *ctx, unsigned int slot, uint32_t offset, uint64_t value, unsigned int width)
{
	(void)ctx;
	phys_write(register_gpa(slot, offset), value, width);
}

/* The devices have a thread of their own: give it a moment, then time. */
static bool ops_wait(void *ctx, unsigned int round)
{
	const struct kernel *kernel = ctx;

	if (round < EAGER_ROUNDS) {
		for (unsigned int i = 0; i < EAGER_PAUSES; i++)
			cpu_relax();
	} else {
		cpu_sleep();
	}
	return kernel->patient || round < PATIENCE_ROUNDS;
}

/* Reported when the case is over: the console may be what is under attack. */
static void ops_failed(void *ctx, const char *name, const char *what, uint64_t detail)
{
	struct kernel *kernel = ctx;
	struct text text = {0};

	(void)name;
	if (kernel->complaint[0])
		return;
	text_add(&text, what);
	text_add(&text, " 0x");
	text_add_number(&text, detail, 16);
	for (size_t i = 0; i < text.len && i < sizeof(kernel->complaint) - 1; i++)
		kernel->complaint[i] = text.bytes[i];
}

static void ops_over(void *ctx, const char *name)
{
	struct kernel *kernel = ctx;
	bool good = kernel->attacker.n_failures == kernel->failures_before;
	struct text text = {0};

	text_add(&text, good ? "@ok slot " : "@FAIL slot ");
	text_add_number(&text, kernel->attacker.dev.slot, 10);
	text_add(&text, ": ");
	text_add(&text, name);
	if (!good) {
		text_add(&text, ": ");
		text_add(&text, kernel->complaint);
	}
	kernel->n_passed += good;
	kernel->n_failed += !good;
	kernel->failures_before = kernel->attacker.n_failures;
	kernel->complaint[0] = '\0';
	report(kernel, &text);
}

const struct hostile_ops kernel_ops = {
	.read = ops_read,
	.write = ops_write,
	.wait = ops_wait,
	.failed = ops_failed,
	.over = ops_over,
};

void kernel_driver_init(struct kernel *kernel, struct hostile *h, uint64_t end_gpa, uint64_t seed)
{
	/* Only what is no memory: the kernel itself is in the way of what a device might write elsewhere. */
	const uint64_t edges[] = {kernel->ram_end - 1, kernel->ram_end - 16, kernel->ram_end,
		kernel->ram_end + PAGE_BYTES, RAM_END_MAX, WINDOW_GPA, WINDOW_GPA + 0x50, IOAPIC_GPA,
		LAPIC_GPA, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - 15};

	*h = (struct hostile){
		.ops = &kernel_ops,
		.ctx = kernel,
		.memory = (uint8_t *)(uintptr_t)(end_gpa - HOSTILE_MEMORY_BYTES),
		.memory_gpa = end_gpa - HOSTILE_MEMORY_BYTES,
		.n_edges = sizeof(edges) / sizeof(edges[0]),
	};
	_Static_assert(sizeof(edges) / sizeof(edges[0]) <= HOSTILE_EDGES_MAX, "edges fit");
	for (unsigned int i = 0; i < h->n_edges; i++)
		h->edges[i] = edges[i];
	hostile_init(h, seed);
}
