// SPDX-License-Identifier: Apache-2.0
#include "guest-init/root.h"

#include "guest-init/devices.h"
#include "guest-init/etc.h"
#include "guest-init/layout.h"
#include "guest-init/path.h"
#include "guest-init/sys.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define UPPER_PATH LAYOUT_WRITABLE "/upper"
#define WORK_PATH LAYOUT_WRITABLE "/work"
#define DISKS_MAX 26

/*
 * What a mount of the spec may ask for. Bind mounts, moves, remounts and propagation have no place in it:
 * every mount is a file system of its own.
 */
#define MOUNT_FLAGS                                                                                          \
	(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS | MS_DIRSYNC | MS_NOATIME |           \
		MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME | MS_LAZYTIME)

static int directory_make(const char *path, struct failure *failure)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return setup_failed(failure, errno, "make the directory ", path);
	return 0;
}

int root_mount_image(uint32_t disk, struct failure *failure)
{
	char device[] = LAYOUT_DEV "/vda";
	int ret = directory_make(LAYOUT_IMAGE, failure);

	if (ret)
		return ret;
	if (disk >= DISKS_MAX)
		return setup_failed(failure, 0, "the number of the root disk is out of range");
	device[sizeof(device) - 2] = (char)('a' + disk);
	if (mount(device, LAYOUT_IMAGE, "erofs", MS_RDONLY, NULL) < 0)
		return setup_failed(failure, errno, "mount the image from ", device);
	return 0;
}

/*
 * An upper directory for one of the image. A merged directory shows the owner, the mode and the times of the
 * upper one, so they must be the image's. -ENOTDIR if the image has something else there, -ENOENT if it has
 * nothing.
 */
