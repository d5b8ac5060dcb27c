/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h — which bytes are UTF-8 (RFC 3629: no overlong forms, no surrogates, up to U+10FFFF). */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the longest prefix that consists of whole characters. */
size_t utf8_valid_bytes(const void *text, size_t size);
static inline bool utf8_is_valid(const void *text, size_t size)
{
    return utf8_valid_bytes(text, size) == size;
}

/* Make text valid in place: a character that the end cuts in two is dropped, every other byte that
 * belongs to none becomes '?'.  Returns the new size, at most `size`; writes no NUL. */
size_t utf8_mend(char *text, size_t size);

#endif
