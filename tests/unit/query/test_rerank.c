/* SPDX-License-Identifier: Apache-2.0 */
/* What a rerank is given: bounded in bytes, and fetched within the deadline. */
#include "base/limits.h"
#include "codec/msgpack.h"
#include "query/rerank.h"
#include "simd/metrics.h"
#include "support/test.h"
#include "support/test_view.h"

enum { ROWS = 70, ROW_BYTES = 1000000, DIM = 2 };

/* Asks for the documents, then leaves the hits as they are. */
static enum hook_result keep_order(struct hook_run *run, const struct hook_hits *hits,
                                   struct hook_wants *wants, struct hook_order *out,
                                   struct error *err)
{
    (void)run;
    (void)err;
    if (!(hits->parts & HOOK_DOCUMENTS)) {
        wants->parts |= HOOK_DOCUMENTS;
        return HOOK_WANTS_MORE;
    }
    out->count = hits->hit_count;
    for (size_t i = 0; i < hits->hit_count; i++) {
        assert_true(hits->hits[i].document.size > ROW_BYTES);
        out->places[i] = (uint32_t)i;
        out->scores[i] = 0;
    }
    return HOOK_DONE;
}

static int begin_run(struct hook *hook, uint64_t deadline_us, struct hook_run **out,
                     struct error *err)
{
    static struct hook_run run;

    (void)deadline_us;
    (void)err;
    run.ops = hook->ops;
    *out = &run;
    return 0;
}

static void end_run(struct hook_run *run)
{
    (void)run;
}

static const struct hook_ops ops = {.begin = begin_run, .rerank = keep_order, .end = end_run};

/* Goes on by 1 with each look. */
struct ticking_clock {
    struct clock base; /* first */
    uint64_t now_us;
};

static uint64_t tick(const struct clock *c)
{
    return ++((struct ticking_clock *)c)->now_us;
}

struct fixture {
    struct alloc *alloc;
    struct test_view rows;
    struct view *view;
};

static void set_up(struct fixture *f)
{
    struct buf text, document;
    float vector[DIM] = {0};

    buf_init(&text, alloc_libc(), MEM_GENERAL);
    buf_init(&document, alloc_libc(), MEM_GENERAL);
    for (int i = 0; i < ROW_BYTES; i++) buf_append(&text, "a", 1);
    msgpack_write_map(&document, 1);
    msgpack_write_text(&document, slice_of_text("t"));
    msgpack_write_text(&document, buf_slice(&text));
    f->alloc = alloc_create(NULL, 0);
    assert_non_null(f->alloc);
    test_view_init(&f->rows, f->alloc, DIM, METRIC_L2);
    test_view_open_part(&f->rows, ROWS);
    for (uint64_t i = 0; i < ROWS; i++)
        test_view_put(&f->rows, id_of_number(i), vector, buf_slice(&document));
    f->view = test_view_take(&f->rows);
    buf_deinit(&text);
    buf_deinit(&document);
}

static void tear_down(struct fixture *f)
{
    view_release(f->view);
    test_view_deinit(&f->rows);
    assert_int_equal(alloc_used_bytes(f->alloc), 0);
    alloc_destroy(f->alloc);
}

static int rerank(struct fixture *f, size_t count, const struct row_limits *limits,
                  size_t *out_count, struct error *err)
{
    struct candidate heap[ROWS];
    struct topk best = {.heap = heap, .count = count};
    struct hook hook = {.ops = &ops};
    struct hook_wants wants = {0};
    struct hook_order order = {0};
    struct arena arena;

    for (uint32_t i = 0; i < count; i++) heap[i] = (struct candidate){.row = i};
    arena_init(&arena, f->alloc, MEM_SEARCH);
    int rc = rerank_hits(&hook, limits, f->view, &best, &wants, &arena, &order, err);
    *out_count = order.count;
    arena_deinit(&arena);
    return rc;
}

static void fields_of_all_hits_are_bounded(void **state)
{
    (void)state;
    struct fixture f;
    struct row_limits limits = {0};
    struct error err = {0};
    size_t count;

    set_up(&f);
    assert_ok(rerank(&f, 60, &limits, &count, &err), &err);
    assert_int_equal(count, 60);
    assert_fails(rerank(&f, ROWS, &limits, &count, &err), &err, LYNSE_LIMIT);
    assert_non_null(strstr(err.text, "67108864"));
    tear_down(&f);
}

static void a_deadline_and_a_cancel_end_the_fetching(void **state)
{
    (void)state;
    struct fixture f;
    struct ticking_clock clock = {.base = {.monotonic_us = tick}};
    _Atomic(bool) cancel = true;
    struct row_limits limits = {.clock = &clock.base, .deadline_us = 5};
    struct error err = {0};
    size_t count;

    set_up(&f);
    assert_fails(rerank(&f, 20, &limits, &count, &err), &err, LYNSE_DEADLINE);
    assert_int_equal(clock.now_us, 5);
    limits = (struct row_limits){.cancel = &cancel};
    assert_fails(rerank(&f, 20, &limits, &count, &err), &err, LYNSE_CANCELLED);
    tear_down(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(fields_of_all_hits_are_bounded),
    cmocka_unit_test(a_deadline_and_a_cancel_end_the_fetching),
};
TEST_MAIN(tests)
