// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Why output was lost first; 0: nothing was. */
static int lost;

void output_init(void)
{
	/* What open() returns is the lowest number that is free: the one in question. */
	if (fcntl(STDIN_FILENO, F_GETFD) < 0)
		open("/dev/null", O_WRONLY);
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
		/* Not /dev/null, which could be opened for writing through /proc/self/fd. */
		if (fcntl(fd, F_GETFD) < 0)
			open("/", O_PATH);
	}
}

int output_format(const char *format, const char *plain, bool *json, struct err *err)
{
	*json = format && !strcmp(format, "json");
	if (!format || *json || !strcmp(format, plain))
		return 0;
	return err_set(err, EINVAL, "--format takes %s or json, not \"%s\"", plain, format);
}

int output_flush(struct err *err)
{
	/* A printf that failed on the way has left something behind it that fails again, for the same reason. */
	errno = 0;
	if (!lost && (fflush(stdout) || ferror(stdout)))
		lost = errno ? errno : EIO;
	return lost ? err_sys(err, lost, "write to standard output") : 0;
}

int output_json(json_t *json, struct err *err)
{
	int ret = json ? json_dumpf(json, stdout, JSON_INDENT(2)) : -1;

	putchar('\n');
	json_decref(json);
	if (ret && !ferror(stdout))
		return err_sys(err, ENOMEM, "print as JSON");
	return output_flush(err);
}

int output_end(int status)
{
	struct err err = ERR_INIT;

	if (!output_flush(&err))
		return status;
	command_fail(&err);
	return status ? status : EXIT_OURS;
}
