/* SPDX-License-Identifier: Apache-2.0 */
/* coded_oracle.c — distances as codes tell them, of rows and of blocks, and how far off they may
 * be.
 *
 * WHAT        The query is prepared as the rows are, and brought into the frame: rotated, or
 *             multiplied with the steps.  Rows are multiplied with it as integers of 14 bits, or of
 *             7 where codes are of 4 bits, which lose ten times as much, and it was rotated, so
 *             that no component is much larger than the others.  Blocks of one-bit codes
 *             through tables of 8 bits, the sums of four components each, which are made when the
 *             first block comes.
 * THE BOUND   coded.h: a distance d is off by a normal number with deviation
 *                 |mul| * spread * |q - x|,    |q - x|^2 = d, 2 * d for a cosine
 *             and for a product by that of |q - c|.  So no d is likely that is below the solution
 *             of d + CODED_SIGMAS * deviation(d) = estimate, and that is what the bound reaches
 *             down to.  Roundings of the query count as further deviations, of floats as a slack.
 * INVARIANTS  (1) No estimate is NaN, no bound is NaN or negative.
 *             (2) scan, scan_block and gather give the same bits.
 *             (3) Whatever bytes codes and blocks hold, nothing else is read.
 * THREADS     As oracle.h says.
 * FAILURE     None: codes are in memory.
 */
#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "quant/coded.h"
#include "quant/digits.h"

enum {
    PIECE_ROWS = 64,
    GATHERED_ROWS = 8,
    SHORT_BITS = 4,
};

#define FLOAT_SLACK 0x1p-20f

/* How sums of integers become distances, and these bounds. */
struct reading {
    float step, shift; /* <code, query> = sum * step + shift */
    float base;
    float rounding; /* CODED_SIGMAS deviations of <code, query>, because of the query's rounding */
    float reach;    /* |q - c|; +inf: it says nothing */
};

struct coded_oracle {
    struct oracle base; /* first */
    const struct coded *q;
    struct code_rows codes;
    const struct simd_kernels *kernels;
    bool is_useful; /* the query can be told of */
    bool has_tables;
    bool is_asked_for; /* rows that are gathered: they are on their way */
    float square;      /* |q|^2 of the prepared query */
    struct reading rows;
    float table_step, table_shift, table_rounding;
    struct code_query digits;
    float *turned;   /* the query in the frame */
    uint8_t *tables; /* of blocks */
};

static struct coded_oracle *coded_oracle_of(struct oracle *o)
{
    return (struct coded_oracle *)o;
}

/* ---- From sums to distances ---- */

static float estimate_of(const struct reading *r, int32_t sum, float add, float mul)
{
    float out = r->base + add + mul * ((float)sum * r->step + r->shift);
    return out == out ? out : INFINITY;
}

/* The least distance that is likely where the estimate is `out`.  Square roots are of numbers that
 * are not negative, so that compilers do them in lanes. */
static inline float least_of(enum metric_value value, float out, float deviation, float rounding,
                             float reach)
{
    float off = deviation * reach + rounding, least = out - off;
    if (value == METRIC_VALUE_PRODUCT) return least;
    if (value == METRIC_VALUE_ANGLE) deviation *= 1.41421356f;
    float half = 0.5f * deviation, left = out - rounding;
    left = left > 0 ? left : 0;
    float root = sqrtf(left + half * half) - half;
    root = root * root * 0.999999f;
    return least > root ? least : root; /* root, where there is no reach */
}

static float bound_of(const struct coded_oracle *o, const struct reading *r, float out,
                      const struct code_tail *tail)
{
    float scale = fabsf(tail->mul);
    float slack = FLOAT_SLACK * (fabsf(r->base) + fabsf(tail->add) + o->square);
    float least = least_of(o->q->value, out, CODED_SIGMAS * scale * tail->spread,
                           scale * r->rounding + slack, r->reach);
    if (!o->is_useful) return INFINITY;
    return out - least > 0 ? out - least : 0;
}

/* ---- Rows ---- */

/* Of parts, rows are read by the tables of blocks. */
static void prepare_parts(struct coded_oracle *o)
{
    const struct pq_parts *parts = o->q->parts;

    if (!parts || o->has_tables) return;
    struct pq_tables made = pq_make_tables(parts, o->turned, o->tables);
    o->rows.step = made.step;
    o->rows.shift = made.shift;
    o->rows.rounding = CODED_SIGMAS * made.step * sqrtf((float)parts->part_count / 12);
    o->has_tables = true;
}

