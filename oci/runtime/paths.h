// SPDX-License-Identifier: Apache-2.0
/* Where mvrun's other parts are: programs, the guest kernel, the initramfs. */
#ifndef MVRUN_OCI_RUNTIME_PATHS_H
#define MVRUN_OCI_RUNTIME_PATHS_H

#include "base/err.h"

#define PATHS_CAP 4096

#ifdef __aarch64__
#define KERNEL_FILE "Image"
#else
#define KERNEL_FILE "vmlinux"
#endif
#define INITRAMFS_FILE "initramfs.cpio"
#define VMM_FILE "mvrun-vmm"
#define IMAGE_FILE "mvrun-image"

struct paths {
	char libexec[PATHS_CAP];
};

/*
 * Find the directory of the parts: $MVRUN_LIBEXEC, else ../libexec/mvrun beside the directory of this
 * program, else (a build tree) that directory itself. 0 or -errno with err set.
 */
int paths_find(struct paths *paths, struct err *err);

/*
 * Open one of our own files for reading. what is its name for the user ("guest kernel"). The descriptor, or
 * -errno with err set; a missing file is reported in words that no engine takes for a missing command.
 */
int paths_open(const struct paths *paths, const char *file, const char *what, struct err *err);

#endif
