// SPDX-License-Identifier: Apache-2.0
#include "oci/image/calls.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define CALL(name, in, reason)                                                                               \
	{                                                                                                    \
		.nr = __NR_##name, .sets = (in), .why = (reason)                                             \
	}
#define CALL_1(name, in, reason, arg)                                                                        \
	{                                                                                                    \
		.nr = __NR_##name, .sets = (in), .args = {arg}, .why = (reason)                              \
	}
#define CALL_2(name, in, reason, a, b)                                                                       \
	{                                                                                                    \
		.nr = __NR_##name, .sets = (in), .args = {a, b}, .why = (reason)                             \
	}

#define MEMORY FILTER_ONLY(2, PROT_READ | PROT_WRITE)

const struct filter_rule image_calls[] = {
	/* What happens all the time comes first. */
	CALL(read, CALLS_UNPACK | CALLS_LAYER, "what comes through a pipe"),
	CALL(write, CALLS_NURSERY | CALLS_UNPACK, "what is unpacked; how a worker ended"),
	CALL(pwrite64, CALLS_WORKERS, "answers, data, tables, file systems"),
	CALL(pread64, CALLS_DOCUMENT | CALLS_LAYER | CALLS_TREE,
		"documents and archives; what is to get a checksum"),
	CALL_2(mmap, CALLS_WORKERS, "memory", MEMORY, FILTER_ONLY(3, MAP_PRIVATE | MAP_ANONYMOUS)),
	CALL(munmap, CALLS_WORKERS, "memory"),
	CALL(mremap, CALLS_WORKERS, "memory that grows"),
	CALL(brk, CALLS_WORKERS, "small memory"),
	CALL_1(madvise, CALLS_WORKERS, "memory goes back", FILTER_IS(2, MADV_DONTNEED)),
	CALL(sync_file_range, CALLS_LAYER, "the disk writes while we decode"),
	CALL(ftruncate, CALLS_LAYER | CALLS_TREE, "files end on a whole block"),
	CALL(fstat, CALLS_TREE, "sizes of tables"),
	CALL_1(newfstatat, CALLS_TREE, "sizes of tables, as some libcs ask", FILTER_IS(3, AT_EMPTY_PATH)),
	CALL(getrandom, CALLS_TREE, "a key for the hash of names"),
	CALL(exit_group, CALLS_ALL, "the end"),

	/* The nursery. */
	CALL(ppoll, CALLS_NURSERY, "wait for orders and for workers"),
	CALL(recvmsg, CALLS_NURSERY, "orders"),
	CALL(sendto, CALLS_NURSERY, "that it is ready"),
	CALL(wait4, CALLS_NURSERY, "how a worker ended"),
	CALL(rt_sigreturn, CALLS_NURSERY, "a worker has ended"),
	CALL(close, CALLS_NURSERY, "descriptors of orders"),
	CALL_1(clone, CALLS_NURSERY, "workers", FILTER_IS(0, SIGCHLD)),

	/* What will be a worker, before it narrows the filter. */
	CALL_1(fcntl, CALLS_NURSERY, "its descriptors into their places", FILTER_IS(1, F_DUPFD_CLOEXEC)),
	CALL(dup3, CALLS_NURSERY, "its descriptors into their places"),
	CALL(close_range, CALLS_NURSERY, "and no others"),
	CALL(prlimit64, CALLS_NURSERY, "its limits"),
	CALL_1(prctl, CALLS_NURSERY, "it dies with the nursery", FILTER_IS(0, PR_SET_PDEATHSIG)),
	CALL_1(seccomp, CALLS_NURSERY, "its own filter", FILTER_IS(0, SECCOMP_SET_MODE_FILTER)),
};

const size_t n_image_calls = sizeof(image_calls) / sizeof(image_calls[0]);

uint32_t calls_of(enum order_kind kind)
{
	switch (kind) {
	case ORDER_UNPACK:
		return CALLS_UNPACK;
	case ORDER_LAYER:
		return CALLS_LAYER;
	case ORDER_TREE:
		return CALLS_TREE;
	case ORDER_LAYOUT:
	case ORDER_INDEX:
	case ORDER_MANIFEST:
	case ORDER_PLATFORM:
	case ORDER_CONFIG:
	case ORDER_DOCKER:
	case ORDER_MEMBERS:
	case ORDER_KINDS:
		break;
	}
	return CALLS_DOCUMENT;
}
