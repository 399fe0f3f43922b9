// SPDX-License-Identifier: Apache-2.0
#include "jail/confine.h"

#include "jail/child.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *jail_part_name(unsigned part)
{
	static const char *const names[JAIL_PARTS] = {
		"namespaces", "user-namespace", "own-uid", "landlock", "cgroup"};

	for (unsigned i = 0; i < JAIL_PARTS; i++) {
		if (part == 1u << i)
			return names[i];
	}
	return NULL;
}

int confine_descriptors(unsigned first)
{
	return syscall(SYS_close_range, first, ~0u, 0) < 0 ? -errno : 0;
}

int confine_namespaces(int namespaces)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(namespaces) < 0)
		return -errno;
	return namespaces & CLONE_NEWUSER ? child_map_ids(uid, gid) : 0;
}

/* /proc is where the new root is put for a moment: it is the one directory that every Linux system has. */
int confine_root(void)
{
	static const char options[] = "mode=0555,size=4k,nr_inodes=2";
	const unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("none", "/proc", "tmpfs", flags, options) < 0 || chdir("/proc") < 0)
		return -errno;
	/* The old root lands on top of the new one, and is taken off it (pivot_root(2), "."). */
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

int confine_identity(uid_t uid, gid_t gid)
{
	/* Capabilities are given up last: until then a change of user must not cost them (capabilities(7)). */
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0)
		return -errno;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	return 0;
}

static int bounding_set_drop(void)
{
	/* The kernel knows how many there are: the first that is none ends the list. */
	for (unsigned long cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return errno == EINVAL && cap ? 0 : -errno;
	}
	return 0;
}

int confine_capabilities(void)
{
	const unsigned long locked = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
				     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
				     SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0}, now[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, now) < 0)
		return -errno;
	/* Who cannot change these sets has nothing in them that no_new_privs would not keep out of reach. */
	if (now[0].effective & 1u << CAP_SETPCAP) {
		int ret = bounding_set_drop();

		if (ret)
			return ret;
		if (prctl(PR_SET_SECUREBITS, locked, 0, 0, 0) < 0)
			return -errno;
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
		syscall(SYS_capset, &header, none) < 0)
		return -errno;
	return 0;
}

int confine_process(int death_signal)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
		prctl(PR_SET_PDEATHSIG, (unsigned long)death_signal, 0, 0, 0) < 0)
		return -errno;
	return confine_limit(RLIMIT_CORE, 0);
}

/* linux/landlock.h of Linux 6.12; older headers know less, and older kernels take a shorter structure. */
struct ruleset {
	uint64_t handled_access_fs; /* version 1 */
	uint64_t handled_access_net; /* version 4 */
	uint64_t scoped; /* version 6 */
};

#define RULESET_VERSION 1u /* LANDLOCK_CREATE_RULESET_VERSION */

/* How many kinds of access each version knows, and how much of the structure. */
static const struct landlock_version {
	unsigned n_fs, n_net, n_scoped;
	size_t bytes;
} landlock_versions[] = {
	{13, 0, 0, 8}, {14, 0, 0, 8}, /* 2: linking and renaming between directories */
	{15, 0, 0, 8}, /* 3: truncating */
	{15, 2, 0, 16}, /* 4: TCP bind and connect */
	{16, 2, 0, 16}, /* 5: ioctl on devices */
	{16, 2, 2, 24}, /* 6: abstract sockets and signals */
};

#define LANDLOCK_VERSIONS (sizeof(landlock_versions) / sizeof(landlock_versions[0]))

static uint64_t bits(unsigned n)
{
	return (UINT64_C(1) << n) - 1;
}

int confine_landlock(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION);
	const struct landlock_version *known;
	struct ruleset ruleset;
	long fd;
	int ret = 0;

	if (version < 1)
		return version < 0 ? -errno : -EOPNOTSUPP;
	known = &landlock_versions[(version < (long)LANDLOCK_VERSIONS ? (size_t)version : LANDLOCK_VERSIONS) -
				   1];
	ruleset = (struct ruleset){bits(known->n_fs), bits(known->n_net), bits(known->n_scoped)};
	fd = syscall(SYS_landlock_create_ruleset, &ruleset, known->bytes, 0);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		ret = -errno;
	close((int)fd);
	return ret ? ret : (int)version;
}

int confine_limit(int resource, uint64_t value)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
		return -errno;
	if (limit.rlim_max > value)
		limit.rlim_max = value;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit((__rlimit_resource_t)resource, &limit) < 0 ? -errno : 0;
}