static struct code_tail tail_at(const struct coded_oracle *o, const uint8_t *row)
{
    struct code_tail tail;
    memcpy(&tail, row + coded_code_bytes(o->q), sizeof tail);
    return tail;
}

static void sum_rows(const struct coded_oracle *o, const uint8_t *rows, size_t count, int32_t *sums)
{
    if (o->q->parts) pq_sum_rows(o->q->parts, o->tables, rows, o->codes.stride, count, sums);
    else o->kernels->quant_dot(&o->digits, o->q->bits, rows, o->codes.stride, count, sums);
}

/* The same of rows here and there. */
static void gather_rows(const struct coded_oracle *o, const uint8_t *const *rows, size_t count,
                        int32_t *sums)
{
    if (!o->q->parts) {
        o->kernels->quant_gather(&o->digits, o->q->bits, rows, count, sums);
        return;
    }
    for (size_t i = 0; i < count; i++) sum_rows(o, rows[i], 1, &sums[i]);
}

static int coded_scan(struct oracle *base, uint32_t row, uint32_t row_count, float *out,
                      struct error *err)
{
    struct coded_oracle *o = coded_oracle_of(base);
    const uint8_t *rows = o->codes.codes + (size_t)row * o->codes.stride;
    int32_t sums[PIECE_ROWS];

    (void)err;
    prepare_parts(o);
    while (row_count > 0) {
        uint32_t count = row_count < PIECE_ROWS ? row_count : PIECE_ROWS;
        sum_rows(o, rows, count, sums);
        for (uint32_t i = 0; i < count; i++, rows += o->codes.stride) {
            struct code_tail tail = tail_at(o, rows);
            out[i] = estimate_of(&o->rows, sums[i], tail.add, tail.mul);
        }
        row_count -= count;
        out += count;
    }
    return 0;
}

static int coded_scan_block(struct oracle *const *oracles, size_t count, uint32_t row,
                            uint32_t row_count, float *const *out, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (coded_scan(oracles[i], row, row_count, out[i], err) != 0) return -1;
    return 0;
}

/* Where the next rows lie, which are asked for where nobody has; how many. */
static size_t take_rows(const struct coded_oracle *o, const uint32_t *row_index, size_t left,
                        const uint8_t *rows[GATHERED_ROWS])
{
    enum { LINE = 64 };
    size_t count = left < GATHERED_ROWS ? left : GATHERED_ROWS, row_bytes = o->base.row_bytes;

    for (size_t i = 0; i < count; i++) {
        rows[i] = o->codes.codes + row_index[i] * o->codes.stride;
        if (o->is_asked_for) continue;
        for (size_t at = 0; at < row_bytes; at += LINE) __builtin_prefetch(rows[i] + at);
        __builtin_prefetch(rows[i] + row_bytes - 1);
    }
    return count;
}

static int coded_estimate(struct oracle *base, const uint32_t *row_index, size_t index_count,
                          float *out, float *bound, struct error *err)
{
    struct coded_oracle *o = coded_oracle_of(base);
    const uint8_t *rows[2 * GATHERED_ROWS];
    int32_t sums[GATHERED_ROWS];

    (void)err;
    prepare_parts(o);
    size_t first = take_rows(o, row_index, index_count, rows);
    for (size_t at = 0, count = first; at < index_count; at += count, count = first) {
        memcpy(rows + GATHERED_ROWS, rows, count * sizeof *rows);
        const uint8_t *const *now = rows + GATHERED_ROWS;
        first = take_rows(o, row_index + at + count, index_count - at - count, rows);
        gather_rows(o, now, count, sums);
        for (size_t i = 0; i < count; i++) {
            struct code_tail tail = tail_at(o, now[i]);
            out[at + i] = estimate_of(&o->rows, sums[i], tail.add, tail.mul);
            if (bound) bound[at + i] = bound_of(o, &o->rows, out[at + i], &tail);
        }
    }
    return 0;
}

