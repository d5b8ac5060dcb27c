/* SPDX-License-Identifier: Apache-2.0 */
/* shadowed.c — exact distances, and bounds of them out of a shadow: a quarter of the memory.
 *
 * WHAT        Distances are those of raw.c.  A row x is told of by y = s * c, its scale and codes,
 *             by E, which is at least the norm of the rest e = x - y, and by its norm n.  The query
 *             q is told of by t * d, a step and 14-bit integers, with a rest f of at most F.
 * THE BOUND   <q, x> = <t d, y> + <f, y> + <q, e>.  The first is t * s * (sum of d_i * c_i), whose
 *             sum is exact; the second is at most F * |y|.  The third: s was fitted, so that e is
 *             orthogonal to y, and only the part of q that is orthogonal to y matters.  It has the
 *             length |q| * sin(q, y), so
 *                 |<q, x> - P| <= A * E * S + B * n       P = t * s * sum,
 *             with A at least |q|, S the sine, and B all that is proportional to norms: F,
 *             and of roundings those of the sums of kernels.h (3), as the float kernel, the norms
 *             and the fit have them, and those of this file.  With r = P / (|q| * n), the cosine
 *             but for what B says, the sine is at most sqrt(1 - r * r); a tangent is above it, so
 *             two of them spare the root.
 *             The largest product that the kernel may have found is P + A * E * S + B * n; each
 *             metric turns that into the least distance:
 *                 product     its negative
 *                 distance    |q|^2 + n^2 - 2 * product, less what roundings may be of both squares
 *                 angle       1 - product / (|q| * n), less a rounding; never over 2
 *             code_kernels.h has all of it as one formula.
 * INVARIANTS  (1) What is nominated is never above what scan says, bit for bit.
 *             (2) A norm outside of SHADOW_NORM_MIN..MAX is no row of the above: its E is +inf, and
 *                 so -inf is nominated.  Such a query has no row that is ready; if it is asked
 *                 nevertheless, as one of a batch, it knows nothing.
 * THREADS     As oracle.h says.
 * FAILURE     That of raw.c; to nominate cannot fail.
 */
#include <math.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "quant/digits.h"
#include "quant/raw.h"

enum { PIECE_ROWS = 256 }; /* whose products stay in the first cache */

#define ROUNDING 0x1p-24

struct shadowed_oracle {
    struct raw_oracle raw; /* first */
    struct shadow_source *shadow;
    const struct simd_kernels *kernels;
    uint32_t make_max; /* rows of it that this search may still make */
    bool is_useful;    /* (2) */
    struct code_query codes;
    struct code_bounds bounds;
};

static struct shadowed_oracle *shadowed_of(struct oracle *o)
{
    return (struct shadowed_oracle *)o;
}

static uint32_t shadowed_ready(struct oracle *base, uint32_t row, uint32_t row_count)
{
    struct shadowed_oracle *o = shadowed_of(base);
    struct shadow_run run;

    if (!o->is_useful) return 0;
    o->shadow->run(o->shadow, row, row_count, &o->make_max, &run);
    return run.row_count;
}

static void shadowed_nominate(struct oracle *base, uint32_t row, uint32_t row_count, float *out)
{
    const struct shadowed_oracle *o = shadowed_of(base);
    int32_t sums[PIECE_ROWS];
    uint32_t none = 0;

    for (uint32_t i = 0; !o->is_useful && i < row_count; i++) out[i] = -INFINITY;
    while (o->is_useful && row_count > 0) {
        uint32_t most = row_count < PIECE_ROWS ? row_count : PIECE_ROWS;
        struct shadow_run run;
        o->shadow->run(o->shadow, row, most, &none, &run);
        CHECK(run.row_count > 0); /* they are ready, and so they stay */
        o->kernels->code_dot(&o->codes, run.codes, run.row_count, sums);
        o->kernels->code_bound(&o->bounds, sums, &run.rests, run.row_count, out);
        row += run.row_count;
        row_count -= run.row_count;
        out += run.row_count;
    }
}

static uint32_t shadowed_pack(struct oracle *base, uint32_t row, uint32_t row_count, void *packed,
                              size_t bytes)
{
    const struct shadowed_oracle *o = shadowed_of(base);
    size_t stride = code_stride(o->raw.vectors->dim);
    size_t most = bytes / code_panel_bytes(stride) * CODE_PANEL_ROWS;
    struct shadow_run run;
    uint32_t none = 0;

    if (!o->kernels->panels_pay || most == 0) return 0;
    o->shadow->run(o->shadow, row, row_count < most ? row_count : (uint32_t)most, &none, &run);
    o->kernels->code_panel(run.codes, stride, run.row_count, (uint8_t *)packed);
    return run.row_count;
}

/* The bounds of rows whose sums are known. */
static void bound_rows(const struct shadowed_oracle *o, uint32_t row, uint32_t row_count,
                       const int32_t *sums, float *out)
{
    uint32_t none = 0;

    while (row_count > 0) {
        struct shadow_run run;
        o->shadow->run(o->shadow, row, row_count, &none, &run);
        CHECK(run.row_count > 0); /* they are packed, and so they stay */
        o->kernels->code_bound(&o->bounds, sums, &run.rests, run.row_count, out);
        row += run.row_count;
        row_count -= run.row_count;
        sums += run.row_count;
        out += run.row_count;
    }
}

