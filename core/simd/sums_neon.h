/* SPDX-License-Identifier: Apache-2.0 */
/* sums_neon.h — dot and squared distance with NEON, for whatever the numbers of rows are.
 *
 * WHAT        Every value is made the same way.  Blocks of 16 numbers go to four accumulators s0 to
 *             s3 of four lanes each; what is left behind the last block is copied to one that is
 *             filled up with 0.  Then, with x = (s0 + s1) + (s2 + s3):
 *                 value = (x[0] + x[1]) + (x[2] + x[3])
 *             A pair folds one register, a batch those of four rows at once, by the same tree: that
 *             is how the forms stay bit-identical (kernels.h (1)).  Narrow numbers are widened as
 *             they are loaded, and then go the way of floats (narrow_kernels.h (1)).  Every product
 *             is an explicit FMA, so no compiler flag can change a value.
 * WHY SO      Two rows per step share the loads of the query, and eight chains of additions hide
 *             their latency.  Four queries with one row use 24 of the 32 registers.
 * INVARIANTS, THREADS, FAILURE: see kernels.h.
 */
#ifndef SIMD_SUMS_NEON_H
#define SIMD_SUMS_NEON_H

#if defined(__aarch64__)
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { PREFETCH_BYTES = 2048, BLOCK = 16, LINE = 64 };

/* Always constants: each use is compiled for its own. */
enum operation { DOT, L2 };
enum number_type { F32, F16, BF16, I8, U8 };

/* A block of numbers, or the accumulators of one. */
struct block {
    float32x4_t s0, s1, s2, s3;
};

INLINE size_t bytes_of(enum number_type type)
{
    return type == F32 ? 4 : type == I8 || type == U8 ? 1 : 2;
}

INLINE struct block zero_block(void)
{
    float32x4_t zero = vdupq_n_f32(0);
    return (struct block){zero, zero, zero, zero};
}

INLINE float32x4_t total(struct block s)
{
    return vaddq_f32(vaddq_f32(s.s0, s.s1), vaddq_f32(s.s2, s.s3));
}

/* Rows have no alignment: all loads are of bytes. */
INLINE uint16x8_t load_halves(const char *at)
{
    return vreinterpretq_u16_u8(vld1q_u8((const uint8_t *)at));
}

INLINE float32x4_t widen_half(enum number_type type, uint16x4_t halves)
{
    if (type == F16) return vcvt_f32_f16(vreinterpret_f16_u16(halves));
    return vreinterpretq_f32_u32(vshll_n_u16(halves, 16));
}

INLINE struct block load_signed(const char *at)
{
    int8x16_t bytes = vld1q_s8((const int8_t *)at);
    int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
    return (struct block){
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))};
}

INLINE struct block load_unsigned(const char *at)
{
    uint8x16_t bytes = vld1q_u8((const uint8_t *)at);
    uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
    return (struct block){
        vcvtq_f32_u32(vmovl_u16(vget_low_u16(low))), vcvtq_f32_u32(vmovl_high_u16(low)),
        vcvtq_f32_u32(vmovl_u16(vget_low_u16(high))), vcvtq_f32_u32(vmovl_high_u16(high))};
}

/* Sixteen numbers. */
INLINE struct block load(enum number_type type, const char *at)
{
    if (type == I8) return load_signed(at);
    if (type == U8) return load_unsigned(at);
    if (type == F32)
        return (struct block){vreinterpretq_f32_u8(vld1q_u8((const uint8_t *)at)),
                              vreinterpretq_f32_u8(vld1q_u8((const uint8_t *)at + 16)),
                              vreinterpretq_f32_u8(vld1q_u8((const uint8_t *)at + 32)),
                              vreinterpretq_f32_u8(vld1q_u8((const uint8_t *)at + 48))};
    uint16x8_t low = load_halves(at), high = load_halves(at + 16);
    return (struct block){widen_half(type, vget_low_u16(low)), widen_half(type, vget_high_u16(low)),
                          widen_half(type, vget_low_u16(high)),
                          widen_half(type, vget_high_u16(high))};
}

/* `count` < 16 numbers, and 0. */
INLINE struct block load_tail(enum number_type type, const char *at, size_t count)
{
    char numbers[BLOCK * 4] = {0};
    memcpy(numbers, at, count * bytes_of(type));
    return load(type, numbers);
}

INLINE float32x4_t add_term(enum operation op, float32x4_t sum, float32x4_t a, float32x4_t b)
{
    if (op == DOT) return vfmaq_f32(sum, a, b);
    float32x4_t d = vsubq_f32(a, b);
    return vfmaq_f32(sum, d, d);
}

INLINE void accumulate(enum operation op, struct block *sums, struct block a, struct block b)
{
    sums->s0 = add_term(op, sums->s0, a.s0, b.s0);
    sums->s1 = add_term(op, sums->s1, a.s1, b.s1);
    sums->s2 = add_term(op, sums->s2, a.s2, b.s2);
    sums->s3 = add_term(op, sums->s3, a.s3, b.s3);
}

INLINE struct block query_at(const float *query, size_t i)
{
    return load(F32, (const char *)(query + i));
}

INLINE struct block query_tail(const float *query, size_t i, size_t dim)
{
    return load_tail(F32, (const char *)(query + i), dim - i);
}

