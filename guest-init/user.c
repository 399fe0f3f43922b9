// SPDX-License-Identifier: Apache-2.0
#include "guest-init/user.h"

#include "guest-init/path.h"
#include "guest-init/sys.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define WANTED_MAX 256

/* A piece of a file or of what was asked for; never NUL-terminated. */
struct slice {
	const char *at;
	size_t len;
};

static struct slice slice_of(const char *text)
{
	return (struct slice){text, strlen(text)};
}

static bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (!a.len || !memcmp(a.at, b.at, a.len));
}

/* Take what is in front of the next separator off *rest; the separator goes too. */
static struct slice slice_cut(struct slice *rest, char separator)
{
	const char *end = rest->len ? memchr(rest->at, separator, rest->len) : NULL;
	struct slice head = {rest->at, end ? (size_t)(end - rest->at) : rest->len};
	size_t used = end ? head.len + 1 : head.len;

	rest->at += used;
	rest->len -= used;
	return head;
}

/* 0, -EINVAL (not only digits) or -ERANGE. */
static int slice_id(struct slice text, uint32_t *id)
{
	uint64_t value = 0;
	bool too_big = false;

	if (!text.len)
		return -EINVAL;
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return -EINVAL;
		value = value * 10 + (uint64_t)(text.at[i] - '0');
		if (value > USER_ID_MAX) {
			too_big = true;
			value = USER_ID_MAX;
		}
	}
	if (too_big)
		return -ERANGE;
	*id = (uint32_t)value;
	return 0;
}

struct passwd_line {
	struct slice name;
	struct slice home;
	uint32_t uid;
	uint32_t gid;
};

/* name:password:uid:gid:comment:home:shell */
static bool passwd_parse(struct slice line, struct passwd_line *out)
{
	struct slice uid, gid;

	out->name = slice_cut(&line, ':');
	slice_cut(&line, ':');
	uid = slice_cut(&line, ':');
	gid = slice_cut(&line, ':');
	slice_cut(&line, ':');
	out->home = slice_cut(&line, ':');
	return out->name.len && !slice_id(uid, &out->uid) && !slice_id(gid, &out->gid);
}

struct group_line {
	struct slice name;
	struct slice members;
	uint32_t gid;
};

/* name:password:gid:member,member */
static bool group_parse(struct slice line, struct group_line *out)
{
	struct slice gid;

	out->name = slice_cut(&line, ':');
	slice_cut(&line, ':');
	gid = slice_cut(&line, ':');
	out->members = line;
	return out->name.len && !slice_id(gid, &out->gid);
}

/* The name, or the number in its one decimal form ("007" is a name, if anything). */
static bool entry_matches(struct slice wanted, struct slice name, uint32_t id)
{
	char room[TEXT_U64_BYTES];

	return slice_equal(wanted, name) || slice_equal(wanted, slice_of(text_u64(id, room)));
}

static bool passwd_find(struct user_text passwd, struct slice wanted, struct passwd_line *found)
{
	struct slice rest = {passwd.data, passwd.len};

	while (rest.len) {
		if (passwd_parse(slice_cut(&rest, '\n'), found) &&
			entry_matches(wanted, found->name, found->uid))
			return true;
	}
	return false;
}

static int home_set(struct user *user, struct slice home, struct failure *failure)
{
	if (!home.len)
		home = slice_of("/");
	if (home.len >= sizeof(user->home) || memchr(home.at, 0, home.len))
		return setup_failed(failure, 0, "the home directory in /etc/passwd is malformed");
	memcpy(user->home, home.at, home.len);
	user->home[home.len] = '\0';
	return 0;
}

/* The user's part. *name is the matched line's, empty where no line matched. */
static int user_find(struct slice wanted, struct user_text passwd, struct user *user, struct slice *name,
	struct failure *failure)
{
	struct slice key = wanted.len ? wanted : slice_of("0");
	struct passwd_line line;
	char shown[WANTED_MAX];
	uint32_t id = 0;
	int ret;

