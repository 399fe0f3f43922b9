// SPDX-License-Identifier: Apache-2.0
#include "cli/run_options.h"

#include "cli/values.h"
#include "oci/runtime/terminal.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT(field) offsetof(struct run_options, field)

const struct option run_option_table[] = {
	{"interactive", 'i', OPTION_FLAG, NULL, "Keep standard input open and pass it on", "Process",
		AT(interactive)},
	{"tty", 't', OPTION_FLAG, NULL, "Give the process a terminal (with -i: this one)", NULL, AT(tty)},
	{"env", 'e', OPTION_LIST, "K[=V]", "Set a variable; K alone takes its value from here", NULL,
		AT(env)},
	{"env-file", 0, OPTION_LIST, "FILE", "Set the variables in FILE, one per line, # begins a comment",
		NULL, AT(env_files)},
	{"workdir", 'w', OPTION_TEXT, "DIR", "Start in DIR, which is made if it is not there", NULL,
		AT(working_dir)},
	{"user", 'u', OPTION_TEXT, "USER[:GROUP]", "Run as this user, a name from the image or a number",
		NULL, AT(user)},
	{"entrypoint", 0, OPTION_TEXT, "PROGRAM",
		"Run PROGRAM instead of the image's entrypoint; \"\" for none", NULL, AT(entrypoint)},
	{"init", 0, OPTION_FLAG, NULL, "Put a parent over the process that forwards signals and reaps", NULL,
		AT(init)},
	{"stop-signal", 0, OPTION_TEXT, "SIGNAL",
		"What SIGTERM means to the container (the image's, or TERM)", NULL, AT(stop_signal)},
	{"name", 0, OPTION_TEXT, "NAME", "Name the container; a name in use is refused", "Container",
		AT(name)},
	{"hostname", 'h', OPTION_TEXT, "NAME", "What the container calls itself (12 digits of its ID)", NULL,
		AT(hostname)},
	{"rm", 0, OPTION_FLAG, NULL,
		"Remove the container when it exits (always so in this version, with or without it)", NULL,
		AT(rm)},
	{"read-only", 0, OPTION_FLAG, NULL, "Make the root file system read-only", NULL, AT(read_only)},
	{"tmpfs", 0, OPTION_LIST, "DIR[:OPTIONS]",
		"Mount a tmpfs (size=, mode=, uid=, gid=, ro, exec, suid, dev)", NULL, AT(tmpfs)},
	{"network", 0, OPTION_TEXT, "none", "The only network of this version is the loopback device", NULL,
		AT(network)},
	{"memory", 'm', OPTION_TEXT, "SIZE",
		"Memory of the machine, taken from the host as it is used (512m)", "Limits", AT(memory)},
	{"cpus", 0, OPTION_TEXT, "N", "CPUs, fractions allowed; 0 for all of the host's (1)", NULL, AT(cpus)},
	{"pids-limit", 0, OPTION_TEXT, "N", "Most processes at once; -1 for no limit (-1)", NULL,
		AT(pids_limit)},
	{"ulimit", 0, OPTION_LIST, "NAME=SOFT[:HARD]", "A limit of setrlimit(2), such as nofile=1024:2048",
		NULL, AT(ulimits)},
	{"cap-add", 0, OPTION_LIST, "CAP", "Give a capability, or ALL", "Security", AT(cap_add)},
	{"cap-drop", 0, OPTION_LIST, "CAP", "Take a capability, or ALL", NULL, AT(cap_drop)},
	{"security-opt", 0, OPTION_LIST, "OPTION", "no-new-privileges, or seccomp=unconfined", NULL,
		AT(security)},
	{"degraded", 0, OPTION_FLAG, NULL,
		"Run although this host cannot make the whole jail of the machine monitor; says what is "
		"missing",
		NULL, AT(degraded)},
	{"platform", 0, OPTION_TEXT, "OS/ARCH[/VARIANT]",
		"Which image to take where IMAGE is a file or directory with several", "Image and machine",
		AT(platform)},
	{"max-image-size", 0, OPTION_TEXT, "SIZE",
		"How much of such a file or directory is taken at most, unpacked (64g)", NULL,
		AT(max_image_size)},
	{"store", 0, OPTION_TEXT, "DIR", "Where images are kept", NULL, AT(store)},
	{"kernel", 0, OPTION_TEXT, "FILE",
		"Boot this kernel (an uncompressed ELF vmlinux; on arm64 an Image)", NULL, AT(kernel)},
	{"console-log", 0, OPTION_TEXT, "FILE", "Append what the guest kernel says to FILE", NULL,
		AT(console_log)},
	{"timings", 0, OPTION_FLAG, NULL, "Say at the end how long each phase took, on standard error", NULL,
		AT(timings)},
	{0},
};

static int no_memory(struct err *err)
{
	return err_sys(err, ENOMEM, "read the options");
}

/* docker's order: files first, so that -e wins. */
static int plan_env(struct run_plan *plan, const struct run_options *options, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < options->env_files.n_items; i++)
		ret = env_list_add_file(&plan->env, options->env_files.items[i], err);
	for (size_t i = 0; !ret && i < options->env.n_items; i++)
		ret = env_list_add(&plan->env, options->env.items[i], err);
	plan->container.env = plan->env.items;
	plan->container.n_env = plan->env.n_items;
	return ret;
}

static unsigned host_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

