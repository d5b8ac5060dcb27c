/* SPDX-License-Identifier: Apache-2.0 */
/* What a collection says of its recall: much of a good index, little of a poor one, measured when
 * nobody searches, and with no part in any answer. */
#include <time.h>

#include "api/handles.h"
#include "base/limits.h"
#include "support/test.h"

enum { DIM = 6, K = 10, ROWS = SEAL_ROWS > 1000 ? RECALL_ROWS_MIN + 1000 : 16 * SEAL_ROWS };
enum { ENOUGH = RECALL_EVERY * RECALL_SAMPLES_MAX }; /* searches; that so many samples wait */

struct fixture {
    struct alloc *disk;
    struct vfs *memory;
    struct manual_clock clock;
    struct engine_desc how;
    struct lynse *db;
    struct lynse_collection *docs;
    struct lynse_error err;
    struct rng rng;
};

#define assert_done(call, f)                                                                       \
    do {                                                                                           \
        if ((call) != LYNSE_OK) fail_msg("%s", (f)->err.text);                                     \
    } while (0)

static void open_root(struct fixture *f)
{
    struct engine_desc desc = f->how;
    struct error err = {0};
    struct lynse_collection_desc docs = {.name = "docs", .dim = DIM, .metric = LYNSE_L2};
    desc.path = "/root";
    desc.vfs = f->memory;
    if (desc.is_inline) desc.clock = &f->clock.base;
    assert_ok(api_open(&desc, alloc_create(NULL, 0), &f->db, &err), &err);
    assert_done(lynse_collection_require(f->db, &docs, &f->docs, &f->err), f);
}

static void close_root(struct fixture *f)
{
    struct lynse *db = f->db;
    f->db = NULL;
    assert_done(lynse_close(db, &f->err), f);
}

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){
        .disk = alloc_create(NULL, 0),
        .how = {.is_inline = true, .poll_may_sync = true, .seed = 1, .measures_recall = true}};
    f.memory = vfs_memory_create(f.disk);
    manual_clock_init(&f.clock, 1000000);
    rng_init(&f.rng, test_seed(8));
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->db) close_root(f);
    vfs_memory_destroy(f->memory);
    assert_int_equal(alloc_used_bytes(f->disk), 0);
    alloc_destroy(f->disk);
    return 0;
}

static void add_rows(struct fixture *f, size_t count)
{
    for (size_t n; count > 0; count -= n) {
        float vectors[8 * DIM];
        n = count < 8 ? count : 8;
        for (size_t i = 0; i < n * DIM; i++) vectors[i] = rng_normal(&f->rng);
        struct lynse_rows rows = {.dim = DIM, .count = n, .vectors = vectors};
        struct lynse_write_options options = {.sync = LYNSE_SYNC_OS};
        int rc = lynse_add(f->docs, &rows, &options, NULL, &f->err);
        if (rc == LYNSE_BUSY) {
            assert_done(lynse_sync(f->db, &f->err), f);
            rc = lynse_add(f->docs, &rows, &options, NULL, &f->err);
        }
        assert_done(rc, f);
    }
}

/* By lists: few of them are poor, all of them perfect. */
static void build(struct fixture *f, double clusters)
{
    const struct lynse_index_param params[] = {{"n_clusters", clusters}};
    struct lynse_index_desc desc = {.mode = "IVF-L2", .params = params, .param_count = 1};
    assert_done(lynse_index_set(f->docs, &desc, &f->err), f);
}

static void search(struct fixture *f, size_t count, uint32_t effort, uint32_t flags)
{
    for (size_t i = 0; i < count; i++) {
        struct lynse_hits *hits;
        float query[DIM];
        for (size_t j = 0; j < DIM; j++) query[j] = rng_normal(&f->rng);
        struct lynse_search_desc desc = {.vector = query,
                                         .dim = DIM,
                                         .k = K,
                                         .effort = effort,
                                         .flags = flags,
                                         .threshold = 1,
                                         .error = &f->err};
        assert_done(lynse_search(f->docs, &desc, &hits), f);
        lynse_hits_free(hits);
    }
}

static struct lynse_collection_info info_of(struct fixture *f)
{
    struct lynse_collection_info info = {.struct_bytes = sizeof info};
    assert_done(lynse_collection_info(f->docs, &info, &f->err), f);
    return info;
}

/* Let so many ticks go by. */
static void idle(struct fixture *f, int ticks)
{
    for (int i = 0; i < ticks; i++) {
        manual_clock_advance(&f->clock, RECALL_TICK_US);
        for (int j = 0; j < 20; j++) lynse_poll(f->db, 1000);
    }
}

static void a_poor_index_is_told_from_a_good_one(void **state)
{
    struct fixture *f = *state;
    open_root(f);
    add_rows(f, ROWS);
    for (int is_good = 0; is_good < 2; is_good++) {
        build(f, SEAL_ROWS > 1000 ? 60 + is_good : 4 + is_good);
        assert_int_equal(info_of(f).recall_query_count, 0); /* none of this index */
        search(f, ENOUGH, is_good ? 1000 : 1, 0);
        assert_int_equal(info_of(f).recall_query_count, 0);
        idle(f, 200);
        struct lynse_collection_info info = info_of(f);
        assert_int_equal(info.recall_query_count, RECALL_SAMPLES_MAX);
        assert_int_equal(info.recall_measured_at_us % RECALL_TICK_US, 1000000 % RECALL_TICK_US);
        if (is_good) assert_true(info.recall_measured >= 1 && info.recall_measured <= 1);
        else assert_in_range((int)(info.recall_measured * 100), 1, 90);
    }
    assert_done(lynse_remove_index(f->docs, &f->err), f);
    assert_int_equal(info_of(f).recall_query_count, 0);
}

