/* SPDX-License-Identifier: Apache-2.0 */
/* Searches that a hook ranks: which rows it is given, with which numbers, and in which batches. */
#include <math.h>

#include "base/limits.h"
#include "base/rng.h"
#include "codec/msgpack.h"
#include "query/search.h"
#include "segment/column_cache.h"
#include "simd/metrics.h"
#include "support/oom_sweep.h"
#include "support/test.h"
#include "support/test_view.h"

enum { QUERIES = 3, CALLS_MAX = 4096, WIDE = 8192 };

/* A row's place is its number n, which two fields have; its score is `weight` * n - distance / 1e6.
 * Every row with n % 10 == 3 is dropped. */
struct counting_hook {
    struct hook base;
    struct hook_run run;
    const char *fields[2]; /* asked for one after the other */
    size_t call_count;
    size_t row_counts[CALLS_MAX];
    double first_numbers[CALLS_MAX];
};
static struct counting_hook *counting;

static int begin(struct hook *hook, uint64_t deadline_us, struct hook_run **out, struct error *err)
{
    (void)deadline_us;
    (void)err;
    counting = (struct counting_hook *)hook;
    *out = &counting->run;
    return 0;
}

static enum hook_result score(struct hook_run *run, const struct hook_batch *batch,
                              struct hook_wants *wants, struct error *err)
{
    (void)run;
    (void)err;
    if (batch->column_count < 2) {
        struct hook_field *f = &wants->fields[wants->field_count];
        const char *name = counting->fields[wants->field_count++];
        f->size = (uint8_t)strlen(name);
        memcpy(f->name, name, f->size);
        return HOOK_WANTS_MORE;
    }
    assert_true(counting->call_count < CALLS_MAX);
    counting->row_counts[counting->call_count] = batch->row_count;
    counting->first_numbers[counting->call_count++] = batch->columns[0][0];
    for (size_t i = 0; i < batch->row_count; i++) {
        double n = batch->columns[0][i];
        assert_true(batch->columns[1][i] == -n);
        batch->out[i] = fmod(n, 10) == 3 ? NAN : (float)(n - (double)batch->distances[i] / 1e6);
    }
    return HOOK_DONE;
}

static void end(struct hook_run *run)
{
    (void)run;
}

static const struct hook_ops ops = {.begin = begin, .score = score, .end = end};

struct fixture {
    struct alloc *alloc;
    struct test_view rows;
    struct view *view;
    struct column_cache *fields;
    struct counting_hook hook;
    uint32_t dim;
    float *queries;
};

/* Two parts; {"n": number, "m": -number}, and so is the first component. */
static void set_up(struct fixture *f, uint32_t dim, uint32_t row_count, bool has_gaps)
{
    struct error err = {0};
    struct buf b;
    float *vector = (float *)calloc(dim, sizeof *vector);

    memset(f, 0, sizeof *f);
    f->dim = dim;
    f->alloc = alloc_create(NULL, 0);
    assert_non_null(f->alloc);
    f->hook = (struct counting_hook){.base = {&ops, HOOK_SCORE}, .fields = {"n", "m"}};
    f->hook.run.ops = &ops;
    test_view_init(&f->rows, f->alloc, dim, METRIC_L2);
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    for (uint32_t n = 0; n < row_count; n++) {
        if (n % (row_count / 2) == 0) test_view_open_part(&f->rows, row_count);
        buf_reset(&b);
        msgpack_write_map(&b, 2);
        msgpack_write_text(&b, slice_of_text("n"));
        msgpack_write_int(&b, n);
        msgpack_write_text(&b, slice_of_text("m"));
        msgpack_write_float(&b, -(double)n);
        vector[0] = (float)n;
        test_view_put(&f->rows, id_of_number(n), vector, buf_slice(&b));
        if (has_gaps && n % 1500 == 7) test_view_remove(&f->rows, id_of_number(n));
    }
    buf_deinit(&b);
    free(vector);
    f->view = test_view_take(&f->rows);
    f->queries = (float *)calloc((size_t)dim * QUERIES, sizeof *f->queries);
    for (uint32_t q = 0; q < QUERIES; q++) f->queries[(size_t)q * dim] = (float)(100 * q);
    assert_ok(column_cache_create(f->alloc, 4 << 20, &f->fields, &err), &err);
}

static void tear_down(struct fixture *f)
{
    free(f->queries);
    view_release(f->view);
    test_view_deinit(&f->rows);
    column_cache_destroy(f->fields);
    assert_int_equal(alloc_used_bytes(f->alloc), 0);
    alloc_destroy(f->alloc);
}

