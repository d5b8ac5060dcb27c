/* SPDX-License-Identifier: Apache-2.0 */
/* bitmap.h — dense bitmap of a fixed number of bits, in 64-bit words. */
#ifndef BASE_BITMAP_H
#define BASE_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

struct bitmap {
    struct alloc *alloc;
    uint64_t *words;
    size_t bit_count;
};

int bitmap_init(struct bitmap *b, struct alloc *a, enum mem_tag tag,
                size_t bit_count); /* -1: NO_MEMORY */
void bitmap_deinit(struct bitmap *b);

static inline size_t bitmap_word_count(size_t bit_count)
{
    return (bit_count + 63) / 64;
}
static inline bool bitmap_get(const struct bitmap *b, size_t i)
{
    return (b->words[i / 64] >> (i % 64)) & 1;
}
static inline void bitmap_set(struct bitmap *b, size_t i)
{
    b->words[i / 64] |= 1ull << (i % 64);
}
static inline void bitmap_clear(struct bitmap *b, size_t i)
{
    b->words[i / 64] &= ~(1ull << (i % 64));
}

/* The first set bit at or after `from`; bit_count when there is none. */
size_t bitmap_next(const struct bitmap *b, size_t from);

#endif
