// SPDX-License-Identifier: Apache-2.0
/*
 * A decompressor that somebody has taken over: preloaded, this is zlib's inflate(), and does what $TAKEN says the first
 * time it is called. In the workers of mvrun-image the environment is gone by then, so it is read when the program starts.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>

static int (*inflate_honest)(z_streamp, int);
static char action[32];

static __attribute__((constructor)) void read_action(void)
{
	const char *text = getenv("TAKEN");

	strncpy(action, text ? text : "", sizeof(action) - 1);
	*(void **)&inflate_honest = dlsym(RTLD_NEXT, "inflate");
}

/* What an attacker tries first. False if the kernel let it happen, or made an error of it and let us live. */
static void attempt(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
	char *const argv[] = {"sh", NULL};

	if (!strcmp(action, "open"))
		syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
	else if (!strcmp(action, "stat"))
		syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", NULL, 0);
	else if (!strcmp(action, "unlink"))
		syscall(SYS_unlinkat, AT_FDCWD, "/x", 0);
	else if (!strcmp(action, "socket"))
		syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	else if (!strcmp(action, "connect"))
		syscall(SYS_connect, 3, &address, sizeof(address));
	else if (!strcmp(action, "sendmsg"))
		syscall(SYS_sendmsg, 3, NULL, 0);
	else if (!strcmp(action, "exec"))
		syscall(SYS_execve, "/bin/sh", argv, NULL);
	else if (!strcmp(action, "ptrace"))
		syscall(SYS_ptrace, PTRACE_ATTACH, 1, NULL, NULL);
	else if (!strcmp(action, "kill"))
		syscall(SYS_kill, -1, SIGKILL);
	else if (!strcmp(action, "fork"))
		syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	else if (!strcmp(action, "unshare"))
		syscall(SYS_unshare, CLONE_NEWUSER);
	else if (!strcmp(action, "code"))
		syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	else if (!strcmp(action, "uring"))
		syscall(SYS_io_uring_setup, 1, NULL);
	else if (!strcmp(action, "crash"))
		raise(SIGSEGV);
}

/* More memory than a worker may have: true if it got it. */
static bool hog(void)
{
	size_t got = 0;

	for (char *more; got < (UINT64_C(1) << 30) && (more = malloc(1 << 20)); got += 1 << 20)
		memset(more, 1, 1 << 20);
	return got >= UINT64_C(1) << 30;
}

int inflate(z_streamp stream, int flush)
{
	static bool done;
	int ret = inflate_honest(stream, flush);

	if (done || !action[0])
		return ret;
	done = true;
	if (!strcmp(action, "lie"))
		/* Contents of the first file: what is parsed then is as well-formed as before. */
		stream->next_out[600 - (long)stream->total_out] ^= 1;
	else if (!strcmp(action, "hog"))
		return hog() ? Z_OK : Z_MEM_ERROR;
	else
		attempt();
	return ret;
}