static int upper_directory_make(const char *image, const char *upper)
{
	struct stat st;

	if (lstat(image, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (mkdir(upper, 0755) < 0 || chown(upper, st.st_uid, st.st_gid) < 0 ||
		chmod(upper, st.st_mode & 07777) < 0)
		return -errno;
	return 0;
}

/* Once nothing more will be made in it. */
static int upper_directory_finish(const char *image, const char *upper)
{
	struct timespec times[2];
	struct stat st;

	if (lstat(image, &st) < 0)
		return -errno;
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	return utimensat(AT_FDCWD, upper, times, 0) < 0 ? -errno : 0;
}

/*
 * Our files of /etc go straight into the upper layer, before there is an overlay: it would copy the image's
 * up first, at ten times the price, and whatever links the image has under these names are simply not looked
 * at. An image whose /etc is no directory keeps what it has.
 */
static int upper_etc_make(const char *hostname, struct failure *failure)
{
	int dir_fd, ret = upper_directory_make(LAYOUT_IMAGE "/etc", UPPER_PATH "/etc");
	bool missing = ret == -ENOENT;

	if (ret == -ENOTDIR)
		return 0;
	if (missing)
		ret = mkdir(UPPER_PATH "/etc", 0755) < 0 ? -errno : 0;
	dir_fd = ret ? ret : open(UPPER_PATH "/etc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return setup_failed(failure, ret ? -ret : errno, "make the container's /etc");
	ret = etc_write(dir_fd, hostname, failure);
	close(dir_fd);
	if (ret || missing)
		return ret;
	ret = upper_directory_finish(LAYOUT_IMAGE "/etc", UPPER_PATH "/etc");
	return ret ? setup_failed(failure, -ret, "set the times of the container's /etc") : 0;
}

static int upper_make(const struct spec *spec, struct failure *failure)
{
	int ret = upper_directory_make(LAYOUT_IMAGE, UPPER_PATH);

	if (!ret && mkdir(WORK_PATH, 0700) < 0)
		ret = -errno;
	if (ret)
		return setup_failed(failure, -ret, "make the writable layer's directories");
	if (spec->flags & SPEC_ETC_FILES)
		ret = upper_etc_make(spec->hostname, failure);
	if (ret)
		return ret;
	ret = upper_directory_finish(LAYOUT_IMAGE, UPPER_PATH);
	return ret ? setup_failed(failure, -ret, "set the times of the container's root") : 0;
}

static int writable_mount(const struct spec *spec, struct failure *failure)
{
	char room[TEXT_U64_BYTES], data[64];
	int ret = directory_make(LAYOUT_WRITABLE, failure);

	if (ret)
		return ret;
	text_join(data, sizeof(data),
		spec->upper_bytes
			? (const char *const[]){"mode=0700,size=", text_u64(spec->upper_bytes, room), NULL}
			: (const char *const[]){"mode=0700", NULL});
	if (mount("tmpfs", LAYOUT_WRITABLE, "tmpfs", 0, data) < 0)
		return setup_failed(failure, errno, "mount the memory of the writable layer");
	return upper_make(spec, failure);
}

/*
 * redirect_dir: directories of the image can be renamed as on any file system (without it rename(2) says
 * EXDEV, and not every program copes). metacopy: chown -R does not copy contents. xino: one st_dev for
 * everything, on which "tar --one-file-system" depends. A read-only root is an overlay too, because the
 * targets of mounts must come from somewhere; root_enter() makes it read-only.
 */
int root_assemble(const struct spec *spec, struct failure *failure)
{
	static const char options[] = "lowerdir=" LAYOUT_IMAGE ",upperdir=" UPPER_PATH ",workdir=" WORK_PATH
				      ",redirect_dir=on,metacopy=on,xino=on";
	int fd, ret = writable_mount(spec, failure);

	if (!ret)
		ret = directory_make(LAYOUT_ROOT, failure);
	if (ret)
		return ret;
	if (mount("overlay", LAYOUT_ROOT, "overlay", 0, options) < 0)
		return setup_failed(failure, errno, "mount the writable layer over the image");
	fd = open(LAYOUT_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? setup_failed(failure, errno, "open the container's root") : fd;
}

static bool type_known(const char *type)
{
	static const char *const known[] = {"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup2"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strcmp(type, known[i]))
			return true;
	}
	return false;
}

static bool is_dev(const struct spec_mount *mount)
{
	return !strcmp(mount->type, "tmpfs") &&
	       (!strcmp(mount->target, "/dev") || !strcmp(mount->target, "/dev/"));
}

/*
 * What the rest of the set-up builds on, and what the container's world stands on, lies where it is said to
 * lie: through a link of the image /proc could come to cover anything, the whole root among it. For other
 * mounts links count, within the root, as they do for every engine.
 */
static bool is_fundamental(const struct spec_mount *mount)
{
	return is_dev(mount) || !strcmp(mount->type, "proc") || !strcmp(mount->type, "sysfs");
}

static int fundament_check(int root_fd, const struct spec_mount *mnt, struct failure *failure)
{
	int fd = path_open_plain(root_fd, mnt->target, O_PATH | O_DIRECTORY);

	if (fd >= 0)
		close(fd);
	if (fd == -ELOOP)
		return setup_failed(failure, 0, "the image's ", mnt->target,
			" is a symbolic link; it must be a directory, or not be there");
	if (fd == -ENOTDIR)
		return setup_failed(failure, 0, "the image's ", mnt->target,
			" is no directory; it must be one, or not be there");
	return 0;
}

/* mount(2) takes its target as a path: the directory is entered, and the path is ".". */
static int mount_one(int root_fd, const struct spec_mount *mnt, struct failure *failure)
{
	int ret = 0, target_fd;

	if (!type_known(mnt->type) || mnt->flags & ~(uint64_t)MOUNT_FLAGS)
		return setup_failed(
			failure, 0, "mount ", mnt->target, ": a type or flag that is not supported");
	if (is_fundamental(mnt) && fundament_check(root_fd, mnt, failure))
		return -EINVAL;
	target_fd = path_make(root_fd, mnt->target, PATH_DIRECTORY);
	if (target_fd < 0)
		return setup_failed(failure, -target_fd, "make the mount point ", mnt->target);
	if (fchdir(target_fd) < 0 ||
		mount(mnt->source, ".", mnt->type, (unsigned long)mnt->flags, mnt->data) < 0)
		ret = setup_failed(failure, errno, "mount ", mnt->type, " on ", mnt->target);
	close(target_fd);
	return ret;
}

int root_mount_all(int root_fd, const struct spec *spec, struct failure *failure)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < spec->n_mounts; i++) {
		ret = mount_one(root_fd, &spec->mounts[i], failure);
		if (!ret && is_dev(&spec->mounts[i]))
			ret = devices_make(root_fd, spec->flags & SPEC_TERMINAL, failure);
	}
	if (!ret && chdir("/") < 0)
		ret = setup_failed(failure, errno, "leave the last mount point");
	return ret;
}

/* A directory becomes empty and read-only. */
static int directory_mask(int target_fd)
{
	if (fchdir(target_fd) < 0 ||
		mount("tmpfs", ".", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			"size=0,nr_inodes=1") < 0)
		return -errno;
	return chdir("/") < 0 ? -errno : 0;
}

/*
 * Anything else becomes /dev/null: the guest's own node, because what the image or a mount has put at the
 * container's /dev/null is not to be trusted with this.
 */
static int file_mask(int target_fd)
{
	int ret = 0, mount_fd = -1, null_fd = open(LAYOUT_DEV "/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (null_fd < 0)
		return -errno;
	mount_fd = sys_open_tree_clone(null_fd, 0);
	/* Read-only, or chmod through a mask would change the guest's node. */
	if (mount_fd < 0 || sys_mount_set_read_only(mount_fd, 0) < 0 ||
		sys_move_mount(mount_fd, target_fd) < 0)
		ret = -errno;
	close(null_fd);
	if (mount_fd >= 0)
		close(mount_fd);
	return ret;
}

static int path_mask(int root_fd, const char *path)
{
	int ret, target_fd = path_open(root_fd, path, O_PATH);
	struct stat st;

	if (target_fd == -ENOENT || target_fd == -ENOTDIR)
		return 0;
	if (target_fd < 0)
		return target_fd;
	if (fstat(target_fd, &st) < 0)
		ret = -errno;
	else
		ret = S_ISDIR(st.st_mode) ? directory_mask(target_fd) : file_mask(target_fd);
	close(target_fd);
	return ret;
}

/* A read-only copy of the mounts from here on down goes over the original. */
static int path_set_read_only(int root_fd, const char *path)
{
	int ret = 0, mount_fd, target_fd = path_open(root_fd, path, O_PATH);

	if (target_fd == -ENOENT || target_fd == -ENOTDIR)
		return 0;
	if (target_fd < 0)
		return target_fd;
	mount_fd = sys_open_tree_clone(target_fd, SYS_AT_RECURSIVE);
	if (mount_fd < 0 || sys_mount_set_read_only(mount_fd, SYS_AT_RECURSIVE) < 0 ||
		sys_move_mount(mount_fd, target_fd) < 0)
		ret = -errno;
	if (mount_fd >= 0)
		close(mount_fd);
	close(target_fd);
	return ret;
}

int root_restrict(int root_fd, const struct spec *spec, struct failure *failure)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < spec->n_read_only_paths; i++) {
		ret = path_set_read_only(root_fd, spec->read_only_paths[i]);
		if (ret)
			return setup_failed(failure, -ret, "make read-only: ", spec->read_only_paths[i]);
	}
	for (size_t i = 0; !ret && i < spec->n_masked_paths; i++) {
		ret = path_mask(root_fd, spec->masked_paths[i]);
		if (ret)
			return setup_failed(failure, -ret, "mask ", spec->masked_paths[i]);
	}
	return 0;
}

/*
 * The initramfs can be neither unmounted nor pivoted away (it is the bottom of every mount namespace), so the
 * root is moved on top of it, as switch_root does. The result is the tree that pivot_root would leave. What
 * lies beneath is empty: guest-init has removed its own file, and its mounts are detached here.
 */
int root_enter(int root_fd, const struct spec *spec, struct failure *failure)
{
	static const char *const ours[] = {LAYOUT_IMAGE, LAYOUT_WRITABLE, LAYOUT_CGROUP, LAYOUT_DEV};

	if (spec->flags & SPEC_READ_ONLY && sys_mount_set_read_only(root_fd, 0) < 0)
		return setup_failed(failure, errno, "make the root read-only");
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (umount2(ours[i], MNT_DETACH) < 0)
			return setup_failed(failure, errno, "detach ", ours[i]);
	}
	if (chdir(LAYOUT_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
		chdir("/") < 0)
		return setup_failed(failure, errno, "enter the container's root");
	return 0;
}
