/* SPDX-License-Identifier: Apache-2.0 */
/* bitmap.c — word loops; bits past bit_count are zero between any two calls. */
#include "base/bitmap.h"

#include <string.h>

#include "base/check.h"

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

static inline size_t count_words(const uint64_t *words, size_t word_count)
{
    size_t count = 0;
    for (size_t i = 0; i < word_count; i++) count += (size_t)__builtin_popcountll(words[i]);
    return count;
}

#if defined(__x86_64__)
/* The base instruction set of x86-64 has no population count; without it the loop takes three times
 * as long. */
__attribute__((target("popcnt"))) static size_t count_words_popcnt(const uint64_t *words,
                                                                   size_t word_count)
{
    size_t count = 0;
    for (size_t i = 0; i < word_count; i++) count += (size_t)__builtin_popcountll(words[i]);
    return count;
}
#endif

size_t bitmap_count(const struct bitmap *b)
{
    size_t word_count = bitmap_word_count(b->bit_count);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("popcnt")) return count_words_popcnt(b->words, word_count);
#endif
    return count_words(b->words, word_count);
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

void bitmap_and(struct bitmap *a, const struct bitmap *b)
{
    CHECK(a->bit_count == b->bit_count);
    size_t word_count = bitmap_word_count(a->bit_count);
    for (size_t i = 0; i < word_count; i++) a->words[i] &= b->words[i];
}

void bitmap_or(struct bitmap *a, const struct bitmap *b)
{
    CHECK(a->bit_count == b->bit_count);
    size_t word_count = bitmap_word_count(a->bit_count);
    for (size_t i = 0; i < word_count; i++) a->words[i] |= b->words[i];
}

void bitmap_andnot(struct bitmap *a, const struct bitmap *b)
{
    CHECK(a->bit_count == b->bit_count);
    size_t word_count = bitmap_word_count(a->bit_count);
    for (size_t i = 0; i < word_count; i++) a->words[i] &= ~b->words[i];
}

void bitmap_fill(struct bitmap *b, bool value)
{
    size_t word_count = bitmap_word_count(b->bit_count);
    if (word_count == 0) return;
    memset(b->words, value ? 0xFF : 0, word_count * sizeof(uint64_t));
    size_t last_bits = b->bit_count % 64;
    if (value && last_bits != 0) b->words[word_count - 1] = (1ull << last_bits) - 1;
}
