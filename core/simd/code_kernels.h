/* SPDX-License-Identifier: Apache-2.0 */
/* code_kernels.h — kernels over rows of 8-bit codes: a product of integers, and how a row is
 * packed.
 *
 * WHAT        A row of floats x is packed into codes c in -127..127 and a scale s, so that s * c is
 *             near to x.  A code is kept as c + CODE_ZERO, which is what the processors multiply
 *             best: an unsigned byte by a signed one.  A query is a row of integers d of about 14
 *             bits, in two digits each of which is a signed byte: d = 128 * high + low, both
 *             -64..63.  So the query is rounded a hundred times less than the rows, at the price of
 *             a second multiplication, while it is the reading of rows that a scan waits for.
 * LAYOUT      Rows are code_stride(dim) bytes each, one behind the other; what is behind dim may
 *             be anything, for the digits there are 0.  Digits come in chunks: CODE_CHUNK of high
 *             ones, then the low ones of the same components.
 * VALUES      dot gives the sum of d_i * c_i, as exact integers: the same at every level.  Sums
 *             wrap within, and the result does not, if |d_i| <= code_digits_max(dim).  No product
 *             saturates: 255 * 64 * 2 < 2^15.
 *             pack is for finite rows with a norm of 1e-15 to 1e15: with m the largest |x_i|,
 *             c_i = x_i * (127 / m) to the nearest, s = <x, c> / <c, c>, which makes the rest x - s
 *             * c short and orthogonal to c, and the norm of that rest.  All in f32, as
 *             dense_f32_error_factor counts roundings: levels may differ in s by them.
 *             bound turns products into bounds of distances, by the one formula below, in f32:
 *             each step of it is at most one rounding, fused or not, so that levels may differ.
 * THREADS     Kernels are pure.
 */
#ifndef SIMD_CODE_KERNELS_H
#define SIMD_CODE_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CODE_CHUNK = 64, CODE_ZERO = 128, CODE_MAX = 127, CODE_BASE = 128 };

static inline size_t code_stride(size_t dim)
{
    return (dim + CODE_CHUNK - 1) / CODE_CHUNK * CODE_CHUNK;
}

/* The largest |d_i|: what two digits hold, less where sums of dim products need room. */
static inline int32_t code_digits_max(size_t dim)
{
    size_t room = dim > 0 ? INT32_MAX / (CODE_MAX * dim) : INT32_MAX;
    return room < 8127 ? (int32_t)room : 8127;
}

struct code_query {
    const int8_t *digits; /* 2 * code_stride(dim), aligned to CODE_CHUNK */
    size_t stride;        /* code_stride(dim) */
    uint32_t zero_sum;    /* CODE_ZERO times the sum of all d_i, modulo 2^32 */
    bool is_short;        /* all high digits are 0; low ones may be -127..127, if codes are of at
                             most 4 bits (quant_kernels.h) */
};

/* out[i] = product with row i, i < row_count.  Rows need no alignment; 64 bytes are fastest. */
typedef void code_dot_fn(const struct code_query *query, const uint8_t *rows, size_t row_count,
                         int32_t *out);

enum { CODE_PANEL_ROWS = 32 };
static inline size_t code_panel_bytes(size_t stride)
{
    return CODE_PANEL_ROWS * stride;
}
/* row_count rows into as many panels as they need; what is left of the last is zeros.  Panels are
 * aligned to CODE_CHUNK. */
typedef void code_panel_fn(const uint8_t *rows, size_t stride, size_t row_count, uint8_t *panels);
/* out[q][i] = what dot says of queries[q] and row i of panel_count panels; all of one stride. */
typedef void code_dot_panels_fn(const struct code_query *const *queries, size_t query_count,
                                const uint8_t *panels, size_t panel_count, int32_t *const *out);

struct code_fit {
    float scale;
    float error; /* norm of x - scale * c */
};
/* codes: of dim bytes; those behind them up to the stride are not written. */
typedef void code_pack_fn(const float *row, size_t dim, uint8_t *codes, struct code_fit *out);

/* What there is of a row besides its codes; arrays, one element a row. */
struct code_rests {
    const float *scales;
    const float *errors; /* 0 to +inf */
    const float *norms;  /* above 0 */
};

/* With product p, scale s, error e and norm n of a row:
 *     P = p * s * step
 *     c = max(0, |P| / n * cosine_factor - cosine_slack)
 *     S = min(1, 0.4001 + 0.625 * (1 - c * c), 0.1501 + 1.6667 * (1 - c * c))
 *     M = P + error_factor * e * S + norm_factor * n
 *     out = min(most, base + square_factor * n * n - M * (turn + turn_by_norm / n)) */
struct code_bounds {
    float step;
    float cosine_factor, cosine_slack;
    float error_factor, norm_factor;
    float base, square_factor;
    float turn, turn_by_norm;
    float most;
};
typedef void code_bound_fn(const struct code_bounds *bounds, const int32_t *products,
                           const struct code_rests *rests, size_t row_count, float *out);

/* The kernels themselves; only select.c and the ISA files use these names. */
#define CODE_DECLARE(isa)                                                                          \
    code_dot_fn code_dot_##isa;                                                                    \
    code_bound_fn code_bound_##isa;                                                                \
    code_pack_fn code_pack_##isa;
CODE_DECLARE(serial)
code_panel_fn code_panel_serial;
code_dot_panels_fn code_dot_panels_serial;
#if defined(__x86_64__)
CODE_DECLARE(avx2)
CODE_DECLARE(vnni)
code_panel_fn code_panel_vnni;
code_dot_panels_fn code_dot_panels_vnni;
#elif defined(__aarch64__)
CODE_DECLARE(neon)
code_dot_fn code_dot_dotprod;
#endif
#undef CODE_DECLARE

#endif
