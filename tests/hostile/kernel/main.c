// SPDX-License-Identifier: Apache-2.0
/*
 * hostile=WORD on the command line:
 *
 *	attack		the catalogue on every device, then queue=N random queue operations and
 *			registers=N random register accesses on each, from seed=N
 *	echo		be a good guest: send back what comes on a socket, until stopped
 *	ports, holes, msrs	sweeps (x86_64/sweeps.c); step=N: only every so many'th port
 *	flood, kicks, storm	console output, doorbells, interrupts without end, until stopped
 *	spin, halt	do nothing, with interrupts off, until stopped
 *	fault, reset, nowhere, odd	end in that way
 *
 * Lines for the host begin with '@'; the last one is "@done N passed M failed".
 */
#include "tests/hostile/kernel/arch.h"
#include "tests/hostile/kernel/kernel.h"

void kernel_main(const void *params);

static struct kernel kernel;

static const char *text_find(const char *text, const char *word)
{
	for (; *text; text++) {
		size_t i = 0;

		while (word[i] && text[i] == word[i])
			i++;
		if (!word[i])
			return text + i;
	}
	return NULL;
}

static uint64_t option_number(const char *name, uint64_t otherwise)
{
	const char *text = text_find(kernel.cmdline, name);
	uint64_t value = 0;

	if (!text)
		return otherwise;
	for (; *text >= '0' && *text <= '9'; text++)
		value = value * 10 + (uint64_t)(*text - '0');
	return value;
}

/* Does the command line say hostile=word? */
static bool asked_for(const char *word)
{
	const char *text = text_find(kernel.cmdline, " hostile=");
	size_t i = 0;

	if (!text)
		return false;
	while (word[i] && text[i] == word[i])
		i++;
	return !word[i] && (text[i] == ' ' || !text[i]);
}

void kernel_trapped(uint64_t vector, uint64_t rip, uint64_t error)
{
	struct text text = {0};

	text_add(&text, "@FAIL exception ");
	text_add_number(&text, vector, 10);
	text_add(&text, " at 0x");
	text_add_number(&text, rip, 16);
	text_add(&text, " error 0x");
	text_add_number(&text, error, 16);
	text_add(&text, " during ");
	text_add(&text, kernel.attacker.name ? kernel.attacker.name : "nothing");
	report(&kernel, &text);
	machine_power_off();
}

static void count_add(struct text *text, uint64_t value, const char *what)
{
	text_add_number(text, value, 10);
	text_add(text, what);
}

static void done(void)
{
	const struct hostile *h = &kernel.attacker;
	struct text text = {0};

	text_add(&text, "@figures ");
	count_add(&text, h->n_cases, " cases, ");
	count_add(&text, h->n_queue_ops, " queue operations, ");
	count_add(&text, h->n_register_ops, " register accesses, ");
	count_add(&text, h->n_revivals, " times revived");
	report(&kernel, &text);
	text.len = 0;
	text_add(&text, "@done ");
	count_add(&text, kernel.n_passed, " passed ");
	count_add(&text, kernel.n_failed, " failed");
	report(&kernel, &text);
	machine_power_off();
}

static void attack(void)
{
	struct hostile *h = &kernel.attacker;
	uint64_t n_queue = option_number(" queue=", 0), n_registers = option_number(" registers=", 0);

	for (unsigned int slot = 0; slot < SLOTS_MAX && hostile_choose(h, slot); slot++) {
		hostile_catalogue(h);
		if (n_queue)
			hostile_random_queue(h, n_queue);
		if (n_registers)
			hostile_random_registers(h, n_registers);
	}
}

/* Words whose work comes to an end by itself. */
static void work(void)
{
	if (asked_for("attack"))
		attack();
	else if (asked_for("ports"))
		sweep_ports(&kernel, (uint32_t)option_number(" step=", 1));
	else if (asked_for("holes"))
		sweep_holes(&kernel);
	else if (asked_for("msrs"))
		sweep_msrs(&kernel);
	else if (asked_for("odd"))
		machine_odd_instruction(NOWHERE_GPA);
	else
		report_words(&kernel, "@FAIL what is to be done?");
	done();
}

void kernel_main(const void *params)
{
	kernel.cmdline = boot_cmdline(params);
	kernel.ram_end = boot_ram_end(params);
	cpu_init();
	kernel_driver_init(&kernel, &kernel.attacker, kernel.ram_end, option_number(" seed=", 1));
	kernel_driver_init(&kernel, &kernel.reporter, kernel.ram_end - HOSTILE_MEMORY_BYTES, 1);
	report_words(&kernel, "@up");
	if (asked_for("echo"))
		echo_for_ever(&kernel);
	if (asked_for("flood"))
		flood_for_ever(&kernel);
	if (asked_for("kicks"))
		kick_for_ever(&kernel);
	if (asked_for("storm"))
		machine_storm();
	if (asked_for("spin"))
		machine_spin();
	if (asked_for("halt"))
		machine_halt();
	if (asked_for("fault"))
		machine_triple_fault();
	if (asked_for("reset"))
		machine_reset();
	if (asked_for("nowhere"))
		machine_jump(NOWHERE_GPA);
	work();
}