static int coded_gather(struct oracle *base, const uint32_t *row_index, size_t index_count,
                        float *out, struct error *err)
{
    return coded_estimate(base, row_index, index_count, out, NULL, err);
}

/* ---- Blocks ---- */

/* Sums of four components by their bits, less the least of them. */
static float fill_group(const float *x, float entries[16])
{
    float least = 0;
    entries[0] = 0;
    for (size_t i = 1; i < 16; i++) {
        entries[i] = entries[i & (i - 1)] + x[__builtin_ctzll(i)];
        least = entries[i] < least ? entries[i] : least;
    }
    return least;
}

static void make_tables(struct coded_oracle *o)
{
    float widest = 0, entries[16];
    double least_sum = 0, sum = 0;
    uint32_t width = o->q->width;

    for (uint32_t i = 0; i < width; i += QUANT_GROUP) {
        float span = 0;
        for (uint32_t j = i; j < i + QUANT_GROUP; j++) span += fabsf(o->turned[j]);
        widest = span > widest ? span : widest;
    }
    float step = widest / 255, inverse = widest > 0 ? 255 / widest : 0;
    for (uint32_t i = 0; i < width; i += QUANT_GROUP) {
        float least = fill_group(o->turned + i, entries);
        uint8_t *table = o->tables + i / QUANT_GROUP * QUANT_TABLE_BYTES;
        for (size_t j = 0; j < QUANT_TABLE_BYTES; j++)
            table[j] = (uint8_t)(int32_t)((entries[j] - least) * inverse + 0.5f);
        least_sum += (double)least;
        sum += (double)entries[15];
    }
    o->table_step = step;
    o->table_shift = (float)(least_sum - 0.5 * sum);
    o->table_rounding = CODED_SIGMAS * step * sqrtf((float)width / QUANT_GROUP / 12);
    o->has_tables = true;
}

/* What the center of a turned block makes of the reading. */
static void read_center(const struct coded_oracle *o, const struct block_head *head,
                        float center_distance, struct reading *r)
{
    float norm = head->center_norm, square = center_distance;

    r->base = center_distance;
    if (o->q->value == METRIC_VALUE_ANGLE) r->base = 1 - norm * (1 - center_distance);
    if (o->q->value == METRIC_VALUE_ANGLE) square = norm * norm + 2 * r->base - 1;
    if (o->q->value == METRIC_VALUE_PRODUCT) square = o->square + norm * norm + 2 * center_distance;
    r->reach = square > 0 ? sqrtf(square) : 0;
    /* Of a center that cannot be told of rows are -inf by themselves. */
    if (!(fabsf(r->base) < INFINITY)) r->base = r->reach = 0;
}

/* bound[i] = out[i] less the least that is likely. */
static void bound_block(const struct coded_oracle *o, const struct block_head *head,
                        const struct reading *r, const float *restrict muls,
                        const float *restrict out, float *restrict bound)
{
    const enum metric_value value = o->q->value;
    const float deviation = CODED_SIGMAS * head->spread, rounding = r->rounding, reach = r->reach;
    const float slack = FLOAT_SLACK * (fabsf(r->base) + head->add + o->square);

    for (size_t i = 0; i < BLOCK_CODES; i++) {
        float scale = fabsf(muls[i]);
        float least = least_of(value, out[i], scale * deviation, scale * rounding + slack, reach);
        float off = out[i] - least;
        bound[i] = off > 0 ? off : 0;
    }
    for (size_t i = 0; !o->is_useful && i < BLOCK_CODES; i++) bound[i] = INFINITY;
}

/* Of a block: how sums are read, and these; what is in the block. */
struct block_sums {
    struct block_head head;
    struct reading reading;
    const float *adds, *muls;
    int32_t sums[BLOCK_CODES];
};

static void sum_block(struct coded_oracle *o, const uint8_t *block, float center_distance,
                      struct block_sums *b)
{
    b->adds = (const float *)(const void *)(block + sizeof b->head);
    b->muls = b->adds + BLOCK_CODES;
    const uint8_t *codes = (const uint8_t *)(b->muls + BLOCK_CODES);

