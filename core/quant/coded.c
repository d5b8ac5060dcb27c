/* SPDX-License-Identifier: Apache-2.0 */
/* coded.c — a quantizer of codes is trained over a sample, kept as bytes, and opened again.
 *
 * WHAT        Trained is a center, the mean of the prepared vectors; in the scaled frame also the
 *             range of each component: within so many deviations of the mean, and no further than
 *             what the sample had, which for few bits loses less than it gains.  The rotation is
 *             drawn from a seed.
 * BYTES       struct saved_head, then center, and for the scaled frame lows and steps, dim floats
 *             each; for that of parts what pq.c keeps.  Numbers that are not finite, or another
 *             dimension, are no quantizer's: CORRUPT.
 * INVARIANTS  (1) The same sample, seed and level give the same quantizer; opened, it is the one
 *                 that was saved, to the bit.
 *             (2) Numbers that were opened are within what products leave room for.
 * THREADS     A trained quantizer is immutable.
 * FAILURE     As quantizer.h has it.
 */
#include "quant/coded.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/finite.h"
#include "base/rng.h"
#include "quant/long_rows.h"

enum {
    VERSION_OLD = 1, /* no frame is shifted, and no long row stretched */
    VERSION_NEW = 2, /* of frames of which one of these holds */
    SAMPLE_MAX = 1 << 14,
    ROUNDS_OF_POWER = 3,
    ROUNDS = 4
};

struct saved_head {
    uint32_t version;
    uint32_t frame, bits, dim;
    uint64_t seed;
};
_Static_assert(sizeof(struct saved_head) == 24, "written as it is");

bool coded_takes(const struct metric_info *metric)
{
    return metric->value != METRIC_VALUE_MEASURE;
}

bool coded_can_tell(const struct coded *q, float norm)
{
    if (q->value == METRIC_VALUE_ANGLE && norm >= SHADOW_NORM_MIN && norm < INFINITY) return true;
    return norm == 0 || (norm >= SHADOW_NORM_MIN && norm <= SHADOW_NORM_MAX);
}

float coded_factor(const struct coded *q, float norm)
{
    if (q->value != METRIC_VALUE_ANGLE) return 1;
    return norm > 0 ? 1 / norm : 0;
}

void coded_widen(const struct coded *q, const float *vector, float factor, float *out)
{
    uint32_t dim = q->base.dim;
    for (uint32_t i = 0; i < dim; i++) out[i] = vector[i] * factor;
    memset(out + dim, 0, (q->width - dim) * sizeof *out);
}

void coded_place(const struct coded *q, const float *vector, float factor, float *out)
{
    coded_widen(q, vector, factor, out);
    if (!q->is_shifted) return;
    for (uint32_t i = 0; i < q->base.dim; i++) out[i] -= q->center[i];
}

/* All of a quantizer in one block, numbers zero. */
static struct coded *create(struct alloc *a, const struct simd_kernels *kernels, uint32_t dim,
                            enum metric metric, enum coded_frame frame, uint32_t bits,
                            struct error *err)
{
    uint32_t width = (uint32_t)align_up(dim, QUANT_CHUNK);
    uint32_t rounds = quant_rotate_span(width) == width ? ROUNDS_OF_POWER : ROUNDS;
    if (frame == CODED_STILL) rounds = 0;
    size_t signs = (size_t)width / 64 * rounds * sizeof(uint64_t);
    size_t head = align_up(sizeof(struct coded), 64);
    size_t bytes = head + 3 * (size_t)width * sizeof(float) + signs;

    if (dim < 1 || dim > CODED_DIM_MAX) {
        error_set(err, LYNSE_LIMIT, "dim: %u, at most %d where vectors are quantized", dim,
                  CODED_DIM_MAX);
        return NULL;
    }
    uint8_t *memory = (uint8_t *)mem_alloc_aligned(a, MEM_SEGMENT, bytes, 64);
    if (!memory) {
        error_no_memory(err, bytes);
        return NULL;
    }
    memset(memory, 0, bytes);
    struct coded *q = (struct coded *)(void *)memory;
    float *numbers = (float *)(void *)(memory + head);
    *q = (struct coded){
        .base = {NULL, dim, metric},
        .alloc = a,
        .kernels = kernels,
        .frame = frame,
        .value = metric_find(metric)->value,
        .bits = bits,
        .width = width,
        .round_count = rounds,
        .memory_bytes = bytes,
        .center = numbers,
        .turned_center = numbers + width,
        .lows = numbers + width,
        .steps = numbers + 2 * (size_t)width,
        .signs = (uint64_t *)(void *)(numbers + 3 * (size_t)width),
    };
    return q;
}

/* Products and directions are not the same seen from elsewhere. */
static bool suits_shift(enum metric metric, enum coded_frame frame)
{
    return metric_find(metric)->value == METRIC_VALUE_DISTANCE && frame != CODED_SCALED;
}

