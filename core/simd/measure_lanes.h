/* SPDX-License-Identifier: Apache-2.0 */
/* measure_lanes.h — the distances that are no products, over lanes of any width: the code of
 * measure_<isa>.c.
 *
 * WHAT        An instruction set's file says what a register of LANES floats is and what can be
 *             done to one, then includes this once, which gives it all kernels of measures.h.
 *                 prepare    a chunk of a vector into what is compared: the differences from the
 *                            mean, shares of the mass, 1 for a bit that is set
 *                 combine    two prepared chunks into up to three sums
 *                 finish     the sums, folded, into the value
 *             Means and sums of masses come first, so that a row is read twice, the second time
 *             out of the first cache.
 * VALUES      Sums are of LANES floats, one register each, folded by the file's tree.  Forms are
 *             made of the same steps on the same chunks: that is how they stay bit-identical.
 *             Only what is written as fused is; the files are built without contraction.
 * WHY SO      Two rows at a time hide the latency of the sums, and share what is prepared of the
 *             query; memory likes few streams (dense_avx512.c).
 * INVARIANTS, THREADS, FAILURE: see measures.h.
 */
#ifndef SIMD_MEASURE_LANES_H
#define SIMD_MEASURE_LANES_H

#include <float.h>

#include "simd/kernels.h"
#include "simd/measures.h"

#ifdef MEASURE_NAME

enum { PREFETCH_BYTES = 2048 };

enum measure { /* always a constant: each use is compiled for its own */
               L1,
               CHEBYSHEV,
               CANBERRA,
               BRAY_CURTIS,
               HAMMING,
               JACCARD,
               DICE,
               CORRELATION,
               HELLINGER,
               WASSERSTEIN,
               JENSEN_SHANNON
};

/* What is known of a vector before it is compared. */
struct side {
    float mean;  /* CORRELATION */
    float share; /* what its masses are multiplied by */
};

struct sums {
    lanes s0, s1, s2;
};

INLINE bool has_mass(enum measure op)
{
    return op == HELLINGER || op == WASSERSTEIN || op == JENSEN_SHANNON;
}

INLINE lanes load(const float *x, size_t count)
{
    return count == LANES ? lanes_load(x) : lanes_load_first(x, count);
}

/* What is behind the vector takes no part. */
INLINE lanes only(lanes x, size_t count)
{
    return count == LANES ? x : lanes_first(x, count);
}

INLINE size_t chunk(size_t left)
{
    return left < LANES ? left : LANES;
}

INLINE lanes positive(lanes x)
{
    return lanes_max(x, lanes_set(0));
}

INLINE struct side side_of(enum measure op, const float *x, size_t dim)
{
    struct side side = {0, 0};
    lanes sum = lanes_set(0);

    if (dim == 0 || (op != CORRELATION && !has_mass(op))) return side;
    lanes first = lanes_set(x[0]);
    for (size_t i = 0; i < dim; i += LANES) {
        size_t count = chunk(dim - i);
        lanes c = load(x + i, count);
        sum += op == CORRELATION ? only(c - first, count) : positive(c);
    }
    float total = lanes_sum(sum);
    if (op == CORRELATION) side.mean = x[0] + total / (float)dim;
    else side.share = total >= FLT_MIN ? 1 / total : 0;
    return side;
}

INLINE lanes prepare(enum measure op, lanes x, struct side side, size_t count)
{
    if (op == CANBERRA) return x * lanes_set(0.5f); /* so that no sum of two overflows */
    if (op == HAMMING || op == JACCARD || op == DICE)
        return lanes_where_above(x, lanes_set(0.5f), lanes_set(1));
    if (op == CORRELATION) return only(x - lanes_set(side.mean), count);
    if (op == HELLINGER) return lanes_sqrt(positive(x) * lanes_set(side.share));
    if (op == WASSERSTEIN || op == JENSEN_SHANNON) return positive(x) * lanes_set(side.share);
    return x;
}

/* (2 - u) ln(2 - u) / 2 + u ln u / 2, for u of 0 to 1/2: fitted polynomials of both, the logarithm
 * out of its exponent and a mantissa of 3/4 to 3/2. */
