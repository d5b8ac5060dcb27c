/* SPDX-License-Identifier: Apache-2.0 */
#include "segment/whole_rows.h"

#include "base/limits.h"

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

void whole_rows_init(struct whole_rows *w, struct segment *segment, uint32_t row_count)
{
    *w = (struct whole_rows){
        .source = {.run = run_of, .dim = segment->vectors.dim},
        .segment = segment,
        .row_count = row_count,
        .is_run = true,
    };
}

int whole_rows_step(struct whole_rows *w, struct error *err)
{
    const struct vector_source *inner = &w->segment->vectors;
    uint32_t fit = BUILD_STEP_BYTES / (inner->dim * (uint32_t)sizeof(float)) + 1;
    uint32_t left = w->row_count - w->row;
    struct vector_run run;

    if (left > 0) {
        if (inner->run(inner, w->row, left < fit ? left : fit, &run, err) != 0) return -1;
        if (w->row == 0) {
            w->vectors = run.vectors;
            w->norms = run.norms;
        }
        if (run.vectors != w->vectors + (size_t)w->row * inner->dim ||
            run.norms != w->norms + w->row)
            w->is_run = false;
        w->row += run.row_count;
    }
    if (w->row < w->row_count) return 0;
    if (w->is_run && w->row_count > 0) {
        w->source.all_norms = w->norms;
        w->source.all = w->vectors;
    }
    return 1;
}
