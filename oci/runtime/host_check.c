// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/host_check.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "jail/confine.h"
#include "oci/runtime/claim.h"
#include "oci/runtime/kvm_probe.h"
#include "oci/runtime/paths.h"
#include "oci/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/landlock.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUP2_MAGIC 0x63677270
/* A hardware KVM offers dozens of CPUID leaves; fewer than this do not describe a processor. */
#define CPUID_ENTRIES_MIN 8

__attribute__((format(printf, 4, 5))) static struct check *check_add(
	struct check_list *list, const char *name, enum check_status status, const char *fmt, ...)
{
	struct check *check = &list->checks[list->n < CHECKS_MAX ? list->n++ : CHECKS_MAX - 1];
	va_list ap;

	*check = (struct check){.name = name, .status = status};
	va_start(ap, fmt);
	vsnprintf(check->detail, sizeof(check->detail), fmt, ap);
	va_end(ap);
	return check;
}

__attribute__((format(printf, 2, 3))) static void check_fix(struct check *check, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(check->fix, sizeof(check->fix), fmt, ap);
	va_end(ap);
}

/* The first line of a small file of /proc or /sys, or "". */
static void line_of(const char *path, char *out, size_t cap)
{
	auto_free char *text = NULL;

	out[0] = '\0';
	if (io_read_file(AT_FDCWD, path, 65536, &text, NULL) == 0)
		snprintf(out, cap, "%.*s", (int)strcspn(text, "\n"), text);
}

static void check_architecture(struct check_list *list)
{
	struct utsname host;

	if (uname(&host) == 0)
		check_add(list, "host", CHECK_OK, "%s, Linux %s", host.machine, host.release);
}

static bool cpu_has_virtualisation(void)
{
#ifdef __x86_64__
	auto_free char *text = NULL;

	if (io_read_file(AT_FDCWD, "/proc/cpuinfo", 4u << 20, &text, NULL) < 0)
		return true;
	return strstr(text, " vmx") || strstr(text, " svm");
#else
	return true;
#endif
}

static void check_kvm_open(struct check_list *list, int error)
{
	struct check *check;

	if (error == EACCES || error == EPERM) {
		check = check_add(list, "kvm", CHECK_FAILED, "no permission to use /dev/kvm");
		check_fix(check, "sudo usermod -aG kvm \"$USER\", then log in again");
		return;
	}
	if (error != ENOENT) {
		check_add(list, "kvm", CHECK_FAILED, "/dev/kvm cannot be opened: %s", strerror(error));
		return;
	}
	check = check_add(list, "kvm", CHECK_FAILED, "there is no /dev/kvm");
	if (cpu_has_virtualisation())
		check_fix(check, "load the module: sudo modprobe kvm_intel (or kvm_amd); in a container, "
				 "pass --device "
				 "/dev/kvm");
	else
		check_fix(check, "the processor shows no virtualisation: switch it on in the firmware, or, "
				 "in a virtual machine, "
				 "switch on nested virtualisation at its host");
}

/* The trials are what counts: a KVM that fails one cannot boot Linux, whatever it says of itself. */
static void check_trials(struct check_list *list, const struct kvm_report *report)
{
	bool failed = false;

	for (size_t i = 0; i < report->n_trials; i++) {
		const struct kvm_trial *trial = &report->trials[i];

		check_add(list, "guest", trial->passed ? CHECK_OK : CHECK_FAILED, "%s: %s", trial->name,
			trial->passed ? "runs" : trial->detail);
		failed |= !trial->passed;
	}
	if (!report->n_trials || report->machine_error[0]) {
		check_add(list, "guest", CHECK_FAILED, "%s",
			report->machine_error[0] ? report->machine_error : "no guest could be run");
		failed = true;
	}
	if (failed)
		check_fix(&list->checks[list->n - 1],
			"this KVM cannot boot Linux; use a host with hardware virtualisation%s",
			report->paravirtual ? " (this one is paravirtual: kvm_pvm)" : "");
}

static void check_kvm(struct check_list *list)
{
	struct kvm_report report;
	struct check *check;

	kvm_probe(&report);
	if (report.open_error) {
		check_kvm_open(list, report.open_error);
		return;
	}
	if (report.api_version != KVM_API_VERSION) {
		check_add(list, "kvm", CHECK_FAILED, "/dev/kvm speaks version %d of the KVM API, not %d",
			report.api_version, KVM_API_VERSION);
		return;
	}
	check_add(list, "kvm", CHECK_OK, "/dev/kvm can be used%s",
		report.paravirtual ? "; it is a paravirtual one (kvm_pvm)" : "");
	if (report.missing[0]) {
		check = check_add(list, "kvm", CHECK_FAILED, "KVM lacks %s", report.missing);
		check_fix(check, "use a host kernel of version 5.10 or later");
	}
#ifdef __x86_64__
	if (report.cpuid_entries < CPUID_ENTRIES_MIN)
		check_add(list, "kvm", CHECK_FAILED, "KVM describes no usable processor (%u CPUID leaves)",
			report.cpuid_entries);
#endif
	check_trials(list, &report);
}

static void check_part(struct check_list *list, const struct paths *paths, const char *file, const char *what,
	int access_mode)
{
	char path[PATHS_CAP + 32];
	struct check *check;

	snprintf(path, sizeof(path), "%s/%s", paths->libexec, file);
	if (access(path, access_mode) == 0) {
		check_add(list, "parts", CHECK_OK, "%s: %.200s", what, path);
		return;
	}
	check = check_add(list, "parts", CHECK_FAILED, "%s: %.160s: %s", what, path,
		errno == ENOENT ? "missing" : strerror(errno));
	check_fix(check, "reinstall mvrun, or set MVRUN_LIBEXEC to where its parts are");
}

