// SPDX-License-Identifier: Apache-2.0
/*
 * The shortest possible PID 1: powers the machine off with its first instructions. What remains of a boot is the
 * monitor and the kernel. No C library: one page of program.
 *
 * With the word "klog" on the kernel command line it first copies the kernel's log to /dev/console (a node of the
 * initramfs), for bench/profile.
 */
#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>

#define REBOOT_MAGIC 0xfee1dead
#define REBOOT_MAGIC2 672274793
#define REBOOT_RESTART 0x01234567
#define REBOOT_POWER_OFF 0x4321fedc
#define KLOG_READ_ALL 3

static char log_text[512 << 10];

#ifdef __x86_64__
static long call(long number, long a, long b, long c)
{
	long result;
	register long d __asm__("r10") = 0;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(d)
			 : "rcx", "r11", "memory");
	return result;
}

/* 0x2000 to port 0x604 ends a VM of mvrun; the same port is QEMU's isa-debug-exit in this benchmark. */
static void machine_off(void)
{
	if (call(SYS_ioperm, 0x604, 4, 1) == 0) {
		__asm__ volatile("outw %w0, %w1" : : "a"(0x2000), "d"(0x604));
	}
	call(SYS_reboot, (long)REBOOT_MAGIC, REBOOT_MAGIC2, REBOOT_RESTART);
}

__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tcall start\n\thlt\n");
#else
static long call(long number, long a, long b, long c)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = 0;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}

static void machine_off(void)
{
	call(SYS_reboot, (long)REBOOT_MAGIC, REBOOT_MAGIC2, REBOOT_POWER_OFF);
}

__asm__(".globl _start\n_start:\n\tmov x0, sp\n\tbl start\n");
#endif

static int is_klog(const char *word)
{
	return word && word[0] == 'k' && word[1] == 'l' && word[2] == 'o' && word[3] == 'g' &&
	       word[4] == '\0';
}

static void log_write(void)
{
	long len = call(SYS_syslog, KLOG_READ_ALL, (long)log_text, sizeof(log_text));
	long fd = call(SYS_openat, AT_FDCWD, (long)"/dev/console", O_WRONLY);

	for (long done = 0; fd >= 0 && done < len;) {
		long n = call(SYS_write, fd, (long)(log_text + done), len - done);

		if (n <= 0) {
			break;
		}
		done += n;
	}
}

/* stack: argument count, then the arguments. The kernel passes the words it does not know. */
__attribute__((used, noreturn)) void start(const long *stack)
{
	for (long i = 1; i <= stack[0]; i++) {
		if (is_klog((const char *)stack[i])) {
			log_write();
			break;
		}
	}
	for (;;) {
		machine_off();
	}
}
