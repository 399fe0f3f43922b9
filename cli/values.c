// SPDX-License-Identifier: Apache-2.0
#include "cli/values.h"

#include "base/cleanup.h"
#include "base/num.h"
#include "oci/runtime/capability.h"
#include "oci/runtime/names.h"
#include "vmm/machine.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/mount.h>
#include <sys/resource.h>

#define HOSTNAME_MAX 63

int value_memory(const char *text, uint64_t *bytes, struct err *err)
{
	uint64_t value;
	int ret = num_parse_size(text, &value);

	if (ret == -EINVAL)
		return err_set(err, EINVAL,
			"--memory %s: not a size: a number and b, k, m or g, such as 512m or 1.5g", text);
	if (!ret && value < VMM_RAM_MIN_BYTES)
		return err_set(err, EINVAL, "--memory %s is too little: a machine needs at least %llu MiB",
			text, (unsigned long long)(VMM_RAM_MIN_BYTES / MIB));
	if (ret || value > VMM_RAM_MAX_BYTES)
		return err_set(err, EINVAL, "--memory %s is too much: a machine can have %llu GiB", text,
			(unsigned long long)(VMM_RAM_MAX_BYTES / GIB));
	*bytes = (value + MIB - 1) & ~(MIB - 1);
	return 0;
}

int value_cpus(const char *text, unsigned available, uint64_t *milli, struct err *err)
{
	uint64_t value, max = available < VMM_VCPUS_MAX ? available : VMM_VCPUS_MAX;
	int ret = num_parse_milli(text, max * 1000, &value);

	/* Zero as written, not what was rounded down to it. */
	if (!ret && !value && strspn(text, "0.") == strlen(text))
		value = max * 1000;

	if (ret == -EINVAL)
		return err_set(err, EINVAL, "--cpus %s: not a number of CPUs, such as 2 or 0.5", text);
	if (ret || value < 10)
		return err_set(err, EINVAL,
			"--cpus %s is not possible here: the range is from 0.01 to %llu, 0 is no limit", text,
			(unsigned long long)max);
	*milli = value;
	return 0;
}

int value_pids(const char *text, uint64_t *pids, struct err *err)
{
	if (!strcmp(text, "-1")) {
		*pids = 0;
		return 0;
	}
	/* The kernel's own bound: PID_MAX_LIMIT. */
	if (num_parse_u64(text, 4u << 20, pids))
		return err_set(err, EINVAL,
			"--pids-limit %s: not a number of processes up to 4194304, nor -1", text);
	return 0;
}

/* Take a limit, "-1" or "unlimited" being none. */
static int parse_limit(const char *text, size_t len, uint64_t *limit)
{
	char number[24];

	if (len >= sizeof(number))
		return -EINVAL;
	memcpy(number, text, len);
	number[len] = '\0';
	if (!strcmp(number, "-1") || !strcmp(number, "unlimited")) {
		*limit = UINT64_MAX;
		return 0;
	}
	return num_parse_u64(number, UINT64_MAX - 1, limit);
}

int value_ulimit(const char *text, struct spec_rlimit *rlimit, struct err *err)
{
	size_t name_len = strcspn(text, "="), soft_len;
	struct spec_rlimit value;
	char name[16] = "";
	const char *soft;
	int resource;

	if (name_len < sizeof(name))
		memcpy(name, text, name_len);
	resource = rlimit_parse(name);
	if (!text[name_len] || resource < 0)
		return err_set(err, EINVAL, "--ulimit %s: not a limit, such as nofile=1024:2048", text);
	soft = text + name_len + 1;
	soft_len = strcspn(soft, ":");
	value.resource = (uint32_t)resource;
	if (parse_limit(soft, soft_len, &value.soft))
		return err_set(err, EINVAL, "--ulimit %s: not a limit, such as nofile=1024:2048", text);
	value.hard = value.soft;
	if (soft[soft_len] && parse_limit(soft + soft_len + 1, strlen(soft + soft_len + 1), &value.hard))
		return err_set(err, EINVAL, "--ulimit %s: not a limit, such as nofile=1024:2048", text);
	if (value.soft > value.hard)
		return err_set(err, EINVAL, "--ulimit %s: the soft limit is above the hard limit", text);
	*rlimit = value;
	return 0;
}

