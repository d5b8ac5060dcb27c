/* SPDX-License-Identifier: Apache-2.0 */
/* coded_encode.c — vectors to codes, as rows and as blocks.
 *
 * WHAT        Turned: the grid of odd halves is laid over the residual in a few sizes around the
 *             one that is best for normal numbers, and the size at the smallest angle is kept: for
 *             one bit any size gives the signs.  Scaled: each component to the nearest step.
 * WHY SO      All sizes would be tried by sorting where components cross to the next code; a few
 *             come as near as a thousandth of the angle, at a tenth of the time.
 * INVARIANTS  (1) A row's codes, adds, muls and spread depend on the row, the center and the level
 *                 alone.
 *             (2) No add is NaN, no mul or spread is NaN or infinite.
 * THREADS     Any.
 * FAILURE     None: what it needs is on the stack.
 */
#include <math.h>
#include <string.h>

#include "quant/coded.h"

struct workspace {
    float residual[CODED_DIM_MAX]; /* in the frame */
    float grid[CODED_DIM_MAX];     /* what the code stands for, without a scale */
    float center[CODED_DIM_MAX];   /* in the frame */
    uint8_t codes[CODED_DIM_MAX];
};

/* Steps of the best grid over normal numbers, by bits: Max's uniform quantizers. */
static const float normal_steps[QUANT_BITS_MAX + 1] = {0,      1.596f, 0.996f,  0.586f, 0.335f,
                                                       0.188f, 0.104f, 0.0569f, 0.0308f};

/* Sizes that are tried. */
static const float grid_sizes[] = {0.78f, 0.88f, 0.96f, 1.04f, 1.14f, 1.28f};
enum { GRID_SIZES = sizeof grid_sizes / sizeof *grid_sizes };

static float dot_of(const struct coded *q, const float *a, const float *b)
{
    return q->kernels->dense_dot_f32(a, b, q->width);
}

/* The grid point of each component of x * factor: odd halves. */
static void lay_grid(const struct coded *q, const float *restrict x, float factor,
                     float *restrict grid)
{
    const float middle = (float)((1u << q->bits) - 1) * 0.5f, half = middle + 0.5f;
    const float top = 2 * middle + 0.5f;

    for (uint32_t i = 0; i < q->width; i++) {
        float place = x[i] * factor + half;
        place = place < 0 ? 0 : place;
        place = place > top ? top : place;
        grid[i] = (float)(int32_t)place - middle;
    }
}

static void lay_best_grid(const struct coded *q, struct workspace *w, float norm)
{
    float unit = sqrtf((float)q->width) / norm / normal_steps[q->bits];
    float best = -1, best_factor = unit;

    for (size_t i = 0; q->bits > 1 && i < GRID_SIZES; i++) {
        lay_grid(q, w->residual, unit * grid_sizes[i], w->grid);
        float along = dot_of(q, w->grid, w->residual);
        float cosine = along / sqrtf(dot_of(q, w->grid, w->grid));
        if (!(cosine > best)) continue;
        best = cosine;
        best_factor = unit * grid_sizes[i];
    }
    lay_grid(q, w->residual, best_factor, w->grid);
}

/* From grid points back to codes; padding too, whose digits are 0. */
static void take_codes(const struct coded *q, const float *restrict grid, uint8_t *restrict codes)
{
    const float middle = (float)((1u << q->bits) - 1) * 0.5f;
    for (uint32_t i = 0; i < q->width; i++) codes[i] = (uint8_t)(int32_t)(grid[i] + middle);
}

/* What a row's estimate is made of, as far as the metric tells: from
 *     square      |r|^2
 *     center_part <c, r>
 *     scale       G, by which the grid is multiplied; 1 in the scaled frame
 *     known       what of a product with the grid is known and taken off
 *     deviation   of a product: scale * deviation * |q - x| */
struct fit {
    float square, center_part, scale, known, deviation;
};

static struct code_tail tail_of(const struct coded *q, const struct fit *f)
{
    struct code_tail tail = {f->known - f->center_part, -f->scale, f->deviation};

