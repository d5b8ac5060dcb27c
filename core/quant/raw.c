/* SPDX-License-Identifier: Apache-2.0 */
/* raw.c — no quantization: f32 vectors as they were given, norms beside them.
 *
 * WHAT        A distance is the value of the one-pair kernel (kernels.h (1)), made
 *             smaller-is-nearer; for a cosine it goes through metrics.h's one formula.
 * INVARIANTS  (1) Scan, block and gather give the same bits, so what a scan says is the score that
 *                 is returned, and needs no second look (P7).
 * THREADS     As oracle.h says: the oracle is its user's.
 * FAILURE     What the source of the vectors says.
 */
#include <math.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "quant/raw.h"

enum {
    LINE_FLOATS = 16, /* of a cache line */
    GATHER_ROWS = 32, /* rows whose places are looked up, and prefetched, before their distances */
};

static struct raw_oracle *raw_of(struct oracle *o)
{
    return (struct raw_oracle *)o;
}

/* +inf for NaN, branchless. */
static inline float or_farthest(float distance)
{
    return distance == distance ? distance : INFINITY;
}

/* Values of the kernel into distances, in place. */
static void turn_values(const struct raw_oracle *o, float *values, const float *norms, size_t count)
{
    switch (o->value) {
    case METRIC_VALUE_DISTANCE:
    case METRIC_VALUE_MEASURE:
        return; /* never NaN: metrics.h */
    case METRIC_VALUE_PRODUCT:
        for (size_t i = 0; i < count; i++) values[i] = or_farthest(-values[i]);
        return;
    case METRIC_VALUE_ANGLE:
        for (size_t i = 0; i < count; i++)
            values[i] = or_farthest(metric_cosine_distance(values[i], o->query_norm, norms[i]));
        return;
    }
    UNREACHABLE();
}

int raw_scan(struct oracle *base, uint32_t row, uint32_t row_count, float *out, struct error *err)
{
    const struct raw_oracle *o = raw_of(base);
    while (row_count > 0) {
        struct vector_run run;
        if (o->vectors->run(o->vectors, row, row_count, &run, err) != 0) return -1;
        /* They arrive while the processor is busy with the vectors. */
        if (o->value == METRIC_VALUE_ANGLE)
            for (uint32_t i = 0; i < run.row_count; i += LINE_FLOATS)
                __builtin_prefetch(run.norms + i);
        o->kernels.many(o->query, run.vectors, o->vectors->dim * sizeof(float), run.row_count,
                        o->vectors->dim, out);
        turn_values(o, out, run.norms, run.row_count);
        row += run.row_count;
        row_count -= run.row_count;
        out += run.row_count;
    }
    return 0;
}

int raw_scan_block(struct oracle *const *oracles, size_t count, uint32_t row, uint32_t row_count,
                   float *const *out, struct error *err)
{
    const struct raw_oracle *first = raw_of(oracles[0]);
    const struct vector_source *vectors = first->vectors;
    const float *queries[ORACLE_BLOCK_MAX];
    float *place[ORACLE_BLOCK_MAX];

    CHECK(count <= ORACLE_BLOCK_MAX);
    for (size_t q = 0; q < count; q++) {
        queries[q] = raw_of(oracles[q])->query;
        place[q] = out[q];
    }
    while (row_count > 0) {
        struct vector_run run;
        if (vectors->run(vectors, row, row_count, &run, err) != 0) return -1;
        first->kernels.block(queries, count, run.vectors, vectors->dim * sizeof(float),
                             run.row_count, vectors->dim, place);
        for (size_t q = 0; q < count; q++) {
            turn_values(raw_of(oracles[q]), place[q], run.norms, run.row_count);
            place[q] += run.row_count;
        }
        row += run.row_count;
        row_count -= run.row_count;
    }
    return 0;
}

/* Rows one by one: a run that spans them could be one whose bytes, most of them not asked for,
 * would all have to be verified first. */
int raw_gather(struct oracle *base, const uint32_t *row_index, size_t index_count, float *out,
               struct error *err)
{
    const struct raw_oracle *o = raw_of(base);
    uint32_t dim = o->vectors->dim;
    while (index_count > 0) {
        size_t count = index_count < GATHER_ROWS ? index_count : GATHER_ROWS;
        const float *vectors[GATHER_ROWS];
        float norms[GATHER_ROWS];
        for (size_t i = 0; i < count; i++) {
            struct vector_run run;
            if (o->vectors->run(o->vectors, row_index[i], 1, &run, err) != 0) return -1;
            vectors[i] = run.vectors;
            norms[i] = *run.norms;
            /* The first lines; the processor sees the stream and fetches the rest. */
            __builtin_prefetch(run.vectors);
            if (dim > LINE_FLOATS) __builtin_prefetch(run.vectors + LINE_FLOATS);
        }
        for (size_t i = 0; i < count; i++) out[i] = o->kernels.pair(o->query, vectors[i], dim);
        turn_values(o, out, norms, count);
        row_index += count;
        index_count -= count;
        out += count;
    }
    return 0;
}

static size_t raw_oracle_bytes(uint32_t dim)
{
    (void)dim;
    return align_up(sizeof(struct raw_oracle), ALIGN_VECTOR);
}

void raw_oracle_begin(struct raw_oracle *o, const struct oracle_desc *desc)
{
    static const struct oracle_ops ops = {
        .scan = raw_scan, .scan_block = raw_scan_block, .gather = raw_gather};
    *o = (struct raw_oracle){
        .base = {&ops, desc->vectors->dim * (uint32_t)sizeof(float)},
        .vectors = desc->vectors,
        .kernels = metric_kernels(desc->metric, desc->kernels),
        .query = desc->query.vector,
        .query_norm = desc->query.norm,
        .value = metric_find(desc->metric)->value,
    };
}

static struct oracle *raw_oracle_init(void *memory, const struct oracle_desc *desc)
{
    struct raw_oracle *o = (struct raw_oracle *)memory;
    raw_oracle_begin(o, desc);
    return &o->base;
}

const struct quantizer_vtab quantizer_raw = {
    .oracle_bytes = raw_oracle_bytes,
    .oracle_init = raw_oracle_init,
};