    prepare_parts(o);
    b->reading = o->rows;
    memcpy(&b->head, block, sizeof b->head);
    if (coded_is_turned(o->q)) read_center(o, &b->head, center_distance, &b->reading);
    if (o->q->parts) {
        pq_sum_block(o->q->parts, o->kernels, o->tables, codes, b->sums);
    } else if (coded_is_turned(o->q) && o->q->bits == 1) {
        if (!o->has_tables) make_tables(o);
        b->reading.step = o->table_step;
        b->reading.shift = o->table_shift;
        b->reading.rounding = o->table_rounding;
        o->kernels->quant_scan(o->tables, codes, o->q->width / QUANT_GROUP, b->sums);
    } else {
        size_t stride = coded_code_bytes(o->q);
        o->kernels->quant_dot(&o->digits, o->q->bits, codes, stride, BLOCK_CODES, b->sums);
    }
}

static void coded_score_block(struct oracle *base, const uint8_t *block, float center_distance,
                              float out[BLOCK_CODES], float *bound)
{
    struct coded_oracle *o = coded_oracle_of(base);
    struct block_sums b;

    sum_block(o, block, center_distance, &b);
    const struct reading *r = &b.reading;
    for (size_t i = 0; i < BLOCK_CODES; i++) {
        float product = (float)b.sums[i] * r->step + r->shift;
        float distance = r->base + b.adds[i] + b.muls[i] * product;
        out[i] = distance == distance ? distance : INFINITY;
    }
    if (bound) bound_block(o, &b.head, r, b.muls, out, bound);
}

/* Every row: there is no limit, or the query cannot be told of. */
static uint32_t all_near(struct oracle *base, const uint8_t *block, float center_distance,
                         float out[BLOCK_CODES], float least[BLOCK_CODES])
{
    coded_score_block(base, block, center_distance, out, least);
    for (size_t i = 0; i < BLOCK_CODES; i++) least[i] = out[i] - least[i];
    return UINT32_MAX;
}

/* A row may be within the limit L if its estimate is off by no more than it may be at L:
 *     least_of(estimate) <= L    if and only if    estimate <= L + rounding + deviation * sqrt(L)
 * and by no more than reach says.  So one product a row decides, and no root of its own. */
static uint32_t coded_find_near(struct oracle *base, const uint8_t *block, float center_distance,
                                float limit, float out[BLOCK_CODES], float least[BLOCK_CODES])
{
    struct coded_oracle *o = coded_oracle_of(base);
    const enum metric_value value = o->q->value;
    struct block_sums b;

    if (!o->is_useful || !(limit < INFINITY))
        return all_near(base, block, center_distance, out, least);
    sum_block(o, block, center_distance, &b);
    const struct reading *r = &b.reading;
    float slack = FLOAT_SLACK * (fabsf(r->base) + b.head.add + o->square), reach = r->reach;
    float deviation = CODED_SIGMAS * b.head.spread;
    if (value != METRIC_VALUE_PRODUCT) {
        limit = limit > 0 ? limit * 1.000001f : 0;
        float root = sqrtf(value == METRIC_VALUE_ANGLE ? 2 * limit : limit);
        reach = root < reach ? root : reach;
    }
    const struct quant_reading reading = {.base = r->base,
                                          .step = r->step,
                                          .shift = r->shift,
                                          .limit = limit + slack,
                                          .width = deviation * reach + r->rounding};
    uint32_t near = o->kernels->quant_near(&reading, b.sums, b.adds, b.muls);
    for (uint32_t left = near; left != 0; left &= left - 1) {
        int i = __builtin_ctz(left);
        float scale = fabsf(b.muls[i]);
        out[i] = estimate_of(r, b.sums[i], b.adds[i], b.muls[i]);
        least[i] =
            least_of(value, out[i], scale * deviation, scale * r->rounding + slack, r->reach);
    }
    return near;
}

/* ---- The query ---- */

/* Where the trained center is from the query, and what rows' estimates begin with. */
static void read_rows(struct coded_oracle *o, const float *prepared)
{
    const struct coded *q = o->q;
    const struct simd_kernels *k = o->kernels;
    float product = k->dense_dot_f32(prepared, q->center, q->width);
    float square = k->dense_l2_f32(prepared, q->center, q->width);

    o->rows.reach = sqrtf(square);
    o->rows.base = -product;
    if (q->value == METRIC_VALUE_DISTANCE) o->rows.base = square;
    if (q->value == METRIC_VALUE_ANGLE) o->rows.base = 1 - product;
}

