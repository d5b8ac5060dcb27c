/* SPDX-License-Identifier: Apache-2.0 */
/* pq_train.c — the quantizers "PQ" and "PQFS": points for the parts are found, by Lloyd's rounds
 * over a sample, each part's by itself.
 *
 * WHAT        Points are trained over directions: what is left of a vector less the middle of all,
 *             turned, and made as long as its components are many.  A row that is encoded is made
 *             as long first, and its length goes into what the product is multiplied by (coded.h).
 * WHY SO      So the points suit any center that an index chooses, near rows or far from them, and
 *             need no second training for the lists of each index.  Turned components are alike,
 *             so that equal parts are fair, and errors point anywhere, as bounds presume.
 * INVARIANTS  (1) The same rows and seed give the same points, of one SIMD level, whoever trains
 *                 which part: each part has a row of chances of its own.
 * THREADS     A part is a piece of the training: any thread, several at once.
 * FAILURE     NO_MEMORY; what the source of the vectors says.
 */
#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "quant/coded.h"
#include "quant/lloyd.h"
#include "quant/pq.h"

enum {
    SAMPLE_POINTS = 64, /* of a code */
    SAMPLE_BYTES = 32 << 20,
    SAMPLE_ROWS = 4096, /* at least, where there are as many */
    POINT_ROWS = 16,    /* of a point, at least */
    ROUNDS = 10,
    SPREAD_PAIRS = 1024,
    /* Components of a part, where nothing is said.  Of short vectors a part of 4 leaves so much
     * unsaid that what is saved in scanning is lost in measuring: over 1,000,000 x 128 four times
     * as many rows. */
    PART_FEW = 4,
    PART_SHORT = 2,
    SHORT_WIDTH = 256,
    PART_MANY = 8, /* of 8 bits */
};

/* What a quantizer holds while it is trained. */
struct pq_training {
    uint64_t seed;
    uint32_t row_count;
    float *rows; /* of q->width, row_count of them, in the same block of memory */
};

static uint32_t sample_size(const struct quantizer_train_desc *d, const struct coded *q)
{
    uint64_t wanted = (uint64_t)SAMPLE_POINTS << q->bits;
    uint64_t most = SAMPLE_BYTES / (q->width * sizeof(float));

    if (wanted > most) wanted = most;
    if (wanted < SAMPLE_ROWS) wanted = SAMPLE_ROWS;
    return wanted < d->row_count ? (uint32_t)wanted : d->row_count;
}

/* The rows of the sample that have a direction. */
static int take_sample(const struct coded *q, const struct quantizer_train_desc *d, uint32_t count,
                       struct error *err)
{
    struct pq_training *t = q->training;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = (uint32_t)((uint64_t)i * d->row_count / count);
        float *x = t->rows + (size_t)t->row_count * q->width;
        struct vector_run run;
        if (d->vectors->run(d->vectors, row, 1, &run, err) != 0) return -1;
        coded_turn(&q->base, run.vectors, x);
        for (uint32_t j = 0; j < q->width; j++) x[j] -= q->turned_center[j];
        float norm = dense_norm_f32(d->kernels, x, q->width);
        if (!(norm >= SHADOW_NORM_MIN && norm < INFINITY)) continue;
        for (uint32_t j = 0; j < q->width; j++) x[j] *= sqrtf((float)q->width) / norm;
        t->row_count++;
    }
    return 0;
}

/* A part's points.  Of few rows fewer points are made, and the others stay at the origin: points
 * that are nearly the rows themselves would have errors of a kind that bounds do not know. */