    if (q->value == METRIC_VALUE_DISTANCE) {
        tail.add = f->square + 2 * f->known;
        tail.mul = -2 * f->scale;
    }
    if (!(fabsf(tail.add) < INFINITY && fabsf(tail.mul) < INFINITY && tail.spread >= 0))
        tail = (struct code_tail){-INFINITY, 0, 0};
    return tail;
}

/* w->center: of what the residual is, in the frame. */
static struct code_tail encode_turned(const struct coded *q, struct workspace *w,
                                      const float *vector, float factor)
{
    coded_widen(q, vector, factor, w->residual);
    q->kernels->quant_rotate(w->residual, q->width, q->signs, q->round_count);
    for (uint32_t i = 0; i < q->width; i++) w->residual[i] -= w->center[i];
    struct fit f = {.square = dot_of(q, w->residual, w->residual),
                    .center_part = dot_of(q, w->center, w->residual)};
    if (f.square > 0) {
        lay_best_grid(q, w, sqrtf(f.square));
        float along = dot_of(q, w->grid, w->residual), length = dot_of(q, w->grid, w->grid);
        float cosine = along * along / (length * f.square);
        f.scale = f.square / along;
        f.known = f.scale * dot_of(q, w->grid, w->center);
        f.deviation = cosine < 1 ? sqrtf(length * (1 - cosine) / (float)(q->width - 1)) : 0;
    } else {
        lay_grid(q, w->residual, 1, w->grid);
    }
    take_codes(q, w->grid, w->codes);
    return tail_of(q, &f);
}

static struct code_tail encode_scaled(const struct coded *q, struct workspace *w,
                                      const float *vector, float factor)
{
    const float top = (float)((1u << q->bits) - 1) + 0.5f;
    uint32_t dim = q->base.dim;

    coded_widen(q, vector, factor, w->residual);
    for (uint32_t i = 0; i < dim; i++) w->residual[i] -= q->center[i];
    memset(w->grid, 0, q->width * sizeof *w->grid);
    memset(w->codes, 0, q->width);
    for (uint32_t i = 0; i < dim; i++) {
        float step = q->steps[i];
        float place = (w->residual[i] - q->lows[i]) / (step > 0 ? step : 1) + 0.5f;
        place = place < 0 ? 0 : place;
        place = place > top ? top : place;
        int32_t code = (int32_t)place;
        w->codes[i] = (uint8_t)code;
        w->grid[i] = w->residual[i] - (q->lows[i] + step * (float)code);
    }
    struct fit f = {.square = dot_of(q, w->residual, w->residual),
                    .center_part = dot_of(q, q->center, w->residual),
                    .scale = 1,
                    .deviation = sqrtf(dot_of(q, w->grid, w->grid) / (float)dim)};
    if (q->value != METRIC_VALUE_PRODUCT) f.known = -dot_of(q, w->residual, w->grid);
    return tail_of(q, &f);
}

static struct code_tail encode_one(const struct coded *q, struct workspace *w, const float *vector,
                                   float norm)
{
    if (!coded_can_tell(norm)) {
        memset(w->codes, 0, q->width);
        return (struct code_tail){-INFINITY, 0, 0};
    }
    float factor = coded_factor(q, norm);
    return q->frame == CODED_TURNED ? encode_turned(q, w, vector, factor)
                                    : encode_scaled(q, w, vector, factor);
}

/* Codes to the layout of quant_kernels.h. */
static void pack_codes(const struct coded *q, const uint8_t *codes, uint8_t *row)
{
    for (uint32_t first = 0; first < q->width; first += QUANT_CHUNK, codes += QUANT_CHUNK) {
        unsigned low = 0;
        if (q->bits == 8) {
            memcpy(row, codes, QUANT_CHUNK);
            row += QUANT_CHUNK;
            continue;
        }
        if (q->bits & 4) {
            for (size_t i = 0; i < 32; i++)
                row[i] = (uint8_t)((codes[i] & 15) | (codes[32 + i] & 15) << 4);
            row += 32;
            low = 4;
        }
        if (q->bits & 2) {
            for (size_t i = 0; i < 16; i++)
                row[i] =
                    (uint8_t)((codes[i] >> low & 3) | (codes[16 + i] >> low & 3) << 2 |
                              (codes[32 + i] >> low & 3) << 4 | (codes[48 + i] >> low & 3) << 6);
            row += 16;
            low += 2;
        }
        if (q->bits & 1) {
            for (size_t i = 0; i < 8; i++) {
                unsigned byte = 0;
                for (size_t j = 0; j < 8; j++) byte |= (codes[8 * i + j] >> low & 1u) << j;
                row[i] = (uint8_t)byte;
            }
            row += 8;
        }
    }
}

