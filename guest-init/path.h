// SPDX-License-Identifier: Apache-2.0
/*
 * Paths inside a container's root.
 *
 * The image decides what its names are: any of them may be a symbolic link to anywhere. Every name that comes
 * from the spec is therefore resolved by openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), where ".." and
 * absolute links stop at the container's root and the links of /proc/PID/fd lead nowhere, and is used through
 * the descriptor afterwards.
 */
#ifndef MVRUN_GUEST_INIT_PATH_H
#define MVRUN_GUEST_INIT_PATH_H

#include <stdint.h>
#include <sys/types.h>

#define PATH_LENGTH_MAX 4096
#define PATH_LINKS_MAX 40

enum path_kind {
	PATH_DIRECTORY,
	PATH_FILE, /* an empty regular file */
};

/* open(2) below root_fd; O_CLOEXEC is added. A descriptor that the caller closes, or -errno. */
int path_open(int root_fd, const char *path, uint64_t flags);

/*
 * As path_open, for a path that must be what it says: -ELOOP if any part of it is a symbolic link.
 */
int path_open_plain(int root_fd, const char *path, uint64_t flags);

/*
 * An O_PATH descriptor of path below root_fd; what is missing on the way is made (directories of mode 0755, a
 * last component of the kind wanted), also behind symbolic links that dangle. The caller closes it. -errno;
 * -ENOTDIR when a directory was wanted and something else is there; -ELOOP beyond PATH_LINKS_MAX links.
 */
int path_make(int root_fd, const char *path, enum path_kind kind);

#endif
