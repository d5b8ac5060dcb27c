/* SPDX-License-Identifier: Apache-2.0 */
/* test_search_pool.c — a search whose slices are refused, dropped or run by a pool ends as one
 * search. */
#include "engine/engine.h"
#include "simd/metrics.h"
#include "support/test.h"
#include "support/test_view.h"

/* Enough work to be cut into so many slices. */
enum { DIM = 2, ROWS = 64, QUERIES = 4096, SLICES = ROWS * QUERIES / 65536 };
enum fate { RUN, REFUSE, DROP };

/* A pool that deals with each slice at once, as it is told. */
struct pool {
    struct scheduler base; /* first */
    enum fate fates[SLICES];
    size_t submitted;
};

static int submit(struct scheduler *s, enum task_class class, struct task *t, struct error *err)
{
    struct pool *p = (struct pool *)s;

    assert_int_equal(class, TASK_SEARCH);
    switch (p->fates[p->submitted++]) {
    case RUN:
        assert_true(t->step(t, 0));
        return 0;
    case REFUSE:
        return error_set(err, LYNSE_BUSY, "the queue is full");
    default:
        t->drop(t, LYNSE_SHUTTING_DOWN); /* as a pool does that ends */
        return 0;
    }
}

static const struct scheduler_ops pool_ops = {.kind = SCHEDULER_THREADS, .submit = submit};

struct fixture {
    struct alloc *alloc;
    struct test_view view;
    struct pool pool;
    struct engine engine;
    struct search *search;
    size_t slice_count;
    struct error err;
};

static int set_up(void **state)
{
    static struct fixture f;
    static float vectors[QUERIES * DIM]; /* of the queries; the first ones are the rows' too */
    for (size_t i = 0; i < QUERIES * DIM; i++) vectors[i] = (float)(i % (ROWS * DIM));
    struct search_request request = {
        .vectors = vectors, .query_count = QUERIES, .dim = DIM, .k = 1};
    f = (struct fixture){.alloc = alloc_create(NULL, 0)};
    f.pool.base.ops = &pool_ops;
    f.engine.scheduler = &f.pool.base;
    test_view_init(&f.view, f.alloc, DIM, METRIC_L2);
    test_view_open_part(&f.view, ROWS);
    test_view_put_many(&f.view, 1, ROWS, vectors);
    assert_ok(search_create(f.alloc, test_view_take(&f.view), &request, clock_system(), &f.search,
                            &f.err),
              &f.err);
    f.slice_count = search_split(f.search, SLICES, &f.err);
    assert_int_equal(f.slice_count, SLICES);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    search_destroy(f->search);
    test_view_deinit(&f->view);
    assert_int_equal(alloc_used_bytes(f->alloc), 0);
    alloc_destroy(f->alloc);
    return 0;
}

static enum search_state advance(struct fixture *f)
{
    return engine_advance_search(&f->engine, f->search, f->slice_count, 0, &f->err);
}

static void slices_that_are_refused_are_done_by_the_caller(void **state)
{
    struct fixture *f = *state;
    struct result result;
    f->pool.fates[1] = f->pool.fates[2] = REFUSE;
    assert_int_equal(advance(f), SEARCH_DONE);
    assert_int_equal(f->pool.submitted, SLICES - 1);
    assert_ok(search_finish(f->search, &result, &f->err), &f->err);
    assert_int_equal(result.count, QUERIES);
    for (size_t i = 0; i < QUERIES; i++) assert_int_equal(result.ids[i].number, i % ROWS + 1);
    result_deinit(&result);
}

static void a_slice_that_is_dropped_ends_the_search_and_says_so(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < SLICES - 1; i++) {
        f->pool.submitted = 0;
        for (size_t k = 0; k < SLICES; k++) f->pool.fates[k] = k == i ? DROP : RUN;
        f->err = (struct error){0};
        assert_int_equal(advance(f), SEARCH_FAILED);
        assert_int_equal(f->err.code, LYNSE_SHUTTING_DOWN);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(slices_that_are_refused_are_done_by_the_caller),
    CASE(a_slice_that_is_dropped_ends_the_search_and_says_so),
};
TEST_MAIN(tests)