	*name = slice_of("");
	if (passwd_find(passwd, key, &line)) {
		*name = line.name;
		user->uid = line.uid;
		user->gid = line.gid;
		return home_set(user, line.home, failure);
	}
	ret = slice_id(key, &id);
	memcpy(shown, key.at, key.len);
	shown[key.len] = '\0';
	if (ret == -ERANGE)
		return setup_failed(failure, 0, "user id ", shown, " is out of range (0 to 2147483647)");
	if (ret)
		return setup_failed(
			failure, 0, "unable to find user ", shown, ": no matching entries in passwd file");
	user->uid = id;
	user->gid = 0;
	return home_set(user, slice_of(""), failure);
}

static int group_find(struct slice wanted, struct user_text group, gid_t *gid, struct failure *failure)
{
	struct slice rest = {group.data, group.len};
	struct group_line line;
	char shown[WANTED_MAX];
	uint32_t id = 0;
	int ret;

	while (rest.len) {
		if (group_parse(slice_cut(&rest, '\n'), &line) &&
			entry_matches(wanted, line.name, line.gid)) {
			*gid = line.gid;
			return 0;
		}
	}
	ret = slice_id(wanted, &id);
	memcpy(shown, wanted.at, wanted.len);
	shown[wanted.len] = '\0';
	if (ret == -ERANGE)
		return setup_failed(failure, 0, "group id ", shown, " is out of range (0 to 2147483647)");
	if (ret)
		return setup_failed(
			failure, 0, "unable to find group ", shown, ": no matching entries in group file");
	*gid = id;
	return 0;
}

static bool members_have(struct slice members, struct slice name)
{
	while (members.len) {
		if (slice_equal(slice_cut(&members, ','), name))
			return true;
	}
	return false;
}

static int groups_collect(
	struct slice name, struct user_text group, struct user *user, struct failure *failure)
{
	struct slice rest = {group.data, group.len};
	struct group_line line;

	while (rest.len) {
		if (!group_parse(slice_cut(&rest, '\n'), &line) || !members_have(line.members, name))
			continue;
		if (user->n_groups == USER_GROUPS_MAX)
			return setup_failed(failure, 0, "the user is in more than 1024 groups");
		user->groups[user->n_groups++] = line.gid;
	}
	return 0;
}

int user_resolve(const char *wanted, struct user_text passwd, struct user_text group, struct user *user,
	struct failure *failure)
{
	struct slice rest = slice_of(wanted), wanted_user, name;
	int ret;

	if (rest.len >= WANTED_MAX)
		return setup_failed(failure, 0, "the user's name is longer than 255 bytes");
	user->n_groups = 0;
	wanted_user = slice_cut(&rest, ':');
	ret = user_find(wanted_user, passwd, user, &name, failure);
	if (ret)
		return ret;
	if (rest.len)
		return group_find(rest, group, &user->gid, failure);
	return name.len ? groups_collect(name, group, user, failure) : 0;
}

/*
 * Look at a file of the image. Only what is a regular file once open is read (a FIFO would keep us waiting),
 * and it is mapped: nothing else runs that could cut it short. A file that does not exist is empty.
 */
static int text_map(int root_fd, const char *path, struct user_text *text, struct failure *failure)
{
	int ret = 0, fd = path_open(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	void *data;

	*text = (struct user_text){NULL, 0};
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return setup_failed(failure, -fd, "open the image's ", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		ret = setup_failed(failure, 0, "the image's ", path, " is not a regular file");
	} else if ((uint64_t)st.st_size > USER_FILE_MAX) {
		ret = setup_failed(failure, 0, "the image's ", path, " is larger than 16 MiB");
	} else if (st.st_size > 0) {
		data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (data == MAP_FAILED)
			ret = setup_failed(failure, errno, "read the image's ", path);
		else
			*text = (struct user_text){data, (size_t)st.st_size};
	}
	close(fd);
	return ret;
}

static void text_unmap(struct user_text text)
{
	if (text.len)
		munmap((void *)(uintptr_t)text.data, text.len);
}

int user_lookup(int root_fd, const char *wanted, struct user *user, struct failure *failure)
{
	struct user_text passwd = {0}, group = {0};
	int ret = text_map(root_fd, "/etc/passwd", &passwd, failure);

	if (!ret)
		ret = text_map(root_fd, "/etc/group", &group, failure);
	if (!ret)
		ret = user_resolve(wanted, passwd, group, user, failure);
	text_unmap(passwd);
	text_unmap(group);
	return ret;
}
