/* SPDX-License-Identifier: Apache-2.0 */
/* kernels.h — data sheet and signatures of the kernels; the table through which they are called.
 *
 * WHAT        A kernel is named family_op_type_isa.  A slot of struct simd_kernels holds the
 *             fastest one that the machine has.  Family dense, type f32: dot and l2 (the squared
 *             Euclidean distance), each in three forms: one pair, one query against many
 *             contiguous rows, and several queries against many rows.  A cosine is made of dot and
 *             norms (dense_norm_f32, metric_cosine_distance).
 *             Kernels over rows of 8-bit codes have their own sheet: code_kernels.h; over rows of
 *             f16, bf16, i8 and u8: narrow_kernels.h; of whole numbers on both sides:
 *             bytes_kernels.h; over rows of bits: bits_kernels.h; those of the quantizers:
 *             quant_kernels.h.
 *
 * ARGUMENTS   Pointers need the alignment of float only; 64 bytes are fastest.  dim and row_count
 *             may be 0: a sum is then 0, and nothing is written.  Any dim up to LIMIT_DIM; tails
 *             are handled inside, and no byte outside the dim floats of a row is read (prefetches,
 *             which cannot fault, go further).  row_stride_bytes >= 4 * dim, a multiple of 4; it
 *             may be anything when there is one row.  out may not overlap an input.
 *
 * VALUES      Accumulators are f32: `accumulators x lanes` partial sums, added by a fixed tree.
 *                 serial 8 x 1, and one for the tail     avx2 4 x 8 (FMA)     avx512 4 x 16 (FMA)
 *                 neon 4 x 4 (FMA)
 *
 * INVARIANTS  (1) Within one level all forms give bit-identical values for equal floats (a
 *                 NaN's payload excepted), whatever the alignment, stride, place in the batch or
 *                 batch size: a scan's value is the score that is returned (P7).
 *             (2) dot(a, b) and dot(b, a), l2(a, b) and l2(b, a) are bit-identical; l2(a, a) = 0
 *                 for finite a; l2 is never negative.
 *             (3) With K = dense_f32_error_factor(dim), when nothing overflows:
 *                     |dot - exact| <= K * sum |a_i * b_i| + dim * 2^-149
 *                     |l2  - exact| <= K * exact           + dim * 2^-149
 *                 The last term is underflow, with denormals enabled (MXCSR as the ABI has it).
 *             (4) If dot(a, a) and dot(b, b) are below FLT_MAX / 2, dot(a, b) is finite.  l2 of
 *                 finite vectors is never NaN; it is +inf where it exceeds float.  A dot that
 *                 overflows is infinite or NaN.  NaN in gives NaN out.
 *             Levels differ from each other within the bound of (3).
 *
 * THREADS     Kernels are pure.  The table is written once.
 */
#ifndef SIMD_KERNELS_H
#define SIMD_KERNELS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lynse_kinds.h"
#include "simd/bits_kernels.h"
#include "simd/bytes_kernels.h"
#include "simd/cell_kernels.h"
#include "simd/code_kernels.h"
#include "simd/cpu.h"
#include "simd/narrow_kernels.h"
#include "simd/nearest_kernels.h"
#include "simd/quant_kernels.h"

/* One pair: the kernel of every returned score. */
typedef float dense_pair_f32_fn(const float *a, const float *b, size_t dim);

/* out[i] = value of query and the row at (const char *)rows + i * row_stride_bytes,
 * i < row_count. */
typedef void dense_many_f32_fn(const float *query, const float *rows, size_t row_stride_bytes,
                               size_t row_count, size_t dim, float *out);

/* out[q][i] = value of queries[q] and row i.  A block of rows is best one that the second cache
 * holds: it is read once for every four queries. */
typedef void dense_block_f32_fn(const float *const *queries, size_t query_count, const float *rows,
                                size_t row_stride_bytes, size_t row_count, size_t dim,
                                float *const *out);

/* Every metric but an ANGLE brings its kernel (lynse_kinds.h): the serial function of a pair, of
 * which the serial batches are made.  DENSE_F32_OWN(value, …) is what follows, or nothing.  A
 * faster kernel: its three functions, and its name in the list of their level; what a level leaves
 * out is done by the functions of the level below. */
#define DENSE_F32_OWN(value, ...) DENSE_F32_OWN_##value(__VA_ARGS__)
#define DENSE_F32_OWN_PRODUCT(...) __VA_ARGS__
#define DENSE_F32_OWN_DISTANCE(...) __VA_ARGS__
#define DENSE_F32_OWN_MEASURE(...) __VA_ARGS__
#define DENSE_F32_OWN_ANGLE(...)
#define DENSE_F32_SUMS(_) _(l1) _(canberra) _(bray_curtis) _(hamming) _(jaccard) _(dice)
#define DENSE_F32_MASSES(_) _(hellinger) _(wasserstein) _(jensen_shannon)
#define DENSE_F32_MEASURES(_)                                                                      \
    DENSE_F32_SUMS(_) DENSE_F32_MASSES(_) _(chebyshev) _(correlation) _(haversine)