/* One bit each, into the place of row i of a block, which was zero. */
static void transpose_codes(const struct coded *q, const uint8_t *codes, size_t i, uint8_t *block)
{
    uint8_t *to = block + i % 16;
    unsigned shift = i < 16 ? 0 : 4;
    for (uint32_t first = 0; first < q->width; first += QUANT_GROUP, to += 16) {
        const uint8_t *c = codes + first;
        *to |= (uint8_t)((unsigned)(c[0] | c[1] << 1 | c[2] << 2 | c[3] << 3) << shift);
    }
}

size_t coded_row_bytes(const struct quantizer *base)
{
    return coded_code_bytes(coded_of(base)) + sizeof(struct code_tail);
}

void coded_encode(const struct quantizer *base, const float *vectors, const float *norms,
                  uint32_t row_count, uint8_t *codes, size_t stride)
{
    const struct coded *q = coded_of(base);
    struct workspace w;

    if (q->frame == CODED_TURNED) memcpy(w.center, q->turned_center, q->width * sizeof *w.center);
    for (uint32_t i = 0; i < row_count; i++, codes += stride) {
        struct code_tail tail = encode_one(q, &w, vectors + (size_t)i * base->dim, norms[i]);
        pack_codes(q, w.codes, codes);
        memcpy(codes + coded_code_bytes(q), &tail, sizeof tail);
    }
}

/* ---- Blocks ---- */

/* The center of a block, in the frame, into w; its norm.  NaN: nothing can be told of it. */
static float begin_center(const struct coded *q, struct workspace *w, const float *center)
{
    if (q->frame == CODED_SCALED) return q->center_norm;
    if (!center) {
        memset(w->center, 0, q->width * sizeof *w->center);
        return 0;
    }
    float norm = dense_norm_f32(q->kernels, center, q->base.dim), factor = 1;
    if (!coded_can_tell(norm)) return NAN;
    if (q->value == METRIC_VALUE_ANGLE && norm > 1) factor = 1 / norm;
    coded_widen(q, center, factor, w->center);
    q->kernels->quant_rotate(w->center, q->width, q->signs, q->round_count);
    return norm * factor;
}

size_t coded_block_bytes(const struct quantizer *base)
{
    return sizeof(struct block_head) + 2 * BLOCK_CODES * sizeof(float) +
           coded_code_bytes(coded_of(base)) * BLOCK_CODES;
}

void coded_pack_block(const struct quantizer *base, const float *center,
                      const float *const *vectors, uint32_t count, uint8_t *block)
{
    const struct coded *q = coded_of(base);
    struct workspace w;
    struct block_head head = {.center_norm = begin_center(q, &w, center)};
    float *adds = (float *)(void *)(block + sizeof head), *muls = adds + BLOCK_CODES;
    uint8_t *codes = (uint8_t *)(muls + BLOCK_CODES);

    memset(codes, 0, coded_code_bytes(q) * BLOCK_CODES);
    for (uint32_t i = 0; i < BLOCK_CODES; i++) {
        struct code_tail tail = {INFINITY, 0, 0};
        if (i < count) {
            float norm =
                head.center_norm >= 0 ? dense_norm_f32(q->kernels, vectors[i], base->dim) : NAN;
            tail = encode_one(q, &w, vectors[i], norm);
            if (q->bits == 1 && q->frame == CODED_TURNED) transpose_codes(q, w.codes, i, codes);
            else pack_codes(q, w.codes, codes + i * coded_code_bytes(q));
        }
        adds[i] = tail.add;
        muls[i] = tail.mul;
        head.spread = tail.spread > head.spread ? tail.spread : head.spread;
        if (fabsf(tail.add) < INFINITY && fabsf(tail.add) > head.add) head.add = fabsf(tail.add);
    }
    memcpy(block, &head, sizeof head);
}
