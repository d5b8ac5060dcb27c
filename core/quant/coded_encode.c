/* SPDX-License-Identifier: Apache-2.0 */
/* coded_encode.c — vectors to codes, as rows and as blocks.
 *
 * WHAT        Turned: the grid of odd halves is laid over the residual in a few sizes around the
 *             one that is best for normal numbers, and the size at the smallest angle is kept.  For
 *             one bit any size gives the signs, and a few sums are all that is needed.  Scaled:
 *             each component to the nearest step.
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
    uint64_t bits[2][CODED_DIM_MAX / 64]; /* turned codes of one bit, of two rows */
};

/* Steps of the best grid over normal numbers, by bits: Max's uniform quantizers. */
static const float normal_steps[QUANT_BITS_MAX + 1] = {0,      1.596f, 0.996f,  0.586f, 0.335f,
                                                       0.188f, 0.104f, 0.0569f, 0.0308f};

/* Sizes that are tried. */
static const float grid_sizes[] = {0.78f, 0.88f, 0.96f, 1.04f, 1.14f, 1.28f};
#define LONG_SHARE 16 /* of a row's squared length: less is what codes lose of any row */
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

/* The grid point of the residual, which has this length, and its codes. */
static void find_grid(const struct coded *q, struct workspace *w, float norm)
{
    if (q->parts) pq_find(q->parts, w->residual, sqrtf((float)q->width) / norm, w->grid, w->codes);
    else lay_best_grid(q, w, norm);
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
 *     scale       G, by which the grid is multiplied; 1 in the scaled frame, but for long rows
 *     known       what of a product with the grid is known and taken off
 *     deviation   of a product: scale * deviation * |q - x| */
struct fit {
    float square, center_part, scale, known, deviation;
};

static struct code_tail tail_of(const struct coded *q, const struct fit *f)
{
    struct code_tail tail = {f->known - f->center_part, -f->scale, f->deviation};

    if (q->value == METRIC_VALUE_DISTANCE && f->square == INFINITY)
        return (struct code_tail){CODED_FAR, 0, 0};
    if (q->value == METRIC_VALUE_DISTANCE) {
        tail.add = f->square + 2 * f->known;
        tail.mul = -2 * f->scale;
    }
    if (!(fabsf(tail.add) < INFINITY && fabsf(tail.mul) < INFINITY && tail.spread >= 0 &&
          tail.spread < INFINITY))
        tail = (struct code_tail){-INFINITY, 0, 0};
    return tail;
}

static bool is_of_signs(const struct coded *q)
{
    return q->bits == 1 && coded_is_turned(q);
}

/* From the product of grid and residual, the grid's squared length, its product with the center. */
static void fit_grid(const struct coded *q, struct fit *f, float along, float length, float center)
{
    float cosine = along * along / (length * f->square);
    f->scale = along > 0 ? f->square / along : INFINITY; /* a point may lie behind: not told of */
    f->known = f->scale * center;
    f->deviation = cosine < 1 ? sqrtf(length * (1 - cosine) / (float)(q->width - 1)) : 0;
    if (q->parts) f->deviation *= q->parts->spread;
}

/* One bit: the grid is the signs, and all follows from a few sums. */
static struct code_tail encode_signs(const struct coded *q, struct workspace *w,
                                     const float *turned, size_t place)
{
    struct quant_signs s;
    q->kernels->quant_sign(turned, w->center, q->width, w->bits[place], &s);
    struct fit f = {.square = s.square, .center_part = s.center_part};
    if (s.length > 0)
        fit_grid(q, &f, 0.5f * s.length, 0.25f * (float)q->width, 0.5f * s.center_sign);
    return tail_of(q, &f);
}

/* turned: may be w->residual. */
static struct code_tail encode_grid(const struct coded *q, struct workspace *w, const float *turned)
{
    for (uint32_t i = 0; i < q->width; i++) w->residual[i] = turned[i] - w->center[i];
    struct fit f = {.square = dot_of(q, w->residual, w->residual),
                    .center_part = dot_of(q, w->center, w->residual)};
    if (f.square > 0 && f.square < INFINITY) {
        find_grid(q, w, sqrtf(f.square));
        fit_grid(q, &f, dot_of(q, w->grid, w->residual), dot_of(q, w->grid, w->grid),
                 dot_of(q, w->grid, w->center));
    } else {
        memset(w->grid, 0, q->width * sizeof *w->grid);
        memset(w->codes, 0, q->width);
    }
    if (!q->parts) take_codes(q, w->grid, w->codes);
    return tail_of(q, &f);
}

/* Of a row that is long beside the ranges, codes are at their ends: what they stand for is made as
 * long as the row, or it would seem near to all that lies on its side.  false: this row is not.
 * w->grid has r - y, and gets r - scale * y; y is made anew, since most of r - (r - y) would be
 * lost in rounding. */
static bool stretch(const struct coded *q, struct workspace *w, struct fit *f)
{
    float error = dot_of(q, w->grid, w->grid);

    if (!(error * LONG_SHARE > f->square && f->square < INFINITY)) return false;
    for (uint32_t i = 0; i < q->base.dim; i++)
        w->grid[i] = q->lows[i] + q->steps[i] * (float)w->codes[i];
    float along = dot_of(q, w->residual, w->grid);
    bool is_stretched = along > 0;
    f->scale = is_stretched ? f->square / along : 1;
    for (uint32_t i = 0; i < q->base.dim; i++) w->grid[i] = w->residual[i] - f->scale * w->grid[i];
    return is_stretched;
}

static struct code_tail encode_scaled(const struct coded *q, struct workspace *w,
                                      const float *turned)
{
    const float top = (float)((1u << q->bits) - 1) + 0.5f;
    uint32_t dim = q->base.dim;

    memset(w->grid, 0, q->width * sizeof *w->grid);
    memset(w->codes, 0, q->width);
    for (uint32_t i = 0; i < q->width; i++) w->residual[i] = turned[i] - q->center[i];
    struct fit f = {.square = dot_of(q, w->residual, w->residual),
                    .center_part = dot_of(q, q->center, w->residual),
                    .scale = 1};
    for (uint32_t i = 0; i < dim && f.square < INFINITY; i++) {
        float step = q->steps[i];
        float place = (w->residual[i] - q->lows[i]) / (step > 0 ? step : 1) + 0.5f;
        place = place < 0 ? 0 : place;
        place = place > top ? top : place;
        int32_t code = (int32_t)place;
        w->codes[i] = (uint8_t)code;
        w->grid[i] = w->residual[i] - (q->lows[i] + step * (float)code);
    }
    /* What is wrong in a stretched row is no chance: beside it a query has the same direction.  Its
     * bound is that of Cauchy and Schwarz. */
    float spread = stretch(q, w, &f) ? CODED_SIGMAS : sqrtf((float)dim);
    f.deviation = sqrtf(dot_of(q, w->grid, w->grid)) / spread / f.scale;
    if (q->value != METRIC_VALUE_PRODUCT) f.known = -dot_of(q, w->residual, w->grid);
    return tail_of(q, &f);
}

/* Into w->codes, or w->bits[place]. */
static struct code_tail encode_one(const struct coded *q, struct workspace *w, const float *turned,
                                   size_t place)
{
    if (is_of_signs(q)) return encode_signs(q, w, turned, place);
    return coded_is_turned(q) ? encode_grid(q, w, turned) : encode_scaled(q, w, turned);
}

/* The vector in the frame, NaN where it cannot be told of, +inf where it is far. */
static void turn(const struct coded *q, const float *vector, float norm, float *out)
{
    if (q->value == METRIC_VALUE_ANGLE && norm == INFINITY) norm = 0;
    if (!coded_can_tell(q, norm)) {
        float number = norm > CODED_FAR_NORM ? INFINITY : NAN;
        for (uint32_t i = 0; i < q->width; i++) out[i] = number;
        return;
    }
    coded_place(q, vector, coded_factor(q, norm), out);
    if (coded_is_turned(q)) q->kernels->quant_rotate(out, q->width, q->signs, q->round_count);
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

static void put_row(const struct coded *q, const struct workspace *w, uint8_t *row)
{
    if (is_of_signs(q)) memcpy(row, w->bits[0], q->width / 8);
    else if (q->parts) pq_put_row(q->parts, w->codes, row);
    else pack_codes(q, w->codes, row);
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

    if (coded_is_turned(q)) memcpy(w.center, q->turned_center, q->width * sizeof *w.center);
    for (uint32_t i = 0; i < row_count; i++, codes += stride) {
        turn(q, vectors + (size_t)i * base->dim, norms[i], w.residual);
        struct code_tail tail = encode_one(q, &w, w.residual, 0);
        put_row(q, &w, codes);
        memcpy(codes + coded_code_bytes(q), &tail, sizeof tail);
    }
}

/* ---- Blocks ---- */

size_t coded_block_bytes(const struct quantizer *base)
{
    return sizeof(struct block_head) + 2 * BLOCK_CODES * sizeof(float) +
           coded_code_bytes(coded_of(base)) * BLOCK_CODES;
}

/* The parts of a block that is being packed. */
struct block_parts {
    struct block_head head;
    float *adds, *muls;
    uint8_t *codes;
};

static struct block_parts parts_of(uint8_t *block)
{
    float *adds = (float *)(void *)(block + sizeof(struct block_head));
    return (struct block_parts){.adds = adds,
                                .muls = adds + BLOCK_CODES,
                                .codes = (uint8_t *)(adds + 2 * (size_t)BLOCK_CODES)};
}

static void put_tail(struct block_parts *p, size_t i, const struct code_tail *tail)
{
    float add = fabsf(tail->add);

    p->adds[i] = tail->add;
    p->muls[i] = tail->mul;
    if (tail->spread > p->head.spread) p->head.spread = tail->spread;
    if (add < INFINITY && add > p->head.add && tail->mul != 0) p->head.add = add;
}

/* Rows i and 16 + i of a block of one-bit codes: half bytes of four components each. */
static void put_pair(const struct coded *q, const struct workspace *w, size_t i, uint8_t *codes)
{
    const uint64_t halves = 0x0f0f0f0f0f0f0f0f;

    for (uint32_t word = 0; word < q->width / 64; word++) {
        uint64_t a = w->bits[0][word], b = w->bits[1][word];
        uint64_t even = (a & halves) | (b & halves) << 4, odd = (a >> 4 & halves) | (b & ~halves);
        uint8_t *to = codes + (size_t)word * 256 + i;
        for (size_t pair = 0; pair < 8; pair++, to += 32) {
            to[0] = (uint8_t)(even >> (8 * pair));
            to[16] = (uint8_t)(odd >> (8 * pair));
        }
    }
}

/* The next of the vectors of a block, in the frame. */
struct block_rows {
    const float *const *vectors; /* or, already turned, */
    const float *const *turned;
    uint32_t count;
    bool is_lost; /* nothing can be told of the center */
};

static struct code_tail encode_row(const struct coded *q, struct workspace *w,
                                   const struct block_rows *rows, size_t i, size_t place)
{
    if (i >= rows->count) {
        memset(w->bits[place], 0, q->width / 8);
        memset(w->codes, 0, q->width);
        return (struct code_tail){INFINITY, 0, 0};
    }
    const float *turned = w->residual;
    if (rows->turned) turned = rows->turned[i];
    else
        turn(q, rows->vectors[i], dense_norm_f32(q->kernels, rows->vectors[i], q->base.dim),
             w->residual);
    struct code_tail tail = encode_one(q, w, turned, place);
    return rows->is_lost ? (struct code_tail){-INFINITY, 0, 0} : tail;
}

/* w->center is there. */
static void pack_rows(const struct coded *q, struct workspace *w, const struct block_rows *rows,
                      float center_norm, uint8_t *block)
{
    struct block_parts p = parts_of(block);
    const size_t half = BLOCK_CODES / 2;

    p.head.center_norm = rows->is_lost ? 0 : center_norm;
    if (q->parts) memset(p.codes, 0, coded_code_bytes(q) * BLOCK_CODES);
    for (size_t i = 0; i < (is_of_signs(q) ? half : BLOCK_CODES); i++) {
        struct code_tail tail = encode_row(q, w, rows, i, 0);
        put_tail(&p, i, &tail);
        if (q->parts) pq_put_block(q->parts, w->codes, i, p.codes);
        else if (!is_of_signs(q)) put_row(q, w, p.codes + i * coded_code_bytes(q));
        if (!is_of_signs(q)) continue;
        tail = encode_row(q, w, rows, half + i, 1);
        put_tail(&p, half + i, &tail);
        put_pair(q, w, i, p.codes);
    }
    memcpy(block, &p.head, sizeof p.head);
}

/* The center of a block, in the frame, into w; its norm.  NaN: nothing can be told of it. */
static float begin_center(const struct coded *q, struct workspace *w, const float *center)
{
    memset(w->center, 0, q->width * sizeof *w->center);
    if (q->frame == CODED_SCALED) return q->center_norm;
    if (!center && !q->is_shifted) return 0;
    if (!center) center = memset(w->residual, 0, q->width * sizeof *w->residual);
    float norm = dense_norm_f32(q->kernels, center, q->base.dim), factor = 1;
    if (!coded_can_tell(q, norm)) return NAN;
    if (q->value == METRIC_VALUE_ANGLE && norm > 1) factor = 1 / norm;
    coded_place(q, center, factor, w->center);
    q->kernels->quant_rotate(w->center, q->width, q->signs, q->round_count);
    return norm * factor;
}

void coded_pack_block(const struct quantizer *base, const float *center,
                      const float *const *vectors, uint32_t count, uint8_t *block)
{
    const struct coded *q = coded_of(base);
    struct workspace w;
    float norm = begin_center(q, &w, center);
    struct block_rows rows = {.vectors = vectors, .count = count, .is_lost = !(norm >= 0)};
    pack_rows(q, &w, &rows, norm, block);
}

uint32_t coded_turned_floats(const struct quantizer *base)
{
    return coded_of(base)->width;
}

void coded_turn(const struct quantizer *base, const float *vector, float *turned)
{
    const struct coded *q = coded_of(base);
    turn(q, vector, dense_norm_f32(q->kernels, vector, base->dim), turned);
}

void coded_pack_turned(const struct quantizer *base, const float *center,
                       const float *const *turned, uint32_t count, uint8_t *block)
{
    const struct coded *q = coded_of(base);
    struct workspace w;
    float norm = q->center_norm;

    if (coded_is_turned(q)) {
        memcpy(w.center, center, q->width * sizeof *center);
        norm = sqrtf(dot_of(q, w.center, w.center));
    }
    struct block_rows rows = {.turned = turned, .count = count, .is_lost = !(norm >= 0)};
    pack_rows(q, &w, &rows, norm, block);
}
