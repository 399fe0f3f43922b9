// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/running.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "oci/runtime/container.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define NOTE_MAX 512u
#define STATUS_MAX 8192u /* /proc/PID/status */

void running_note(const struct claim *claim, const struct running *running)
{
	char text[NOTE_MAX];
	int len;

	if (claim->fd < 0)
		return;
	len = snprintf(text, sizeof(text),
		"{\"id\":\"%s\",\"pid\":%d,\"monitor\":%d,\"best\":%" PRIu32 ",\"reached\":%" PRIu32 "}\n",
		running->id, running->pid, running->monitor_pid, running->jail_best, running->jail_reached);
	/* For people and other commands; the lock is what counts. It only ever grows. */
	(void)io_pwrite_all(claim->fd, text, (size_t)len, 0);
}

static int note_read(int fd, struct running *running)
{
	json_int_t pid, monitor, best, reached;
	char text[NOTE_MAX];
	ssize_t len = io_read_capped(fd, text, sizeof(text));
	const char *id;
	json_t *json;
	int ret;

	json = len > 0 ? json_loadb(text, (size_t)len, JSON_REJECT_DUPLICATES, NULL) : NULL;
	ret = json_unpack(json, "{s:s, s:I, s:I, s:I, s:I}", "id", &id, "pid", &pid, "monitor", &monitor,
		"best", &best, "reached", &reached);
	if (!ret && strlen(id) < sizeof(running->id) && pid > 0 && pid <= INT32_MAX && monitor >= 0 &&
		monitor <= INT32_MAX && best >= 0 && best <= UINT32_MAX && reached >= 0 &&
		reached <= UINT32_MAX) {
		*running = (struct running){.pid = (pid_t)pid,
			.monitor_pid = (pid_t)monitor,
			.jail_best = (uint32_t)best,
			.jail_reached = (uint32_t)reached};
		memcpy(running->id, id, strlen(id) + 1);
	} else {
		ret = -EBADMSG;
	}
	json_decref(json);
	return ret;
}

int running_find(const char *name, struct running *running, struct err *err)
{
	auto_fd fd = -1;

	if (!container_name_valid(name))
		return err_set(err, EINVAL, "\"%s\" is no container name", name);
	fd = claim_open(name, err);
	if (fd < 0 && fd != -ENOENT)
		return fd;
	/* Whose lock is free has ended, however it ended. */
	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0)
		return err_set(err, ENOENT, "no such container: %s", name);
	return note_read(fd, running) ? err_set(err, EBADMSG, "the container %s says nothing of itself", name)
				      : 0;
}

/* The text behind "Key:\t" in /proc/PID/status; "" if it is not there. */
static const char *status_value(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	return at && (at == status || at[-1] == '\n') ? at + strlen(key) : "";
}

int running_confinement(const struct running *running, struct confinement *confinement)
{
	static const char *const sets[] = {"CapInh:\t", "CapPrm:\t", "CapEff:\t", "CapBnd:\t", "CapAmb:\t"};
	auto_free char *status = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", running->monitor_pid);
	if (!running->monitor_pid || io_read_file(AT_FDCWD, path, STATUS_MAX, &status, NULL) ||
		strncmp(status_value(status, "Name:\t"), "mvrun-vmm\n", 10) != 0)
		return -ESRCH;
	*confinement = (struct confinement){
		.uid = (unsigned)strtoul(status_value(status, "Uid:\t"), NULL, 10),
		.seccomp = (unsigned)strtoul(status_value(status, "Seccomp:\t"), NULL, 10),
		.no_new_privs = strtoul(status_value(status, "NoNewPrivs:\t"), NULL, 10) == 1,
	};
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		confinement->capabilities |= strtoull(status_value(status, sets[i]), NULL, 16);
	return 0;
}
