// SPDX-License-Identifier: Apache-2.0
/*
 * Diagnostics on standard error, one line each, one write each (lines of several threads do not mix).
 *
 * Leaf folders do not log. A line that a guest can cause goes through a struct log_limit, so that a hostile
 * guest cannot fill a disk or slow the host down by it.
 */
#ifndef MVRUN_BASE_LOG_H
#define MVRUN_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Process-wide: called once by main before there are threads. prefix must outlive the process ("mvrun"). */
void log_init(const char *prefix, enum log_level level);
bool log_wants(enum log_level level);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Zero-initialised. Ten lines at once, then one a second; what was dropped is counted in the next line's
 * wake.
 */
struct log_limit {
	uint64_t tokens;
	uint64_t last_ms;
	uint64_t dropped;
};

/* True if the caller may log now. One thread per limit. */
bool log_allow(struct log_limit *limit);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                                       \
	do {                                                                                                 \
		if (log_wants(LOG_DEBUG))                                                                    \
			log_line(LOG_DEBUG, __VA_ARGS__);                                                    \
	} while (0)

#endif