static void shadowed_nominate_packed(struct oracle *const *oracles, size_t count,
                                     const void *packed, uint32_t row, uint32_t row_count,
                                     float *const *out)
{
    enum { PANELS = 4, ROWS = PANELS * CODE_PANEL_ROWS };
    int32_t sums[ORACLE_BLOCK_MAX][ROWS], *place[ORACLE_BLOCK_MAX];
    const struct code_query *queries[ORACLE_BLOCK_MAX];
    size_t useful[ORACLE_BLOCK_MAX], useful_count = 0;
    size_t panel_bytes = code_panel_bytes(code_stride(shadowed_of(oracles[0])->raw.vectors->dim));

    CHECK(count <= ORACLE_BLOCK_MAX);
    for (size_t q = 0; q < count; q++) {
        const struct shadowed_oracle *o = shadowed_of(oracles[q]);
        for (uint32_t i = 0; !o->is_useful && i < row_count; i++) out[q][i] = -INFINITY;
        if (!o->is_useful) continue;
        place[useful_count] = sums[useful_count];
        queries[useful_count] = &o->codes;
        useful[useful_count++] = q;
    }
    for (uint32_t at = 0; useful_count > 0 && at < row_count; at += ROWS) {
        uint32_t rows = row_count - at < ROWS ? row_count - at : ROWS;
        const struct simd_kernels *kernels = shadowed_of(oracles[0])->kernels;
        const uint8_t *panels = (const uint8_t *)packed + at / CODE_PANEL_ROWS * panel_bytes;
        kernels->code_dot_panels(queries, useful_count, panels,
                                 (rows + CODE_PANEL_ROWS - 1) / CODE_PANEL_ROWS, place);
        for (size_t i = 0; i < useful_count; i++)
            bound_rows(shadowed_of(oracles[useful[i]]), row + at, rows, sums[i],
                       out[useful[i]] + at);
    }
}

/* The numbers of the bound, in double: what is cut off when they become floats is within the
 * roundings that they allow for. */
static void make_bounds(struct code_bounds *b, enum metric_value value, float norm, uint32_t dim)
{
    double kernel = dense_f32_error_factor(dim);
    double length = (double)norm * (1 + kernel + 4 * ROUNDING); /* |q| at most */
    double rest = 0.51 * (double)b->step * sqrt((double)dim);   /* F: half a step each */
    double left = 1 - 8 * kernel - 64 * ROUNDING;               /* of squares */

    b->error_factor = (float)(length * (1 + 64 * ROUNDING));
    b->norm_factor = (float)(1.05 * (rest + length * (4 * kernel + 64 * ROUNDING)));
    b->cosine_factor = (float)((1 - 8 * kernel - 64 * ROUNDING) / length);
    b->cosine_slack = (float)(1.01 * rest / (double)norm + 64 * ROUNDING);
    b->most = INFINITY;
    switch (value) {
    case METRIC_VALUE_PRODUCT:
        b->turn = 1;
        return;
    case METRIC_VALUE_DISTANCE:
        b->base = (float)((double)norm * (double)norm * left);
        b->square_factor = (float)left;
        b->turn = 2;
        return;
    case METRIC_VALUE_ANGLE:
        b->base = (float)(1 - 64 * ROUNDING);
        b->turn_by_norm = 1 / norm;
        b->most = 2;
        return;
    case METRIC_VALUE_MEASURE:
        UNREACHABLE(); /* of no use here */
    }
}

static size_t shadowed_oracle_bytes(uint32_t dim)
{
    /* Digits of the query; or a wide row, where rows are narrow and have no shadow. */
    return align_up(sizeof(struct shadowed_oracle), ALIGN_VECTOR) +
           code_stride(dim) * sizeof(float);
}

static struct oracle *shadowed_oracle_init(void *memory, const struct oracle_desc *desc)
{
    static const struct oracle_ops ops = {.scan = raw_scan,
                                          .scan_block = raw_scan_block,
                                          .gather = raw_gather,
                                          .ready = shadowed_ready,
                                          .nominate = shadowed_nominate,
                                          .pack = shadowed_pack,
                                          .nominate_packed = shadowed_nominate_packed};
    struct shadowed_oracle *o = (struct shadowed_oracle *)memory;
    int8_t *digits = (int8_t *)memory + align_up(sizeof *o, ALIGN_VECTOR);
    uint32_t dim = desc->vectors->dim;

    *o = (struct shadowed_oracle){.shadow = desc->shadow, .kernels = desc->kernels};
    raw_oracle_begin(&o->raw, desc, digits); /* of no other use where there is no shadow */
    CHECK(!desc->shadow || !o->raw.is_narrow);
    /* Of a distance that is made of no product the codes say nothing. */
    if (!desc->shadow || o->raw.value == METRIC_VALUE_MEASURE) return &o->raw.base;
    float norm = dense_norm_f32(desc->kernels, desc->query.vector, dim);
    dense_pair_f32_fn *pair = o->raw.value == METRIC_VALUE_DISTANCE ? desc->kernels->dense_l2_f32
                                                                    : desc->kernels->dense_dot_f32;
    o->is_useful =
        o->raw.kernels.pair == pair && norm >= SHADOW_NORM_MIN && norm <= SHADOW_NORM_MAX;
    o->raw.base.ops = &ops;
    o->make_max = SHADOW_SEARCH_BYTES / o->raw.base.row_bytes + 1;
    if (!o->is_useful) return &o->raw.base;
    o->bounds.step = digits_make(&o->codes, digits, desc->query.vector, dim, code_digits_max(dim),
                                 &(int32_t){0});
    make_bounds(&o->bounds, o->raw.value, norm, dim);
    return &o->raw.base;
}

const struct quantizer_vtab quantizer_shadowed = {
    .oracle_bytes = shadowed_oracle_bytes,
    .oracle_init = shadowed_oracle_init,
};
