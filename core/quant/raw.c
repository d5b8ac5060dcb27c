/* SPDX-License-Identifier: Apache-2.0 */
/* raw.c — no quantization: vectors as they are kept, norms beside them.
 *
 * WHAT        A distance is the value of the one-pair kernel (kernels.h (1)), made
 *             smaller-is-nearer; for a cosine it goes through metrics.h's one formula.  Of rows
 *             that are narrower than floats it is that of the floats that they mean, by kernels
 *             over such rows where there are any, else row by row.  Of rows of bits, under a metric
 *             that counts bits, those that differ are counted, eight words at a time; how many a
 *             row has, its norm says.
 * INVARIANTS  (1) Scan, block and gather give the same bits, so what a scan says is the score that
 *                 is returned, and needs no second look (P7).
 * THREADS     As oracle.h says: the oracle is its user's.
 * FAILURE     What the source of the vectors says.
 */
#include <math.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "quant/bit_rows.h"
#include "quant/narrow_rows.h"
#include "quant/raw.h"

enum {
    LINE_BYTES = 64,   /* of a cache line */
    AHEAD_BYTES = 512, /* of a row, prefetched */
    LINE_FLOATS = LINE_BYTES / sizeof(float),
    GATHER_ROWS = 32, /* rows whose places are looked up, and prefetched, before their distances */
    COUNTED_ROWS = 256, /* rows whose counts are on the stack */
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

static float value_of(const struct raw_oracle *o, const void *row, float norm)
{
    uint32_t dim = o->vectors->dim;
    if (!o->is_narrow) return o->kernels.pair(o->query, (const float *)row, dim);
    if (o->forms.pair) return o->forms.pair(o->query, row, dim);
    if (o->differing)
        return bit_rows_distance(
            o->metric, o->differing->pair(o->bits, (const uint64_t *)row, bits_word_count(dim)),
            o->bit_count + bit_row_count(norm));
    storage_widen(kernels_active(), o->vectors->storage, row, 1, dim, o->wide);
    return o->kernels.pair(o->query, o->wide, dim);
}

/* Counts of bits first, then what the metric makes of them. */
static void scan_bits(const struct raw_oracle *o, const struct row_run *run, float *out)
{
    size_t word_count = bits_word_count(o->vectors->dim);
    uint32_t differing[COUNTED_ROWS];

    for (uint32_t at = 0; at < run->row_count; at += COUNTED_ROWS) {
        uint32_t left = run->row_count - at, count = left < COUNTED_ROWS ? left : COUNTED_ROWS;
        o->differing->many(o->bits, (const uint64_t *)run->rows + at * word_count, word_count,
                           count, word_count, differing);
        if (o->metric == METRIC_HAMMING)
            for (uint32_t i = 0; i < count; i++) out[at + i] = (float)differing[i];
        else
            for (uint32_t i = 0; i < count; i++)
                out[at + i] = bit_rows_distance(o->metric, differing[i],
                                                o->bit_count + bit_row_count(run->norms[at + i]));
    }
}

static void scan_run(const struct raw_oracle *o, const struct row_run *run, float *out)
{
    size_t row_bytes = o->base.row_bytes;
    uint32_t dim = o->vectors->dim;

    if (!o->is_narrow)
        o->kernels.many(o->query, (const float *)run->rows, row_bytes, run->row_count, dim, out);
    else if (o->forms.many) o->forms.many(o->query, run->rows, row_bytes, run->row_count, dim, out);
    else if (o->differing) scan_bits(o, run, out);
    else
        for (uint32_t i = 0; i < run->row_count; i++)
            out[i] = value_of(o, (const char *)run->rows + i * row_bytes, run->norms[i]);
}

int raw_scan(struct oracle *base, uint32_t row, uint32_t row_count, float *out, struct error *err)
{
    const struct raw_oracle *o = raw_of(base);
    while (row_count > 0) {
        struct row_run run;
        if (vector_source_rows(o->vectors, row, row_count, &run, err) != 0) return -1;
        /* They arrive while the processor is busy with the vectors. */
        if (o->value == METRIC_VALUE_ANGLE)
            for (uint32_t i = 0; i < run.row_count; i += LINE_FLOATS)
                __builtin_prefetch(run.norms + i);
        scan_run(o, &run, out);
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
        struct row_run run;
        if (vector_source_rows(vectors, row, row_count, &run, err) != 0) return -1;
        if (!first->is_narrow)
            first->kernels.block(queries, count, (const float *)run.rows, first->base.row_bytes,
                                 run.row_count, vectors->dim, place);
        else if (first->forms.block)
            first->forms.block(queries, count, run.rows, first->base.row_bytes, run.row_count,
                               vectors->dim, place);
        else
            for (size_t q = 0; q < count; q++) scan_run(raw_of(oracles[q]), &run, place[q]);
        for (size_t q = 0; q < count; q++) {
            turn_values(raw_of(oracles[q]), place[q], run.norms, run.row_count);
            place[q] += run.row_count;
        }
        row += run.row_count;
        row_count -= run.row_count;
    }
    return 0;
}

/* Where the rows lie, each asked for: their first lines, and where the distance takes it the norm.
 * Rows one by one: a run that spans them could be one whose bytes, most of them not asked for,
 * would all have to be verified first. */
static int find_rows(const struct raw_oracle *o, const uint32_t *row_index, size_t count,
                     const char **rows, const float **norms, struct error *err)
{
    const struct vector_source *s = o->vectors;
    uint32_t row_bytes = o->base.row_bytes;
    uint32_t ahead = row_bytes < AHEAD_BYTES ? row_bytes : AHEAD_BYTES;

    for (size_t i = 0; i < count; i++) {
        struct row_run run;
        if (s->all) run = (struct row_run){s->all + (size_t)row_index[i] * s->dim, NULL, 1};
        else if (vector_source_rows(s, row_index[i], 1, &run, err) != 0) return -1;
        rows[i] = (const char *)run.rows;
        norms[i] = s->all ? s->all_norms + row_index[i] : run.norms;
        /* Of a long row the processor sees the stream and fetches the rest. */
        for (uint32_t at = 0; at < ahead; at += LINE_BYTES) __builtin_prefetch(rows[i] + at);
        if (o->value == METRIC_VALUE_ANGLE) __builtin_prefetch(norms[i]);
    }
    return 0;
}

int raw_gather(struct oracle *base, const uint32_t *row_index, size_t index_count, float *out,
               struct error *err)
{
    const struct raw_oracle *o = raw_of(base);
    bool has_norms = o->value == METRIC_VALUE_ANGLE || o->differing;

