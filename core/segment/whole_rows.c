/* SPDX-License-Identifier: Apache-2.0 */
#include "segment/whole_rows.h"

#include "base/limits.h"
#include "quant/bit_rows.h"
#include "quant/narrow_rows.h"

static int run_of(const struct vector_source *source, uint32_t row, uint32_t row_max,
                  struct vector_run *out, struct error *err)
{
    const struct whole_rows *w = (const struct whole_rows *)source;
    const struct vector_source *inner = &w->segment->vectors;

    if (!source->all) return inner->run(inner, row, row_max, out, err);
    *out = (struct vector_run){
        .vectors = source->all + (size_t)row * source->dim,
        .norms = source->all_norms + row,
        .row_count = row_max,
    };
    return 0;
}

static int bits_of(const struct vector_source *source, uint32_t row, uint32_t row_max,
                   struct row_run *out, struct error *err)
{
    const struct whole_rows *w = (const struct whole_rows *)source;
    return vector_source_rows(&w->segment->vectors, row, row_max, out, err);
}

void whole_rows_init(struct whole_rows *w, struct alloc *a, struct segment *segment,
                     uint32_t row_count, const struct index_vtab *kind, enum metric metric)
{
    *w = (struct whole_rows){
        .source = {.run = run_of, .dim = segment->vectors.dim},
        .segment = segment,
        .alloc = a,
        .row_count = row_count,
        .is_run = true,
    };
    if (segment->vectors.storage != STORAGE_BIT ||
        !index_reads_as_kept(kind, metric, segment->vectors.storage))
        return;
    w->source.storage = STORAGE_BIT;
    w->source.run_narrow = bits_of;
}

void whole_rows_deinit(struct whole_rows *w)
{
    mem_free(w->alloc, w->wide);
    *w = (struct whole_rows){0};
}

static size_t wide_bytes(const struct whole_rows *w)
{
    return ((size_t)w->source.dim + 1) * w->row_count * sizeof(float);
}

size_t whole_rows_bytes(const struct whole_rows *w)
{
    return w->wide ? wide_bytes(w) : 0;
}

/* The next rows, copied: all vectors, and behind them all norms. */
static int widen_step(struct whole_rows *w, uint32_t count, struct error *err)
{
    size_t dim = w->source.dim, bytes = wide_bytes(w);

    if (!w->wide) {
        w->wide = (float *)mem_alloc_aligned(w->alloc, MEM_SEGMENT, bytes, ALIGN_VECTOR);
        if (!w->wide) return error_no_memory(err, bytes);
        w->vectors = w->wide;
        w->norms = w->wide + dim * w->row_count;
    }
    if (vector_source_read(&w->segment->vectors, w->row, count, w->wide + dim * w->row,
                           w->wide + dim * w->row_count + w->row, err) != 0)
        return -1;
    w->row += count;
    return 0;
}

/* Bits are only looked at. */
static int verify_bits(struct whole_rows *w, uint32_t count, struct error *err)
{
    struct row_run run;

    if (bits_of(&w->source, w->row, count, &run, err) != 0) return -1;
    w->row += run.row_count;
    w->is_run = false;
    return 0;
}

static int verify_step(struct whole_rows *w, uint32_t count, struct error *err)
{
    const struct vector_source *inner = &w->segment->vectors;
    struct vector_run run;

    if (inner->run(inner, w->row, count, &run, err) != 0) return -1;
    if (w->row == 0) {
        w->vectors = run.vectors;
        w->norms = run.norms;
    }
    if (run.vectors != w->vectors + (size_t)w->row * inner->dim || run.norms != w->norms + w->row)
        w->is_run = false;
    w->row += run.row_count;
    return 0;
}

int whole_rows_step(struct whole_rows *w, struct error *err)
{
    uint32_t fit = BUILD_STEP_BYTES / (w->source.dim * (uint32_t)sizeof(float)) + 1;
    uint32_t left = w->row_count - w->row, count = left < fit ? left : fit;
    bool is_narrow = vector_source_is_narrow(&w->segment->vectors);
    int (*step)(struct whole_rows *, uint32_t, struct error *) = w->source.storage == STORAGE_BIT
                                                                     ? verify_bits
                                                                 : is_narrow ? widen_step
                                                                             : verify_step;

    if (left > 0 && step(w, count, err) != 0) return -1;
    if (w->row < w->row_count) return 0;
    if (w->is_run && w->row_count > 0) {
        w->source.all_norms = w->norms;
        w->source.all = w->vectors;
    }
    return 1;
}
