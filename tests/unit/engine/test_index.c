/* SPDX-License-Identifier: Apache-2.0 */
/* test_index.c — an index from the order to the answer: built while others go on, found again after
 * a close, a crash, damage, and gone with its plan; in each kind of root, and of each kind. */
#include <errno.h>

#include "base/limits.h"
#include "support/docs_fixture.h"

enum { DIM = 4, K = 5, ROWS = 6 * SEAL_ROWS };

static const struct engine_desc roots[] = {
    {.actor_threads = 1, .job_threads = 3, .seed = 1},
    {.is_inline = true, .poll_may_sync = true, .seed = 1},
    {.is_inline = true, .seed = 1},
};
enum { THREADS, FRAMES, INLINE, ROOT_COUNT };

static const char *const modes[] = {"FLAT-L2-SQ8", "IVF-L2", "HNSW-L2"};
enum { MODE_COUNT = sizeof modes / sizeof *modes };

static void open_root(struct fixture *f, const struct engine_desc *how)
{
    struct lynse_collection_desc docs = {.name = "notes/docs", .dim = DIM, .metric = LYNSE_L2};
    fixture_open(f, how);
    assert_done(lynse_collection_require(f->db, &docs, &f->docs, &f->err), f);
}

static void close_root(struct fixture *f)
{
    assert_done(fixture_close(f), f);
}

