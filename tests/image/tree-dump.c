// SPDX-License-Identifier: Apache-2.0
/*
 * tree-dump --dir DIR | --disk FILE
 *
 * Print one line for every node of a tree, in one order, with all that an image says about it: type, mode,
 * owner, links, size, time, device, target, extended attributes, SHA-256 of the contents. Two trees are the
 * same if the outputs are. DIR is walked through the kernel; FILE is an EROFS disk, read by the little reader
 * below, which shares nothing with the code that wrote it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PATH_ROOM 8192

struct node {
	uint32_t mode, uid, gid, nlink;
	uint64_t id, size;
	int64_t mtime;
	uint32_t nsec, major, minor;
};

static void die(const char *what)
{
	fprintf(stderr, "tree-dump: %s\n", what);
	exit(1);
}

static void print_bytes(const void *data, size_t len)
{
	const unsigned char *at = data;

	for (size_t i = 0; i < len; i++) {
		if (at[i] > ' ' && at[i] < 0x7f && at[i] != '\\')
			putchar(at[i]);
		else
			printf("\\%02x", at[i]);
	}
}

static void print_hash(const void *data, size_t len)
{
	unsigned char digest[32];

	if (EVP_Digest(data, len, digest, NULL, EVP_sha256(), NULL) != 1)
		die("hash");
	for (int i = 0; i < 16; i++)
		printf("%02x", digest[i]);
}

/* ---- hard links: the first path of each inode ---- */

struct first {
	uint64_t id;
	char *path;
};
static struct first *firsts;
static size_t n_firsts;

static const char *first_path(uint64_t id, const char *path)
{
	for (size_t i = 0; i < n_firsts; i++) {
		if (firsts[i].id == id)
			return firsts[i].path;
	}
	firsts = realloc(firsts, (n_firsts + 1) * sizeof(*firsts));
	firsts[n_firsts].id = id;
	firsts[n_firsts++].path = strdup(path);
	return path;
}

static void print_node(const struct node *node, const char *path)
{
	bool dir = S_ISDIR(node->mode), device = S_ISCHR(node->mode) || S_ISBLK(node->mode);

	print_bytes(path, strlen(path));
	printf(" mode=%06o owner=%u:%u mtime=%" PRId64 ".%09u", node->mode, node->uid, node->gid, node->mtime,
		node->nsec);
	if (S_ISREG(node->mode))
		printf(" size=%" PRIu64, node->size);
	if (device)
		printf(" device=%u:%u", node->major, node->minor);
	/* Not every file system counts the links of folders. */
	if (!dir && node->nlink > 1) {
		printf(" links=%u as=", node->nlink);
		print_bytes(first_path(node->id, path), strlen(first_path(node->id, path)));
	}
}

struct xattr {
	char *name;
	unsigned char value[65536];
	size_t len;
};

static int xattr_compare(const void *a, const void *b)
{
	return strcmp((*(struct xattr *const *)a)->name, (*(struct xattr *const *)b)->name);
}

static void print_xattrs(struct xattr **list, size_t n)
{
	qsort(list, n, sizeof(*list), xattr_compare);
	for (size_t i = 0; i < n; i++) {
		printf(" %s=", list[i]->name);
		print_bytes(list[i]->value, list[i]->len);
		free(list[i]->name);
		free(list[i]);
	}
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ---- a folder of this machine ---- */

static void host_xattrs(const char *at)
{
	char names[65536];
	ssize_t len = llistxattr(at, names, sizeof(names));
	struct xattr *list[256];
	size_t n = 0;

	for (char *name = names; len > 0 && name < names + len && n < 256; name += strlen(name) + 1) {
		ssize_t got;

		/* An image does not bring them; the machine may put them on what it unpacks. */
		if (strcmp(name, "security.selinux") == 0)
			continue;
		list[n] = calloc(1, sizeof(**list));
		got = lgetxattr(at, name, list[n]->value, sizeof(list[n]->value));
		if (got < 0)
			die("lgetxattr");
		list[n]->name = strdup(name);
		list[n++]->len = (size_t)got;
	}
	print_xattrs(list, n);
}

static void host_contents(const char *at, uint64_t size)
{
	int fd = open(at, O_RDONLY | O_NOFOLLOW);
	void *map = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;

	if (fd < 0 || map == MAP_FAILED)
		die(at);
	printf(" sha256=");
	print_hash(map ? map : "", size);
	if (map)
		munmap(map, size);
	close(fd);
}

static void host_walk(const char *root, const char *path)
{
	char at[PATH_ROOM], sub[PATH_ROOM], target[PATH_ROOM];
	char **names = NULL;
	size_t n = 0;
	struct stat st;
	struct node node;

	snprintf(at, sizeof(at), "%s%s", root, path);
	if (lstat(at, &st) < 0)
		die(at);
	node = (struct node){.mode = st.st_mode,
		.uid = st.st_uid,
		.gid = st.st_gid,
		.nlink = (uint32_t)st.st_nlink,
		.id = st.st_ino,
		.size = (uint64_t)st.st_size,
		.mtime = st.st_mtim.tv_sec,
		.nsec = (uint32_t)st.st_mtim.tv_nsec,
		.major = major(st.st_rdev),
		.minor = minor(st.st_rdev)};
	print_node(&node, *path ? path : "/");
	if (S_ISLNK(st.st_mode)) {
		ssize_t len = readlink(at, target, sizeof(target));

		printf(" target=");
		print_bytes(target, (size_t)len);
	}
	if (S_ISREG(st.st_mode))
		host_contents(at, node.size);
	host_xattrs(at);
	putchar('\n');
	if (!S_ISDIR(st.st_mode))
		return;
	DIR *dir = opendir(at);

	if (!dir)
		die(at);
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		names = realloc(names, (n + 1) * sizeof(*names));
		names[n++] = strdup(e->d_name);
	}
	closedir(dir);
	qsort(names, n, sizeof(*names), name_compare);
	for (size_t i = 0; i < n; i++) {
		snprintf(sub, sizeof(sub), "%s/%s", path, names[i]);
		host_walk(root, sub);
		free(names[i]);
	}
	free(names);
}