static void check_parts(struct check_list *list)
{
	struct paths paths;
	struct err err = ERR_INIT;

	if (paths_find(&paths, &err)) {
		check_add(list, "parts", CHECK_FAILED, "%.250s", err.text);
		return;
	}
	check_part(list, &paths, VMM_FILE, "machine monitor", X_OK);
	check_part(list, &paths, IMAGE_FILE, "image loader", X_OK);
	check_part(list, &paths, KERNEL_FILE, "guest kernel", R_OK);
	check_part(list, &paths, INITRAMFS_FILE, "initramfs", R_OK);
}

/* The nearest directory above path that exists decides whether path can be made. */
static bool can_be_made(const char *path)
{
	char at[4096];
	struct stat st;

	snprintf(at, sizeof(at), "%s", path);
	while (stat(at, &st) < 0) {
		char *slash = strrchr(at, '/');

		if (errno != ENOENT)
			return false;
		if (!slash)
			return access(".", W_OK) == 0;
		slash[slash == at] = '\0';
	}
	return S_ISDIR(st.st_mode) && access(at, W_OK | X_OK) == 0;
}

static void check_directory(struct check_list *list, const char *name, const char *path, const char *variable)
{
	struct check *check;

	if (can_be_made(path)) {
		check_add(list, name, CHECK_OK, "%.200s can be written", path);
		return;
	}
	check = check_add(list, name, CHECK_FAILED, "%.200s cannot be written", path);
	check_fix(check, "set %s to a directory of your own", variable);
}

static void check_directories(struct check_list *list, const char *store_path)
{
	struct err err = ERR_INIT;
	struct store store;
	char state[4096];
	int ret = store_open(&store, store_path, 0, &err);

	if (!ret)
		store_close(&store);
	if (store.path[0])
		check_directory(list, "store", store.path, "MVRUN_STORE");
	else
		check_add(list, "store", CHECK_FAILED, "%.250s", err.text);
	/* A store that is there but cannot be read is not the same as none yet. */
	if (ret && ret != -ENOENT && store.path[0])
		check_add(list, "store", CHECK_FAILED, "%.250s", err.text);
	if (state_path(state, sizeof(state), &err))
		check_fix(check_add(list, "state", CHECK_INFO, "no place for container names"),
			"set XDG_RUNTIME_DIR or MVRUN_STATE if you want to use --name");
	else
		check_directory(list, "state", state, "MVRUN_STATE");
}

static void check_cgroup(struct check_list *list)
{
	struct statfs fs;
	const char *mode = "none";

	if (statfs("/sys/fs/cgroup", &fs) == 0 && (unsigned long)fs.f_type == CGROUP2_MAGIC)
		mode = "version 2";
	else if (access("/sys/fs/cgroup/unified", F_OK) == 0)
		mode = "version 1 with version 2 beside it (hybrid)";
	else if (access("/sys/fs/cgroup/memory", F_OK) == 0 || access("/sys/fs/cgroup/cpu", F_OK) == 0)
		mode = "version 1";
	/* The limits of containers are kept inside their machines, so every mode will do; the monitor wants version 2. */
	check_add(list, "cgroups", CHECK_OK, "%s", mode);
}

/* A part of the jail without which `run` refuses, unless it is told --degraded. */
static void check_jail_part(struct check_list *list, const char *name, bool there, const char *fix)
{
	struct check *check = check_add(
		list, name, there ? CHECK_OK : CHECK_FAILED, "%s", there ? "available" : "not available");

	if (!there)
		check_fix(check, "%s; or run --degraded", fix);
}

/* Whether namespaces can be made is found out by making them, in a child. */
static bool namespaces_work(void)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return false;
	if (!pid)
		_exit(confine_namespaces(
			      (geteuid() ? CLONE_NEWUSER : 0) | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) ||
			confine_root());
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void check_confinement(struct check_list *list)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	check_jail_part(list, "namespaces", namespaces_work(),
		"let users make them: sysctl user.max_user_namespaces, "
		"kernel.apparmor_restrict_unprivileged_userns=0");
	check_jail_part(list, "seccomp", access("/proc/sys/kernel/seccomp", F_OK) == 0,
		"use a kernel with CONFIG_SECCOMP_FILTER");
	check_jail_part(list, "landlock", abi > 0,
		"use Linux 5.13 or later, with landlock in the kernel's parameter lsm=");
}

static void check_huge_pages(struct check_list *list)
{
	struct check *check;
	char line[64];

	line_of("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof(line));
	if (strstr(line, "[madvise]") || strstr(line, "[always]")) {
		check_add(list, "huge pages", CHECK_OK, "available to guests: machines start faster");
		return;
	}
	check = check_add(list, "huge pages", CHECK_INFO, "not available: machines start slower");
	check_fix(check, "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled");
}

void host_check(struct check_list *list, const char *store_path)
{
	list->n = 0;
	check_architecture(list);
	check_kvm(list);
	check_parts(list);
	check_directories(list, store_path);
	check_cgroup(list);
	check_confinement(list);
	check_huge_pages(list);
}

bool host_fit(const struct check_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->checks[i].status == CHECK_FAILED)
			return false;
	}
	return true;
}