static void what_comes_later_counts_more(void **state)
{
    struct recall_sampler s;
    struct recall_estimate e;
    struct index_plan plan = {.kind = INDEX_HNSW}, other = {.kind = INDEX_IVF};
    (void)state;
    recall_sampler_init(&s, alloc_libc());
    for (int i = 0; i < 10 * RECALL_WINDOW; i++) recall_sampler_note(&s, &plan, 2, 0, 10, i);
    for (int i = 0; i < 3 * RECALL_WINDOW; i++) recall_sampler_note(&s, &plan, 2, 10, 10, 7);
    recall_sampler_read(&s, &e);
    assert_int_equal(e.query_count, 13 * RECALL_WINDOW);
    assert_int_equal(e.measured_at_us, 7);
    assert_true(e.found / e.wanted > 0.9 && e.found < e.wanted);
    recall_sampler_note(&s, &other, 2, 1, 2, 8);
    recall_sampler_read(&s, &e);
    assert_int_equal(e.query_count, 1);
    recall_sampler_deinit(&s);
}

static void nothing_is_measured_while_somebody_searches(void **state)
{
    struct fixture *f = *state;
    open_root(f);
    add_rows(f, ROWS);
    build(f, 0);
    for (int i = 0; i < 3 * RECALL_BUSY_TICKS_MAX; i++) {
        search(f, RECALL_EVERY, 0, 0);
        idle(f, 1);
        assert_int_equal(info_of(f).recall_query_count, 0);
    }
    idle(f, 200);
    assert_true(info_of(f).recall_query_count > 0);
}

static void what_no_index_was_asked_is_not_measured(void **state)
{
    struct fixture *f = *state;
    open_root(f);
    add_rows(f, RECALL_ROWS_MIN / 2);
    build(f, 0);
    search(f, ENOUGH, 0, 0); /* too few rows */
    idle(f, 50);
    assert_int_equal(info_of(f).recall_query_count, 0);
    add_rows(f, ROWS);
    build(f, 0);
    search(f, ENOUGH, 0, LYNSE_EXACT);
    search(f, ENOUGH, 0, LYNSE_RANGE);
    idle(f, 50);
    assert_int_equal(info_of(f).recall_query_count, 0);
    close_root(f);
    f->how.measures_recall = false;
    open_root(f);
    search(f, ENOUGH, 0, 0);
    idle(f, 50);
    search(f, ENOUGH, 0, 0);
    idle(f, 50);
    assert_int_equal(info_of(f).recall_query_count, 0);
}

static void a_close_or_a_drop_ends_it(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 8; i++) {
        open_root(f);
        if (i % 4 == 0) add_rows(f, ROWS);
        build(f, 0);
        search(f, ENOUGH, 0, 0);
        if (i % 4 > 0) manual_clock_advance(&f->clock, RECALL_TICK_US);
        for (int j = 0; j < (i % 4) * 3; j++) lynse_poll(f->db, 1);
        if (i == 3) {
            assert_done(lynse_collection_drop(f->db, "docs", &f->err), f);
            lynse_collection_close(f->docs);
        }
        close_root(f);
    }
}

static void answers_are_the_same_with_it(void **state)
{
    struct fixture *f = *state;
    const float query[DIM] = {0.5f, -0.25f};
    struct lynse_hits *before, *after;
    open_root(f);
    add_rows(f, ROWS);
    build(f, 0);
    /* As hard as that, so that a merge meanwhile, which has another graph, finds the same. */
    struct lynse_search_desc desc = {
        .vector = query, .dim = DIM, .k = 50, .effort = ROWS, .error = &f->err};
    assert_done(lynse_search(f->docs, &desc, &before), f);
    for (int i = 0; i < 10; i++) {
        search(f, ENOUGH, 1, 0);
        idle(f, 5);
        assert_done(lynse_search(f->docs, &desc, &after), f);
        assert_int_equal(before->count, after->count);
        assert_memory_equal(before->numbers, after->numbers, before->count * sizeof(uint64_t));
        assert_memory_equal(before->scores, after->scores, before->count * sizeof(float));
        lynse_hits_free(after);
    }
    lynse_hits_free(before);
}

static void threads_measure_too(void **state)
{
    struct fixture *f = *state;
    f->how = (struct engine_desc){
        .actor_threads = 1, .job_threads = 2, .search_threads = 2, .measures_recall = true};
    open_root(f);
    add_rows(f, ROWS);
    build(f, 0);
    search(f, ENOUGH, 0, 0);
    for (int i = 0; i < 20000 && info_of(f).recall_query_count == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_true(info_of(f).recall_query_count > 0);
    assert_true(info_of(f).recall_measured > 0.5f);
    search(f, ENOUGH, 0, 0); /* closed while some wait */
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(a_poor_index_is_told_from_a_good_one),
    cmocka_unit_test(what_comes_later_counts_more),
    CASE(nothing_is_measured_while_somebody_searches),
    CASE(what_no_index_was_asked_is_not_measured),
    CASE(a_close_or_a_drop_ends_it),
    CASE(answers_are_the_same_with_it),
    CASE(threads_measure_too),
};
TEST_MAIN(tests)