/* ---- an EROFS disk ---- */

static const unsigned char *disk;
static uint64_t disk_len;

static const unsigned char *bytes_at(uint64_t at, uint64_t len)
{
	if (at > disk_len || len > disk_len - at)
		die("the disk refers to what lies beyond its end");
	return disk + at;
}

static uint64_t le(uint64_t at, int len)
{
	const unsigned char *p = bytes_at(at, (uint64_t)len);
	uint64_t value = 0;

	for (int i = len - 1; i >= 0; i--)
		value = value << 8 | p[i];
	return value;
}

struct inode {
	struct node node;
	unsigned int layout;
	uint64_t behind; /* where attributes, then an inline end or a chunk map begin */
	uint64_t xattr_len;
	uint32_t u;
};

static struct inode inode_read(uint64_t nid)
{
	uint64_t at = nid * 32;
	unsigned int format = (unsigned int)le(at, 2), icount = (unsigned int)le(at + 2, 2);
	struct inode inode = {.layout = format >> 1 & 7};

	inode.node.id = nid;
	inode.node.mode = (uint32_t)le(at + 4, 2);
	inode.u = (uint32_t)le(at + 16, 4);
	if (format & 1) {
		inode.node.size = le(at + 8, 8);
		inode.node.uid = (uint32_t)le(at + 24, 4);
		inode.node.gid = (uint32_t)le(at + 28, 4);
		inode.node.mtime = (int64_t)le(at + 32, 8);
		inode.node.nsec = (uint32_t)le(at + 40, 4);
		inode.node.nlink = (uint32_t)le(at + 44, 4);
	} else {
		inode.node.nlink = (uint32_t)le(at + 6, 2);
		inode.node.size = le(at + 8, 4);
		inode.node.uid = (uint32_t)le(at + 24, 2);
		inode.node.gid = (uint32_t)le(at + 26, 2);
		inode.node.mtime = (int64_t)le(1024 + 24, 8);
		inode.node.nsec = (uint32_t)le(1024 + 32, 4);
	}
	inode.behind = at + (format & 1 ? 64 : 32);
	inode.xattr_len = icount ? 12 + (icount - 1) * 4 : 0;
	inode.node.major = inode.u >> 8 & 0xfff;
	inode.node.minor = (inode.u & 0xff) | (inode.u >> 12 & 0xfff00);
	return inode;
}

/* All of a node's contents in fresh memory. */
static unsigned char *contents(const struct inode *inode)
{
	uint64_t size = inode->node.size, tail = inode->behind + inode->xattr_len;
	unsigned char *out = calloc(size + 1, 1);
	uint64_t whole = inode->layout == 2 ? size / 4096 * 4096 : size;

	if (!out)
		die("memory");
	if (inode->layout == 4) {
		uint64_t chunk = UINT64_C(4096) << (inode->u & 31);

		for (uint64_t i = 0; i * chunk < size; i++) {
			uint64_t block = le(tail + i * 4, 4), left = size - i * chunk;

			if (block != UINT32_MAX)
				memcpy(out + i * chunk, bytes_at(block * 4096, left < chunk ? left : chunk),
					left < chunk ? left : chunk);
		}
		return out;
	}
	if (inode->layout != 0 && inode->layout != 2)
		die("layout");
	if (whole)
		memcpy(out, bytes_at((uint64_t)inode->u * 4096, whole), whole);
	if (whole < size) {
		if (tail / 4096 != (tail + size - whole - 1) / 4096)
			die("an inline end crosses a block");
		memcpy(out + whole, bytes_at(tail, size - whole), size - whole);
	}
	return out;
}

