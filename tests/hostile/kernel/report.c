// SPDX-License-Identifier: Apache-2.0
/*
 * What the host is told. Each line is sent in a life of the console of its own: whatever an attack left
 * behind is reset first, and what it did to the console in between cannot hold a line back.
 */
#include "tests/hostile/driver/driver.h"
#include "tests/hostile/kernel/kernel.h"

#define CONSOLE_TX 1

void text_add(struct text *text, const char *string)
{
	while (*string && text->len < sizeof(text->bytes))
		text->bytes[text->len++] = *string++;
}

void text_add_number(struct text *text, uint64_t value, unsigned int base)
{
	char digits[24];
	size_t n = sizeof(digits) - 1;

	digits[n] = '\0';
	do {
		digits[--n] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value && n);
	text_add(text, digits + n);
}

void report(struct kernel *kernel, const struct text *text)
{
	struct hostile *h = &kernel->reporter;
	uint64_t gpa = gpa_at(h, PLACE_GOOD);
	char *to = host_at(h, gpa);
	size_t n = 0;

	/* Whatever was on the line before ends. */
	to[n++] = '\n';
	for (size_t i = 0; i < text->len; i++)
		to[n++] = text->bytes[i];
	to[n++] = '\n';
	if (!hostile_choose(h, SLOT_CONSOLE) || !device_up(h, UINT64_MAX, 4))
		return;
	chain_send(h, CONSOLE_TX, 0, &(struct buffer){gpa, (uint32_t)n, 0}, 1);
	(void)ring_await(h, CONSOLE_TX, 0, NULL);
}

void report_words(struct kernel *kernel, const char *words)
{
	struct text text = {0};

	text_add(&text, words);
	report(kernel, &text);
}
