// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_BURST 10

/* The only mutable state of file scope in the tree; set before there are threads. */
static const char *log_prefix = "mvrun";
static enum log_level log_max = LOG_WARN;

void log_init(const char *prefix, enum log_level level)
{
	log_prefix = prefix;
	log_max = level;
}

bool log_wants(enum log_level level)
{
	return level <= log_max;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	static const char *const tag[] = {"", "warning: ", "", "debug: "};
	char line[1024];
	size_t used;
	va_list ap;

	if (!log_wants(level))
		return;
	snprintf(line, sizeof(line), "%s: %s", log_prefix, tag[level]);
	used = strlen(line);
	va_start(ap, fmt);
	vsnprintf(line + used, sizeof(line) - used - 1, fmt, ap);
	va_end(ap);
	used = strlen(line);
	line[used++] = '\n';
	/* Nothing useful can be done when standard error is gone. */
	if (write(STDERR_FILENO, line, used) < 0)
		return;
}

bool log_allow(struct log_limit *limit)
{
	uint64_t now_ms = clock_now_ms();

	if (!limit->last_ms) {
		limit->tokens = LIMIT_BURST;
		limit->last_ms = now_ms;
	}
	if (now_ms - limit->last_ms >= 1000) {
		uint64_t gained = (now_ms - limit->last_ms) / 1000;

		limit->tokens = gained >= LIMIT_BURST ? LIMIT_BURST : limit->tokens + gained;
		if (limit->tokens > LIMIT_BURST)
			limit->tokens = LIMIT_BURST;
		limit->last_ms = now_ms;
	}
	if (!limit->tokens) {
		limit->dropped++;
		return false;
	}
	limit->tokens--;
	return true;
}