static int train_part(struct quantizer *base, uint32_t part, struct error *err)
{
    const struct coded *q = coded_of(base);
    const struct pq_training *t = q->training;
    struct pq_parts *p = q->parts;
    uint32_t begin = pq_part_begin(p, part), size = pq_part_size(p, part);
    uint32_t codes = 1u << p->bits, count = (t->row_count + POINT_ROWS - 1) / POINT_ROWS;
    struct rng rng;

    if (count > codes) count = codes;
    if (count == 0) return 0;
    size_t bytes = t->row_count * sizeof(float *) + (size_t)count * size * sizeof(float);
    const float **vectors = (const float **)mem_alloc_aligned(q->alloc, MEM_GENERAL, bytes, 64);
    if (!vectors) return error_no_memory(err, bytes);
    float *centroids = (float *)(void *)(vectors + t->row_count);
    struct lloyd_points points = {vectors, NULL, t->row_count, size};
    struct lloyd_set set = {centroids, count, false};
    for (uint32_t i = 0; i < t->row_count; i++) vectors[i] = t->rows + (size_t)i * p->width + begin;
    rng_init(&rng, hash_u64(t->seed + part));
    int rc = lloyd_run(&points, q->alloc, q->kernels, &rng, ROUNDS, &set, err);
    for (uint32_t c = 0; c < size && rc == 0; c++)
        for (uint32_t j = 0; j < count; j++)
            p->points[((size_t)(begin + c) << p->bits) + j] = centroids[(size_t)j * size + c];
    mem_free(q->alloc, (void *)vectors);
    return rc;
}

/* <x - other, e> of a row x and another one, squared, as a multiple of what an error e of its
 * length that points anywhere comes to. */
static double measure_pair(const struct simd_kernels *k, const struct pq_parts *p, const float *x,
                           const float *other)
{
    float grid[CODED_DIM_MAX];
    uint8_t codes[CODED_DIM_MAX];
    double off = 0, way = 0, error = 0;

    pq_find(p, x, 1, grid, codes);
    float along = k->dense_dot_f32(grid, x, p->width);
    float scale = along > 0 ? k->dense_dot_f32(x, x, p->width) / along : 0;
    for (uint32_t i = 0; i < p->width; i++) {
        double e = (double)x[i] - (double)scale * (double)grid[i];
        double d = (double)x[i] - (double)other[i];
        off += d * e;
        way += d * d;
        error += e * e;
    }
    return way * error > 0 ? off * off * (p->width - 1) / (way * error) : 1;
}

/* Points that were trained leave errors where vectors differ, more than chance does. */
static float measure_spread(const struct coded *q)
{
    const struct pq_training *t = q->training;
    uint32_t step = t->row_count / SPREAD_PAIRS + 1, count = 0;
    double sum = 0;

    for (uint32_t i = 0; i < t->row_count; i += step, count++) {
        uint32_t other = (i + t->row_count / 2) % t->row_count;
        sum += measure_pair(q->kernels, q->parts, t->rows + (size_t)i * q->width,
                            t->rows + (size_t)other * q->width);
    }
    return sum > count ? (float)sqrt(sum / count) : 1;
}

static int begin_training(struct coded *q, const struct quantizer_train_desc *d, struct error *err)
{
    uint32_t sample = sample_size(d, q);
    size_t head = align_up(sizeof(struct pq_training), 64);
    size_t bytes = head + (size_t)sample * q->width * sizeof(float);

    q->training = (struct pq_training *)mem_alloc_aligned(d->alloc, MEM_GENERAL, bytes, 64);
    if (!q->training) return error_no_memory(err, bytes);
    *q->training = (struct pq_training){.seed = d->seed,
                                        .rows = (float *)(void *)((uint8_t *)q->training + head)};
    return take_sample(q, d, sample, err);
}

static uint32_t training_pieces(const struct quantizer *base)
{
    const struct coded *q = coded_of(base);
    return q->training ? q->parts->part_count : 0;
}

static void end_training(struct quantizer *base)
{
    struct coded *q = (struct coded *)base;

    pq_complete(q->parts);
    q->parts->spread = measure_spread(q);
    mem_free(q->alloc, q->training);
    q->training = NULL;
}

/* ---- The vtabs ---- */

static uint32_t part_size(uint32_t bits, uint32_t width)
{
    if (bits == PQ_BITS_MANY) return PART_MANY;
    return width > SHORT_WIDTH ? PART_FEW : PART_SHORT;
}

static uint32_t part_count_of(const struct quantizer_vtab *vtab, uint32_t bits, uint32_t number,
                              uint32_t width)
{
    if (number == 0) number = width / part_size(bits, width);
    if (number > vtab->number_high) number = vtab->number_high;
    return number > width ? width : number;
}

static size_t code_bytes_of(const struct quantizer_vtab *vtab, uint32_t bits, uint32_t number,
                            uint32_t dim)
{
    uint32_t width = (uint32_t)align_up(dim, QUANT_CHUNK);

    return pq_code_bytes(bits, part_count_of(vtab, bits, number, width)) + sizeof(struct code_tail);
}

