/* SPDX-License-Identifier: Apache-2.0 */
/* bitmap.c — word loops; bits past bit_count are zero between any two calls. */
#include "base/bitmap.h"

int bitmap_init(struct bitmap *b, struct alloc *a, enum mem_tag tag, size_t bit_count)
{
    if (bit_count > SIZE_MAX - 63) return -1;
    size_t bytes = bitmap_word_count(bit_count) * sizeof(uint64_t);
    uint64_t *words = (uint64_t *)mem_zalloc(a, tag, bytes);
    if (!words) return -1;
    *b = (struct bitmap){.alloc = a, .words = words, .bit_count = bit_count};
    return 0;
}

void bitmap_deinit(struct bitmap *b)
{
    if (b->words) mem_free(b->alloc, b->words);
    *b = (struct bitmap){0};
}

size_t bitmap_next(const struct bitmap *b, size_t from)
{
    if (from >= b->bit_count) return b->bit_count;
    size_t word_count = bitmap_word_count(b->bit_count);
    size_t i = from / 64;
    uint64_t word = b->words[i] & (~0ull << (from % 64));
    while (word == 0) {
        if (++i == word_count) return b->bit_count;
        word = b->words[i];
    }
    return i * 64 + (size_t)__builtin_ctzll(word);
}
