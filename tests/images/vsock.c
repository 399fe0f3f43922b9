// SPDX-License-Identifier: Apache-2.0
//
// vsock: tries to get at the line between guest-init and the host. A socket is asked for by each way into the kernel
// that there is; with what comes of it, connections to every address and port that could mean something.
//
// The filter refuses AF_VSOCK to socket(2), and to the 32-bit call of that name. What it cannot see is an address family
// behind the pointer of the old 32-bit socketcall(2), which 32-bit programs need (docs/decisions/0011).
//
// Prints "socket", "socket32", "socketcall" with "yes" or an error; then, for what socketcall gave, "connected N of M"
// and one line "error TEXT: N" each, "listen" and "flood".

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

// From linux/vm_sockets.h, which the musl tool chain does not have.
#define CID_ANY UINT32_MAX
#define CID_HOST 2
struct vsock_address {
	sa_family_t family;
	uint16_t reserved;
	uint32_t port;
	uint32_t cid;
	uint8_t flags;
	uint8_t zero[3];
};

#define CALL32_SOCKETCALL 102
#define CALL32_SOCKET 359
#define SOCKETCALL_SOCKET 1
#define FLOOD 3000
#define N(array) (sizeof(array) / sizeof((array)[0]))

static unsigned counts[256];

static void report(const char *name, long result)
{
	printf("%s %s\n", name, result >= 0 ? "yes" : strerror(errno));
	fflush(stdout);
}

#ifdef __x86_64__
// A system call as 32-bit programs make it; a 64-bit one may, too. Pointers must lie below 4 GiB.
static long call32(long number, long a, long b, long c)
{
	long result;
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(c)
			 : "memory", "r8", "r9", "r10", "r11");
	errno = result < 0 ? (int)-result : 0;
	return result < 0 ? -1 : result;
}

static long socket_by_socketcall(int type)
{
	uint32_t *args =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (args == MAP_FAILED)
		return -1;
	args[0] = AF_VSOCK;
	args[1] = (uint32_t)type;
	args[2] = 0;
	long fd = call32(CALL32_SOCKETCALL, SOCKETCALL_SOCKET, (long)args, 0);
	int error = errno;
	munmap(args, 4096);
	errno = error;
	return fd;
}
#else
static long call32(long number, long a, long b, long c)
{
	(void)number, (void)a, (void)b, (void)c;
	errno = ENOSYS;
	return -1;
}

static long socket_by_socketcall(int type)
{
	return call32(CALL32_SOCKETCALL, type, 0, 0);
}
#endif

static struct vsock_address address_of(uint32_t cid, uint32_t port)
{
	return (struct vsock_address){.family = AF_VSOCK, .cid = cid, .port = port};
}

// Begins a connection: its socket, or -1 if there was none to begin.
static int connect_begin(int type, uint32_t cid, uint32_t port)
{
	struct vsock_address address = address_of(cid, port);
	int fd = (int)socket_by_socketcall(type);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EINPROGRESS)
		return fd;
	counts[errno & 255]++;
	close(fd);
	return -1;
}

// Waits for a connection that was begun. True if it stands.
static int connect_end(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLOUT};
	int error = ETIMEDOUT;
	socklen_t len = sizeof(error);
	if (fd < 0)
		return 0;
	if (poll(&wait, 1, 10000) > 0)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error)
		counts[error & 255]++;
	close(fd);
	return error == 0;
}

// All at once: what is not answered takes two seconds.
static void try_addresses(void)
{
	static const uint32_t cids[] = {0, 1, 2, 3, 4, 1000, UINT32_MAX};
	static const uint32_t ports[] = {
		0, 1, 22, 1023, 1024, 1025, 1026, 1027, 1028, 1029, 2048, 10000, 65536, UINT32_MAX};
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
	int fds[N(types) * N(cids) * N(ports)];
	unsigned connected = 0, tried = 0;
	for (size_t t = 0; t < N(types); t++)
		for (size_t c = 0; c < N(cids); c++)
			for (size_t p = 0; p < N(ports); p++)
				fds[tried++] = connect_begin(types[t], cids[c], ports[p]);
	for (unsigned i = 0; i < tried; i++)
		connected += (unsigned)connect_end(fds[i]);
	printf("connected %u of %u\n", connected, tried);
	for (unsigned error = 0; error < 256; error++)
		if (counts[error])
			printf("error %s: %u\n", strerror((int)error), counts[error]);
	fflush(stdout);
}

// Whoever listens waits for somebody who comes; nobody does.
static void try_listen(void)
{
	struct vsock_address address = address_of(CID_ANY, 1024);
	int fd = (int)socket_by_socketcall(SOCK_STREAM);
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		report("listen", -1);
	else
		printf("listen %s\n", poll(&wait, 1, 2000) > 0 ? "somebody came" : "nobody came");
	close(fd);
}

// As many half-made connections as there is room for, again and again.
static void try_flood(void)
{
	struct vsock_address address = address_of(CID_HOST, 1024);
	int fds[256];
	for (unsigned i = 0; i < 256; i++)
		fds[i] = -1;
	for (unsigned i = 0; i < FLOOD; i++) {
		int *fd = &fds[i & 255];
		if (*fd >= 0)
			close(*fd);
		*fd = (int)socket_by_socketcall(SOCK_STREAM);
		fcntl(*fd, F_SETFL, O_NONBLOCK);
		connect(*fd, (struct sockaddr *)&address, sizeof(address));
	}
	printf("flood ended\n");
}

int main(void)
{
	report("socket", socket(AF_VSOCK, SOCK_STREAM, 0));
	report("socket32", call32(CALL32_SOCKET, AF_VSOCK, SOCK_STREAM, 0));
	long fd = socket_by_socketcall(SOCK_STREAM);
	report("socketcall", fd);
	report("socketcall-dgram", socket_by_socketcall(SOCK_DGRAM));
	if (fd < 0)
		return 0;
	try_addresses();
	try_listen();
	try_flood();
	return 0;
}