/* What follows from the numbers that are kept. */
static void complete(struct coded *q)
{
    struct rng r;

    q->center_norm = sqrtf(q->kernels->dense_dot_f32(q->center, q->center, q->width));
    if (!coded_is_turned(q)) return;
    rng_init(&r, q->seed);
    for (size_t i = 0; i < (size_t)q->width / 64 * q->round_count; i++) q->signs[i] = rng_u64(&r);
    if (q->is_shifted) return; /* it is the origin */
    memcpy(q->turned_center, q->center, q->width * sizeof *q->center);
    q->kernels->quant_rotate(q->turned_center, q->width, q->signs, q->round_count);
}

void coded_destroy(struct quantizer *base)
{
    if (!base) return;
    pq_destroy(coded_of(base)->parts);
    mem_free(coded_of(base)->alloc, coded_of(base)->training);
    mem_free(coded_of(base)->alloc, base);
}

size_t coded_memory_bytes(const struct quantizer *base)
{
    const struct coded *q = coded_of(base);
    return q->memory_bytes + (q->parts ? q->parts->memory_bytes : 0);
}

const float *coded_center(const struct quantizer *base)
{
    return coded_of(base)->center;
}

/* ---- Training ---- */

/* Sums over the sample, of width each. */
struct sample {
    double *sums, *squares;
    float *least, *most;
    float limit; /* the longest that a row counts as */
    uint32_t count;
};

static void add_to_sample(struct sample *s, const struct coded *q, const float *vector, float norm)
{
    if (!coded_can_tell(q, norm)) return;
    float factor = coded_factor(q, norm);
    if (q->value != METRIC_VALUE_ANGLE) factor = long_row_factor(norm, s->limit);
    for (uint32_t i = 0; i < q->base.dim; i++) {
        float x = vector[i] * factor;
        s->sums[i] += (double)x;
        s->squares[i] += (double)x * (double)x;
        s->least[i] = x < s->least[i] ? x : s->least[i];
        s->most[i] = x > s->most[i] ? x : s->most[i];
    }
    s->count++;
}

static uint32_t sample_size(const struct quantizer_train_desc *d)
{
    return d->row_count < SAMPLE_MAX ? d->row_count : SAMPLE_MAX;
}

static uint32_t sample_row(const struct quantizer_train_desc *d, uint32_t i)
{
    return (uint32_t)((uint64_t)i * d->row_count / sample_size(d));
}

/* How long rows are, which the sample itself says: norms are all that is read of it. */
static int find_limit(struct sample *s, const struct quantizer_train_desc *d, struct error *err)
{
    uint32_t count = sample_size(d);
    float *norms = (float *)mem_alloc(d->alloc, MEM_GENERAL, (count + 1) * sizeof *norms);
    int rc = norms ? 0 : error_no_memory(err, count * sizeof *norms);

    for (uint32_t i = 0; i < count && rc == 0; i++) {
        struct vector_run run;
        rc = d->vectors->run(d->vectors, sample_row(d, i), 1, &run, err);
        if (rc == 0) norms[i] = *run.norms;
    }
    if (rc == 0) s->limit = long_rows_limit(norms, count);
    mem_free(d->alloc, norms);
    return rc;
}

static int draw_sample(struct sample *s, const struct coded *q,
                       const struct quantizer_train_desc *d, struct error *err)
{
    if (find_limit(s, d, err) != 0) return -1;
    for (uint32_t i = 0; i < q->width; i++) {
        s->least[i] = INFINITY;
        s->most[i] = -INFINITY;
    }
    for (uint32_t i = 0; i < sample_size(d); i++) {
        struct vector_run run;
        if (d->vectors->run(d->vectors, sample_row(d, i), 1, &run, err) != 0) return -1;
        add_to_sample(s, q, run.vectors, *run.norms);
    }
    return 0;
}

/* How many deviations from the mean are worth a code of so many bits. */
static double deviations_of(uint32_t bits)
{
    return bits >= 8 ? 5 : 1 + 0.5 * bits;
}

static void learn(struct coded *q, const struct sample *s)
{
    double count = s->count, reach = deviations_of(q->bits), codes = (1u << q->bits) - 1;

    for (uint32_t i = 0; i < q->base.dim && s->count > 0; i++) {
        double mean = s->sums[i] / count;
        double variance = s->squares[i] / count - mean * mean;
        q->center[i] = (float)mean;
        if (q->frame != CODED_SCALED) continue;
        double deviation = sqrt(variance > 0 ? variance : 0);
        double low = (double)s->least[i] - mean, high = (double)s->most[i] - mean;
        if (low < -reach * deviation) low = -reach * deviation;
        if (high > reach * deviation) high = reach * deviation;
        q->lows[i] = (float)low;
        q->steps[i] = (float)((high - low) / codes);
    }
}

