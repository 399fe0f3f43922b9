// SPDX-License-Identifier: Apache-2.0
/*
 * Who the container's process is: "", "user", "user:group" of the image configuration, where each may be a
 * name or a number, resolved as docker does from the image's own /etc/passwd and /etc/group.
 *
 * Both files are the image's: any bytes of any length. They are looked at in place, line by line, without
 * copying; lines that are not well-formed match nothing.
 */
#ifndef MVRUN_GUEST_INIT_USER_H
#define MVRUN_GUEST_INIT_USER_H

#include "guest-init/failure.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define USER_ID_MAX 0x7fffffffu
#define USER_GROUPS_MAX 1024
#define USER_HOME_MAX 4096
#define USER_FILE_MAX (16u << 20)

/* A file's contents, not NUL-terminated; {NULL, 0} for one that does not exist. */
struct user_text {
	const char *data;
	size_t len;
};

struct user {
	uid_t uid;
	gid_t gid;
	size_t n_groups;
	gid_t groups[USER_GROUPS_MAX]; /* additional ones */
	char home[USER_HOME_MAX]; /* "/" where the image does not say */
};

/*
 * Pure. The rules, as docker has them:
 *  - the user is the first line of passwd whose name or whose uid in decimal is what was asked for ("": uid
 *    0); a number without a line is itself, with group 0;
 *  - a group that was asked for replaces the user's; a number without a line is itself;
 *  - without one, every group of /etc/group that lists the user's name is additional.
 * Numbers above USER_ID_MAX, unknown names and more than USER_GROUPS_MAX groups are failures. 0 or -errno
 * with the failure filled in (user is then undefined).
 */
int user_resolve(const char *wanted, struct user_text passwd, struct user_text group, struct user *user,
	struct failure *failure);

/* The same with the files below root_fd. */
int user_lookup(int root_fd, const char *wanted, struct user *user, struct failure *failure);

#endif
