/* SPDX-License-Identifier: Apache-2.0 */
#include "support/brute_force.h"

#include "support/metric_distance.h"
#include "support/test.h"

struct brute_row {
    float distance; /* smaller is nearer */
    float score;
    struct record_id id;
};

static struct brute_row score_row(const struct view *v, size_t part, uint32_t row,
                                  const float *query)
{
    struct segment *segment = v->parts[part].segment;
    struct vector_run run;
    struct brute_row out;
    struct error err = {0};

    assert_ok(segment_id(segment, row, &out.id, &err), &err);
    assert_ok(segment->vectors.run(&segment->vectors, row, 1, &run, &err), &err);
    out.distance = metric_distance(v->metric, query, run.vectors, v->dim);
    out.score = metric_score(v->metric, out.distance);
    return out;
}

static int compare_rows(const void *a, const void *b)
{
    const struct brute_row *x = (const struct brute_row *)a, *y = (const struct brute_row *)b;
    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return id_compare(&x->id, &y->id);
}

static bool is_wanted(const struct view *v, const struct search_request *r, float score)
{
    if (!r->is_range) return true;
    bool is_descending = metric_find(v->metric)->order == NEARER_IS_LARGER;
    return is_descending ? score >= r->threshold : score <= r->threshold;
}

static size_t answer(const struct view *v, const struct search_request *r, const float *query,
                     row_wanted_fn *wanted, struct brute_row *rows)
{
    size_t count = 0, count_max = r->is_range ? r->max_results : r->k;
    for (size_t part = 0; part < v->part_count; part++) {
        for (uint32_t row = 0; row < v->parts[part].row_count; row++) {
            if (tombstones_get(v->parts[part].dead, row)) continue;
            if (wanted && !wanted(v, part, row)) continue;
            rows[count] = score_row(v, part, row, query);
            if (is_wanted(v, r, rows[count].score)) count++;
        }
    }
    qsort(rows, count, sizeof *rows, compare_rows);
    return count < count_max ? count : count_max;
}

void assert_is_answer(const struct view *v, const struct search_request *request,
                      const struct result *got)
{
    assert_is_filtered_answer(v, request, NULL, got);
}

void assert_is_filtered_answer(const struct view *v, const struct search_request *request,
                               row_wanted_fn *wanted, const struct result *got)
{
    struct brute_row *rows = (struct brute_row *)calloc((size_t)v->live_count + 1, sizeof *rows);
    size_t at = 0;
    assert_non_null(rows);
    assert_int_equal(got->query_count, request->query_count);
    for (size_t q = 0; q < request->query_count; q++) {
        size_t count = answer(v, request, request->vectors + q * request->dim, wanted, rows);
        assert_int_equal(got->query_ends[q] - at, count);
        for (size_t i = 0; i < count; i++, at++) {
            char text[ID_TEXT_BYTES], expected[ID_TEXT_BYTES];
            if (!id_equal(&got->ids[at], &rows[i].id) ||
                memcmp(&got->scores[at], &rows[i].score, sizeof(float)) != 0)
                fail_msg("query %zu, hit %zu: %s with %a, expected %s with %a", q, i,
                         id_format(&got->ids[at], text), (double)got->scores[at],
                         id_format(&rows[i].id, expected), (double)rows[i].score);
        }
    }
    assert_int_equal(got->count, at);
    assert_true(got->as_of_lsn == v->lsn);
    free(rows);
}

void search_once(struct alloc *a, struct view *v, const struct search_request *request,
                 struct result *out)
{
    struct error err = {0};
    struct search *s;
    assert_ok(search_create(a, view_acquire(v), request, clock_system(), &s, &err), &err);
    assert_int_equal(search_advance(s, 0, 0), SEARCH_DONE);
    assert_ok(search_finish(s, out, &err), &err);
    search_destroy(s);
}

void assert_same_result(const struct result *a, const struct result *b)
{
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->query_count, b->query_count);
    for (size_t q = 0; q < a->query_count; q++)
        assert_int_equal(a->query_ends[q], b->query_ends[q]);
    for (size_t i = 0; i < a->count; i++) {
        assert_true(id_equal(&a->ids[i], &b->ids[i]));
        assert_memory_equal(&a->scores[i], &b->scores[i], sizeof(float));
    }
}
