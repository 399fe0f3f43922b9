// SPDX-License-Identifier: Apache-2.0
//
// probe [NAME...]: tries what a container must not be able to do, and prints one line for each: a name and "yes" or the
// error.

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define VSOCK_FAMILY 40

static void report(const char *name, long result)
{
	printf("%s %s\n", name, result >= 0 ? "yes" : strerror(errno));
	fflush(stdout);
}

// Each try in a process of its own: some kill, some change what the next one sees.
static void try(const char *name, long (*action)(void))
{
	pid_t pid = fork();
	if (pid == 0) {
		report(name, action());
		_exit(0);
	}
	int status = 0;
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		printf("%s killed by %d\n", name, WTERMSIG(status));
}

static long try_vsock(void)
{
	return socket(VSOCK_FAMILY, SOCK_STREAM, 0);
}

static long try_vsock_dgram(void)
{
	return socket(VSOCK_FAMILY, SOCK_DGRAM, 0);
}

static long open_node(unsigned type, unsigned major_nr, unsigned minor_nr)
{
	if (mknod("/tmp/node", type | 0600, makedev(major_nr, minor_nr)) < 0)
		return -1;
	int fd = open("/tmp/node", O_RDONLY);
	int saved = errno;
	unlink("/tmp/node");
	errno = saved;
	return fd;
}

static long try_vda(void)
{
	return open_node(S_IFBLK, 254, 0);
}

static long try_vdb(void)
{
	return open_node(S_IFBLK, 253, 0);
}

static long try_hvc(void)
{
	return open_node(S_IFCHR, 229, 0);
}

static long try_mem(void)
{
	return open_node(S_IFCHR, 1, 1);
}

static long try_kmsg(void)
{
	return open_node(S_IFCHR, 1, 11);
}

static long try_mount(void)
{
	return mount("none", "/tmp", "tmpfs", 0, NULL);
}

static long try_remount(void)
{
	return mount(NULL, "/proc", NULL, MS_REMOUNT, NULL);
}

static long try_umount(void)
{
	return umount2("/proc/kcore", MNT_DETACH);
}

static long try_unshare_user(void)
{
	return unshare(CLONE_NEWUSER);
}

static long try_unshare_mount(void)
{
	return unshare(CLONE_NEWNS);
}

static long try_setns(void)
{
	int fd = open("/proc/1/ns/mnt", O_RDONLY);
	return fd < 0 ? -1 : setns(fd, 0);
}

static long try_chroot_proc(void)
{
	return open("/proc/1/root/../../init", O_RDONLY);
}

static long try_reboot(void)
{
	return syscall(SYS_reboot, 0xfee1dead, 672274793, 0x1234567, NULL); // RB_AUTOBOOT
}

static long try_module(void)
{
	return syscall(SYS_init_module, "x", 1UL, "");
}

static long try_kexec(void)
{
	return syscall(SYS_kexec_load, 0UL, 0UL, NULL, 0UL);
}

static long try_bpf(void)
{
	char attr[64] = {0};
	return syscall(SYS_bpf, 0, attr, sizeof(attr));
}

static long try_keyctl(void)
{
	return syscall(SYS_keyctl, 0, -3, 0);
}

static long try_userfaultfd(void)
{
	return syscall(SYS_userfaultfd, 0);
}

static long try_io_uring(void)
{
	char params[256] = {0};
	return syscall(SYS_io_uring_setup, 1, params);
}

static long try_settime(void)
{
	long time[2] = {0, 0};
	return syscall(SYS_clock_settime, 0, time);
}

static long try_swapon(void)
{
	return syscall(SYS_swapon, "/tmp/x", 0);
}

#ifdef __x86_64__
static long try_iopl(void)
{
	return syscall(SYS_iopl, 3);
}
#endif

static long write_file(const char *path)
{
	int fd = open(path, O_WRONLY);
	return fd < 0 ? -1 : write(fd, "0", 1);
}

static long try_sysrq(void)
{
	return write_file("/proc/sysrq-trigger");
}

static long try_core_pattern(void)
{
	return write_file("/proc/sys/kernel/core_pattern");
}

static long try_sysfs(void)
{
	return write_file("/sys/kernel/mm/transparent_hugepage/enabled");
}

static long try_cgroup(void)
{
	return write_file("/sys/fs/cgroup/cgroup.procs");
}

static long read_bytes(const char *path)
{
	char byte;
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, &byte, 1);
	errno = ENODATA;
	return n == 1 ? 0 : -1;
}

static long try_kcore(void)
{
	return read_bytes("/proc/kcore");
}

static long try_keys(void)
{
	return read_bytes("/proc/keys");
}

static long try_hostname(void)
{
	return sethostname("x", 1);
}

static long try_raw_socket(void)
{
	return socket(AF_INET, SOCK_RAW, 1);
}

static long try_packet_socket(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

// Without arguments all of them are tried.
static int is_wanted(int argc, char *argv[], const char *name)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return 1;
	return argc < 2;
}

int main(int argc, char *argv[])
{
	if (getpid() != 1) {
		fprintf(stderr, "probe: only inside a container\n");
		return 2;
	}
	static const struct {
		const char *name;
		long (*action)(void);
	} tries[] = {{"vsock", try_vsock}, {"vsock-dgram", try_vsock_dgram}, {"vda", try_vda},
		{"vdb", try_vdb}, {"hvc", try_hvc}, {"mem", try_mem}, {"kmsg", try_kmsg},
		{"mount", try_mount}, {"remount", try_remount}, {"umount", try_umount},
		{"unshare-user", try_unshare_user}, {"unshare-mount", try_unshare_mount},
		{"setns", try_setns}, {"init-file", try_chroot_proc}, {"reboot", try_reboot},
		{"module", try_module}, {"kexec", try_kexec}, {"bpf", try_bpf}, {"keyctl", try_keyctl},
		{"userfaultfd", try_userfaultfd}, {"io-uring", try_io_uring}, {"settime", try_settime},
		{"swapon", try_swapon},
#ifdef __x86_64__
		{"iopl", try_iopl},
#endif
		{"sysrq", try_sysrq}, {"core-pattern", try_core_pattern}, {"sysfs", try_sysfs},
		{"cgroup", try_cgroup}, {"kcore", try_kcore}, {"keys", try_keys}, {"hostname", try_hostname},
		{"raw-socket", try_raw_socket}, {"packet-socket", try_packet_socket}};
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		if (is_wanted(argc, argv, tries[i].name))
			try(tries[i].name, tries[i].action);
	return 0;
}