static int search_rows(struct fixture *f, size_t query_count, const char *where, struct result *out,
                       struct error *err)
{
    struct search_request r = {.vectors = f->queries,
                               .query_count = query_count,
                               .dim = f->dim,
                               .k = 20,
                               .fields = f->fields,
                               .score = &f->hook.base};
    struct search *s;
    int rc = -1;

    if (where) r.where = slice_of_text(where);
    f->hook.call_count = 0;
    if (search_create(f->alloc, view_acquire(f->view), &r, clock_system(), &s, err) != 0) return -1;
    while (search_advance(s, 0, 1) == SEARCH_MORE) continue;
    if (search_error(s)) *err = *search_error(s);
    else rc = search_finish(s, out, err);
    search_destroy(s);
    return rc;
}

/* The smallest n from `first` on, those that are dropped or deleted left out. */
static void assert_smallest(const struct result *got, size_t query_count, uint64_t first,
                            bool has_gaps)
{
    size_t at = 0;
    for (size_t q = 0; q < query_count; q++) {
        uint64_t n = first;
        for (size_t i = 0; i < 20; i++, n++) {
            while (n % 10 == 3 || (has_gaps && n % 1500 == 7)) n++;
            float away = (float)n - (float)(100 * q);
            assert_int_equal(got->ids[at].number, n);
            assert_true(got->scores[at] == (float)((double)n - (double)(away * away) / 1e6));
            at++;
        }
    }
}

static void every_row_is_ranked_by_what_the_hook_says(void **state)
{
    (void)state;
    for (int has_gaps = 0; has_gaps < 2; has_gaps++) {
        struct fixture f;
        set_up(&f, 2, 11000, has_gaps);
        for (size_t query_count = 1; query_count <= QUERIES; query_count++) {
            struct result got;
            struct error err = {0};
            assert_ok(search_rows(&f, query_count, NULL, &got, &err), &err);
            assert_smallest(&got, query_count, 0, has_gaps);
            result_deinit(&got);
            assert_ok(search_rows(&f, query_count, "n >= 6000", &got, &err), &err);
            assert_smallest(&got, query_count, 6000, has_gaps);
            result_deinit(&got);
        }
        tear_down(&f);
    }
}

/* Rows are gathered, and their columns read, once: the queries take turns at a batch. */
static void queries_share_a_batch(void **state)
{
    (void)state;
    struct fixture f;
    struct result got;
    struct error err = {0};

    set_up(&f, 2, 11000, true);
    assert_ok(search_rows(&f, QUERIES, "n < 9000", &got, &err), &err);
    result_deinit(&got);
    assert_true(f.hook.call_count > QUERIES && f.hook.call_count % QUERIES == 0);
    for (size_t i = 0; i < f.hook.call_count; i++) {
        assert_int_equal(f.hook.row_counts[i], f.hook.row_counts[i - i % QUERIES]);
        assert_true(f.hook.first_numbers[i] == f.hook.first_numbers[i - i % QUERIES]);
    }
    tear_down(&f);
}

/* What is measured between two looks at the clock does not grow with the dimension. */
static void a_batch_of_long_vectors_has_few_rows(void **state)
{
    (void)state;
    struct fixture f;
    struct result got;
    struct error err = {0};

    set_up(&f, WIDE, 600, false);
    assert_ok(search_rows(&f, 1, NULL, &got, &err), &err);
    result_deinit(&got);
    assert_true(f.hook.call_count >= 600 * (WIDE / 1024) / 1024);
    for (size_t i = 0; i < f.hook.call_count; i++)
        assert_in_range(f.hook.row_counts[i], 1, (4 << 20) / (WIDE * sizeof(float)));
    tear_down(&f);
}

static int search_gaps(void *ctx, struct error *err)
{
    struct fixture *f = (struct fixture *)ctx;
    struct result got;

    if (column_cache_create(f->alloc, 4 << 20, &f->fields, err) != 0) return -1;
    int rc = search_rows(f, 2, "n >= 100", &got, err);
    if (rc == 0) result_deinit(&got);
    for (size_t i = 0; i < f->view->part_count; i++) {
        struct segment *segment = f->view->parts[i].segment;
        if (segment->columns) segment_columns_destroy(segment->columns);
        segment->columns = NULL;
    }
    column_cache_destroy(f->fields);
    return rc;
}

static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    struct fixture f;

    set_up(&f, 2, 2000, true);
    column_cache_destroy(f.fields);
    f.fields = NULL;
    oom_sweep(f.alloc, search_gaps, &f);
    f.fields = NULL;
    tear_down(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_row_is_ranked_by_what_the_hook_says),
    cmocka_unit_test(queries_share_a_batch),
    cmocka_unit_test(a_batch_of_long_vectors_has_few_rows),
    cmocka_unit_test(running_out_of_memory_is_an_error),
};
TEST_MAIN(tests)
