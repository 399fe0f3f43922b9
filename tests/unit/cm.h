// SPDX-License-Identifier: Apache-2.0
/* cmocka with the headers it wants in front of it. */
#ifndef MVRUN_TESTS_UNIT_CM_H
#define MVRUN_TESTS_UNIT_CM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
