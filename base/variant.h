// SPDX-License-Identifier: Apache-2.0
/*
 * What a build may be. The Makefile includes this in front of every file, so that no object of a release can hold what
 * is there for fuzzing or testing only.
 */
#ifndef MVRUN_BASE_VARIANT_H
#define MVRUN_BASE_VARIANT_H

#if defined(MVRUN_RELEASE) && (defined(MVRUN_FUZZ) || defined(FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION))
#error "a build with fuzzing code in it cannot be a release build"
#endif

#if defined(__SANITIZE_ADDRESS__)
#define MVRUN_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MVRUN_SANITIZED
#endif
#endif

#if defined(MVRUN_RELEASE) && defined(MVRUN_SANITIZED)
#error "a build with a sanitizer in it cannot be a release build"
#endif

#endif
