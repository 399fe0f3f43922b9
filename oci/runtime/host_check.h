// SPDX-License-Identifier: Apache-2.0
/* What this host offers to mvrun, and what to do about what it does not. */
#ifndef MVRUN_OCI_RUNTIME_HOST_CHECK_H
#define MVRUN_OCI_RUNTIME_HOST_CHECK_H

#include <stdbool.h>
#include <stddef.h>

enum check_status {
	CHECK_OK,
	CHECK_INFO, /* worth knowing; run works all the same */
	CHECK_FAILED, /* run does not work until this is fixed */
};

struct check {
	const char *name;
	enum check_status status;
	char detail[256];
	char fix[256]; /* what to do; "" where there is nothing to be done */
};

#define CHECKS_MAX 24

struct check_list {
	struct check checks[CHECKS_MAX];
	size_t n;
};

/* Look at everything. Changes nothing on the host. store_path as for store_open(). */
void host_check(struct check_list *list, const char *store_path);

/* True if `run` can work. */
bool host_fit(const struct check_list *list);

#endif
