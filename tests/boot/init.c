// SPDX-License-Identifier: Apache-2.0
/*
 * The smallest PID 1: does what the words of the kernel command line say, in their order.
 *
 *	test=uptime,poweroff
 *
 * uptime: print the time since boot. cpus: print how many processors are on line. memory: print MemTotal.
 * disk: read /dev/vda and print a checksum. rng: read the entropy device. echo: connect to vsock port 1024 of
 * the host and send back what comes. log: print the kernel's log. hang: stop all interrupts of this processor
 * and spin. Last words: poweroff, reset, panic, fault.
 */
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

static void do_uptime(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	printf("uptime %lld.%06ld\n", (long long)ts.tv_sec, ts.tv_nsec / 1000);
}

static void do_cpus(void)
{
	printf("cpus %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
}

static void do_memory(void)
{
	printf("memory %ld MiB\n", sysconf(_SC_PHYS_PAGES) / 256);
}

static uint8_t block[1 << 16];

static bool all_written(int fd, const uint8_t *data, ssize_t len)
{
	for (ssize_t done = 0, n; done < len; done += n) {
		n = write(fd, data + done, (size_t)(len - done));
		if (n <= 0)
			return false;
	}
	return true;
}

/* A connection to the host, or -1. */
static int host_connect(void)
{
	struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_port = 1024, .svm_cid = VMADDR_CID_HOST};
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	printf("connect: %m\n");
	return -1;
}

static void do_disk(void)
{
	int disk_fd = open("/dev/vda", O_RDONLY), fd = host_connect();
	ssize_t n = disk_fd;

	while (n >= 0 && fd >= 0 && (n = read(disk_fd, block, sizeof(block))) > 0 &&
		all_written(fd, block, n))
		;
	if (n)
		printf("disk: %m\n");
	close(fd);
}

static void do_rng(void)
{
	uint8_t data[64];
	int fd = open("/dev/hwrng", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, data, sizeof(data));

	printf("rng %zd\n", n);
}

static void do_echo(void)
{
	int fd = host_connect();
	ssize_t n;

	while (fd >= 0 && (n = read(fd, block, sizeof(block))) > 0 && all_written(fd, block, n))
		;
	close(fd);
}

static void do_log(void)
{
	static char text[1 << 18];
	int n = klogctl(3, text, sizeof(text));

	all_written(1, (const uint8_t *)text, n);
}

static void do_poweroff(void)
{
	if (iopl(3) == 0)
		outw(0x2000, 0x604);
	printf("still here: %m\n");
}

static void do_reset(void)
{
	reboot(RB_AUTOBOOT);
}

static void do_panic(void)
{
	exit(1);
}

static void do_hang(void)
{
	for (long i = sysconf(_SC_NPROCESSORS_ONLN); i > 1; i--) {
		if (!fork())
			break;
	}
	for (;;)
		;
}

static const struct {
	const char *word;
	void (*act)(void);
} acts[] = {
	{"uptime", do_uptime},
	{"cpus", do_cpus},
	{"memory", do_memory},
	{"disk", do_disk},
	{"rng", do_rng},
	{"echo", do_echo},
	{"log", do_log},
	{"poweroff", do_poweroff},
	{"reset", do_reset},
	{"panic", do_panic},
	{"hang", do_hang},
};

static void word_do(const char *word)
{
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		if (!strcmp(word, acts[i].word)) {
			acts[i].act();
			fflush(stdout);
			return;
		}
	}
	printf("what is %s?\n", word);
}

int main(void)
{
	/* The kernel puts name=value words it does not know into PID 1's environment. */
	char *words = getenv("test");

	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	for (int fd = 0; fd < 3; fd++)
		(void)!dup2(open("/dev/hvc0", O_RDWR), fd);
	for (char *word = words ? strtok(words, ",") : NULL; word; word = strtok(NULL, ","))
		word_do(word);
	do_poweroff();
	return 1;
}
