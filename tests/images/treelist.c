// SPDX-License-Identifier: Apache-2.0
//
// treelist ROOT: every entry below ROOT in the order of names, one a line, with all that an image says about
// it: path, type, mode, owner, size, mtime, device, link target, hard links (the first path with the same
// inode), xattrs and a hash of the contents. Run on `umoci unpack`'s result and inside a microVM on the same
// image, the two outputs are equal.
//
// Left out: what lies below /proc, /sys and /dev and three files of /etc, which a container gets anew; size,
// mtime and link count of directories that hold such files; link counts of all directories (overlayfs says
// 1); trusted.* xattrs, which a container may not see. The hash is FNV-1a over 64-bit words: enough to find a
// wrong block, and it costs an emulated machine a tenth of SHA-256.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define INODES_MAX 65536
#define LIST_MAX 65536

static struct {
	dev_t dev;
	ino_t ino;
	char *path;
} inodes[INODES_MAX];
static size_t n_inodes;

static void fail(const char *what, const char *path)
{
	fprintf(stderr, "treelist: %s %s: %s\n", what, path, strerror(errno));
	exit(1);
}

// Quotes what would break the line.
static void print_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c > ' ' && c < 127 && c != '\\')
			putchar(c);
		else
			printf("\\x%02x", c);
	}
}

// The first path met with this inode, which is `path` for the first one.
static const char *first_link(const struct stat *st, const char *path)
{
	for (size_t i = 0; i < n_inodes; i++)
		if (inodes[i].ino == st->st_ino && inodes[i].dev == st->st_dev)
			return inodes[i].path;
	if (n_inodes == INODES_MAX)
		fail("too many hard links at", path);
	inodes[n_inodes].dev = st->st_dev;
	inodes[n_inodes].ino = st->st_ino;
	inodes[n_inodes].path = strdup(path);
	return inodes[n_inodes++].path;
}

static uint64_t hash_file(const char *path)
{
	static uint64_t words[1 << 16];
	uint64_t hash = 0xcbf29ce484222325;
	int fd = open(path, O_RDONLY | O_NOFOLLOW);
	if (fd < 0)
		fail("open", path);
	for (;;) {
		size_t have = 0;
		ssize_t n = 1;
		while (have < sizeof(words) && (n = read(fd, (char *)words + have, sizeof(words) - have)) > 0)
			have += (size_t)n;
		if (n < 0)
			fail("read", path);
		memset((char *)words + have, 0, -have & 7);
		for (size_t i = 0; i < (have + 7) / 8; i++)
			hash = (hash ^ words[i]) * 0x100000001b3;
		if (have < sizeof(words))
			break;
	}
	close(fd);
	return hash;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_xattrs(const char *path)
{
	static char list[LIST_MAX], value[LIST_MAX];
	char *names[256];
	size_t n_names = 0;
	ssize_t len = llistxattr(path, list, sizeof(list));
	if (len < 0 && errno != ENOTSUP)
		fail("listxattr", path);
	for (char *p = list; len > 0 && p < list + len && n_names < 256; p += strlen(p) + 1)
		names[n_names++] = p;
	qsort(names, n_names, sizeof(names[0]), compare_names);
	for (size_t i = 0; i < n_names; i++) {
		if (!strncmp(names[i], "trusted.", 8))
			continue;
		ssize_t n = lgetxattr(path, names[i], value, sizeof(value));
		if (n < 0)
			fail(names[i], path);
		printf(" ");
		print_text(names[i], strlen(names[i]));
		printf("=");
		print_text(value, (size_t)n);
	}
}

static char type_letter(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFCHR:
		return 'c';
	case S_IFBLK:
		return 'b';
	case S_IFIFO:
		return 'p';
	case S_IFREG:
		return '-';
	default:
		return '?';
	}
}

static int is_one_of(const char *path, const char *const list[])
{
	for (; *list; list++)
		if (!strcmp(path, *list))
			return 1;
	return 0;
}

// A container's own: not listed; and the directories that changed because of them: listed without mtime.
static const char *const own[] = {"/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/.dockerenv", NULL};
static const char *const own_dirs[] = {"/proc", "/sys", "/dev", NULL};
static const char *const parents[] = {"", "/etc", NULL};

static void list_entry(const char *path, const char *name)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		fail("stat", path);
	print_text(name[0] ? name : "/", strlen(name[0] ? name : "/"));
	printf(" %c%04o %u:%u", type_letter(st.st_mode), st.st_mode & 07777, st.st_uid, st.st_gid);
	if (!S_ISDIR(st.st_mode) || !is_one_of(name, parents))
		printf(" %lld.%09ld", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		printf(" %u,%u", major(st.st_rdev), minor(st.st_rdev));
	if (S_ISLNK(st.st_mode)) {
		char target[4097];
		ssize_t n = readlink(path, target, sizeof(target));
		if (n < 0)
			fail("readlink", path);
		printf(" -> ");
		print_text(target, (size_t)n);
	}
	if (S_ISREG(st.st_mode))
		printf(" %lld %016llx", (long long)st.st_size, (unsigned long long)hash_file(path));
	if (!S_ISDIR(st.st_mode) && st.st_nlink > 1) {
		const char *first = first_link(&st, name);
		printf(" links=%u,", (unsigned)st.st_nlink);
		print_text(first, strlen(first));
	}
	print_xattrs(path);
	putchar('\n');
}

static int entry_wanted(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

// `name` is the path inside the image, "" for its root.
static void list_dir(const char *root, const char *name)
{
	char path[8192], inner[8192];
	struct dirent **entries;
	struct stat st;
	snprintf(path, sizeof(path), "%s%s", root, name[0] ? name : "/");
	int n = scandir(path, &entries, entry_wanted, by_bytes);
	if (n < 0)
		fail("read directory", path);
	for (int i = 0; i < n; i++) {
		snprintf(inner, sizeof(inner), "%s/%s", name, entries[i]->d_name);
		snprintf(path, sizeof(path), "%s%s", root, inner);
		free(entries[i]);
		if (is_one_of(inner, own) || is_one_of(inner, own_dirs))
			continue;
		list_entry(path, inner);
		if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
			list_dir(root, inner);
	}
	free(entries);
}

int main(int argc, char *argv[])
{
	if (argc != 2) {
		fprintf(stderr, "usage: treelist ROOT\n");
		return 2;
	}
	const char *root = !strcmp(argv[1], "/") ? "" : argv[1];
	list_entry(argv[1], "");
	list_dir(root, "");
	return fflush(stdout) || ferror(stdout);
}
