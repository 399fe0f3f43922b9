// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/container.h"

#include "base/num.h"
#include "oci/runtime/capability.h"
#include "oci/runtime/names.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/resource.h>

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define SHORT_ID_LEN 12
#define OWNED_MAX 8

#define MS_PLAIN (MS_NOSUID | MS_NOEXEC | MS_NODEV)

/* runtime-spec, config-linux.md "Default Filesystems", with docker's options. */
static const struct spec_mount default_mounts[] = {
	{"/proc", "proc", "proc", "", MS_PLAIN},
	{"/dev", "tmpfs", "tmpfs", "mode=755,size=65536k", MS_NOSUID | MS_STRICTATIME},
	{"/dev/pts", "devpts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5", MS_NOSUID | MS_NOEXEC},
	{"/sys", "sysfs", "sysfs", "", MS_PLAIN | MS_RDONLY},
	{"/sys/fs/cgroup", "cgroup2", "cgroup2", "", MS_PLAIN | MS_RDONLY | MS_RELATIME},
	{"/dev/mqueue", "mqueue", "mqueue", "", MS_PLAIN},
	{"/dev/shm", "tmpfs", "shm", "mode=1777,size=65536k", MS_PLAIN},
};

static const char *const default_masked_paths[] = {
	"/proc/asound",
	"/proc/acpi",
	"/proc/interrupts",
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/sys/firmware",
	"/sys/devices/virtual/powercap",
};

static const char *const default_read_only_paths[] = {
	"/proc/bus",
	"/proc/fs",
	"/proc/irq",
	"/proc/sys",
	"/proc/sysrq-trigger",
};

/*
 * What a container finds where systemd starts the engine. The kernel's own hard limit of 4096 is too low for
 * databases; a high soft limit makes programs slow that close every descriptor there may be.
 */
