// SPDX-License-Identifier: Apache-2.0
#include "guest-init/cgroup.h"

#include "guest-init/device_rules.h"
#include "guest-init/layout.h"
#include "guest-init/sys.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define GROUP_PATH LAYOUT_CGROUP "/container"
#define CPU_PERIOD_US 100000
#define MILLI 1000

static int file_write(int dir_fd, const char *name, const char *text)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
	ssize_t n;
	int ret;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	ret = n < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static int limit_write(
	const struct cgroup *cgroup, const char *name, const char *text, struct failure *failure)
{
	int ret = file_write(cgroup->fd, name, text);

	return ret ? setup_failed(failure, -ret, "set the limit ", name, " to ", text) : 0;
}

/* Thousandths of a CPU as "quota period" in microseconds; the kernel wants a quota of 1 ms at least. */
static int cpu_limit_write(const struct cgroup *cgroup, uint64_t milli, struct failure *failure)
{
	char quota[TEXT_U64_BYTES], period[TEXT_U64_BYTES], text[2 * TEXT_U64_BYTES];
	uint64_t quota_us = milli * (CPU_PERIOD_US / MILLI);

	if (milli > UINT64_MAX / CPU_PERIOD_US)
		return setup_failed(failure, 0, "the CPU limit is out of range");
	if (quota_us < 1000)
		quota_us = 1000;
	text_join(text, sizeof(text),
		(const char *const[]){text_u64(quota_us, quota), " ", text_u64(CPU_PERIOD_US, period), NULL});
	return limit_write(cgroup, "cpu.max", text, failure);
}

static int limits_write(const struct cgroup *cgroup, const struct spec *spec, struct failure *failure)
{
	char room[TEXT_U64_BYTES];
	int ret = 0;

	if (spec->memory_max_bytes)
		ret = limit_write(cgroup, "memory.max", text_u64(spec->memory_max_bytes, room), failure);
	if (!ret && spec->pids_max)
		ret = limit_write(cgroup, "pids.max", text_u64(spec->pids_max, room), failure);
	if (!ret && spec->cpu_max_milli)
		ret = cpu_limit_write(cgroup, spec->cpu_max_milli, failure);
	return ret;
}

/* Controllers one by one: one that is missing must not take the others with it. */
static void controllers_enable(int dir_fd)
{
	static const char *const names[] = {"+memory", "+pids", "+cpu"};

	if (!file_write(dir_fd, "cgroup.subtree_control", "+memory +pids +cpu"))
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		file_write(dir_fd, "cgroup.subtree_control", names[i]);
}

/*
 * The device rules hang on the root of the hierarchy, above the container's own group, which it has in its hands when
 * it is given every capability: what hangs there it could detach. They bind guest-init, too, which has mounted the
 * disk by now and opens no other device.
 */
static int group_open(struct cgroup *cgroup, struct failure *failure)
{
	int dir_fd, ret;

	if (mkdir(LAYOUT_CGROUP, 0755) < 0 && errno != EEXIST)
		return setup_failed(failure, errno, "make the directory of the control groups");
	if (mount("cgroup2", LAYOUT_CGROUP, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return setup_failed(failure, errno, "mount the control groups");
	/* Neither clone3(CLONE_INTO_CGROUP) nor bpf() takes an O_PATH descriptor. */
	dir_fd = open(LAYOUT_CGROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return setup_failed(failure, errno, "open the control groups");
	controllers_enable(dir_fd);
	ret = device_rules_attach(dir_fd, failure);
	close(dir_fd);
	if (ret)
		return ret;
	if (mkdir(GROUP_PATH, 0755) < 0 && errno != EEXIST)
		return setup_failed(failure, errno, "make the container's control group");
	cgroup->fd = open(GROUP_PATH, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup->fd < 0)
		return setup_failed(failure, errno, "open the container's control group");
	return 0;
}

int cgroup_make(struct cgroup *cgroup, const struct spec *spec, struct failure *failure)
{
	int ret = group_open(cgroup, failure);

	return ret ? ret : limits_write(cgroup, spec, failure);
}

/* The number behind key at the start of a line; key "": the file is the number. */
static uint64_t file_number(int dir_fd, const char *name, const char *key)
{
	char text[512], *at = text;
	uint64_t value = 0;
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	while (strncmp(at, key, strlen(key)) != 0) {
		at = strchr(at, '\n');
		if (!at)
			return 0;
		at++;
	}
	for (at += strlen(key); *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	return value;
}

struct cgroup_usage cgroup_usage(const struct cgroup *cgroup)
{
	struct cgroup_usage usage = {0};

	if (cgroup->fd < 0)
		return usage;
	usage.oom_kills = (uint32_t)file_number(cgroup->fd, "memory.events", "oom_kill ");
	usage.memory_peak_bytes = file_number(cgroup->fd, "memory.peak", "");
	return usage;
}

void cgroup_kill(const struct cgroup *cgroup)
{
	if (cgroup->fd >= 0)
		file_write(cgroup->fd, "cgroup.kill", "1");
}
