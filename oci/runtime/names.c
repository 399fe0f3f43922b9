// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/names.h"

#include "base/num.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

/* What a container calls RTMIN: the C libraries keep 32 and 33 to themselves. */
#define GUEST_RTMIN 34
#define GUEST_RTMAX 64

struct name {
	const char *text;
	int number;
};

static const struct name signals[] = {
	{"HUP", SIGHUP},
	{"INT", SIGINT},
	{"QUIT", SIGQUIT},
	{"ILL", SIGILL},
	{"TRAP", SIGTRAP},
	{"ABRT", SIGABRT},
	{"IOT", SIGIOT},
	{"BUS", SIGBUS},
	{"FPE", SIGFPE},
	{"KILL", SIGKILL},
	{"USR1", SIGUSR1},
	{"SEGV", SIGSEGV},
	{"USR2", SIGUSR2},
	{"PIPE", SIGPIPE},
	{"ALRM", SIGALRM},
	{"TERM", SIGTERM},
	{"STKFLT", SIGSTKFLT},
	{"CHLD", SIGCHLD},
	{"CONT", SIGCONT},
	{"STOP", SIGSTOP},
	{"TSTP", SIGTSTP},
	{"TTIN", SIGTTIN},
	{"TTOU", SIGTTOU},
	{"URG", SIGURG},
	{"XCPU", SIGXCPU},
	{"XFSZ", SIGXFSZ},
	{"VTALRM", SIGVTALRM},
	{"PROF", SIGPROF},
	{"WINCH", SIGWINCH},
	{"IO", SIGIO},
	{"POLL", SIGIO},
	{"PWR", SIGPWR},
	{"SYS", SIGSYS},
	{NULL, 0},
};

static const struct name rlimits[] = {
	{"core", RLIMIT_CORE},
	{"cpu", RLIMIT_CPU},
	{"data", RLIMIT_DATA},
	{"fsize", RLIMIT_FSIZE},
	{"locks", RLIMIT_LOCKS},
	{"memlock", RLIMIT_MEMLOCK},
	{"msgqueue", RLIMIT_MSGQUEUE},
	{"nice", RLIMIT_NICE},
	{"nofile", RLIMIT_NOFILE},
	{"nproc", RLIMIT_NPROC},
	{"rss", RLIMIT_RSS},
	{"rtprio", RLIMIT_RTPRIO},
	{"rttime", RLIMIT_RTTIME},
	{"sigpending", RLIMIT_SIGPENDING},
	{"stack", RLIMIT_STACK},
	{NULL, 0},
};

static int name_lookup(const struct name *table, const char *text)
{
	for (; table->text; table++) {
		if (!strcasecmp(table->text, text))
			return table->number;
	}
	return -EINVAL;
}

/* "RTMIN", "RTMIN+n", "RTMAX", "RTMAX-n". */
static int realtime_parse(const char *text)
{
	uint64_t n = 0;
	char sign;

	if (strlen(text) < 5)
		return -EINVAL;
	sign = text[5];
	if (sign && num_parse_u64(text + 6, GUEST_RTMAX - GUEST_RTMIN, &n))
		return -EINVAL;
	if (!strncasecmp(text, "RTMIN", 5) && (!sign || sign == '+'))
		return GUEST_RTMIN + (int)n;
	if (!strncasecmp(text, "RTMAX", 5) && (!sign || sign == '-'))
		return GUEST_RTMAX - (int)n;
	return -EINVAL;
}

int signal_parse(const char *text)
{
	uint64_t number;

	if (!num_parse_u64(text, GUEST_RTMAX, &number))
		return number ? (int)number : -EINVAL;
	if (!strncasecmp(text, "SIG", 3))
		text += 3;
	if (!strncasecmp(text, "RTM", 3))
		return realtime_parse(text);
	return name_lookup(signals, text);
}

int rlimit_parse(const char *name)
{
	return name_lookup(rlimits, name);
}