/* Scaled: the query less the center, times the steps; what the lows make of it is known. */
static void scale_query(struct coded_oracle *o, float *x)
{
    const struct coded *q = o->q;
    for (uint32_t i = 0; i < q->width; i++) x[i] -= q->center[i];
    float low = o->kernels->dense_dot_f32(x, q->lows, q->width);
    o->rows.shift = low;
    for (uint32_t i = 0; i < q->width; i++) x[i] *= q->steps[i];
    /* What is known of <r, e> is taken off: what is wrong is <q - x, e>, and no <q - c, e>. */
    if (q->value != METRIC_VALUE_PRODUCT) o->rows.reach = INFINITY;
}

/* Is 7 bits of a query as good as 14? */
static bool is_short(const struct coded *q)
{
    return q->frame == CODED_TURNED && q->bits == SHORT_BITS && q->base.dim >= QUANT_CHUNK;
}

static void begin_query(struct coded_oracle *o, const float *vector, int8_t *digits)
{
    const struct coded *q = o->q;
    float norm = dense_norm_f32(o->kernels, vector, q->base.dim);
    float most = (float)((1u << q->bits) - 1);
    int32_t sum;

    o->is_useful = coded_can_tell(q, norm);
    if (o->is_useful) coded_widen(q, vector, coded_factor(q, norm), o->turned);
    else memset(o->turned, 0, q->width * sizeof *o->turned);
    read_rows(o, o->turned);
    for (uint32_t i = 0; q->is_shifted && i < q->width; i++) o->turned[i] -= q->center[i];
    o->square = o->kernels->dense_dot_f32(o->turned, o->turned, q->width);
    if (coded_is_turned(q)) o->kernels->quant_rotate(o->turned, q->width, q->signs, q->round_count);
    else scale_query(o, o->turned);
    if (q->parts) return; /* prepare_parts */
    int32_t number_max = is_short(q) ? CODE_MAX : quant_digits_max(q->width);
    float step = digits_make(&o->digits, digits, o->turned, q->width, number_max, &sum);
    o->rows.step = step;
    o->rows.rounding = CODED_SIGMAS * most * step * sqrtf((float)q->width) / 6;
    o->rows.rounding += FLOAT_SLACK * fabsf(o->rows.shift);
    if (coded_is_turned(q)) o->rows.shift = -0.5f * most * (float)sum * step;
    if (is_short(q)) o->rows.rounding /= 2; /* of odd halves, no wider than if all were as many */
}

/* But for tables. */
static size_t query_bytes(size_t width)
{
    return align_up(sizeof(struct coded_oracle), ALIGN_VECTOR) + width * (sizeof(float) + 2);
}

size_t coded_oracle_bytes(uint32_t dim)
{
    size_t width = align_up(dim, QUANT_CHUNK);
    return query_bytes(width) + width * (QUANT_TABLE_BYTES / QUANT_GROUP);
}

size_t coded_parts_oracle_bytes(uint32_t dim, uint32_t bits)
{
    uint32_t width = (uint32_t)align_up(dim, QUANT_CHUNK);
    return query_bytes(width) + pq_table_bytes_max(bits, width);
}

struct oracle *coded_oracle_init(void *memory, const struct oracle_desc *desc)
{
    static const struct oracle_ops ops = {.scan = coded_scan,
                                          .scan_block = coded_scan_block,
                                          .gather = coded_gather,
                                          .estimate = coded_estimate,
                                          .score_block = coded_score_block,
                                          .find_near = coded_find_near};
    struct coded_oracle *o = (struct coded_oracle *)memory;
    const struct coded *q = coded_of(desc->quantizer);
    uint8_t *room = (uint8_t *)memory + align_up(sizeof *o, ALIGN_VECTOR);

    *o = (struct coded_oracle){
        .base = {&ops, (uint32_t)coded_row_bytes(desc->quantizer)},
        .q = q,
        .codes = desc->codes,
        .is_asked_for = desc->is_asked_for,
        .kernels = desc->kernels,
        .turned = (float *)(void *)room,
        .tables = room + q->width * (sizeof(float) + 2),
    };
    begin_query(o, desc->query.vector, (int8_t *)(room + q->width * sizeof(float)));
    return &o->base;
}
