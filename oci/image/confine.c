// SPDX-License-Identifier: Apache-2.0
#include "oci/image/confine.h"

#include "jail/child.h"
#include "jail/confine.h"
#include "oci/image/calls.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * User ids that nothing else has: made of a process's id, above those that are handed out, and above those of machine
 * monitors, which are made in the same way (pids are less than 2^22).
 */
#define UID_BASE (2000000000u + (1u << 22))

#define FDS_FIXED 4 /* 0, 1, 2, and the answer */
#define SLOWEST_BYTES (UINT64_C(4) << 20) /* what is unpacked or converted in a second, at the very least */
#define CPU_GRACE_S 5
/* Beyond what the files of an order may hold: the end of the last block, a table's checksum. */
#define FILE_SLACK (UINT64_C(2) << 20)

/* ---- the nursery ---- */

/*
 * Root outside is another user inside. In somebody's user namespace there may be no such id (EINVAL), nor is root root;
 * root that was stripped of its capabilities can become nobody else (EPERM).
 */
static int identity_change(const struct confinement *how, uint32_t *missing)
{
	uid_t uid = UID_BASE + (uid_t)how->parent;
	int ret = how->user || geteuid() != 0 ? 0 : confine_identity(uid, uid);

	if (ret == -EPERM && how->degraded)
		*missing |= JAIL_UID;
	else if (ret != -EINVAL)
		return ret;
	return 0;
}

static int landlock_enter(bool degraded, uint32_t *missing, struct err *err)
{
	int ret = confine_landlock();

	if (ret > 0)
		return 0;
	*missing |= JAIL_LANDLOCK;
	return degraded ? 0
			: err_sys(err, ret,
				  "Landlock, which confines the decoder of images, is off or missing in this "
				  "host's "
				  "kernel (it needs Linux 5.13 and lsm=landlock; --degraded does without)");
}

static int root_leave(const struct confinement *how, struct err *err)
{
	int ret = how->user ? child_map_ids(how->uid, how->gid) : 0;

	if (!ret)
		ret = confine_root();
	return ret ? err_sys(err, ret, "make an empty root for the decoder of images (see mvrun doctor)") : 0;
}

static int privileges_drop(const struct confinement *how, uint32_t *missing, struct err *err)
{
	int ret = identity_change(how, missing);

	if (!ret)
		ret = confine_capabilities();
	if (!ret)
		ret = confine_process(SIGKILL);
	return ret ? err_sys(err, ret, "confine the decoder of images: give up privileges") : 0;
}

static int calls_narrow(struct err *err)
{
	int ret = filter_install(image_calls, n_image_calls, CALLS_ALL);

	return ret ? err_sys(err, ret,
			     "install a seccomp filter (the host's kernel needs CONFIG_SECCOMP_FILTER)")
		   : 0;
}

static void missing_tell(uint32_t missing, struct err *err)
{
	char text[128] = "";
	size_t len = 0;

	for (unsigned i = 0; i < JAIL_PARTS && len < sizeof(text); i++) {
		if (missing & 1u << i)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? ", " : "",
				jail_part_name(1u << i));
	}
	if (missing)
		err_set(err, EPERM, "this host's jail for the decoder of images lacks: %s", text);
}

int confine_nursery(const struct confinement *how, struct err *err)
{
	uint32_t missing = how->namespaces ? 0 : JAIL_NAMESPACES;
	int ret = how->namespaces ? root_leave(how, err) : 0;

	if (!ret)
		ret = privileges_drop(how, &missing, err);
	if (!ret)
		ret = landlock_enter(how->degraded, &missing, err);
	if (!ret)
		ret = calls_narrow(err);
	if (!ret)
		missing_tell(missing, err);
	return ret;
}

/* ---- workers ---- */

/* The largest file it may write. A pipe is none. */
static uint64_t file_bytes(const struct order *order)
{
	uint64_t answer = order_limits((enum order_kind)order->kind)->answer_bytes;

	if (order->kind != ORDER_LAYER && order->kind != ORDER_TREE)
		return answer;
	return order->max_bytes < UINT64_MAX - FILE_SLACK ? order->max_bytes + FILE_SLACK : UINT64_MAX;
}

/* The first limit is a signal that says what it is, the second ends whoever does not listen. */
static int cpu_limit(const struct order *order)
{
	uint64_t seconds = order_limits((enum order_kind)order->kind)->seconds;
	struct rlimit limit;

	if (order->kind == ORDER_UNPACK || order->kind == ORDER_LAYER)
		seconds += order->max_bytes / SLOWEST_BYTES;
	limit = (struct rlimit){.rlim_cur = seconds, .rlim_max = seconds + CPU_GRACE_S};
	return setrlimit(RLIMIT_CPU, &limit) < 0 ? -errno : 0;
}

int confine_worker(const struct order *order)
{
	const struct {
		int resource;
		uint64_t value;
	} limits[] = {
		{RLIMIT_DATA, order_limits((enum order_kind)order->kind)->memory_bytes},
		{RLIMIT_FSIZE, file_bytes(order)},
		{RLIMIT_NOFILE, FDS_FIXED + order_fds(order)},
		{RLIMIT_NPROC, 0},
		{RLIMIT_MEMLOCK, 0},
		{RLIMIT_MSGQUEUE, 0},
	};
	/* The rest of confine_process() is inherited. */
	int ret = prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ? -errno : 0;

	for (size_t i = 0; !ret && i < sizeof(limits) / sizeof(limits[0]); i++)
		ret = confine_limit(limits[i].resource, limits[i].value);
	if (!ret)
		ret = cpu_limit(order);
	return ret ? ret : filter_install(image_calls, n_image_calls, calls_of((enum order_kind)order->kind));
}