int value_signal(const char *text, int *signal, struct err *err)
{
	int number = signal_parse(text);

	if (number < 0)
		return err_set(
			err, EINVAL, "--stop-signal %s: not a signal, such as TERM, SIGINT or 9", text);
	*signal = number;
	return 0;
}

int value_hostname(const char *text, struct err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
	size_t len = strlen(text);

	if (!len || len > HOSTNAME_MAX || strspn(text, allowed) != len || text[0] == '-' || text[0] == '.' ||
		text[len - 1] == '-')
		return err_set(err, EINVAL,
			"--hostname %s: not a name of letters, digits, dots and dashes, at most %d", text,
			HOSTNAME_MAX);
	return 0;
}

struct mount_flag {
	const char *name;
	uint64_t set;
	uint64_t clear;
};

static const struct mount_flag mount_flags[] = {
	{"rw", 0, MS_RDONLY},
	{"ro", MS_RDONLY, 0},
	{"exec", 0, MS_NOEXEC},
	{"noexec", MS_NOEXEC, 0},
	{"suid", 0, MS_NOSUID},
	{"nosuid", MS_NOSUID, 0},
	{"dev", 0, MS_NODEV},
	{"nodev", MS_NODEV, 0},
	{"atime", 0, MS_NOATIME},
	{"noatime", MS_NOATIME, 0},
	{"relatime", MS_RELATIME, 0},
	{"strictatime", MS_STRICTATIME, 0},
};

/* Options that go to tmpfs itself, with their value. */
static const char *const tmpfs_options[] = {"size=", "mode=", "uid=", "gid=", "nr_inodes="};

static bool tmpfs_flag(const char *word, uint64_t *flags)
{
	for (size_t i = 0; i < sizeof(mount_flags) / sizeof(mount_flags[0]); i++) {
		if (!strcmp(mount_flags[i].name, word)) {
			*flags = (*flags | mount_flags[i].set) & ~mount_flags[i].clear;
			return true;
		}
	}
	return false;
}

static bool tmpfs_option(const char *word)
{
	for (size_t i = 0; i < sizeof(tmpfs_options) / sizeof(tmpfs_options[0]); i++) {
		size_t len = strlen(tmpfs_options[i]);

		/* The characters that a number, a size or a percentage is made of. */
		if (!strncmp(tmpfs_options[i], word, len))
			return word[len] && strspn(word + len, "0123456789kKmMgG%") == strlen(word + len);
	}
	return false;
}

/* Sort the words of options into flags and what stays in data, which has room for all of them. */
static int tmpfs_options_parse(const char *text, char *options, uint64_t *flags, char *data, struct err *err)
{
	size_t used = 0;
	char *rest = options, *word;

	data[0] = '\0';
	while ((word = strsep(&rest, ",")) != NULL) {
		size_t len = strlen(word);

		if (!len || tmpfs_flag(word, flags))
			continue;
		if (!tmpfs_option(word))
			return err_set(err, EINVAL,
				"--tmpfs %s: unknown option \"%s\" (size=, mode=, uid=, gid=, ro, exec, "
				"suid, dev …)",
				text, word);
		if (used)
			data[used++] = ',';
		memcpy(data + used, word, len + 1);
		used += len;
	}
	return 0;
}

static bool path_climbs(const char *path)
{
	for (; *path; path += strcspn(path, "/")) {
		path += strspn(path, "/");
		if (path[0] == '.' && path[1] == '.' && (!path[2] || path[2] == '/'))
			return true;
	}
	return false;
}

