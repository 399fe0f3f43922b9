// SPDX-License-Identifier: Apache-2.0
/*
 * What one container is: everything guest-init needs to know to make and start it.
 *
 * The host decides policy (which mounts, capabilities, masked paths, limits) and writes it down here;
 * guest-init carries it out without defaults of its own. What only the image can answer (who is "nobody",
 * does /app exist) is left as text for guest-init to resolve inside the container's root.
 *
 * Encoded as a sequence of items { u16 tag, u16 zero, u32 length, bytes }, in any order, lists as repeated
 * tags.
 */
#ifndef MVRUN_PROTO_SPEC_H
#define MVRUN_PROTO_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* spec.flags */
#define SPEC_TERMINAL (1u << 0) /* a pseudo-terminal on stream_ports[0], both ways */
#define SPEC_READ_ONLY (1u << 1) /* root without a writable layer */
#define SPEC_INIT (1u << 2) /* a reaping parent above the process (--init) */
#define SPEC_NO_NEW_PRIVS (1u << 3)
#define SPEC_SECCOMP_DEFAULT (1u << 4) /* guest-init's built-in profile, for the capabilities below */
#define SPEC_ETC_FILES (1u << 5) /* provide /etc/hostname, /etc/hosts, /etc/resolv.conf */
#define SPEC_CREATE_CWD (1u << 6) /* make the working directory if it is not there, as docker does */
#define SPEC_STDIN_OPEN (1u << 7) /* without it the process reads from /dev/null */

/* mount.flags: Linux MS_* values; SPEC_MOUNT_TMPCOPYUP etc. are not offered. */
struct spec_mount {
	const char *target; /* absolute, resolved inside the root, never through a symlink out of it */
	const char *type;
	const char *source;
	const char *data; /* file system options, "" for none */
	uint64_t flags;
};

struct spec_rlimit {
	uint32_t resource; /* RLIMIT_* of the generic Linux numbering */
	uint64_t soft;
	uint64_t hard;
};

struct spec {
	uint32_t flags;
	const char **args; /* n_args >= 1; args[n_args] is NULL, likewise below */
	size_t n_args;
	const char **env; /* "NAME=value" */
	size_t n_env;
	const char *cwd;
	const char *user; /* "", "name", "uid", "name:group", "uid:gid", … */
	const char *hostname;
	struct spec_mount *mounts; /* in the order to be made, the root itself excluded */
	size_t n_mounts;
	const char **masked_paths;
	size_t n_masked_paths;
	const char **read_only_paths;
	size_t n_read_only_paths;
	struct spec_rlimit *rlimits;
	size_t n_rlimits;
	uint64_t capabilities; /* bit n = capability n: bounding, permitted, effective */
	uint32_t root_disk; /* index of the virtio-blk disk that holds the EROFS root (0 = vda) */
	uint64_t upper_bytes; /* size limit of the tmpfs writable layer; 0: half of the memory */
	uint64_t memory_max_bytes; /* container cgroup; 0: no limit but the VM's own */
	uint64_t pids_max; /* 0: no limit */
	uint64_t cpu_max_milli; /* thousandths of a CPU; 0: no limit */
	uint32_t umask;
	uint32_t stream_ports[3]; /* vsock ports of stdin, stdout, stderr; 0: none (/dev/null) */
	uint16_t rows, columns; /* of the terminal */
	const uint8_t *seccomp; /* a classic BPF program (struct sock_filter[]), used instead of the default
				   profile */
	size_t seccomp_bytes;
};

struct buf;

/*
 * Encode into buf (appends). 0, -EMSGSIZE beyond PROTO_SPEC_MAX, -ENOMEM, -EINVAL for a spec that breaks a
 * rule above.
 */
int spec_encode(const struct spec *spec, struct buf *buf);

/*
 * Decode len bytes. The spec points into data, which must outlive it; its lists are heap, freed by
 * spec_done(). 0, -EBADMSG (malformed, an unknown tag, a text without its NUL, a rule above broken), -ENOMEM.
 */
int spec_decode(const uint8_t *data, size_t len, struct spec *spec);
void spec_done(struct spec *spec);

#endif
