// SPDX-License-Identifier: Apache-2.0
//
// bomb KIND...: processes that take all they can get of what KIND names, for as long as they live, below a first process
// that does nothing. It says "ticking" when they are at it, and ends with status 7 at SIGTERM.
//
//   cpu       eight processes that compute
//   fork      processes that make processes
//   memory    processes that fill memory; who is killed for it is made anew
//   hog       the first process itself fills memory
//   fds       processes that open whatever has room for it: pipes filled to the brim, sockets, epolls, timers
//   files     files in the writable layer, until it is full, and again

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 8

static void on_term(int number)
{
	(void)number;
	_exit(7);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		perror(path);
	if (fd >= 0)
		close(fd);
}

static void run_cpu(void)
{
	for (volatile unsigned long i = 0;; i++)
		;
}

static void run_fork(void)
{
	for (;;)
		if (fork() < 0)
			usleep(1000);
}

static void run_memory(void)
{
	size_t bytes = 1 << 20;
	for (;;) {
		char *p = malloc(bytes);
		if (p)
			memset(p, 1, bytes);
		else
			usleep(1000);
	}
}

static void pipe_fill(void)
{
	static const char block[4096];
	int ends[2];
	if (pipe2(ends, O_NONBLOCK) < 0)
		return;
	while (write(ends[1], block, sizeof(block)) > 0)
		;
}

static void run_fds(void)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (;;) {
		int pair[2];
		pipe_fill();
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || epoll_create1(0) < 0 ||
			eventfd(0, 0) < 0)
			usleep(1000);
	}
}

static void run_files(void)
{
	static char block[1 << 16];
	char path[64];
	for (unsigned i = 0;; i++) {
		snprintf(path, sizeof(path), "/fill-%d-%u", (int)getpid(), i & 1023);
		int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
		if (fd < 0 || write(fd, block, sizeof(block)) < 0)
			usleep(1000);
		if (fd >= 0)
			close(fd);
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} kinds[] = {
	{"cpu", run_cpu}, {"fork", run_fork}, {"memory", run_memory}, {"fds", run_fds}, {"files", run_files}};

static void worker_start(void (*run)(void))
{
	pid_t pid = fork();
	if (pid != 0)
		return;
	// The kernel, in want of memory, is to take these and not the first process.
	write_text("/proc/self/oom_score_adj", "1000");
	signal(SIGTERM, SIG_DFL);
	run();
}

int main(int argc, char *argv[])
{
	void (*run)(void) = NULL;
	if (argc == 2 && !strcmp(argv[1], "hog")) {
		printf("ticking\n");
		fflush(stdout);
		run_memory();
	}
	for (size_t i = 0; argc == 2 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(argv[1], kinds[i].name))
			run = kinds[i].run;
	if (!run || getpid() != 1) {
		fprintf(stderr, "bomb: no such kind, or not inside a container\n");
		return 2;
	}
	signal(SIGTERM, on_term);
	for (int i = 0; i < WORKERS; i++)
		worker_start(run);
	printf("ticking\n");
	fflush(stdout);
	for (;;) {
		if (waitpid(-1, NULL, 0) > 0)
			worker_start(run);
		else
			pause();
	}
}