INLINE lanes far_part(lanes u)
{
    lanes m, e = lanes_split(lanes_max(u, lanes_set(FLT_MIN)), &m);
    lanes r = m - lanes_set(1);
    lanes log = lanes_set(0.05160229f);
    log = lanes_fma(log, r, lanes_set(-0.11915175f));
    log = lanes_fma(log, r, lanes_set(0.15049702f));
    log = lanes_fma(log, r, lanes_set(-0.16868741f));
    log = lanes_fma(log, r, lanes_set(0.19973946f));
    log = lanes_fma(log, r, lanes_set(-0.24990014f));
    log = lanes_fma(log, r, lanes_set(0.33333583f));
    log = lanes_fma(log, r, lanes_set(-0.50000131f));
    log = lanes_fma(log, r, lanes_set(0.99999999f));
    log = lanes_fma(e, lanes_set(0.69314718f), log * r);
    lanes rest = lanes_set(0.00271826f);
    rest = lanes_fma(rest, u, lanes_set(0.00447314f));
    rest = lanes_fma(rest, u, lanes_set(0.02103686f));
    rest = lanes_fma(rest, u, lanes_set(0.12497507f));
    rest = lanes_fma(rest, u, lanes_set(-0.84657248f));
    rest = lanes_fma(rest, u, lanes_set(0.69314717f));
    return lanes_fma(u * lanes_set(0.5f), log, rest);
}

/* Twice what a component adds to the divergence: with both = p + q and t = |p - q| / both, both
 * times ((1 + t) ln(1 + t) + (1 - t) ln(1 - t)) / 2.  Nothing cancels where p and q are near: that
 * is t^2 times a fitted polynomial then.  Where they are far, u = 1 - t is the exact one. */
INLINE lanes divergence(lanes p, lanes q)
{
    lanes both = p + q;
    lanes inverse = lanes_set(1) / lanes_max(both, lanes_set(FLT_MIN));
    lanes t = lanes_abs(p - q) * inverse;
    lanes u = lanes_min(p, q) * lanes_set(2) * inverse;
    lanes square = t * t;
    lanes near = lanes_set(0.01381262f);
    near = lanes_fma(near, square, lanes_set(0.00911868f));
    near = lanes_fma(near, square, lanes_set(0.01813311f));
    near = lanes_fma(near, square, lanes_set(0.03331645f));
    near = lanes_fma(near, square, lanes_set(0.08333371f));
    near = lanes_fma(near, square, lanes_set(0.5f));
    near *= square;
    lanes half = lanes_set(0.5f);
    return both *
           (lanes_where_above(t, half, far_part(u)) + near - lanes_where_above(t, half, near));
}

/* The mass that is carried over each border, of what s1 brings from before. */
INLINE void carry(struct sums *s, lanes difference, size_t count)
{
    lanes carried = lanes_running(difference);
    s->s0 += only(lanes_abs(carried + s->s1), count);
    s->s1 += lanes_last(carried);
}

INLINE void combine(enum measure op, struct sums *s, lanes a, lanes b, size_t count)
{
    if (op == WASSERSTEIN) {
        carry(s, a - b, count);
    } else if (op == CORRELATION) {
        s->s0 = lanes_fma(a, b, s->s0);
        s->s1 = lanes_fma(a, a, s->s1);
        s->s2 = lanes_fma(b, b, s->s2);
    } else if (op == HELLINGER) {
        lanes d = a - b;
        s->s0 = lanes_fma(d, d, s->s0);
    } else if (op == JENSEN_SHANNON) {
        s->s0 += divergence(a, b);
    } else if (op == CHEBYSHEV) {
        s->s0 = lanes_max(s->s0, lanes_abs(a - b));
    } else if (op == CANBERRA) {
        lanes both = lanes_abs(a) + lanes_abs(b);
        s->s0 += lanes_where_above(both, lanes_set(0), lanes_abs(a - b) / both);
    } else {
        s->s0 += lanes_abs(a - b);
        if (op == BRAY_CURTIS) s->s1 += lanes_abs(a + b);
        if (op == JACCARD) s->s1 += lanes_max(a, b);
        if (op == DICE) s->s1 += a + b;
    }
}

INLINE float finish(enum measure op, const struct sums *s)
{
    if (op == CHEBYSHEV) return lanes_most(s->s0);
    float sum = lanes_sum(s->s0);
    if (op == BRAY_CURTIS) return measure_bray_curtis(sum, lanes_sum(s->s1));
    if (op == JACCARD || op == DICE) return measure_apart(sum, lanes_sum(s->s1));
    if (op == CORRELATION)
        return measure_correlation((double)sum, (double)lanes_sum(s->s1), (double)lanes_sum(s->s2));
    if (op == HELLINGER || op == JENSEN_SHANNON) return sqrtf((sum > 0 ? sum : 0) * 0.5f);
    return sum;
}

/* Behind the last component nothing is left to carry. */
INLINE size_t compared(enum measure op, size_t dim)
{
    return op == WASSERSTEIN && dim > 0 ? dim - 1 : dim;
}

INLINE struct sums zero_sums(void)
{
    lanes zero = lanes_set(0);
    return (struct sums){zero, zero, zero};
}

