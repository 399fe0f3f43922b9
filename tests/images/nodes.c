// SPDX-License-Identifier: Apache-2.0
//
// nodes: makes a device node of every number there may be and opens it, for reading and for writing. Prints the numbers
// whose opening fails with anything but EPERM, or does not fail: what the device rules of the control group let through.
// A range of minor numbers that fare alike is one line: "c 136:0-31 Input/output error". The last line counts the tries.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MAJORS 512
#define MINORS 32
#define NODE "/dev/node" // a file system that was mounted without nodev
#define REFUSED (-1)

static unsigned long tries;

// What opening says that was not refused: 0 or errno; else REFUSED.
static int try_open(int flags)
{
	int fd = open(NODE, flags | O_NONBLOCK | O_NOCTTY);
	int error = fd < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	tries++;
	return error == EPERM ? REFUSED : error;
}

static int try_node(mode_t type, unsigned major_nr, unsigned minor_nr)
{
	if (mknod(NODE, type | 0600, makedev(major_nr, minor_nr)) < 0) {
		perror("nodes: mknod");
		return REFUSED;
	}
	int result = try_open(O_RDONLY);
	if (result == REFUSED)
		result = try_open(O_WRONLY);
	unlink(NODE);
	return result;
}

static void print_run(mode_t type, unsigned major_nr, unsigned first, unsigned last, int result)
{
	if (result == REFUSED)
		return;
	printf("%c %u:%u", S_ISBLK(type) ? 'b' : 'c', major_nr, first);
	if (last != first)
		printf("-%u", last);
	printf(" %s\n", result ? strerror(result) : "opened");
}

static void try_major(mode_t type, unsigned major_nr)
{
	unsigned first = 0;
	int before = try_node(type, major_nr, 0);
	for (unsigned minor_nr = 1; minor_nr < MINORS; minor_nr++) {
		int result = try_node(type, major_nr, minor_nr);
		if (result == before)
			continue;
		print_run(type, major_nr, first, minor_nr - 1, before);
		first = minor_nr;
		before = result;
	}
	print_run(type, major_nr, first, MINORS - 1, before);
}

int main(void)
{
	if (getpid() != 1) {
		fprintf(stderr, "nodes: only inside a container\n");
		return 2;
	}
	for (unsigned major_nr = 0; major_nr < MAJORS; major_nr++) {
		try_major(S_IFBLK, major_nr);
		try_major(S_IFCHR, major_nr);
	}
	printf("tries %lu\n", tries);
	return 0;
}
