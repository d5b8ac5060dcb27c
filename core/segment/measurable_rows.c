/* SPDX-License-Identifier: Apache-2.0 */
/* measurable_rows.c — one row after another, each read once. */
#include "segment/measurable_rows.h"

#include "quant/narrow_rows.h"

struct rows_measured view_rows_measured(const struct view *v, const struct segment *segment)
{
    for (size_t i = 0; v && i < v->part_count; i++)
        if (v->parts[i].segment == segment)
            return (struct rows_measured){v->parts[i].row_count, v->parts[i].dead};
    return (struct rows_measured){0};
}

static int check_row(struct segment *s, uint32_t row, const struct metric_info *metric,
                     float *vector, struct error *err)
{
    struct error why = {0};
    struct record_id id;
    char text[ID_TEXT_BYTES];

    if (vector_source_read(&s->vectors, row, 1, vector, NULL, err) != 0) return -1;
    if (metric_check_vectors(metric, vector, 1, s->vectors.dim, "vector", &why) == 0) return 0;
    if (segment_id(s, row, &id, err) != 0) return -1;
    if (err) *err = why;
    return error_wrap(err, "id %s", id_format(&id, text));
}

int segment_check_measurable(struct segment *s, const struct tombstones *dead, uint32_t row_end,
                             struct rows_measured measured, const struct metric_info *metric,
                             struct alloc *a, struct error *err)
{
    size_t bytes = (s->vectors.dim + 1) * sizeof(float); /* dim may be 0 */
    float *vector = (float *)mem_alloc(a, MEM_GENERAL, bytes);
    int rc = vector ? 0 : error_no_memory(err, bytes);

    for (uint32_t row = 0; row < row_end && rc == 0; row++) {
        if (tombstones_get(dead, row)) continue;
        if (row < measured.end && !tombstones_get(measured.dead, row)) continue;
        rc = check_row(s, row, metric, vector, err);
    }
    mem_free(a, vector);
    return rc;
}

int view_check_measurable(const struct view *v, const struct metric_info *metric, struct error *err)
{
    if (v->dim != 0 && metric_check_dim(metric, v->dim, err) != 0) return -1;
    for (size_t i = 0; i < v->part_count; i++) {
        const struct view_part *p = &v->parts[i];
        if (segment_check_measurable(p->segment, p->dead, p->row_count, (struct rows_measured){0},
                                     metric, v->alloc, err) != 0)
            return -1;
    }
    return 0;
}
