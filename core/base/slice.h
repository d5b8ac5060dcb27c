/* SPDX-License-Identifier: Apache-2.0 */
/* slice.h — a pointer and a length, borrowed: bytes, or UTF-8 text without a NUL. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *data; /* may be NULL when size is 0 */
    size_t size;
};

static inline struct slice slice_of(const void *data, size_t size)
{
    return (struct slice){(const uint8_t *)data, size};
}

static inline struct slice slice_of_text(const char *text)
{
    return (struct slice){(const uint8_t *)text, text ? strlen(text) : 0};
}

/* Bytewise order, then length: <0, 0, >0. */
static inline int slice_compare(struct slice a, struct slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order != 0) return order;
    return (a.size > b.size) - (a.size < b.size);
}

static inline int slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Equal but for the case of ASCII letters, whatever the locale says of them. */
static inline int slice_equal_word(struct slice a, struct slice b)
{
    if (a.size != b.size) return 0;
    for (size_t i = 0; i < a.size; i++) {
        uint8_t x = a.data[i], y = b.data[i];
        if (x >= 'A' && x <= 'Z') x = (uint8_t)(x - 'A' + 'a');
        if (y >= 'A' && y <= 'Z') y = (uint8_t)(y - 'A' + 'a');
        if (x != y) return 0;
    }
    return 1;
}

/* Is it one of `words`, which are separated by one space?  The case of ASCII letters is ignored. */
static inline int slice_is_word_of(struct slice name, const char *words)
{
    while (*words != '\0') {
        size_t length = strcspn(words, " ");
        if (slice_equal_word(slice_of(words, length), name)) return 1;
        words += length;
        if (*words == ' ') words++;
    }
    return 0;
}

#endif
