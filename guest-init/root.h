// SPDX-License-Identifier: Apache-2.0
/*
 * The container's root file system: the image, a writable layer over it, the mounts of the spec, what is
 * masked.
 *
 * All of this runs in the container's own mount namespace, before anything of the image has run, so nothing
 * can change a name between its check and its use.
 */
#ifndef MVRUN_GUEST_INIT_ROOT_H
#define MVRUN_GUEST_INIT_ROOT_H

#include "guest-init/failure.h"
#include "proto/spec.h"

#include <stdint.h>

/*
 * Mount the image of a disk (0 = vda) at LAYOUT_IMAGE. In guest-init itself: the container's control group
 * may not touch a disk, not even while the container is being made.
 */
int root_mount_image(uint32_t disk, struct failure *failure);

/*
 * Put a writable layer over the image, at LAYOUT_ROOT. Returns an O_PATH descriptor of the root, or -errno.
 */
int root_assemble(const struct spec *spec, struct failure *failure);

/*
 * The mounts of the spec, in its order; a tmpfs on /dev gets the usual nodes and links. Their targets are
 * made if they are missing.
 */
int root_mount_all(int root_fd, const struct spec *spec, struct failure *failure);

/* Hide the masked paths, make the read-only paths read-only. Paths that do not exist are fine. */
int root_restrict(int root_fd, const struct spec *spec, struct failure *failure);

/*
 * Make the assembled root the namespace's root and the caller's root and working directory. What is left of
 * the initramfs lies beneath it, with its own mounts gone.
 */
int root_enter(int root_fd, const struct spec *spec, struct failure *failure);

#endif
