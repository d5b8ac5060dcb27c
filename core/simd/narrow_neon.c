/* SPDX-License-Identifier: Apache-2.0 */
/* narrow_neon.c — kernels over narrow rows with NEON: sums_neon.h, and how rows are widened and
 * packed.
 *
 * WHAT        The processor converts f16 both ways, and rounds as IEEE has it; bf16 is rounded by
 *             hand.
 * INVARIANTS, THREADS, FAILURE: see narrow_kernels.h.
 */
#include "simd/narrow_kernels.h"

#if defined(__aarch64__)
#include "simd/sums_neon.h"

INLINE void store(float *out, struct block numbers)
{
    vst1q_f32(out, numbers.s0);
    vst1q_f32(out + 4, numbers.s1);
    vst1q_f32(out + 8, numbers.s2);
    vst1q_f32(out + 12, numbers.s3);
}

INLINE void widen(enum number_type type, const char *row, size_t dim, float *out)
{
    float tail[BLOCK];
    size_t bytes = bytes_of(type), i = 0;

    for (; i + BLOCK <= dim; i += BLOCK) store(out + i, load(type, row + i * bytes));
    if (i == dim) return;
    store(tail, load_tail(type, row + i * bytes, dim - i));
    memcpy(out + i, tail, (dim - i) * sizeof *out);
}

/* To the nearest, ties to even; a NaN stays one. */
INLINE uint16x4_t bf16_of(float32x4_t f)
{
    uint32x4_t bits = vreinterpretq_u32_f32(f), upper = vshrq_n_u32(bits, 16);
    uint32x4_t odd = vandq_u32(upper, vdupq_n_u32(1));
    uint32x4_t sum = vaddq_u32(vaddq_u32(bits, odd), vdupq_n_u32(0x7fff));
    uint32x4_t quiet = vorrq_u32(upper, vdupq_n_u32(0x40));
    return vmovn_u32(vbslq_u32(vceqq_f32(f, f), vshrq_n_u32(sum, 16), quiet));
}

INLINE uint16x8_t pack_halves(enum number_type type, float32x4_t a, float32x4_t b)
{
    if (type == BF16) return vcombine_u16(bf16_of(a), bf16_of(b));
    return vcombine_u16(vreinterpret_u16_f16(vcvt_f16_f32(a)),
                        vreinterpret_u16_f16(vcvt_f16_f32(b)));
}

/* The conversions keep within 32 bits, the packing ones within 16 and 8. */
INLINE uint8x16_t pack_bytes(enum number_type type, struct block x)
{
    int16x8_t low =
        vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(x.s0)), vqmovn_s32(vcvtnq_s32_f32(x.s1)));
    int16x8_t high =
        vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(x.s2)), vqmovn_s32(vcvtnq_s32_f32(x.s3)));
    if (type == U8) return vcombine_u8(vqmovun_s16(low), vqmovun_s16(high));
    return vreinterpretq_u8_s8(vcombine_s8(vqmovn_s16(low), vqmovn_s16(high)));
}

INLINE void pack_block(enum number_type type, struct block x, uint8_t *row)
{
    if (bytes_of(type) == 1) {
        vst1q_u8(row, pack_bytes(type, x));
        return;
    }
    vst1q_u8(row, vreinterpretq_u8_u16(pack_halves(type, x.s0, x.s1)));
    vst1q_u8(row + 16, vreinterpretq_u8_u16(pack_halves(type, x.s2, x.s3)));
}

INLINE void pack(enum number_type type, const float *floats, size_t dim, uint8_t *row)
{
    uint8_t tail[2 * BLOCK];
    size_t bytes = bytes_of(type), i = 0;

    for (; i + BLOCK <= dim; i += BLOCK) pack_block(type, query_at(floats, i), row + i * bytes);
    if (i == dim) return;
    pack_block(type, query_tail(floats, i, dim), tail);
    memcpy(row + i * bytes, tail, (dim - i) * bytes);
}

#define NEON_FORMS(op, OP, type, TYPE)                                                             \
    float narrow_##op##_##type##_neon(const float *query, const void *row, size_t dim)             \
    {                                                                                              \
        return fold(sum_one(OP, TYPE, query, row, dim));                                           \
    }                                                                                              \
    void narrow_##op##_many_##type##_neon(const float *query, const void *rows,                    \
                                          size_t row_stride_bytes, size_t row_count, size_t dim,   \
                                          float *out)                                              \
    {                                                                                              \
        scan_many(OP, TYPE, query, rows, row_stride_bytes, row_count, dim, out);                   \
    }                                                                                              \
    void narrow_##op##_block_##type##_neon(const float *const *queries, size_t query_count,        \
                                           const void *rows, size_t row_stride_bytes,              \
                                           size_t row_count, size_t dim, float *const *out)        \
    {                                                                                              \
        scan_block(OP, TYPE, queries, query_count, rows, row_stride_bytes, row_count, dim, out);   \
    }
#define NEON_KERNELS(type, bytes, TYPE)                                                            \
    NEON_FORMS(dot, DOT, type, TYPE)                                                               \
    NEON_FORMS(l2, L2, type, TYPE)                                                                 \
    void narrow_widen_##type##_neon(const void *row, size_t dim, float *out)                       \
    {                                                                                              \
        widen(TYPE, row, dim, out);                                                                \
    }                                                                                              \
    void narrow_pack_##type##_neon(const float *floats, size_t dim, void *row)                     \
    {                                                                                              \
        pack(TYPE, floats, dim, row);                                                              \
    }
NARROW_TYPES(NEON_KERNELS)
#endif
