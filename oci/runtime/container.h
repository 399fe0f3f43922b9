// SPDX-License-Identifier: Apache-2.0
/*
 * From what a user asked for and what an image says to what guest-init is told.
 *
 * This is where policy lives: default mounts, masked paths, capabilities, limits and environment, with the
 * meanings docker and podman gave them. guest-init has no defaults of its own.
 */
#ifndef MVRUN_OCI_RUNTIME_CONTAINER_H
#define MVRUN_OCI_RUNTIME_CONTAINER_H

#include "base/err.h"
#include "oci/store/image.h"
#include "proto/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTAINER_ID_LEN 64
#define CONTAINER_ENV_MAX 4096
#define CONTAINER_MEMORY_DEFAULT (UINT64_C(512) << 20)
#define CONTAINER_CPU_DEFAULT_MILLI 1000

struct container_config {
	const char *hostname; /* NULL: the first 12 digits of the id */
	const char *user; /* NULL: the image's; likewise the next */
	const char *working_dir;
	const char *entrypoint; /* NULL: the image's; "": none */
	char **args; /* in place of the image's Cmd, if there are any */
	size_t n_args;
	const char *const
		*env; /* "K=V" sets, "K" removes; later ones win over earlier ones and the image's */
	size_t n_env;
	const struct spec_mount *mounts; /* beyond the default ones */
	size_t n_mounts;
	const struct spec_rlimit *rlimits;
	size_t n_rlimits;
	uint64_t capabilities;
	uint64_t memory_bytes; /* of the virtual machine: a multiple of 1 MiB */
	uint64_t cpu_milli; /* thousandths of a CPU */
	uint64_t pids_max; /* 0: no limit */
	int stop_signal; /* 0: the image's */
	bool stdin_open;
	bool terminal;
	bool read_only;
	bool init;
	bool no_new_privs;
	bool seccomp_off;
	uint16_t rows, columns; /* of the terminal; 0 if unknown */
};

struct container_spec {
	struct spec spec;
	int stop_signal; /* what SIGTERM means to this container */
	char **owned; /* texts made here */
	size_t n_owned;
};

/*
 * Work out the spec. It points into config and image, which must outlive it. 0, or -EINVAL, -ENOMEM with err
 * set. Ended by container_spec_done(), also after a failure.
 */
int container_spec_init(struct container_spec *out, const struct container_config *config,
	const struct image *image, const char *id, struct err *err);
void container_spec_done(struct container_spec *out);

/* A new random id: CONTAINER_ID_LEN hex digits and a NUL. 0 or -errno. */
int container_id_new(char id[static CONTAINER_ID_LEN + 1]);

/* True if name is [a-zA-Z0-9][a-zA-Z0-9_.-]*, at most 64 bytes: docker's grammar for names. */
bool container_name_valid(const char *name);

#endif