static int plan_limits(struct run_plan *plan, const struct run_options *options, struct err *err)
{
	struct container_config *container = &plan->container;
	int ret = 0;

	container->memory_bytes = CONTAINER_MEMORY_DEFAULT;
	container->cpu_milli = CONTAINER_CPU_DEFAULT_MILLI;
	if (options->memory)
		ret = value_memory(options->memory, &container->memory_bytes, err);
	if (!ret && options->cpus)
		ret = value_cpus(options->cpus, host_cpus(), &container->cpu_milli, err);
	if (!ret && options->pids_limit)
		ret = value_pids(options->pids_limit, &container->pids_max, err);
	plan->rlimits = calloc(options->ulimits.n_items + 1, sizeof(*plan->rlimits));
	if (!plan->rlimits)
		return no_memory(err);
	for (size_t i = 0; !ret && i < options->ulimits.n_items; i++)
		ret = value_ulimit(options->ulimits.items[i], &plan->rlimits[i], err);
	container->rlimits = plan->rlimits;
	container->n_rlimits = options->ulimits.n_items;
	plan->machine.memory_bytes = container->memory_bytes;
	plan->machine.vcpus = (uint32_t)((container->cpu_milli + 999) / 1000);
	return ret;
}

static int plan_mounts(struct run_plan *plan, const struct run_options *options, struct err *err)
{
	int ret = 0;

	plan->mounts = calloc(options->tmpfs.n_items + 1, sizeof(*plan->mounts));
	plan->mount_texts = calloc(options->tmpfs.n_items + 1, sizeof(*plan->mount_texts));
	if (!plan->mounts || !plan->mount_texts)
		return no_memory(err);
	for (size_t i = 0; !ret && i < options->tmpfs.n_items; i++)
		ret = value_tmpfs(options->tmpfs.items[i], &plan->mounts[i], &plan->mount_texts[i], err);
	plan->container.mounts = plan->mounts;
	plan->container.n_mounts = options->tmpfs.n_items;
	return ret;
}

static int plan_security(struct run_plan *plan, const struct run_options *options, struct err *err)
{
	struct container_config *container = &plan->container;
	int ret = value_capabilities(options->cap_add.items, options->cap_add.n_items,
		options->cap_drop.items, options->cap_drop.n_items, &container->capabilities, err);

	for (size_t i = 0; !ret && i < options->security.n_items; i++)
		ret = value_security(
			options->security.items[i], &container->no_new_privs, &container->seccomp_off, err);
	return ret;
}

static int plan_names(struct run_plan *plan, const struct run_options *options, struct err *err)
{
	int ret = 0;

	if (options->name && !container_name_valid(options->name))
		return err_set(err, EINVAL,
			"invalid container name \"%s\": letters, digits, then also _ . -, at most 64",
			options->name);
	if (options->network && strcmp(options->network, "none") != 0)
		return err_set(err, EINVAL, "there is no network \"%s\": this version has only \"none\"",
			options->network);
	if (options->hostname)
		ret = value_hostname(options->hostname, err);
	if (!ret && options->stop_signal)
		ret = value_signal(options->stop_signal, &plan->container.stop_signal, err);
	return ret;
}

static int plan_image(struct run_plan *plan, const struct run_options *options, struct err *err)
{
#if defined(__x86_64__)
	static const char ours[] = "amd64";
#elif defined(__aarch64__)
	static const char ours[] = "arm64";
#endif

	plan->architecture = ours;
	if (options->max_image_size && value_image_size(options->max_image_size, err))
		return -EINVAL;
	return options->platform ? value_platform(options->platform, &plan->architecture, err) : 0;
}

static int plan_terminal(struct run_plan *plan, const struct run_options *options, struct err *err)
{
	struct container_config *container = &plan->container;

	container->stdin_open = options->interactive;
	container->terminal = options->tty;
	if (!options->tty)
		return 0;
	if (options->interactive && !isatty(STDIN_FILENO))
		return err_set(err, ENOTTY, "the input device is not a TTY (-t needs one; leave it out)");
	if (!terminal_size(STDIN_FILENO, &container->rows, &container->columns))
		terminal_size(STDOUT_FILENO, &container->rows, &container->columns);
	return 0;
}

int run_plan_init(struct run_plan *plan, const struct run_options *options, const struct operands *operands,
	struct err *err)
{
	int ret;

	*plan = (struct run_plan){0};
	plan->container.hostname = options->hostname;
	plan->container.user = options->user;
	plan->container.working_dir = options->working_dir;
	plan->container.entrypoint = options->entrypoint;
	plan->container.args = operands->items + 1;
	plan->container.n_args = operands->n_items - 1;
	plan->container.read_only = options->read_only;
	plan->container.init = options->init;
	plan->machine.kernel = options->kernel;
	plan->machine.console_log = options->console_log;
	plan->machine.degraded = options->degraded;
	ret = plan_names(plan, options, err);
	ret = ret ? ret : plan_image(plan, options, err);
	ret = ret ? ret : plan_env(plan, options, err);
	ret = ret ? ret : plan_limits(plan, options, err);
	ret = ret ? ret : plan_mounts(plan, options, err);
	ret = ret ? ret : plan_security(plan, options, err);
	return ret ? ret : plan_terminal(plan, options, err);
}

void run_plan_done(struct run_plan *plan)
{
	for (size_t i = 0; plan->mount_texts && i < plan->container.n_mounts; i++)
		free(plan->mount_texts[i]);
	free(plan->mount_texts);
	free(plan->mounts);
	free(plan->rlimits);
	env_list_done(&plan->env);
}
