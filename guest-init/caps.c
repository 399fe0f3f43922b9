// SPDX-License-Identifier: Apache-2.0
#include "guest-init/caps.h"

#include "guest-init/sys.h"

#include <linux/capability.h>
#include <sys/prctl.h>

int caps_limit_bounding(uint64_t allowed, struct failure *failure)
{
	unsigned int capability;

	for (capability = 0; capability < 64; capability++) {
		int held = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);

		if (held < 0)
			break;
		if (allowed >> capability & 1) {
			if (!held)
				return setup_failed(
					failure, 0, "a capability that was asked for is not to be had");
		} else if (held && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) {
			return setup_failed(failure, errno, "drop a capability");
		}
	}
	if (capability < 64 && allowed >> capability)
		return setup_failed(
			failure, 0, "a capability that was asked for is unknown to the guest kernel");
	return 0;
}

/* musl's setuid() and its kin would keep threads in step; there are none, and the raw calls are small. */
static int ids_set(const struct user *user)
{
	if (syscall(SYS_setgroups, user->n_groups, user->groups) < 0 ||
		syscall(SYS_setresgid, user->gid, user->gid, user->gid) < 0 ||
		syscall(SYS_setresuid, user->uid, user->uid, user->uid) < 0)
		return -errno;
	return 0;
}

int caps_become_user(const struct user *user, uint64_t allowed, struct failure *failure)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	uint64_t kept = user->uid ? 0 : allowed;
	int ret = ids_set(user);

	if (ret)
		return setup_failed(failure, -ret, "switch to the container's user");
	for (int i = 0; i < 2; i++)
		data[i].permitted = data[i].effective = (uint32_t)(kept >> (32 * i));
	if (syscall(SYS_capset, &header, data) < 0)
		return setup_failed(failure, errno, "set the capabilities");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return setup_failed(failure, errno, "clear the ambient capabilities");
	return 0;
}