static int train(const struct quantizer_vtab *vtab, const struct quantizer_train_desc *desc,
                 uint32_t bits, struct quantizer **out, struct error *err)
{
    struct quantizer *trained;

    if (coded_train(vtab, desc, CODED_PARTS, bits, &trained, err) != 0) return -1;
    struct coded *q = (struct coded *)trained;
    uint32_t number = part_count_of(vtab, bits, desc->number, q->width);
    if (pq_create(desc->alloc, bits, number, q->width, &q->parts, err) != 0 ||
        begin_training(q, desc, err) != 0) {
        coded_destroy(trained);
        return -1;
    }
    *out = trained;
    return 0;
}

static int pq_kind_train(const struct quantizer_train_desc *desc, struct quantizer **out,
                         struct error *err)
{
    return train(&quantizer_pq, desc, PQ_BITS_MANY, out, err);
}

static int pqfs_train(const struct quantizer_train_desc *desc, struct quantizer **out,
                      struct error *err)
{
    return train(&quantizer_pqfs, desc, PQ_BITS_FEW, out, err);
}

/* Tables have room for codes of the kind's own bits. */
static int open_kind(const struct quantizer_vtab *vtab, uint32_t bits, struct alloc *a,
                     const struct simd_kernels *kernels, struct slice bytes, uint32_t dim,
                     enum metric metric, struct quantizer **out, struct error *err)
{
    struct quantizer *q;

    if (coded_open(vtab, CODED_PARTS, a, kernels, bytes, dim, metric, &q, err) != 0) return -1;
    if (coded_of(q)->bits == bits) {
        *out = q;
        return 0;
    }
    coded_destroy(q);
    return error_set(err, LYNSE_CORRUPT, "%s: a quantizer of other bits than %u", vtab->mode_word,
                     bits);
}

static int pq_kind_open(struct alloc *a, const struct simd_kernels *kernels, struct slice bytes,
                        uint32_t dim, enum metric metric, struct quantizer **out, struct error *err)
{
    return open_kind(&quantizer_pq, PQ_BITS_MANY, a, kernels, bytes, dim, metric, out, err);
}

static int pqfs_open(struct alloc *a, const struct simd_kernels *kernels, struct slice bytes,
                     uint32_t dim, enum metric metric, struct quantizer **out, struct error *err)
{
    return open_kind(&quantizer_pqfs, PQ_BITS_FEW, a, kernels, bytes, dim, metric, out, err);
}

static size_t pq_kind_oracle_bytes(uint32_t dim)
{
    return coded_parts_oracle_bytes(dim, PQ_BITS_MANY);
}

static size_t pqfs_oracle_bytes(uint32_t dim)
{
    return coded_parts_oracle_bytes(dim, PQ_BITS_FEW);
}

static size_t pq_kind_code_bytes(uint32_t number, uint32_t dim)
{
    return code_bytes_of(&quantizer_pq, PQ_BITS_MANY, number, dim);
}

static size_t pqfs_code_bytes(uint32_t number, uint32_t dim)
{
    return code_bytes_of(&quantizer_pqfs, PQ_BITS_FEW, number, dim);
}

#define PQ_TRAINING                                                                                \
    .train_pieces = training_pieces, .train_piece = train_part, .train_end = end_training

const struct quantizer_vtab quantizer_pq = {
    .mode_word = "PQ",
    .number_low = 1,
    .number_high = PQ_PARTS_MANY,
    .train = pq_kind_train,
    PQ_TRAINING,
    .open = pq_kind_open,
    .code_bytes = pq_kind_code_bytes,
    .oracle_bytes = pq_kind_oracle_bytes,
    CODED_VTAB_REST,
};

const struct quantizer_vtab quantizer_pqfs = {
    .mode_word = "PQFS",
    .number_low = 1,
    .number_high = PQ_PARTS_FEW,
    .train = pqfs_train,
    PQ_TRAINING,
    .open = pqfs_open,
    .code_bytes = pqfs_code_bytes,
    .oracle_bytes = pqfs_oracle_bytes,
    CODED_VTAB_REST,
};
