// SPDX-License-Identifier: Apache-2.0
/* Directories of the initramfs, before the container's mount namespace leaves it behind. */
#ifndef MVRUN_GUEST_INIT_LAYOUT_H
#define MVRUN_GUEST_INIT_LAYOUT_H

#define LAYOUT_DEV "/dev" /* devtmpfs, for the disks and /dev/null */
#define LAYOUT_CGROUP "/cgroup" /* cgroup2 */
#define LAYOUT_IMAGE "/image" /* the image's EROFS, read-only */
#define LAYOUT_WRITABLE "/writable" /* tmpfs of the writable layer */
#define LAYOUT_ROOT "/root" /* the container's root while it is being made */

#endif
