// SPDX-License-Identifier: Apache-2.0
/* mvrun-image: the program that reads hostile archives, so that mvrun itself does not. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/num.h"
#include "oci/image/load.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_OURS 125 /* as docker and podman: the failure is the tool's */

/* The signal that came. Handlers can reach nothing but what is global. */
static atomic_int signal_seen;

static void on_signal(int number)
{
	if (number != SIGUSR1)
		atomic_store(&signal_seen, number);
}

static void signals_set(void)
{
	/* No SA_RESTART: whoever waits is to wake up and look. */
	struct sigaction action = {.sa_handler = on_signal};
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

struct arguments {
	const char *store;
	const char *source;
	bool quiet;
	bool degraded;
	struct load_options load;
};

static void usage(FILE *to)
{
	fputs("usage: mvrun-image load [--store DIR] [--platform OS/ARCH[/VARIANT]] [--name NAME]\n"
	      "                        [--max-image-size SIZE] [--quiet] [--progress-fd N] [--degraded]\n"
	      "                        SOURCE\n"
	      "\n"
	      "SOURCE is a file as docker save, podman save or skopeo write it, a folder with an OCI layout, "
	      "- for\n"
	      "standard input, or oci:DIR[:TAG], oci-archive:FILE[:TAG], "
	      "docker-archive:FILE[:NAME[:TAG]|:@INDEX].\n",
		to);
}

static int option_apply(struct arguments *args, int option, const char *value, struct err *err)
{
	uint64_t number;

	switch (option) {
	case 's':
		args->store = value;
		return 0;
	case 'p':
		if (platform_parse(value, &args->load.platform))
			return err_set(
				err, EINVAL, "--platform %.60s: expected OS/ARCH or OS/ARCH/VARIANT", value);
		return 0;
	case 'n':
		args->load.name = value;
		return 0;
	case 'm':
		if (num_parse_size(value, &args->load.max_image_bytes) || !args->load.max_image_bytes)
			return err_set(
				err, EINVAL, "--max-image-size %.60s: expected a size such as 8g", value);
		args->load.any_ratio = true;
		return 0;
	case 'd':
		args->degraded = true;
		return 0;
	case 'q':
		args->quiet = true;
		return 0;
	case 'f':
		if (num_parse_u64(value, INT32_MAX, &number))
			return err_set(err, EINVAL, "--progress-fd %.60s: expected a number", value);
		args->load.progress_fd = (int)number;
		return 0;
	default:
		return -EINVAL;
	}
}

static int arguments_parse(int argc, char **argv, struct arguments *args, struct err *err)
{
	static const struct option options[] = {{"store", required_argument, NULL, 's'},
		{"platform", required_argument, NULL, 'p'}, {"name", required_argument, NULL, 'n'},
		{"max-image-size", required_argument, NULL, 'm'}, {"quiet", no_argument, NULL, 'q'},
		{"degraded", no_argument, NULL, 'd'}, {"progress-fd", required_argument, NULL, 'f'},
		{NULL, 0, NULL, 0}};
	int option;

	/* Messages are ours: one line, under our name. */
	opterr = 0;
	*args = (struct arguments){.load = {.max_image_bytes = IMAGE_BYTES_DEFAULT, .progress_fd = -1}};
	platform_host(&args->load.platform);
	while ((option = getopt_long(argc, argv, "q", options, NULL)) != -1) {
		int ret = option_apply(args, option, optarg, err);

		if (ret && option == '?')
			return err_set(err, EINVAL,
				"%.60s: unknown option, or its value is missing; see mvrun-image --help",
				argv[optind - 1]);
		if (ret)
			return ret;
	}
	if (argc - optind != 1)
		return err_set(err, EINVAL, "load needs one SOURCE; see mvrun-image --help");
	args->source = argv[optind];
	if (!args->quiet)
		args->load.progress = isatty(STDERR_FILENO) ? PROGRESS_TERMINAL : PROGRESS_LINES;
	return 0;
}

static void report(void *ctx, const char *name, const char *id)
{
	const struct arguments *args = ctx;

	if (args->quiet)
		printf("%s\n", id);
	else if (name)
		printf("Loaded image: %s\n", name);
	else
		printf("Loaded image ID: %s\n", id);
}

/* What a failed load has completed but nothing mentions: give the space back, if nobody else is at work. */
static void leftovers_sweep(struct store *store)
{
	auto_fd lock = store_lock(store, LOCK_EX | LOCK_NB);

	if (lock >= 0)
		store_sweep(store);
}

static int load_with(
	struct store *store, const struct decoder *decoder, struct arguments *args, struct err *err)
{
	struct load load = {
		.options = args->load, .source.fd = -1, .decoder = decoder, .cancel = &signal_seen};
	struct source_tools tools = {.decoder = decoder,
		.ingest = &load.ingest,
		.max_bytes = args->load.max_image_bytes,
		.any_ratio = args->load.any_ratio,
		.cancel = &signal_seen};
	struct source_spec spec;
	int ret = source_parse(args->source, &spec, err);

	if (!ret)
		ret = ingest_open(store, &load.ingest, err);
	if (ret)
		return ret;
	ret = source_open(&load.source, &spec, &tools, err);
	if (!ret) {
		ret = load_run(&load, report, args, err);
		source_close(&load.source);
	}
	ingest_close(&load.ingest);
	if (ret)
		leftovers_sweep(store);
	return ret;
}

static int load_command(int argc, char **argv, struct err *err)
{
	struct decoder decoder = {.orders_fd = -1};
	struct arguments args;
	struct store store;
	int ret = arguments_parse(argc, argv, &args, err);

	/* First, so that decoders inherit nothing. */
	if (!ret)
		ret = decoder_start(&decoder, args.degraded, err);
	if (ret)
		return ret;
	ret = store_open(&store, args.store, STORE_CREATE, err);
	if (!ret) {
		ret = load_with(&store, &decoder, &args, err);
		store_close(&store);
	}
	decoder_stop(&decoder);
	if (ret)
		return err_wrap(
			err, "load %.200s", strcmp(args.source, "-") != 0 ? args.source : "standard input");
	errno = 0;
	if (fflush(stdout) || ferror(stdout))
		return err_sys(err, errno ? errno : EIO, "write to standard output");
	return 0;
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;

	log_init("mvrun", LOG_WARN);
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		usage(stdout);
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		puts("mvrun-image " MVRUN_VERSION);
		return 0;
	}
	if (argc < 2 || strcmp(argv[1], "load") != 0) {
		usage(stderr);
		return EXIT_OURS;
	}
	umask(077);
	signals_set();
	if (load_command(argc - 1, argv + 1, &err) == 0)
		return 0;
	log_error("%s", err.text);
	return atomic_load(&signal_seen) ? 128 + atomic_load(&signal_seen) : EXIT_OURS;
}
