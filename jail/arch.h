// SPDX-License-Identifier: Apache-2.0
/* What the jail needs to know of the processor it runs on. */
#ifndef MVRUN_JAIL_ARCH_H
#define MVRUN_JAIL_ARCH_H

#if defined(__x86_64__)
#include "jail/x86_64/arch.h"
#else
#include "jail/arm64/arch.h"
#endif

#endif
