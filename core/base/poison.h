/* SPDX-License-Identifier: Apache-2.0 */
/* poison.h — marks for AddressSanitizer: memory that is ours but must not be touched now.  Nothing
 * in other builds. */
#ifndef BASE_POISON_H
#define BASE_POISON_H

#include <stddef.h>

#ifdef __has_feature /* clang has no macro of gcc's name */
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
#define POISON_IS_ON 1
#include <sanitizer/asan_interface.h>
static inline void poison(const void *at, size_t size)
{
    ASAN_POISON_MEMORY_REGION(at, size);
}
static inline void unpoison(const void *at, size_t size)
{
    ASAN_UNPOISON_MEMORY_REGION(at, size);
}
#else
#define POISON_IS_ON 0
static inline void poison(const void *at, size_t size)
{
    (void)at, (void)size;
}
static inline void unpoison(const void *at, size_t size)
{
    (void)at, (void)size;
}
#endif

#endif