static int set_up(void **state)
{
    static struct fixture f;
    *state = NULL;
    /* With the limits as shipped six tails are 786,432 rows: minutes of building a case. */
    if (SEAL_ROWS > 1000) return 0;
    fixture_init(&f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    if (*state) fixture_deinit(*state);
    return 0;
}

static void add_rows(struct fixture *f, size_t count)
{
    struct rng rng;
    rng_init(&rng, f->next + 1);
    while (count > 0) {
        float vectors[8 * DIM];
        uint64_t numbers[8];
        size_t n = count < 8 ? count : 8;
        for (size_t i = 0; i < n * DIM; i++) vectors[i] = rng_normal(&rng);
        for (size_t i = 0; i < n; i++) numbers[i] = f->next++;
        struct lynse_rows rows = {.dim = DIM, .count = n, .vectors = vectors, .numbers = numbers};
        struct lynse_write_options options = {.sync = LYNSE_SYNC_OS};
        int rc = lynse_add(f->docs, &rows, &options, NULL, &f->err);
        if (rc == LYNSE_BUSY) {
            assert_done(lynse_sync(f->db, &f->err), f);
            rc = lynse_add(f->docs, &rows, &options, NULL, &f->err);
        }
        assert_done(rc, f);
        count -= n;
    }
}

/* All jobs of the collection are done, as far as they can be. */
static void settle(struct fixture *f)
{
    for (int i = 0; i < 20000; i++) {
        struct collection_status *status;
        struct error err = {0};
        assert_ok(engine_host_status(f->docs->host, &status, &err), &err);
        bool is_done = status->index_progress >= 1;
        collection_status_destroy(status);
        if (is_done) return;
        fixture_wait(f);
    }
    fail_msg("the indexes are never all there");
}

static struct collection_status status_of(struct fixture *f)
{
    struct collection_status *status, copy;
    struct error err = {0};
    assert_ok(engine_host_status(f->docs->host, &status, &err), &err);
    copy = *status;
    copy.description = NULL;
    collection_status_destroy(status);
    return copy;
}

/* Looked up so hard, an index finds what looking at every row finds. */
static void assert_finds_with(struct fixture *f, uint32_t k, uint32_t effort)
{
    struct engine *e = f->db->engine;
    struct rng rng;
    rng_init(&rng, 77);
    for (int round = 0; round < 10; round++) {
        float query[DIM];
        struct result results[2];
        for (size_t i = 0; i < DIM; i++) query[i] = rng_normal(&rng);
        for (int is_exact = 0; is_exact < 2; is_exact++) {
            struct view *view;
            struct search *s;
            struct error err = {0};
            struct search_request r = {
                .vectors = query,
                .query_count = 1,
                .dim = DIM,
                .k = k,
                .fields = e->fields,
                .options = {.effort = effort, .oversample = (float)effort},
                .is_exact = is_exact,
            };
            assert_ok(engine_view(f->docs->host, &view, &err), &err);
            engine_want_indexes(f->docs->host, view);
            assert_ok(search_create(e->alloc, view, &r, e->clock, &s, &err), &err);
            assert_int_equal(search_advance(s, 0, 0), SEARCH_DONE);
            assert_ok(search_finish(s, &results[is_exact], &err), &err);
            search_destroy(s);
        }
        assert_int_equal(results[0].count, results[1].count);
        for (size_t i = 0; i < results[0].count; i++) {
            assert_int_equal(results[0].ids[i].number, results[1].ids[i].number);
            assert_true(results[0].scores[i] == results[1].scores[i]);
        }
        result_deinit(&results[0]);
        result_deinit(&results[1]);
    }
}

static void assert_finds_all(struct fixture *f)
{
    assert_finds_with(f, K, 1000);
}

static size_t ready_count(struct fixture *f)
{
    struct view *view;
    struct error err = {0};
    size_t count = 0;
    assert_ok(engine_view(f->docs->host, &view, &err), &err);
    for (size_t i = 0; i < view->part_count; i++)
        if (view->parts[i].index && segment_index_get(view->parts[i].index)) count++;
    view_release(view);
    return count;
}

/* ---- the cases ---- */

static void all_that_was_there_is_indexed_when_it_answers(void **state)
{
    struct fixture *f = *state;
    if (!f) skip_because("of the limits as shipped: too many rows make a tail");
    for (size_t i = 0; i < ROOT_COUNT * MODE_COUNT; i++) {
        open_root(f, &roots[i % ROOT_COUNT]);
        add_rows(f, ROWS + 7); /* the last few are in memory */
        assert_done(lynse_build_index(f->docs, modes[i / ROOT_COUNT], &f->err), f);
        struct collection_status s = status_of(f);
        assert_true(s.indexed_segment_count > 0);
        assert_true(s.index_progress >= 1);
        assert_int_equal(ready_count(f), s.indexed_segment_count);
        assert_int_equal(s.tail_count, 0);
        assert_true(s.index_bytes > 0);
        assert_finds_all(f);
        struct error err = {0};
        assert_ok(collection_check(state_of(f), &err), &err);
        assert_done(lynse_collection_drop(f->db, "notes/docs", &f->err), f);
        lynse_collection_close(f->docs);
        close_root(f);
    }
}

static void what_is_sealed_later_is_indexed_by_itself(void **state)
{
    struct fixture *f = *state;
    if (!f) skip_because("of the limits as shipped: too many rows make a tail");
    for (size_t i = 0; i < MODE_COUNT; i++) {
        open_root(f, &roots[i % INLINE]);
        assert_done(lynse_build_index(f->docs, modes[i], &f->err), f);
        add_rows(f, ROWS);
        assert_finds_all(f);
        assert_done(lynse_flush(f->docs, &f->err), f);
        settle(f);
        assert_true(status_of(f).indexed_segment_count > 0);
        assert_finds_all(f);
        assert_done(lynse_collection_drop(f->db, "notes/docs", &f->err), f);
        lynse_collection_close(f->docs);
        close_root(f);
    }
}

static void it_is_loaded_when_a_search_wants_it(void **state)
{
    struct fixture *f = *state;
    if (!f) skip_because("of the limits as shipped: too many rows make a tail");
    open_root(f, &roots[THREADS]);
    add_rows(f, ROWS);
    assert_done(lynse_build_index(f->docs, "HNSW-L2", &f->err), f);
    uint32_t count = status_of(f).indexed_segment_count;
    for (size_t i = 0; i < ROOT_COUNT; i++) {
        lynse_collection_close(f->docs);
        close_root(f);
        open_root(f, &roots[i]);
        assert_int_equal(ready_count(f), 0);
        assert_int_equal(status_of(f).indexed_segment_count, count);
        assert_finds_all(f);
        for (int tries = 0; tries < 10000 && ready_count(f) < count; tries++) {
            fixture_wait(f);
        }
        assert_int_equal(ready_count(f), count);
        assert_finds_all(f);
    }
    lynse_collection_close(f->docs);
}

static void a_damaged_file_is_built_again(void **state)
{
    struct fixture *f = *state;
    if (!f) skip_because("of the limits as shipped: too many rows make a tail");
    open_root(f, &roots[THREADS]);
    add_rows(f, ROWS);
    assert_done(lynse_build_index(f->docs, "HNSW-L2", &f->err), f);
    uint32_t count = status_of(f).indexed_segment_count;
    /* A bit of the first index's, in the middle. */
    char name[PART_NAME_BYTES];
    const struct manifest_segment *s = &state_of(f)->manifest.segments[0];
    const struct manifest_part *p = manifest_find_index(s, 0);
    part_name(name, &s->uuid, PART_INDEX, manifest_part_number(s, p));
    struct vfs_file *file;
    struct error err = {0};
    uint8_t byte;
    size_t got;
    assert_ok(vfs_open(state_of(f)->dir, name, VFS_READ, &file, &err), &err);
    assert_ok(vfs_read(file, 150, &byte, 1, &got, &err), &err);
    assert_ok(vfs_close(file, &err), &err);
    assert_ok(vfs_open(state_of(f)->dir, name, VFS_WRITE, &file, &err), &err);
    byte ^= 4;
    assert_ok(vfs_write(file, 150, &byte, 1, &err), &err);
    assert_ok(vfs_close(file, &err), &err);
    lynse_collection_close(f->docs);
    close_root(f);
    open_root(f, &roots[THREADS]);
    assert_finds_all(f);
    for (int tries = 0; tries < 10000 && ready_count(f) < count; tries++) {
        assert_finds_all(f);
        fixture_wait(f);
    }
    assert_int_equal(ready_count(f), count);
    assert_ok(collection_check(state_of(f), &err), &err);
    lynse_collection_close(f->docs);
}

/* By a search that finds the nearest alone, if it can read what it walks through. */
static void a_page_that_cannot_be_read_is_done_without(void **state)
{
    struct fixture *f = *state;
    if (!f) skip_because("of the limits as shipped: too many rows make a tail");
    const struct faulty_plan sticky = {
        .kinds = FAULTY_READ, .os_errno = EIO, .mode = FAULTY_STICKY, .nth = 1};
    for (size_t i = 0; i < ROOT_COUNT; i++) {
        struct lynse_collection_info info = {0};
        open_root(f, &roots[i]);
        add_rows(f, ROWS);
        assert_done(lynse_build_index(f->docs, "DISKANN-L2", &f->err), f);
        uint32_t count = status_of(f).indexed_segment_count;
        vfs_faulty_arm(f->fs, &sticky);
        assert_finds_with(f, 1, 1);
        assert_true(vfs_faulty_fired(f->fs) > 0);
        vfs_faulty_disarm(f->fs);
        if (i == INLINE) { /* what mends it would have to wait for the disk */
            assert_done(lynse_collection_info(f->docs, &info, &f->err), f);
            assert_int_equal(info.index_failure.code, LYNSE_IO);
            assert_non_null(strstr(info.index_failure.text, "cannot read page"));
            assert_done(lynse_flush(f->docs, &f->err), f);
        }
        assert_done(lynse_build_index(f->docs, "DISKANN-L2", &f->err), f);
        assert_int_equal(ready_count(f), count);
        assert_finds_all(f);
        assert_done(lynse_collection_drop(f->db, "notes/docs", &f->err), f);
        lynse_collection_close(f->docs);
        close_root(f);
        f->next = 0;
    }
}

/* Rows that searches of the view find through a loaded index. */
static uint64_t indexed_rows(struct fixture *f, size_t *out_part_count)
{
    struct view *view;
    struct error err = {0};
    uint64_t rows = 0;
    assert_ok(engine_view(f->docs->host, &view, &err), &err);
    for (size_t i = 0; i < view->part_count; i++)
        if (view->parts[i].index && segment_index_get(view->parts[i].index))
            rows += view->parts[i].row_count;
    *out_part_count = view->part_count;
    view_release(view);
    return rows;
}

static void a_merged_segment_takes_over_with_its_index_loaded(void **state)
{
    struct fixture *f = *state;
    if (!f) skip_because("of the limits as shipped: too many rows make a tail");
    for (size_t i = 0; i < MODE_COUNT * INLINE; i++) {
        size_t parts = 0;
        uint64_t rows = 0, most = 0;
        open_root(f, &roots[i % INLINE]);
        assert_done(lynse_build_index(f->docs, modes[i / INLINE], &f->err), f);
        for (int tails = 0; tails < 20; tails++) {
            add_rows(f, SEAL_ROWS);
            assert_done(lynse_flush(f->docs, &f->err), f);
            settle(f);
            assert_finds_all(f);
            for (int tries = 0; tries < 20000; tries++) {
                rows = indexed_rows(f, &parts);
                assert_true(rows >= most);
                most = rows;
                if (rows >= f->next && !fixture_is_busy(f, true)) break;
                fixture_wait(f);
            }
            assert_true(rows >= f->next);
        }
        /* Of 20 segments at most three of a size are left, and a tail. */
        assert_true(parts <= 3 + 3 + 1);
        assert_finds_all(f);
        struct error err = {0};
        assert_ok(collection_check(state_of(f), &err), &err);
        assert_done(lynse_collection_drop(f->db, "notes/docs", &f->err), f);
        lynse_collection_close(f->docs);
        close_root(f);
        f->next = 0;
    }
}

static void it_goes_with_its_plan(void **state)
{
    struct fixture *f = *state;
    if (!f) skip_because("of the limits as shipped: too many rows make a tail");
    open_root(f, &roots[THREADS]);
    add_rows(f, ROWS);
    assert_done(lynse_build_index(f->docs, "HNSW-L2", &f->err), f);
    assert_done(lynse_remove_index(f->docs, &f->err), f);
    assert_int_equal(ready_count(f), 0);
    assert_int_equal(status_of(f).index_bytes, 0);
    struct error err = {0};
    for (uint32_t i = 0; i < state_of(f)->manifest.segment_count; i++)
        assert_null(manifest_find_index(&state_of(f)->manifest.segments[i], 0));
    assert_finds_all(f);
    assert_done(lynse_build_index(f->docs, "HNSW-L2", &f->err), f);
    assert_true(ready_count(f) > 0);
    assert_ok(collection_check(state_of(f), &err), &err);
    lynse_collection_close(f->docs);
}

/* Scanned, then through a graph; what somebody chose stays. */
static void auto_follows_what_is_there(void **state)
{
    struct fixture *f = *state;
    if (!f) skip_because("of the limits as shipped: too many rows make a tail");
    for (size_t i = 0; i < INLINE; i++) {
        open_root(f, &roots[i]);
        add_rows(f, 3 * SEAL_ROWS);
        assert_done(lynse_build_index(f->docs, "AUTO", &f->err), f);
        assert_true(status_of(f).plan.is_auto);
        assert_int_equal(status_of(f).plan.kind, INDEX_FLAT);
        lynse_collection_close(f->docs);
        close_root(f);
        open_root(f, &roots[i]);
        add_rows(f, ROWS);
        assert_done(lynse_flush(f->docs, &f->err), f);
        for (int tries = 0; tries < 20000 && status_of(f).plan.kind == INDEX_FLAT; tries++)
            fixture_wait(f);
        settle(f);
        assert_true(status_of(f).plan.is_auto);
        assert_int_equal(status_of(f).plan.kind, INDEX_HNSW);
        assert_true(status_of(f).indexed_segment_count > 0);
        assert_finds_all(f);
        assert_done(lynse_build_index(f->docs, "FLAT-L2", &f->err), f);
        add_rows(f, ROWS);
        assert_done(lynse_flush(f->docs, &f->err), f);
        settle(f);
        assert_false(status_of(f).plan.is_auto);
        assert_int_equal(status_of(f).plan.kind, INDEX_FLAT);
        assert_done(lynse_collection_drop(f->db, "notes/docs", &f->err), f);
        lynse_collection_close(f->docs);
        close_root(f);
        f->next = 0;
    }
}

static void a_failed_build_is_told_and_tried_again_when_asked(void **state)
{
    struct fixture *f = *state;
    if (!f) skip_because("of the limits as shipped: too many rows make a tail");
    const struct faulty_plan sticky = {
        .kinds = FAULTY_WRITE, .os_errno = EIO, .mode = FAULTY_STICKY, .nth = 1};
    open_root(f, &roots[THREADS]);
    add_rows(f, ROWS);
    assert_done(lynse_flush(f->docs, &f->err), f);
    vfs_faulty_arm(f->fs, &sticky);
    const struct lynse_index_desc desc = {.mode = "HNSW-L2", .flags = LYNSE_INDEX_NO_WAIT};
    (void)lynse_index_set(f->docs, &desc, &f->err);
    vfs_faulty_disarm(f->fs);
    assert_done(lynse_index_set(f->docs, &desc, &f->err), f);
    settle(f);
    /* Only what builds write fails from here on. */
    assert_done(lynse_remove_index(f->docs, &f->err), f);
    const struct faulty_plan rename = {
        .kinds = FAULTY_RENAME, .os_errno = EIO, .mode = FAULTY_RUN, .nth = 2, .times = 1000};
    vfs_faulty_arm(f->fs, &rename); /* the first is the manifest with the plan */
    assert_int_equal(lynse_build_index(f->docs, "HNSW-L2", &f->err), LYNSE_IO);
    struct lynse_collection_info info = {0};
    assert_done(lynse_collection_info(f->docs, &info, &f->err), f);
    assert_int_equal(info.index_failure.code, LYNSE_IO);
    assert_non_null(strstr(info.index_failure.text, "injected"));
    assert_finds_all(f);
    vfs_faulty_disarm(f->fs);
    assert_done(lynse_build_index(f->docs, "HNSW-L2", &f->err), f);
    info = (struct lynse_collection_info){0};
    assert_done(lynse_collection_info(f->docs, &info, &f->err), f);
    assert_int_equal(info.index_failure.code, LYNSE_OK);
    assert_int_equal(info.indexed_segment_count, info.segment_count);
    lynse_collection_close(f->docs);
}

static void writes_wait_for_builds_and_for_none_that_fails(void **state)
{
    struct fixture *f = *state;
    if (!f) skip_because("of the limits as shipped: too many rows make a tail");
    const struct faulty_plan rename = {
        .kinds = FAULTY_RENAME, .os_errno = EIO, .mode = FAULTY_RUN, .nth = 1, .times = 1000000};
    const struct lynse_index_desc desc = {.mode = "HNSW-L2", .flags = LYNSE_INDEX_NO_WAIT};
    open_root(f, &roots[THREADS]);
    add_rows(f, 3 * UNINDEXED_ROWS_MAX); /* these are old: nobody waits for them */
    assert_done(lynse_index_set(f->docs, &desc, &f->err), f);
    while (status_of(f).unindexed_count > 0) fixture_wait(f); /* none of them is in the tail */
    for (int rows = 0; rows < 8 * UNINDEXED_ROWS_MAX; rows += 8) {
        add_rows(f, 8);
        assert_true(status_of(f).unindexed_count <= UNINDEXED_ROWS_MAX);
    }
    settle(f);
    assert_finds_all(f);
    vfs_faulty_arm(f->fs, &rename); /* no segment and no index can be published */
    int rc = LYNSE_OK;
    for (int rows = 0; rc == LYNSE_OK && rows < 2 * UNINDEXED_ROWS_MAX; rows++) {
        float vector[DIM] = {(float)rows};
        struct lynse_rows row = {.dim = DIM, .count = 1, .vectors = vector, .numbers = &f->next};
        rc = lynse_add(f->docs, &row, &(struct lynse_write_options){.sync = LYNSE_SYNC_OS}, NULL,
                       &f->err);
        f->next += rc == LYNSE_OK;
    }
    vfs_faulty_disarm(f->fs);
    assert_true(rc == LYNSE_OK || rc == LYNSE_BUSY || rc == LYNSE_IO); /* and has come back */
    lynse_collection_close(f->docs);
}

static void one_that_found_no_memory_is_loaded_later(void **state)
{
    struct fixture *f = *state;
    if (!f) skip_because("of the limits as shipped: too many rows make a tail");
    open_root(f, &roots[FRAMES]);
    add_rows(f, SEAL_ROWS / 2);
    assert_done(lynse_build_index(f->docs, "HNSW-L2", &f->err), f);
    uint32_t count = status_of(f).indexed_segment_count;
    assert_int_equal(count, 1);
    lynse_collection_close(f->docs);
    close_root(f);
    open_root(f, &roots[FRAMES]);
    assert_finds_all(f); /* they are wanted */
    for (int round = 0; round < 3; round++) {
        for (int polls = 0; polls < 100 && !f->docs->host->load; polls++) lynse_poll(f->db, 0);
        assert_non_null(f->docs->host->load);
        alloc_fail_after(f->db->engine->alloc, 1, true);
        for (int polls = 0; polls < 100; polls++) lynse_poll(f->db, 0);
        alloc_fail_after(f->db->engine->alloc, 0, false);
        for (int polls = 0; polls < 1000; polls++) lynse_poll(f->db, 0);
        assert_true(ready_count(f) < count);
        assert_finds_all(f); /* it is not time */
        for (int polls = 0; polls < 1000; polls++) lynse_poll(f->db, 0);
        assert_true(ready_count(f) < count);
        assert_int_equal(status_of(f).index_failure.code, LYNSE_NO_MEMORY);
        manual_clock_advance(&f->clock, 10000000);
        lynse_poll(f->db, 0);
        assert_finds_all(f); /* they are wanted again */
    }
    for (int tries = 0; tries < 10000 && ready_count(f) < count; tries++) fixture_wait(f);
    assert_int_equal(ready_count(f), count);
    assert_int_equal(status_of(f).index_failure.code, LYNSE_OK);
    assert_finds_all(f);
    lynse_collection_close(f->docs);
}

/* The plan changes, the collection is dropped or closed, wherever the build stands. */
static void a_build_under_way_is_given_up(void **state)
{
    struct fixture *f = *state;
    if (!f) skip_because("of the limits as shipped: too many rows make a tail");
    const struct lynse_index_desc graph = {.mode = "HNSW-L2", .flags = LYNSE_INDEX_NO_WAIT};
    for (int steps = 0; steps < 48; steps += 3) {
        struct error err = {0};
        open_root(f, &roots[FRAMES]);
        add_rows(f, ROWS);
        assert_done(lynse_index_set(f->docs, &graph, &f->err), f);
        for (int i = 0; i < steps; i++) lynse_poll(f->db, 0);
        assert_true(status_of(f).index_progress < 1);
        assert_done(lynse_build_index(f->docs, "IVF-L2", &f->err), f);
        assert_int_equal(ready_count(f), status_of(f).indexed_segment_count);
        assert_finds_all(f);
        assert_ok(collection_check(state_of(f), &err), &err);
        assert_done(lynse_index_set(f->docs, &graph, &f->err), f);
        for (int i = 0; i < steps; i++) lynse_poll(f->db, 0);
        lynse_collection_close(f->docs);
        close_root(f);
        open_root(f, &roots[FRAMES]);
        assert_finds_all(f);
        for (int i = 0; i < steps; i++) lynse_poll(f->db, 0);
        assert_done(lynse_collection_drop(f->db, "notes/docs", &f->err), f);
        lynse_collection_close(f->docs);
        close_root(f);
        f->next = 0;
    }
}

/* Also where it waits for a call that may sync, which removing is none. */
static void a_build_that_waits_to_be_saved_is_given_up(void **state)
{
    struct fixture *f = *state;
    if (!f) skip_because("of the limits as shipped: too many rows make a tail");
    const struct lynse_index_desc graph = {.mode = "HNSW-L2", .flags = LYNSE_INDEX_NO_WAIT};
    open_root(f, &roots[INLINE]);
    add_rows(f, ROWS);
    assert_done(lynse_index_set(f->docs, &graph, &f->err), f);
    const struct host *h = f->docs->host;
    for (int i = 0; i < 100000 && !(h->index && h->index_is_back); i++) lynse_poll(f->db, 0);
    assert_true(h->index && h->index_is_back);
    assert_done(lynse_remove_index(f->docs, &f->err), f);
    assert_null(h->index);
    assert_null(state_of(f)->index_build);
    lynse_collection_close(f->docs);
}

/* Likewise of a merge's. */
static void a_merge_under_way_is_given_up(void **state)
{
    struct fixture *f = *state;
    if (!f) skip_because("of the limits as shipped: too many rows make a tail");
    for (int steps = 0; steps < 600; steps += 60) {
        struct error err = {0};
        open_root(f, &roots[FRAMES]);
        assert_done(lynse_build_index(f->docs, "HNSW-L2", &f->err), f);
        for (int tails = 0; tails < 4; tails++) {
            add_rows(f, SEAL_ROWS);
            assert_done(lynse_flush(f->docs, &f->err), f);
            while (status_of(f).index_progress < 1) lynse_poll(f->db, 0);
        }
        for (int i = 0; i < 1000 && !f->docs->host->merge; i++) lynse_poll(f->db, 0);
        for (int i = 0; i < steps && f->docs->host->merge; i++) lynse_poll(f->db, 0);
        if (steps % 180 == 0) assert_done(lynse_build_index(f->docs, "IVF-L2", &f->err), f);
        if (steps % 180 == 60) assert_done(lynse_build_index(f->docs, "HNSW-L2", &f->err), f);
        assert_finds_all(f);
        assert_ok(collection_check(state_of(f), &err), &err);
        lynse_collection_close(f->docs);
        close_root(f);
        open_root(f, &roots[FRAMES]);
        settle(f);
        assert_finds_all(f);
        assert_ok(collection_check(state_of(f), &err), &err);
        assert_done(lynse_collection_drop(f->db, "notes/docs", &f->err), f);
        lynse_collection_close(f->docs);
        close_root(f);
        f->next = 0;
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(all_that_was_there_is_indexed_when_it_answers),
    CASE(what_is_sealed_later_is_indexed_by_itself),
    CASE(it_is_loaded_when_a_search_wants_it),
    CASE(a_damaged_file_is_built_again),
    CASE(a_page_that_cannot_be_read_is_done_without),
    CASE(a_merged_segment_takes_over_with_its_index_loaded),
    CASE(it_goes_with_its_plan),
    CASE(auto_follows_what_is_there),
    CASE(a_failed_build_is_told_and_tried_again_when_asked),
    CASE(writes_wait_for_builds_and_for_none_that_fails),
    CASE(one_that_found_no_memory_is_loaded_later),
    CASE(a_build_under_way_is_given_up),
    CASE(a_build_that_waits_to_be_saved_is_given_up),
    CASE(a_merge_under_way_is_given_up),
};
TEST_MAIN(tests)