#define DENSE_F32_AVX2(_) _(dot) _(l2) DENSE_F32_MEASURES(_)
#define DENSE_F32_AVX512(_) _(dot) _(l2) DENSE_F32_MEASURES(_)
#define DENSE_F32_NEON(_) _(dot) _(l2) DENSE_F32_MEASURES(_)

struct simd_kernels {
    enum simd_level level; /* the highest whose kernels may be in the slots; no slot is NULL */
#define DENSE_F32_SLOTS(metric, number, text, words, names, kernel, value, ...)                    \
    DENSE_F32_OWN(value, dense_pair_f32_fn *dense_##kernel##_f32;                                  \
                  dense_many_f32_fn * dense_##kernel##_many_f32;                                   \
                  dense_block_f32_fn * dense_##kernel##_block_f32;)
    LYNSE_METRICS(DENSE_F32_SLOTS)
#undef DENSE_F32_SLOTS
    code_dot_fn *code_dot;
    code_pack_fn *code_pack;
    code_bound_fn *code_bound;
    code_panel_fn *code_panel;
    code_dot_panels_fn *code_dot_panels;
    bool panels_pay; /* with many queries panels are faster than code_dot */
    cell_order_i64_fn *cell_order_i64;
    cell_order_f64_fn *cell_order_f64;
    cell_select_fn *cell_select;
#define NARROW_SLOTS(type, bytes, TYPE) struct narrow_kernels narrow_##type;
    NARROW_TYPES(NARROW_SLOTS)
#undef NARROW_SLOTS
    quant_dot_fn *quant_dot;
    quant_gather_fn *quant_gather;
    quant_scan_fn *quant_scan;
    quant_near_fn *quant_near;
    quant_rotate_fn *quant_rotate;
    quant_sign_fn *quant_sign;
#define BYTES_SLOTS(op, OP, type, TYPE) struct bytes_forms bytes_##op##_##type;
    BYTES_KERNELS(BYTES_SLOTS)
#undef BYTES_SLOTS
#define BITS_SLOTS(op, OP) struct bits_forms bits_##op;
    BITS_KERNELS(BITS_SLOTS)
#undef BITS_SLOTS
    nearest_f32_fn *nearest_f32;
};

/* The process's table, never NULL.  The first call probes the processor, reads LYNSE_SIMD and fills
 * it; any thread, any number of them at once.  Valid for ever. */
const struct simd_kernels *kernels_active(void);

/* A table filled up to `level`, for tests, benchmarks and tools.  false, and *out untouched, when
 * the machine lacks the level. */
bool kernels_of_level(enum simd_level level, struct simd_kernels *out);

/* sqrtf(dot(a, a)), the float square root of the pair kernel's float: the norm that is kept beside
 * a row.  Infinite where dot overflows; 0 for vectors whose squares all underflow. */
static inline float dense_norm_f32(const struct simd_kernels *kernels, const float *a, size_t dim)
{
    return sqrtf(kernels->dense_dot_f32(a, a, dim));
}

/* K of (3): a product passes at most dim / 8 + 10 roundings of 2^-24 at any level (serial has the
 * longest sums); 2 more cover the terms of second order up to LIMIT_DIM. */
static inline double dense_f32_error_factor(size_t dim)
{
    return ((double)dim / 8 + 12) * 0x1p-24;
}

/* The kernels themselves; only select.c and the ISA files use these names. */
#define DENSE_F32_DECLARE(kernel, isa)                                                             \
    dense_pair_f32_fn dense_##kernel##_f32_##isa;                                                  \
    dense_many_f32_fn dense_##kernel##_many_f32_##isa;                                             \
    dense_block_f32_fn dense_##kernel##_block_f32_##isa;
#define DENSE_F32_DECLARE_SERIAL(metric, number, text, words, names, kernel, value, ...)           \
    DENSE_F32_OWN(value, DENSE_F32_DECLARE(kernel, serial))
LYNSE_METRICS(DENSE_F32_DECLARE_SERIAL)
#undef DENSE_F32_DECLARE_SERIAL
#if defined(__x86_64__)
#define DENSE_F32_DECLARE_AVX2(kernel) DENSE_F32_DECLARE(kernel, avx2)
DENSE_F32_AVX2(DENSE_F32_DECLARE_AVX2)
#undef DENSE_F32_DECLARE_AVX2
#define DENSE_F32_DECLARE_AVX512(kernel) DENSE_F32_DECLARE(kernel, avx512)
DENSE_F32_AVX512(DENSE_F32_DECLARE_AVX512)
#undef DENSE_F32_DECLARE_AVX512
#elif defined(__aarch64__)
#define DENSE_F32_DECLARE_NEON(kernel) DENSE_F32_DECLARE(kernel, neon)
DENSE_F32_NEON(DENSE_F32_DECLARE_NEON)
#undef DENSE_F32_DECLARE_NEON
#endif
#undef DENSE_F32_DECLARE

#endif
