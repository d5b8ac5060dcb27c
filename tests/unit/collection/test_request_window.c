/* SPDX-License-Identifier: Apache-2.0 */
/* The window against a plain list, and its bounds. */
#include "base/limits.h"
#include "base/rng.h"
#include "collection/request_window.h"
#include "support/oom_sweep.h"
#include "support/test.h"

static struct applied_request request(uint64_t id, uint64_t lsn, int64_t at_us)
{
    struct applied_request q = {.lsn = lsn, .row_count = 1, .stamp.at_us = at_us};
    memcpy(q.stamp.id, &id, sizeof id);
    return q;
}

static uint64_t lsn_of(const struct request_window *w, uint64_t id, int64_t now_us)
{
    struct applied_request q = request(id, 0, 0);
    const struct applied_request *found = request_window_find(w, q.stamp.id, now_us);
    return found ? found->lsn : 0;
}

static void add(struct request_window *w, uint64_t id, uint64_t lsn, int64_t at_us)
{
    struct applied_request q = request(id, lsn, at_us);
    struct error err = {0};
    assert_ok(request_window_reserve(w, &err), &err);
    request_window_add(w, &q);
}

static void test_keeps_the_last_ones(void **state)
{
    (void)state;
    struct request_window w;
    struct alloc *a = alloc_create(NULL, 0);
    uint64_t count = LIMIT_REQUESTS * 3 + 5;

    request_window_init(&w, a, 1);
    assert_null(w.ring); /* nothing before the first id */
    for (uint64_t lsn = 1; lsn <= count; lsn++) {
        add(&w, lsn * 7, lsn, 1000);
        request_window_trim(&w);
    }
    assert_int_equal(w.count, LIMIT_REQUESTS);
    assert_true(w.capacity <= LIMIT_REQUESTS * 3 / 2 + 16);
    for (uint64_t lsn = 1; lsn <= count; lsn++)
        assert_int_equal(lsn_of(&w, lsn * 7, 1000), lsn > count - LIMIT_REQUESTS ? lsn : 0);
    request_window_deinit(&w);
    alloc_destroy(a);
}

static void test_keeps_none_for_longer_than_it_should(void **state)
{
    (void)state;
    struct request_window w;
    struct applied_requests kept = {0};
    struct error err = {0};
    int64_t then = 5000000, late = then + REQUEST_WINDOW_US;

    request_window_init(&w, alloc_libc(), 1);
    add(&w, 1, 1, then);
    add(&w, 2, 2, then + 1);
    assert_int_equal(lsn_of(&w, 1, late), 1);
    assert_int_equal(lsn_of(&w, 1, late + 1), 0);
    assert_int_equal(lsn_of(&w, 2, late + 1), 2);
    assert_int_equal(lsn_of(&w, 1, then - 60000000), 1); /* the clock was put back */
    assert_ok(request_window_copy(&w, 2, late + 1, &kept, &err), &err);
    assert_int_equal(kept.count, 1);
    assert_int_equal(kept.list[0].lsn, 2);
    applied_requests_free(alloc_libc(), &kept);
    add(&w, 3, 3, late + 1); /* trimmed by the newest, without a clock */
    request_window_trim(&w);
    assert_int_equal(w.count, 2);
    request_window_deinit(&w);
}

/* A later use of an id that was too old hides the first; cut off, it does not come back. */
static void test_finds_the_newest_of_an_id(void **state)
{
    (void)state;
    struct request_window w;

    request_window_init(&w, alloc_libc(), 1);
    add(&w, 9, 1, 0);
    add(&w, 8, 2, 0);
    add(&w, 9, 3, 0);
    assert_int_equal(lsn_of(&w, 9, 0), 3);
    request_window_cut(&w, 2);
    assert_int_equal(lsn_of(&w, 9, 0), 0);
    assert_int_equal(lsn_of(&w, 8, 0), 2);
    add(&w, 9, 3, 0);
    assert_int_equal(lsn_of(&w, 9, 0), 3);
    assert_int_equal(request_window_newest_lsn(&w), 3);
    request_window_deinit(&w);
}

/* Ids of few values, so that slots meet; against a list that is walked. */
static void test_is_what_a_list_is(void **state)
{
    (void)state;
    enum { STEPS = 20000, IDS = 3 * LIMIT_REQUESTS < 300 ? 3 * LIMIT_REQUESTS : 300 };
    struct request_window w;
    struct rng rng;
    uint64_t seed = test_seed(1);
    uint64_t lsns[IDS] = {0}, lsn = 0, first = 1;

    rng_init(&rng, seed);
    request_window_init(&w, alloc_libc(), seed);
    for (int step = 0; step < STEPS; step++) {
        uint64_t id = rng_below(&rng, IDS);
        if (rng_chance(&rng, 0.1)) {
            uint64_t to = lsn - rng_below(&rng, lsn < 4 ? lsn + 1 : 4);
            request_window_cut(&w, to);
            for (size_t i = 0; i < IDS; i++)
                if (lsns[i] > to) lsns[i] = 0;
            lsn = to;
        } else if (lsns[id] == 0) {
            add(&w, id + 1, ++lsn, 0);
            lsns[id] = lsn;
            request_window_trim(&w);
        }
        first = lsn - w.count + 1;
        for (size_t i = 0; i < IDS; i++) {
            if (lsns[i] < first) lsns[i] = 0;
            assert_int_equal(lsn_of(&w, i + 1, 0), lsns[i]);
        }
    }
    request_window_deinit(&w);
}

static int fill(void *ctx, struct error *err)
{
    struct request_window w;
    int rc = 0;

    request_window_init(&w, ctx, 1);
    for (uint64_t lsn = 1; rc == 0 && lsn <= 100; lsn++) {
        struct applied_request q = request(lsn, lsn, 0);
        rc = request_window_reserve(&w, err);
        if (rc == 0) request_window_add(&w, &q);
    }
    struct applied_requests kept = {0};
    if (rc == 0) rc = request_window_copy(&w, 50, 0, &kept, err);
    applied_requests_free(ctx, &kept);
    request_window_deinit(&w);
    return rc;
}

static void test_without_memory(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    oom_sweep(a, fill, a);
    alloc_destroy(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_keeps_the_last_ones),
    cmocka_unit_test(test_keeps_none_for_longer_than_it_should),
    cmocka_unit_test(test_finds_the_newest_of_an_id),
    cmocka_unit_test(test_is_what_a_list_is),
    cmocka_unit_test(test_without_memory),
};
TEST_MAIN(tests)