static void disk_xattrs(const struct inode *inode)
{
	static const char *const prefixes[] = {"?", "user.", "system.posix_acl_access",
		"system.posix_acl_default", "trusted.", "?", "security."};
	uint64_t at = inode->behind + 12, end = inode->behind + inode->xattr_len;
	struct xattr *list[256];
	size_t n = 0;

	if (inode->xattr_len && le(inode->behind + 4, 1))
		die("shared attributes");
	while (inode->xattr_len && at < end && n < 256) {
		uint64_t name_len = le(at, 1), index = le(at + 1, 1), len = le(at + 2, 2);
		struct xattr *x = list[n++] = calloc(1, sizeof(*x));

		if (index > 6)
			die("attribute prefix");
		x->name = malloc(300);
		snprintf(x->name, 300, "%s%.*s", prefixes[index], (int)name_len,
			(const char *)bytes_at(at + 4, name_len));
		memcpy(x->value, bytes_at(at + 4 + name_len, len), len);
		x->len = len;
		at += (4 + name_len + len + 3) / 4 * 4;
	}
	if (inode->xattr_len && at != end)
		die("attributes end elsewhere");
	print_xattrs(list, n);
}

static void disk_walk(uint64_t nid, uint64_t parent, const char *path, int file_type);

/* Entries must be in order, blocks too, and "." and ".." right: the kernel bisects. */
static void disk_dir(const struct inode *inode, uint64_t parent, const char *path)
{
	unsigned char *data = contents(inode);
	uint64_t size = inode->node.size;
	char last[256] = "", name[256], sub[PATH_ROOM];
	unsigned int dots = 0, dirs = 0;

	for (uint64_t block = 0; block < size; block += 4096) {
		uint64_t room = size - block < 4096 ? size - block : 4096;
		unsigned int n = (data[block + 8] | data[block + 9] << 8) / 12;

		for (unsigned int i = 0; i < n; i++) {
			unsigned char *e = data + block + i * 12;
			uint64_t nid = 0, from = e[8] | e[9] << 8, to = room;

			if (i + 1 < n)
				to = e[20] | e[21] << 8;
			for (int k = 7; k >= 0; k--)
				nid = nid << 8 | e[k];
			if (to <= from || to > room)
				die("folder entry");
			memset(name, 0, sizeof(name));
			memcpy(name, data + block + from, to - from > 255 ? 255 : to - from);
			if (strcmp(last, name) >= 0)
				die("a folder is not in order");
			strcpy(last, name);
			if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
				dots++;
				if (nid != (name[1] ? parent : inode->node.id))
					die("dots lead elsewhere");
				continue;
			}
			dirs += e[10] == 2;
			snprintf(sub, sizeof(sub), "%s/%s", path, name);
			disk_walk(nid, inode->node.id, sub, e[10]);
		}
	}
	if (dots != 2 || inode->node.nlink != dirs + 2)
		die("dots or links of a folder");
	free(data);
}

static void disk_walk(uint64_t nid, uint64_t parent, const char *path, int file_type)
{
	static const unsigned int types[] = {
		0, S_IFREG, S_IFDIR, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK};
	struct inode inode = inode_read(nid);
	unsigned char *data = NULL;

	if (file_type > 7 || types[file_type] != (inode.node.mode & S_IFMT))
		die("type in a folder entry");
	print_node(&inode.node, *path ? path : "/");
	if (S_ISREG(inode.node.mode) || S_ISLNK(inode.node.mode))
		data = contents(&inode);
	if (S_ISLNK(inode.node.mode)) {
		printf(" target=");
		print_bytes(data, inode.node.size);
	}
	if (S_ISREG(inode.node.mode)) {
		printf(" sha256=");
		print_hash(data, inode.node.size);
	}
	free(data);
	disk_xattrs(&inode);
	putchar('\n');
	if (S_ISDIR(inode.node.mode))
		disk_dir(&inode, parent, path);
}

static void disk_dump(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	uint64_t root;
	void *map;

	if (fd < 0 || fstat(fd, &st) < 0)
		die(path);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		die("mmap");
	disk = map;
	disk_len = (uint64_t)st.st_size;
	if (le(1024, 4) != 0xe0f5e1e2 || le(1024 + 36, 4) * 4096 != disk_len)
		die("not an EROFS disk of this size");
	root = le(1024 + 14, 2);
	disk_walk(root, root, "", 2);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--dir") == 0)
		host_walk(argv[2], "");
	else if (argc == 3 && strcmp(argv[1], "--disk") == 0)
		disk_dump(argv[2]);
	else
		die("usage: tree-dump --dir DIR | --disk FILE");
	return fflush(stdout) ? 1 : 0;
}