static const struct spec_rlimit default_rlimits[] = {
	{RLIMIT_NOFILE, 1024, 524288},
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

static int no_memory(struct err *err)
{
	return err_sys(err, ENOMEM, "describe the container");
}

int container_id_new(char id[static CONTAINER_ID_LEN + 1])
{
	uint8_t bytes[CONTAINER_ID_LEN / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -EIO;
	num_format_hex(bytes, sizeof(bytes), id);
	return 0;
}

bool container_name_valid(const char *name)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t len = strlen(name);

	if (len == 0 || len > 64 || !strchr(first, name[0]))
		return false;
	for (size_t i = 1; i < len; i++) {
		if (!strchr(first, name[i]) && !strchr("_.-", name[i]))
			return false;
	}
	return true;
}

/* "name=value" in memory of the spec's; NULL without memory. */
static char *own_variable(struct container_spec *out, const char *name, const char *value, int value_len)
{
	char *text;

	if (out->n_owned == OWNED_MAX || asprintf(&text, "%s=%.*s", name, value_len, value) < 0)
		return NULL;
	out->owned[out->n_owned++] = text;
	return text;
}

static size_t name_len(const char *variable)
{
	return strcspn(variable, "=");
}

static size_t env_find(const struct spec *spec, const char *variable)
{
	size_t len = name_len(variable);

	for (size_t i = 0; i < spec->n_env; i++) {
		if (!strncmp(spec->env[i], variable, len) && spec->env[i][len] == '=')
			return i;
	}
	return spec->n_env;
}

/* Set a variable ("K=V") or remove one ("K"). The list has room. */
static void env_apply(struct spec *spec, const char *variable)
{
	size_t at = env_find(spec, variable);

	if (variable[name_len(variable)] == '=') {
		spec->env[at] = variable;
		if (at == spec->n_env)
			spec->n_env++;
	} else if (at < spec->n_env) {
		spec->n_env--;
		memmove(&spec->env[at], &spec->env[at + 1], (spec->n_env - at) * sizeof(*spec->env));
	}
}

/* docker's order: what the engine knows, then the image's variables, then the user's. */
static int make_env(struct container_spec *out, const struct container_config *config,
	const struct image *image, struct err *err)
{
	struct spec *spec = &out->spec;
	size_t most = config->n_env + image->env.n_items + 3;
	const char *hostname;

	if (most > CONTAINER_ENV_MAX)
		return err_set(err, EINVAL, "%zu environment variables are too many; the limit is %d", most,
			CONTAINER_ENV_MAX);
	spec->n_env = 0;
	spec->env = calloc(most + 1, sizeof(*spec->env));
	if (!spec->env)
		return no_memory(err);
	hostname = own_variable(out, "HOSTNAME", spec->hostname, 64);
	if (!hostname)
		return no_memory(err);
	env_apply(spec, DEFAULT_PATH);
	env_apply(spec, hostname);
	if (config->terminal)
		env_apply(spec, "TERM=xterm");
	for (size_t i = 0; i < image->env.n_items; i++) {
		/* An image's "K" without a value means nothing; only a user removes variables. */
		if (strchr(image->env.items[i], '='))
			env_apply(spec, image->env.items[i]);
	}
	for (size_t i = 0; i < config->n_env; i++)
		env_apply(spec, config->env[i]);
	return 0;
}

/* image-spec, conversion.md: Entrypoint and Cmd; an entrypoint of the user's puts the image's Cmd aside. */
static int make_args(struct container_spec *out, const struct container_config *config,
	const struct image *image, struct err *err)
{
	bool image_cmd = !config->n_args && !config->entrypoint;
	struct spec *spec = &out->spec;

	spec->args = calloc(
		image->entrypoint.n_items + image->cmd.n_items + config->n_args + 2, sizeof(*spec->args));
	if (!spec->args)
		return no_memory(err);
	if (config->entrypoint && config->entrypoint[0])
		spec->args[spec->n_args++] = config->entrypoint;
	for (size_t i = 0; !config->entrypoint && i < image->entrypoint.n_items; i++)
		spec->args[spec->n_args++] = image->entrypoint.items[i];
	for (size_t i = 0; image_cmd && i < image->cmd.n_items; i++)
		spec->args[spec->n_args++] = image->cmd.items[i];
	for (size_t i = 0; i < config->n_args; i++)
		spec->args[spec->n_args++] = config->args[i];
	if (!spec->n_args)
		return err_set(err, EINVAL,
			"no command: the image has none, so name one after it (mvrun run IMAGE COMMAND)");
	return 0;
}

static int make_working_dir(struct container_spec *out, const struct container_config *config,
	const struct image *image, struct err *err)
{
	const char *dir = config->working_dir ? config->working_dir : image->working_dir;

	if (!dir || !*dir)
		dir = "/";
	if (dir[0] != '/')
		return err_set(err, EINVAL, "the working directory \"%s\" is not an absolute path", dir);
	out->spec.cwd = dir;
	return 0;
}

static int make_stop_signal(struct container_spec *out, const struct container_config *config,
	const struct image *image, struct err *err)
{
	out->stop_signal = config->stop_signal ? config->stop_signal : SIGTERM;
	if (config->stop_signal || !image->stop_signal || !*image->stop_signal)
		return 0;
	out->stop_signal = signal_parse(image->stop_signal);
	if (out->stop_signal < 0)
		return err_set(err, EINVAL,
			"the image's stop signal \"%s\" is no signal; name one with --stop-signal",
			image->stop_signal);
	return 0;
}

/* The default mounts, without those the user puts something of his own on, then the user's. */
static int make_mounts(struct spec *spec, const struct container_config *config, struct err *err)
{
	spec->mounts = calloc(N(default_mounts) + config->n_mounts, sizeof(*spec->mounts));
	if (!spec->mounts)
		return no_memory(err);
	for (size_t i = 0; i < N(default_mounts); i++) {
		bool replaced = false;

		for (size_t j = 0; j < config->n_mounts; j++)
			replaced |= !strcmp(default_mounts[i].target, config->mounts[j].target);
		if (!replaced)
			spec->mounts[spec->n_mounts++] = default_mounts[i];
	}
	for (size_t j = 0; j < config->n_mounts; j++)
		spec->mounts[spec->n_mounts++] = config->mounts[j];
	return 0;
}

static int make_rlimits(struct spec *spec, const struct container_config *config, struct err *err)
{
	spec->rlimits = calloc(N(default_rlimits) + config->n_rlimits, sizeof(*spec->rlimits));
	if (!spec->rlimits)
		return no_memory(err);
	memcpy(spec->rlimits, default_rlimits, sizeof(default_rlimits));
	spec->n_rlimits = N(default_rlimits);
	for (size_t i = 0; i < config->n_rlimits; i++) {
		size_t at = 0;

		while (at < spec->n_rlimits && spec->rlimits[at].resource != config->rlimits[i].resource)
			at++;
		spec->rlimits[at] = config->rlimits[i];
		if (at == spec->n_rlimits)
			spec->n_rlimits++;
	}
	return 0;
}

static int make_paths(struct spec *spec, struct err *err)
{
	spec->masked_paths = calloc(N(default_masked_paths) + 1, sizeof(*spec->masked_paths));
	spec->read_only_paths = calloc(N(default_read_only_paths) + 1, sizeof(*spec->read_only_paths));
	if (!spec->masked_paths || !spec->read_only_paths)
		return no_memory(err);
	memcpy(spec->masked_paths, default_masked_paths, sizeof(default_masked_paths));
	memcpy(spec->read_only_paths, default_read_only_paths, sizeof(default_read_only_paths));
	spec->n_masked_paths = N(default_masked_paths);
	spec->n_read_only_paths = N(default_read_only_paths);
	return 0;
}

static uint32_t make_flags(const struct container_config *config)
{
	uint32_t flags = SPEC_ETC_FILES | SPEC_CREATE_CWD;

	flags |= config->terminal ? SPEC_TERMINAL : 0;
	flags |= config->stdin_open ? SPEC_STDIN_OPEN : 0;
	flags |= config->read_only ? SPEC_READ_ONLY : 0;
	flags |= config->init ? SPEC_INIT : 0;
	flags |= config->no_new_privs ? SPEC_NO_NEW_PRIVS : 0;
	flags |= config->seccomp_off ? 0 : SPEC_SECCOMP_DEFAULT;
	return flags;
}

static int make_hostname(struct container_spec *out, const struct container_config *config, const char *id)
{
	char *text;

	if (config->hostname) {
		out->spec.hostname = config->hostname;
		return 0;
	}
	text = strndup(id, SHORT_ID_LEN);
	if (!text)
		return -ENOMEM;
	out->owned[out->n_owned++] = text;
	out->spec.hostname = text;
	return 0;
}

int container_spec_init(struct container_spec *out, const struct container_config *config,
	const struct image *image, const char *id, struct err *err)
{
	struct spec *spec = &out->spec;
	int ret;

	*out = (struct container_spec){.owned = calloc(OWNED_MAX, sizeof(*out->owned))};
	if (!out->owned || make_hostname(out, config, id))
		return no_memory(err);
	spec->flags = make_flags(config);
	spec->user = config->user ? config->user : image->user;
	if (!spec->user)
		spec->user = "";
	spec->capabilities = config->capabilities;
	spec->pids_max = config->pids_max;
	/* Whole CPUs need no quota: the machine has just so many. */
	spec->cpu_max_milli = config->cpu_milli % 1000 ? config->cpu_milli : 0;
	spec->umask = 022;
	spec->rows = config->rows;
	spec->columns = config->columns;
	ret = make_env(out, config, image, err);
	ret = ret ? ret : make_args(out, config, image, err);
	ret = ret ? ret : make_working_dir(out, config, image, err);
	ret = ret ? ret : make_stop_signal(out, config, image, err);
	ret = ret ? ret : make_mounts(spec, config, err);
	ret = ret ? ret : make_rlimits(spec, config, err);
	return ret ? ret : make_paths(spec, err);
}

void container_spec_done(struct container_spec *out)
{
	struct spec *spec = &out->spec;

	for (size_t i = 0; i < out->n_owned; i++)
		free(out->owned[i]);
	free(out->owned);
	free(spec->args);
	free(spec->env);
	free(spec->mounts);
	free(spec->masked_paths);
	free(spec->read_only_paths);
	free(spec->rlimits);
	*out = (struct container_spec){0};
}