int value_tmpfs(const char *text, struct spec_mount *mount, char **owned, struct err *err)
{
	size_t len = strlen(text), target_len = strcspn(text, ":");
	uint64_t flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	auto_free char *block = malloc(3 * (len + 1));
	char *target = block, *options, *data;

	if (!block)
		return err_sys(err, ENOMEM, "--tmpfs %s", text);
	options = block + len + 1;
	data = options + len + 1;
	memcpy(target, text, target_len);
	target[target_len] = '\0';
	memcpy(options, text[target_len] ? text + target_len + 1 : "",
		text[target_len] ? len - target_len : 1);
	if (target[0] != '/' || !target[strspn(target, "/")] || path_climbs(target))
		return err_set(
			err, EINVAL, "--tmpfs %s: \"%s\" is not an absolute path below /", text, target);
	if (tmpfs_options_parse(text, options, &flags, data, err))
		return -EINVAL;
	*mount = (struct spec_mount){
		.target = target, .type = "tmpfs", .source = "tmpfs", .data = data, .flags = flags};
	*owned = ptr_steal(block);
	return 0;
}

/* A list of names as a set; all tells whether ALL was among them. */
static int capability_set(
	const char *const *names, size_t n, uint64_t *set, bool *all, const char *option, struct err *err)
{
	*set = 0;
	*all = false;
	for (size_t i = 0; i < n; i++) {
		int bit = capability_parse(names[i]);

		if (!strcasecmp(names[i], "ALL") || !strcasecmp(names[i], "CAP_ALL"))
			*all = true;
		else if (bit < 0)
			return err_set(err, EINVAL, "--%s: there is no capability \"%s\"", option, names[i]);
		else
			*set |= UINT64_C(1) << bit;
	}
	return 0;
}

int value_capabilities(const char *const *add, size_t n_add, const char *const *drop, size_t n_drop,
	uint64_t *capabilities, struct err *err)
{
	uint64_t added, dropped;
	bool add_all, drop_all;

	if (capability_set(add, n_add, &added, &add_all, "cap-add", err) ||
		capability_set(drop, n_drop, &dropped, &drop_all, "cap-drop", err))
		return -EINVAL;
	if (add_all)
		*capabilities = capability_all() & ~dropped;
	else if (drop_all)
		*capabilities = added;
	else
		*capabilities = (capability_default() & ~dropped) | added;
	return 0;
}

int value_image_size(const char *text, struct err *err)
{
	uint64_t bytes;

	if (num_parse_size(text, &bytes) || !bytes)
		return err_set(err, EINVAL, "--max-image-size %s: not a size, such as 8g", text);
	return 0;
}

/* The names that other tools have for the same processor. */
static const char *architecture_name(const char *text, size_t len)
{
	static const char *const names[][2] = {{"amd64", "amd64"}, {"x86_64", "amd64"}, {"x86-64", "amd64"},
		{"arm64", "arm64"}, {"aarch64", "arm64"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i][0]) == len && !memcmp(names[i][0], text, len))
			return names[i][1];
	}
	return NULL;
}

int value_platform(const char *text, const char **architecture, struct err *err)
{
	const char *arch = text + strcspn(text, "/"), *known = NULL;

	if (!strncmp(text, "linux/", 6)) {
		arch++;
		known = architecture_name(arch, strcspn(arch, "/"));
	}
	if (!known)
		return err_set(err, EINVAL, "--platform %s: not linux/amd64 or linux/arm64[/VARIANT]", text);
	*architecture = known;
	return 0;
}

int value_security(const char *text, bool *no_new_privs, bool *seccomp_off, struct err *err)
{
	if (!strcmp(text, "no-new-privileges") || !strcmp(text, "no-new-privileges:true") ||
		!strcmp(text, "no-new-privileges=true"))
		*no_new_privs = true;
	else if (!strcmp(text, "no-new-privileges:false") || !strcmp(text, "no-new-privileges=false"))
		*no_new_privs = false;
	else if (!strcmp(text, "seccomp=unconfined"))
		*seccomp_off = true;
	else
		return err_set(err, EINVAL,
			"--security-opt %s: known are no-new-privileges and seccomp=unconfined", text);
	return 0;
}
