/* SPDX-License-Identifier: Apache-2.0 */
/* bits_kernels.h — kernels over rows of bits: how many differ, how many are common.
 *
 * WHAT        hamming counts the bits that differ, common those that both rows have.  Two forms:
 *             one pair, and one query against many rows.
 *             Jaccard and Dice are made of hamming and of the rows' counts, which are kept beside
 *             the rows as norms are (quant/bit_rows.h).
 * LAYOUT      Bit i of a row is bit i % 64 of word i / 64; the bits behind the last are 0.
 * ARGUMENTS   Words need the alignment of uint64_t; 64 bytes are fastest.  word_count may be 0, and
 *             is at most that of LIMIT_DIM bits.  No word outside a row is read.
 * VALUES      Exact: the same at every level and in every form.
 * THREADS     Kernels are pure.
 */
#ifndef SIMD_BITS_KERNELS_H
#define SIMD_BITS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

static inline size_t bits_word_count(size_t bit_count)
{
    return (bit_count + 63) / 64;
}

typedef uint32_t bits_pair_fn(const uint64_t *a, const uint64_t *b, size_t word_count);

/* out[i] = value of query and the row at rows + i * row_stride_words, i < row_count. */
typedef void bits_many_fn(const uint64_t *query, const uint64_t *rows, size_t row_stride_words,
                          size_t row_count, size_t word_count, uint32_t *out);

struct bits_forms {
    bits_pair_fn *pair;
    bits_many_fn *many;
};

#define BITS_KERNELS(_)                                                                            \
    _(hamming, HAMMING)                                                                            \
    _(common, COMMON)

/* The kernels themselves; only select.c and the ISA files use these names. */
#define BITS_DECLARE(op, isa)                                                                      \
    bits_pair_fn bits_##op##_##isa;                                                                \
    bits_many_fn bits_##op##_many_##isa;
#define BITS_DECLARE_SERIAL(op, OP) BITS_DECLARE(op, serial)
BITS_KERNELS(BITS_DECLARE_SERIAL)
#undef BITS_DECLARE_SERIAL
#if defined(__x86_64__)
#define BITS_DECLARE_X86(op, OP)                                                                   \
    BITS_DECLARE(op, avx2)                                                                         \
    BITS_DECLARE(op, vpopcnt)
BITS_KERNELS(BITS_DECLARE_X86)
#undef BITS_DECLARE_X86
#elif defined(__aarch64__)
#define BITS_DECLARE_NEON(op, OP) BITS_DECLARE(op, neon)
BITS_KERNELS(BITS_DECLARE_NEON)
#undef BITS_DECLARE_NEON
#endif
#undef BITS_DECLARE

#endif
