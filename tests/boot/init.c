// SPDX-License-Identifier: Apache-2.0
/*
 * The smallest PID 1: does what the words of the kernel command line say, in their order.
 *
 *	test=uptime,poweroff
 *
 * uptime: print the time since boot. cpus: print how many processors are on line. memory: print MemTotal.
 *disk: read /dev/vda and print a checksum. rng: read the entropy device. echo: connect to vsock port 1024 of
 *the host and send back what comes. log: print the kernel's log. hang: stop all interrupts of this processor
 *and spin. Last words: poweroff, reset, panic, fault.
 */
#include <errno.h>
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

static void do_disk(void)
{
	static uint8_t block[1 << 16];
	int fd = open("/dev/vda", O_RDONLY);
	uint64_t sum = 0, bytes = 0;
	ssize_t n;

	if (fd < 0) {
		printf("disk: %m\n");
		return;
	}
	while ((n = read(fd, block, sizeof(block))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			sum = sum * 31 + block[i];
		bytes += (uint64_t)n;
	}
	printf("disk %llu bytes sum %016llx%s\n", (unsigned long long)bytes, (unsigned long long)sum,
		n < 0 ? " error" : "");
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
	static uint8_t block[1 << 16];
	struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_port = 1024, .svm_cid = VMADDR_CID_HOST};
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	ssize_t n;

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		printf("echo: %m\n");
		return;
	}
	while ((n = read(fd, block, sizeof(block))) > 0) {
		for (ssize_t done = 0, w; done < n; done += w) {
			w = write(fd, block + done, (size_t)(n - done));
			if (w < 0)
				return;
		}
	}
	close(fd);
}

static void do_log(void)
{
	static char text[1 << 18];
	int n = klogctl(3, text, sizeof(text));

	for (int done = 0; done < n;) {
		ssize_t w = write(1, text + done, (size_t)(n - done));

		if (w <= 0)
			return;
		done += (int)w;
	}
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
	if (iopl(3) == 0)
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