    while (index_count > 0) {
        size_t count = index_count < GATHER_ROWS ? index_count : GATHER_ROWS;
        const char *rows[GATHER_ROWS];
        const float *places[GATHER_ROWS];
        float norms[GATHER_ROWS];
        if (find_rows(o, row_index, count, rows, places, err) != 0) return -1;
        for (size_t i = 0; i < count; i++) {
            norms[i] = has_norms ? *places[i] : 0;
            out[i] = value_of(o, rows[i], norms[i]);
        }
        turn_values(o, out, norms, count);
        row_index += count;
        index_count -= count;
        out += count;
    }
    return 0;
}

static size_t raw_oracle_bytes(uint32_t dim)
{
    return align_up(sizeof(struct raw_oracle) + raw_scratch_bytes(dim), ALIGN_VECTOR);
}

/* The narrow kernels that give what `pair` gives of the wide rows; none: there are none. */
static struct narrow_forms forms_of(const struct narrow_kernels *narrow, dense_pair_f32_fn *pair,
                                    const struct simd_kernels *kernels)
{
    if (narrow && pair == kernels->dense_dot_f32) return narrow->dot;
    if (narrow && pair == kernels->dense_l2_f32) return narrow->l2;
    return (struct narrow_forms){0};
}

void raw_oracle_begin(struct raw_oracle *o, const struct oracle_desc *desc, void *scratch)
{
    static const struct oracle_ops ops = {
        .scan = raw_scan, .scan_block = raw_scan_block, .gather = raw_gather};
    const struct vector_source *vectors = desc->vectors;
    const struct metric_kernels kernels = metric_kernels(desc->metric, desc->kernels);
    const struct narrow_kernels *narrow = storage_kernels(desc->kernels, vectors->storage);

    *o = (struct raw_oracle){
        .base = {&ops, (uint32_t)storage_row_bytes(vectors->storage, vectors->dim)},
        .vectors = vectors,
        .kernels = kernels,
        .is_narrow = vector_source_is_narrow(vectors),
        .forms = forms_of(narrow, kernels.pair, desc->kernels),
        .wide = (float *)scratch,
        .metric = desc->metric,
        .query = desc->query.vector,
        .query_norm = desc->query.norm,
        .value = metric_find(desc->metric)->value,
    };
    if (vectors->storage != STORAGE_BIT || !metric_counts_bits(desc->metric)) return;
    size_t word_count = bits_word_count(vectors->dim);
    bit_row_pack(o->query, vectors->dim, (uint64_t *)scratch);
    o->bits = (const uint64_t *)scratch;
    for (size_t i = 0; i < word_count; i++)
        o->bit_count += (uint32_t)__builtin_popcountll(o->bits[i]);
    o->differing = &desc->kernels->bits_hamming;
}

static struct oracle *raw_oracle_init(void *memory, const struct oracle_desc *desc)
{
    struct raw_oracle *o = (struct raw_oracle *)memory;
    raw_oracle_begin(o, desc, o + 1);
    return &o->base;
}

const struct quantizer_vtab quantizer_raw = {
    .oracle_bytes = raw_oracle_bytes,
    .oracle_init = raw_oracle_init,
};