int coded_train(const struct quantizer_vtab *vtab, const struct quantizer_train_desc *desc,
                enum coded_frame frame, uint32_t bits, struct quantizer **out, struct error *err)
{
    uint32_t dim = desc->vectors->dim;
    struct coded *q = create(desc->alloc, desc->kernels, dim, desc->metric, frame, bits, err);
    if (!q) return -1;
    size_t bytes = (size_t)q->width * (2 * sizeof(double) + 2 * sizeof(float));
    double *numbers = (double *)mem_zalloc(desc->alloc, MEM_GENERAL, bytes);
    struct sample sample = {
        .sums = numbers,
        .squares = numbers + q->width,
        .least = (float *)(void *)(numbers + 2 * (size_t)q->width),
        .most = (float *)(void *)(numbers + 2 * (size_t)q->width) + q->width,
    };
    int rc = numbers ? draw_sample(&sample, q, desc, err) : error_no_memory(err, bytes);
    if (rc == 0) {
        learn(q, &sample);
        q->seed = desc->seed;
        q->is_shifted = suits_shift(desc->metric, frame);
        q->base.vtab = vtab;
        complete(q);
        *out = &q->base;
    } else {
        coded_destroy(&q->base);
    }
    mem_free(desc->alloc, numbers);
    return rc;
}

/* ---- Bytes ---- */

int coded_save(const struct quantizer *base, struct buf *out, struct error *err)
{
    const struct coded *q = coded_of(base);
    bool is_new = q->is_shifted || q->frame == CODED_SCALED;
    uint32_t version = is_new ? VERSION_NEW : VERSION_OLD;
    struct saved_head head = {version, q->frame, q->bits, q->base.dim, q->seed};
    size_t bytes = q->base.dim * sizeof(float);

    buf_append(out, &head, sizeof head);
    buf_append(out, q->center, bytes);
    if (q->frame == CODED_SCALED) {
        buf_append(out, q->lows, bytes);
        buf_append(out, q->steps, bytes);
    }
    if (q->parts && pq_save(q->parts, out, err) != 0) return -1;
    return buf_ok(out) ? 0 : error_no_memory(err, bytes);
}

/* dim numbers of moderate size; they leave room for products. */
static bool read_numbers(struct reader *r, float *out, uint32_t dim)
{
    struct slice bytes = reader_take(r, dim * sizeof *out);
    if (r->failed) return false;
    memcpy(out, bytes.data, bytes.size);
    for (uint32_t i = 0; i < dim; i++)
        if (!(fabsf(out[i]) <= 2 * SHADOW_NORM_MAX)) return false;
    return true;
}

/* What was trained, to the end. */
static int read_trained(struct reader *r, struct coded *q, struct error *err)
{
    uint32_t dim = q->base.dim;
    bool is_whole = read_numbers(r, q->center, dim);

    if (is_whole && q->frame == CODED_PARTS &&
        pq_open(q->alloc, r, q->bits, q->width, &q->parts, err) != 0)
        return -1;
    if (q->frame == CODED_SCALED)
        is_whole = is_whole && read_numbers(r, q->lows, dim) && read_numbers(r, q->steps, dim);
    if (is_whole && reader_left(r) == 0) return 0;
    return error_set(err, LYNSE_CORRUPT, "a quantizer's bytes hold no numbers for %u components",
                     dim);
}

int coded_open(const struct quantizer_vtab *vtab, enum coded_frame frame, struct alloc *a,
               const struct simd_kernels *kernels, struct slice bytes, uint32_t dim,
               enum metric metric, struct quantizer **out, struct error *err)
{
    struct reader r = reader_of(bytes);
    struct saved_head head = {0};
    struct slice head_bytes = reader_take(&r, sizeof head);

    if (!r.failed) memcpy(&head, head_bytes.data, sizeof head);
    bool is_new = head.version == VERSION_NEW, is_shifted = is_new && suits_shift(metric, frame);
    if (r.failed || (head.version != VERSION_OLD && !is_new) ||
        (is_new && !is_shifted && frame != CODED_SCALED) || head.frame != (uint32_t)frame ||
        head.dim != dim || head.bits < 1 || head.bits > QUANT_BITS_MAX ||
        (frame == CODED_PARTS && head.bits != PQ_BITS_FEW && head.bits != PQ_BITS_MANY))
        return error_set(err, LYNSE_CORRUPT,
                         "a quantizer of version %u, kind %u, %u bits, dimension %u in %zu bytes; "
                         "dimension %u is wanted",
                         head.version, head.frame, head.bits, head.dim, bytes.size, dim);
    struct coded *q = create(a, kernels, dim, metric, frame, head.bits, err);
    if (!q) return -1;
    if (read_trained(&r, q, err) != 0) {
        coded_destroy(&q->base);
        return -1;
    }
    q->seed = head.seed;
    q->is_shifted = is_shifted;
    q->base.vtab = vtab;
    complete(q);
    *out = &q->base;
    return 0;
}
