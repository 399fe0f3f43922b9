// SPDX-License-Identifier: Apache-2.0
/* Linux capabilities by name (capabilities(7)), as sets of bits. Pure functions, any thread. */
#ifndef MVRUN_OCI_RUNTIME_CAPABILITY_H
#define MVRUN_OCI_RUNTIME_CAPABILITY_H

#include <stdint.h>

/* The number of a capability: any case, with or without "CAP_". -EINVAL if there is none of that name. */
int capability_parse(const char *name);

/* All that this version knows. */
uint64_t capability_all(void);

/* What docker and podman give a container that asks for nothing. */
uint64_t capability_default(void);

#endif
