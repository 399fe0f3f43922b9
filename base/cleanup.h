// SPDX-License-Identifier: Apache-2.0
/*
 * Scope-bound release of file descriptors and heap memory.
 *
 * A resource that is handed to somebody else leaves its variable through fd_steal() or ptr_steal(), so that
 * who owns what can be read off the declaration.
 */
#ifndef MVRUN_BASE_CLEANUP_H
#define MVRUN_BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Close *fd if it is open and mark it closed. errno is kept, so it may stand on an error path. */
void fd_release(int *fd);

/* Give the descriptor away: returns *fd and leaves -1 behind. */
static inline int fd_steal(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void heap_release(void *p)
{
	void **heap = p;

	free(*heap);
	*heap = NULL;
}

static inline void *heap_steal(void *p)
{
	void **heap = p;
	void *taken = *heap;

	*heap = NULL;
	return taken;
}

static inline void dir_release(DIR **dir)
{
	if (*dir)
		closedir(*dir);
	*dir = NULL;
}

static inline void file_release(FILE **file)
{
	if (*file)
		fclose(*file);
	*file = NULL;
}

#define auto_fd __attribute__((cleanup(fd_release))) int
#define auto_free __attribute__((cleanup(heap_release)))
#define auto_dir __attribute__((cleanup(dir_release))) DIR *
#define auto_file __attribute__((cleanup(file_release))) FILE *

/* Take a heap pointer out of an auto_free variable with its type kept. */
#define ptr_steal(p) ((__typeof__(p))heap_steal(&(p)))

#endif
