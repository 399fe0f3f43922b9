// SPDX-License-Identifier: Apache-2.0
/*
 * measure FILE COMMAND...: run COMMAND, and write to FILE how many milliseconds it took and how many KiB the largest of
 * its processes had in memory. Ends with its status.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	long start = now_ms();
	struct rusage usage;
	FILE *file;
	int status;
	pid_t pid;

	if (argc < 3)
		return 2;
	pid = fork();
	if (pid == 0) {
		execv(argv[2], argv + 2);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || getrusage(RUSAGE_CHILDREN, &usage) < 0)
		return 2;
	file = fopen(argv[1], "w");
	if (!file || fprintf(file, "%ld %ld\n", now_ms() - start, usage.ru_maxrss) < 0 || fclose(file))
		return 2;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
