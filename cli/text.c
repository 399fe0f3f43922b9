// SPDX-License-Identifier: Apache-2.0
#include "cli/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY 86400

void text_size(uint64_t bytes, char *out, size_t cap)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1000;
		unit++;
	}
	snprintf(out, cap, "%.3g%s", value, units[unit]);
}

void text_duration(uint64_t seconds, char *out, size_t cap)
{
	static const struct {
		uint64_t below; /* seconds */
		uint64_t unit;
		const char *name;
	} scale[] = {
		{60, 1, "second"},
		{3600, 60, "minute"},
		{2 * DAY, 3600, "hour"},
		{14 * DAY, DAY, "day"},
		{60 * DAY, 7 * DAY, "week"},
		{730 * DAY, 30 * DAY, "month"},
		{UINT64_MAX, 365 * DAY, "year"},
	};
	size_t i = 0;
	uint64_t n;

	while (seconds >= scale[i].below && scale[i].below != UINT64_MAX)
		i++;
	n = seconds / scale[i].unit;
	snprintf(out, cap, "%llu %s%s", (unsigned long long)n, scale[i].name, n == 1 ? "" : "s");
}

static bool digits(const char *text, const char *pattern)
{
	for (; *pattern; pattern++, text++) {
		if (*pattern == '0' ? (*text < '0' || *text > '9') : *text != *pattern)
			return false;
	}
	return true;
}

static int number(const char *text, int len)
{
	int value = 0;

	while (len--)
		value = value * 10 + (*text++ - '0');
	return value;
}

/* "Z" or "+hh:mm" as seconds east of UTC. */
static int parse_zone(const char *text, int64_t *east_s)
{
	if (!strcmp(text, "Z") || !strcmp(text, "z")) {
		*east_s = 0;
		return 0;
	}
	if ((*text != '+' && *text != '-') || !digits(text + 1, "00:00") || text[6])
		return -EINVAL;
	*east_s = number(text + 1, 2) * 3600 + number(text + 4, 2) * 60;
	if (*text == '-')
		*east_s = -*east_s;
	return 0;
}

int text_parse_time(const char *text, uint64_t *seconds)
{
	struct tm tm = {0};
	int64_t east_s, total;
	const char *zone;

	if (!digits(text, "0000-00-00") || (text[10] | 0x20) != 't' || !digits(text + 11, "00:00:00"))
		return -EINVAL;
	tm.tm_year = number(text, 4) - 1900;
	tm.tm_mon = number(text + 5, 2) - 1;
	tm.tm_mday = number(text + 8, 2);
	tm.tm_hour = number(text + 11, 2);
	tm.tm_min = number(text + 14, 2);
	tm.tm_sec = number(text + 17, 2);
	if (tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31)
		return -EINVAL;
	zone = text + 19;
	if (*zone == '.')
		zone += 1 + strspn(zone + 1, "0123456789");
	if (parse_zone(zone, &east_s))
		return -EINVAL;
	total = timegm(&tm) - east_s;
	if (total < 0)
		return -EINVAL;
	*seconds = (uint64_t)total;
	return 0;
}

void text_time(uint64_t seconds, char *out, size_t cap)
{
	time_t at = (time_t)seconds;
	struct tm tm = {0};

	if (!gmtime_r(&at, &tm) || !strftime(out, cap, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(out, cap, "?");
}
