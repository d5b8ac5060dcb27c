/* SPDX-License-Identifier: Apache-2.0 */
/* What a look at an index says of it: much of a good one, little of one that has lost its way. */
#include "base/limits.h"
#include "index/index_probe.h"
#include "support/built_index.h"
#include "support/oom_sweep.h"
#include "support/test.h"

enum { ROWS = SEAL_ROWS > 1000 ? 2000 : 500, DIM = 12, PROBES = 40, K = 10 };

struct bed {
    struct test_vectors vectors;
    struct built_index built;
    struct index_vtab worse; /* as the kind, and begins as `begin` says */
    struct index_probe_desc desc;
    int looks, looks_max;
    struct alloc *alloc; /* of the sweep */
};

static int look(void *ctx, struct error *err)
{
    struct bed *b = (struct bed *)ctx;
    if (++b->looks <= b->looks_max) return 0;
    return error_set(err, LYNSE_CANCELLED, "enough");
}

static void set_up(struct bed *b, const struct index_vtab *kind, enum metric metric)
{
    struct rng r;
    struct error err = {0};
    struct index_params params;
    *b = (struct bed){.looks_max = PROBES};
    rng_init(&r, test_seed(4));
    test_vectors_make(&b->vectors, &r, ROWS, DIM, 20);
    index_params_init(kind, &params);
    struct index_build_desc desc = {.alloc = alloc_libc(),
                                    .kernels = kernels_active(),
                                    .vectors = &b->vectors.source,
                                    .params = &params,
                                    .metric = metric,
                                    .row_count = ROWS,
                                    .seed = 3};
    assert_ok(built_index_make(&b->built, kind, &desc, PIECES_FORWARDS, &err), &err);
    b->desc = (struct index_probe_desc){.alloc = alloc_libc(),
                                        .kernels = kernels_active(),
                                        .index = b->built.index,
                                        .vectors = &b->vectors.source,
                                        .metric = metric,
                                        .probe_count = PROBES,
                                        .k = K,
                                        .look = look,
                                        .ctx = b};
}

static void tear_down(struct bed *b)
{
    built_index_drop(&b->built);
    test_vectors_drop(&b->vectors);
}

static void a_good_index_finds_most(void **state)
{
    static const enum metric metrics[] = {METRIC_IP, METRIC_L2, METRIC_COSINE};
    const struct index_vtab *const kinds[] = {&index_hnsw, &index_ivf};
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct bed b;
        struct error err = {0};
        double recall = 0;
        set_up(&b, kinds[i % 2], metrics[i / 2]);
        assert_ok(index_probe(&b.desc, &recall, &err), &err);
        assert_true(recall > 0.9 && recall <= 1);
        assert_int_equal(b.looks, PROBES);
        tear_down(&b);
    }
}

/* Of every query the first row alone. */
static void find_one(void *search, const struct index_search_desc *desc)
{
    (void)search;
    for (size_t i = 0; i < desc->query_count; i++) {
        float distance;
        uint32_t row = 0;
        assert_int_equal(oracle_gather(desc->queries[i].exact, &row, 1, &distance, NULL), 0);
        topk_push(desc->queries[i].best, distance, 0, row);
    }
}

static enum index_state done(void *search, uint64_t distance_max, struct error *err)
{
    (void)search, (void)distance_max, (void)err;
    return INDEX_DONE;
}

static void one_that_lost_its_way_finds_little(void **state)
{
    struct bed b;
    struct error err = {0};
    double recall = 1;
    (void)state;
    set_up(&b, &index_hnsw, METRIC_L2);
    b.worse = index_hnsw;
    b.worse.begin = find_one;
    b.worse.advance = done;
    b.built.index->kind = &b.worse;
    assert_ok(index_probe(&b.desc, &recall, &err), &err);
    assert_true(recall < 0.1);
    b.built.index->kind = &index_hnsw;
    tear_down(&b);
}

static void who_asks_can_end_it(void **state)
{
    struct bed b;
    struct error err = {0};
    double recall = 7;
    (void)state;
    set_up(&b, &index_ivf, METRIC_L2);
    b.looks_max = 3;
    assert_fails(index_probe(&b.desc, &recall, &err), &err, LYNSE_CANCELLED);
    assert_true(recall > 6);
    tear_down(&b);
}

static int probe(void *ctx, struct error *err)
{
    struct bed *b = (struct bed *)ctx;
    double recall;
    b->desc.alloc = b->alloc;
    b->looks = 0;
    return index_probe(&b->desc, &recall, err);
}

static void out_of_memory_leaves_nothing(void **state)
{
    struct bed b;
    (void)state;
    set_up(&b, &index_hnsw, METRIC_L2);
    b.alloc = alloc_create(NULL, 0);
    oom_sweep(b.alloc, probe, &b);
    alloc_destroy(b.alloc);
    tear_down(&b);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_good_index_finds_most),
    cmocka_unit_test(one_that_lost_its_way_finds_little),
    cmocka_unit_test(who_asks_can_end_it),
    cmocka_unit_test(out_of_memory_leaves_nothing),
};
TEST_MAIN(tests)