INLINE float value_of_one(enum measure op, const float *query, struct side query_side,
                          const float *row, size_t dim)
{
    struct side side = side_of(op, row, dim);
    struct sums s = zero_sums();
    size_t end = compared(op, dim), i = 0;

    for (; i + LANES <= end; i += LANES)
        combine(op, &s, prepare(op, lanes_load(query + i), query_side, LANES),
                prepare(op, lanes_load(row + i), side, LANES), LANES);
    if (i < end)
        combine(op, &s, prepare(op, load(query + i, end - i), query_side, end - i),
                prepare(op, load(row + i, end - i), side, end - i), end - i);
    return finish(op, &s);
}

INLINE void add_two(enum measure op, const float *query, struct side query_side, const float *a,
                    struct side side_a, const float *b, struct side side_b, size_t count,
                    struct sums *sums_a, struct sums *sums_b)
{
    lanes q = prepare(op, load(query, count), query_side, count);
    combine(op, sums_a, q, prepare(op, load(a, count), side_a, count), count);
    combine(op, sums_b, q, prepare(op, load(b, count), side_b, count), count);
}

/* Of two rows, one stride apart; the rows that come ahead_bytes later are prefetched. */
INLINE void values_of_two(enum measure op, const float *query, struct side query_side,
                          const float *a, const float *b, size_t ahead_bytes, size_t dim,
                          float out[2])
{
    struct side side_a = side_of(op, a, dim), side_b = side_of(op, b, dim);
    struct sums sums_a = zero_sums(), sums_b = zero_sums();
    size_t end = compared(op, dim), i = 0;

    for (; i + LANES <= end; i += LANES) {
        __builtin_prefetch((const char *)(a + i) + ahead_bytes);
        __builtin_prefetch((const char *)(b + i) + ahead_bytes);
        add_two(op, query + i, query_side, a + i, side_a, b + i, side_b, LANES, &sums_a, &sums_b);
    }
    if (i < end)
        add_two(op, query + i, query_side, a + i, side_a, b + i, side_b, end - i, &sums_a, &sums_b);
    out[0] = finish(op, &sums_a);
    out[1] = finish(op, &sums_b);
}

INLINE const float *row_at(const float *base, size_t row_stride_bytes, size_t row_index)
{
    return (const float *)(const void *)((const char *)base + row_index * row_stride_bytes);
}

INLINE void scan_many(enum measure op, const float *query, const float *rows,
                      size_t row_stride_bytes, size_t row_count, size_t dim, float *out)
{
    struct side side = side_of(op, query, dim);
    size_t rows_ahead = row_stride_bytes ? PREFETCH_BYTES / row_stride_bytes : 0, i = 0;
    size_t ahead_bytes = (rows_ahead > 2 ? rows_ahead : 2) * row_stride_bytes;

    for (; i + 2 <= row_count; i += 2)
        values_of_two(op, query, side, row_at(rows, row_stride_bytes, i),
                      row_at(rows, row_stride_bytes, i + 1), ahead_bytes, dim, out + i);
    if (i < row_count)
        out[i] = value_of_one(op, query, side, row_at(rows, row_stride_bytes, i), dim);
}

#define MEASURE_KERNELS(op, kernel)                                                                \
    float MEASURE_NAME(kernel, )(const float *a, const float *b, size_t dim)                       \
    {                                                                                              \
        return value_of_one(op, a, side_of(op, a, dim), b, dim);                                   \
    }                                                                                              \
    void MEASURE_NAME(kernel, _many)(const float *query, const float *rows,                        \
                                     size_t row_stride_bytes, size_t row_count, size_t dim,        \
                                     float *out)                                                   \
    {                                                                                              \
        scan_many(op, query, rows, row_stride_bytes, row_count, dim, out);                         \
    }                                                                                              \
    void MEASURE_NAME(kernel, _block)(const float *const *queries, size_t query_count,             \
                                      const float *rows, size_t row_stride_bytes,                  \
                                      size_t row_count, size_t dim, float *const *out)             \
    {                                                                                              \
        for (size_t q = 0; q < query_count; q++) MEASURE_NAME(kernel, _many)                       \
        (queries[q], rows, row_stride_bytes, row_count, dim, out[q]);                              \
    }

MEASURE_KERNELS(L1, l1)
MEASURE_KERNELS(CHEBYSHEV, chebyshev)
MEASURE_KERNELS(CANBERRA, canberra)
MEASURE_KERNELS(BRAY_CURTIS, bray_curtis)
MEASURE_KERNELS(HAMMING, hamming)
MEASURE_KERNELS(JACCARD, jaccard)
MEASURE_KERNELS(DICE, dice)
MEASURE_KERNELS(CORRELATION, correlation)
MEASURE_KERNELS(HELLINGER, hellinger)
MEASURE_KERNELS(WASSERSTEIN, wasserstein)
MEASURE_KERNELS(JENSEN_SHANNON, jensen_shannon)

#endif
#endif
