// SPDX-License-Identifier: Apache-2.0
//
// info: the one program of the image "scratch". Says what it was started with, one fact per line, as the
// process itself sees it. `info exit N` ends with status N.

#include <dirent.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

extern char **environ;

static void print_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	printf("fds");
	for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
		if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(dir))
			printf(" %s", e->d_name);
	printf("\n");
}

// Prints the lines of /proc/self/status that say what the process may do.
static void print_rights(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "Cap", 3) || !strncmp(line, "NoNewPrivs", 10) ||
			!strncmp(line, "Seccomp:", 8))
			printf("%s", line);
}

int main(int argc, char *argv[])
{
	if (argc == 3 && !strcmp(argv[1], "exit"))
		return atoi(argv[2]);
	printf("args");
	for (int i = 0; i < argc; i++)
		printf(" [%s]", argv[i]);
	gid_t groups[64];
	int n = getgroups(64, groups);
	printf("\nuid %d gid %d groups", (int)getuid(), (int)getgid());
	for (int i = 0; i < n; i++)
		printf(" %d", (int)groups[i]);
	char cwd[4096] = "?", host[256] = "?";
	gethostname(host, sizeof(host));
	printf("\npid %d ppid %d\ncwd %s\nhost %s\n", (int)getpid(), (int)getppid(), getcwd(cwd, sizeof(cwd)),
		host);
	for (char **e = environ; *e; e++)
		printf("env %s\n", *e);
	struct rlimit nofile;
	getrlimit(RLIMIT_NOFILE, &nofile);
	printf("nofile %llu %llu\n", (unsigned long long)nofile.rlim_cur,
		(unsigned long long)nofile.rlim_max);
	print_fds();
	print_rights();
	return 0;
}
