// SPDX-License-Identifier: Apache-2.0
/*
 * Whole reads and writes, file descriptors over sockets, and small files.
 *
 * Every call resumes after EINTR and short transfers. All return 0 (or a count, where said) or -errno. Any
 * thread.
 */
#ifndef MVRUN_BASE_IO_H
#define MVRUN_BASE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Write all of data. -EAGAIN can come back half-way from a non-blocking fd: for those use write() itself. */
int io_write_all(int fd, const void *data, size_t len);

/* Write all of data at an offset. */
int io_pwrite_all(int fd, const void *data, size_t len, uint64_t offset);

/* Read exactly len bytes. -ENODATA if the end comes first. */
int io_read_exact(int fd, void *data, size_t len);

/* Read exactly len bytes at an offset. -ENODATA if the file ends first. */
int io_pread_exact(int fd, void *data, size_t len, uint64_t offset);

/* Read up to cap bytes until the end of the file; the count, or -EFBIG when there is more. */
ssize_t io_read_capped(int fd, void *data, size_t cap);

/*
 * Read a whole file of at most max bytes below dirfd (AT_FDCWD allowed) into fresh heap memory with a NUL
 * behind it. *len (may be NULL) excludes the NUL. -EFBIG when the file is longer. The caller frees *data.
 */
int io_read_file(int dirfd, const char *path, size_t max, char **data, size_t *len);

int io_set_nonblock(int fd);
int io_set_cloexec(int fd, int on);

#define IO_FDS_MAX 250

/*
 * Send one message with n_fds (at most IO_FDS_MAX) descriptors on a SOCK_SEQPACKET or SOCK_STREAM socket. The
 * descriptors stay the caller's. len must be at least 1.
 */
int io_send_fds(int sock, const void *data, size_t len, const int *fds, size_t n_fds);

/*
 * Receive one message of at most len bytes and its descriptors, close-on-exec, into fds (room for max_fds).
 * Returns the byte count (0: the peer is gone). *n_fds says how many came; they are the caller's. A message
 * that was cut, or carried more descriptors than there is room for, is -EMSGSIZE with all of its descriptors
 * closed.
 */
ssize_t io_recv_fds(int sock, void *data, size_t len, int *fds, size_t max_fds, size_t *n_fds);

#endif