/* x of the essay for one row. */
INLINE float32x4_t sum_one(enum operation op, enum number_type type, const float *query,
                           const char *row, size_t dim)
{
    struct block sums = zero_block();
    size_t bytes = bytes_of(type), i = 0;

    for (; i + BLOCK <= dim; i += BLOCK)
        accumulate(op, &sums, query_at(query, i), load(type, row + i * bytes));
    if (i < dim)
        accumulate(op, &sums, query_tail(query, i, dim), load_tail(type, row + i * bytes, dim - i));
    return total(sums);
}

/* sum_one of two rows at once; as many bytes ahead_bytes further on are prefetched on the way. */
INLINE void sum_two(enum operation op, enum number_type type, const float *query, const char *row_a,
                    const char *row_b, size_t ahead_bytes, size_t dim, float32x4_t *out_a,
                    float32x4_t *out_b)
{
    struct block a = zero_block(), b = zero_block();
    size_t bytes = bytes_of(type), i = 0;

    for (; i + BLOCK <= dim; i += BLOCK) {
        struct block q = query_at(query, i);
        __builtin_prefetch(row_a + ahead_bytes + i * bytes);
        accumulate(op, &a, q, load(type, row_a + i * bytes));
        __builtin_prefetch(row_b + ahead_bytes + i * bytes);
        accumulate(op, &b, q, load(type, row_b + i * bytes));
    }
    if (i < dim) {
        struct block q = query_tail(query, i, dim);
        accumulate(op, &a, q, load_tail(type, row_a + i * bytes, dim - i));
        accumulate(op, &b, q, load_tail(type, row_b + i * bytes, dim - i));
    }
    *out_a = total(a);
    *out_b = total(b);
}

INLINE float fold(float32x4_t x)
{
    float32x4_t y = vpaddq_f32(x, x);
    return vgetq_lane_f32(vpaddq_f32(y, y), 0);
}

/* Lane r of the result is fold(x<r>). */
INLINE float32x4_t fold_four(float32x4_t x0, float32x4_t x1, float32x4_t x2, float32x4_t x3)
{
    return vpaddq_f32(vpaddq_f32(x0, x1), vpaddq_f32(x2, x3));
}

INLINE void scan_many(enum operation op, enum number_type type, const float *query,
                      const void *rows, size_t row_stride_bytes, size_t row_count, size_t dim,
                      float *out)
{
    /* Whole rows ahead; within the row where rows are long (dense_avx512.c). */
    size_t ahead_bytes = PREFETCH_BYTES, i = 0;
    if (dim * bytes_of(type) < PREFETCH_BYTES) {
        size_t rows_ahead = row_stride_bytes ? PREFETCH_BYTES / row_stride_bytes : 0;
        ahead_bytes = (rows_ahead ? rows_ahead : 1) * row_stride_bytes;
    }
    const char *row = rows;

    for (; i + 4 <= row_count; i += 4, row += 4 * row_stride_bytes) {
        const char *c = row + 2 * row_stride_bytes;
        float32x4_t x0, x1, x2, x3;
        sum_two(op, type, query, row, row + row_stride_bytes, ahead_bytes, dim, &x0, &x1);
        sum_two(op, type, query, c, c + row_stride_bytes, ahead_bytes, dim, &x2, &x3);
        vst1q_f32(out + i, fold_four(x0, x1, x2, x3));
    }
    for (; i < row_count; i++, row += row_stride_bytes)
        out[i] = fold(sum_one(op, type, query, row, dim));
}

/* fold(sum_one) of four queries with one row, in four lanes. */
INLINE float32x4_t value_four(enum operation op, enum number_type type, const float *const *queries,
                              const char *row, size_t dim)
{
    struct block a = zero_block(), b = zero_block(), c = zero_block(), d = zero_block();
    size_t bytes = bytes_of(type), i = 0;

    for (; i + BLOCK <= dim; i += BLOCK) {
        struct block r = load(type, row + i * bytes);
        __builtin_prefetch(row + i * bytes + PREFETCH_BYTES);
        accumulate(op, &a, query_at(queries[0], i), r);
        accumulate(op, &b, query_at(queries[1], i), r);
        accumulate(op, &c, query_at(queries[2], i), r);
        accumulate(op, &d, query_at(queries[3], i), r);
    }
    if (i < dim) {
        struct block r = load_tail(type, row + i * bytes, dim - i);
        accumulate(op, &a, query_tail(queries[0], i, dim), r);
        accumulate(op, &b, query_tail(queries[1], i, dim), r);
        accumulate(op, &c, query_tail(queries[2], i, dim), r);
        accumulate(op, &d, query_tail(queries[3], i, dim), r);
    }
    return fold_four(total(a), total(b), total(c), total(d));
}

/* Four queries at a time: a row is loaded, and widened, a quarter as often. */
INLINE void scan_block(enum operation op, enum number_type type, const float *const *queries,
                       size_t query_count, const void *rows, size_t row_stride_bytes,
                       size_t row_count, size_t dim, float *const *out)
{
    size_t q = 0;

    for (; q + 4 <= query_count; q += 4) {
        const char *row = rows;
        for (size_t i = 0; i < row_count; i++, row += row_stride_bytes) {
            float values[4];
            vst1q_f32(values, value_four(op, type, queries + q, row, dim));
            for (size_t j = 0; j < 4; j++) out[q + j][i] = values[j];
        }
    }
    for (; q < query_count; q++)
        scan_many(op, type, queries[q], rows, row_stride_bytes, row_count, dim, out[q]);
}

#endif
#endif
