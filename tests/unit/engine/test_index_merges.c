/* SPDX-License-Identifier: Apache-2.0 */
/* test_index_merges.c — how many graphs there are in the end: rows that were there before the index
 * get one, whatever happens while they are put together; and those of later ones become one when
 * nothing is written, but not for the sake of a few rows. */
#include <errno.h>

#include "base/limits.h"
#include "support/docs_fixture.h"

enum { DIM = 4, SEGMENTS = 3, POLLS_MAX = 200000, SECOND_US = 1000000 };

static const struct engine_desc frames = {.is_inline = true, .poll_may_sync = true, .seed = 1};
static const struct engine_desc threads = {.actor_threads = 1, .job_threads = 3, .seed = 1};
static const struct lynse_index_desc graph = {.mode = "HNSW-L2", .flags = LYNSE_INDEX_NO_WAIT};

static void open_root(struct fixture *f, const struct engine_desc *how)
{
    struct lynse_collection_desc docs = {.name = "notes/docs", .dim = DIM, .metric = LYNSE_L2};
    fixture_open(f, how);
    assert_done(lynse_collection_require(f->db, &docs, &f->docs, &f->err), f);
}

static void close_root(struct fixture *f)
{
    lynse_collection_close(f->docs);
    f->docs = NULL;
    assert_done(fixture_close(f), f);
}

static int set_up(void **state)
{
    static struct fixture f;
    *state = NULL;
    if (SEAL_ROWS > 1000) return 0; /* with the limits as shipped a build is minutes of work */
    fixture_init(&f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    if (*state) fixture_deinit(*state);
    return 0;
}

static struct fixture *fixture_of(void **state)
{
    struct fixture *f = *state;
    if (!f) skip_because("of the limits as shipped: too many rows make a tail");
    return f;
}

static void add_rows(struct fixture *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float vector[DIM] = {(float)(f->next % 13), (float)f->next, (float)(f->next % 7)};
        struct lynse_rows row = {.dim = DIM, .count = 1, .vectors = vector, .numbers = &f->next};
        assert_done(lynse_add(f->docs, &row, NULL, NULL, &f->err), f);
        f->next++;
    }
}

/* A segment of so many rows. */
static void add_segment(struct fixture *f, size_t count)
{
    add_rows(f, count);
    assert_done(lynse_flush(f->docs, &f->err), f);
}

/* Some, of so many rows that none of them is due to be merged. */
static void add_segments(struct fixture *f)
{
    uint32_t count = state_of(f)->manifest.segment_count;
    for (int i = 0; i < SEGMENTS; i++) add_segment(f, SEAL_ROWS - 1);
    assert_int_equal(state_of(f)->manifest.segment_count, count + SEGMENTS);
}

static size_t index_count(struct fixture *f)
{
    const struct manifest *m = &state_of(f)->manifest;
    size_t count = 0;
    for (uint32_t i = 0; i < m->segment_count; i++)
        count += manifest_find_index(&m->segments[i], 0) != NULL;
    return count;
}

/* All that is ready to be done is; no time passes. */
static void work(struct fixture *f)
{
    for (int i = 0; i < POLLS_MAX && lynse_poll(f->db, 0); i++) continue;
}

static void assert_one_graph(struct fixture *f)
{
    struct error err = {0};
    struct lynse_collection_info info = {.struct_bytes = sizeof info};
    assert_done(lynse_collection_info(f->docs, &info, &f->err), f);
    assert_int_equal(info.segment_count, 1);
    assert_int_equal(info.live_count, f->next);
    assert_int_equal(index_count(f), 1);
    assert_ok(collection_check(state_of(f), &err), &err);
}

/* ---- the cases ---- */

static void rows_that_were_there_get_one_graph(void **state)
{
    struct fixture *f = fixture_of(state);
    const struct engine_desc *roots[] = {&threads, &frames};
    for (size_t i = 0; i < 2; i++) {
        open_root(f, roots[i]);
        add_segments(f);
        assert_done(lynse_build_index(f->docs, "HNSW-L2", &f->err), f);
        assert_one_graph(f);
        assert_done(lynse_collection_drop(f->db, "notes/docs", &f->err), f);
        close_root(f);
        f->next = 0;
    }
}

/* A disk without room for both, say. */
static void what_cannot_be_put_together_gets_a_graph_each(void **state)
{
    struct fixture *f = fixture_of(state);
    /* The first rename is of the manifest with the plan. */
    const struct faulty_plan once = {
        .kinds = FAULTY_RENAME, .os_errno = ENOSPC, .mode = FAULTY_RUN, .nth = 2, .times = 1};
    open_root(f, &frames);
    add_segments(f);
    vfs_faulty_arm(f->fs, &once);
    assert_done(lynse_build_index(f->docs, "HNSW-L2", &f->err), f);
    assert_int_equal(vfs_faulty_fired(f->fs), 1);
    vfs_faulty_disarm(f->fs);
    assert_int_equal(index_count(f), SEGMENTS);
    close_root(f);
}

/* Wherever the merge or the build stands: another level of syncs, another index, a close, a drop.
 */
static void whatever_comes_between_there_is_one_graph(void **state)
{
    struct fixture *f = fixture_of(state);
    for (int steps = 0; steps < 64; steps += 4) {
        open_root(f, &frames);
        add_segments(f);
        assert_done(lynse_index_set(f->docs, &graph, &f->err), f);
        for (int i = 0; i < steps; i++) lynse_poll(f->db, 0);
        assert_done(lynse_set_sync(f->docs, LYNSE_SYNC_OS, 0, &f->err), f);
        assert_done(lynse_build_index(f->docs, "IVF-L2", &f->err), f);
        assert_one_graph(f);
        close_root(f);
        open_root(f, &frames);
        assert_done(lynse_remove_index(f->docs, &f->err), f);
        add_segments(f);
        assert_done(lynse_index_set(f->docs, &graph, &f->err), f);
        for (int i = 0; i < steps; i++) lynse_poll(f->db, 0);
        close_root(f);
        open_root(f, &frames);
        work(f);
        assert_one_graph(f);
        add_segments(f);
        assert_done(lynse_index_set(f->docs, &graph, &f->err), f);
        for (int i = 0; i < steps; i++) lynse_poll(f->db, 0);
        assert_done(lynse_collection_drop(f->db, "notes/docs", &f->err), f);
        close_root(f);
        f->next = 0;
    }
}

/* They are not put together with what was there, again and again. */
static void rows_that_come_later_wait_for_their_own(void **state)
{
    struct fixture *f = fixture_of(state);
    open_root(f, &frames);
    add_segments(f);
    assert_done(lynse_index_set(f->docs, &graph, &f->err), f);
    for (int i = 0; i < POLLS_MAX && state_of(f)->manifest.segment_count > 1; i++)
        lynse_poll(f->db, 0);
    assert_int_equal(index_count(f), 0);
    add_segment(f, SEAL_ROWS - 1);
    work(f);
    assert_int_equal(state_of(f)->manifest.segment_count, 2);
    assert_int_equal(index_count(f), 2);
    close_root(f);
}

/* ---- in quiet ---- */

/* So many seconds of nothing else. */
static void pass(struct fixture *f, int seconds)
{
    for (int i = 0; i < 4 * seconds; i++) {
        manual_clock_advance(&f->clock, SECOND_US / 4);
        work(f);
    }
}

/* Two segments with their graphs, the second of so many rows; nothing is left to be done at once.
 */
static void make_two(struct fixture *f, size_t second)
{
    open_root(f, &frames);
    assert_done(lynse_build_index(f->docs, "HNSW-L2", &f->err), f);
    add_segment(f, SEAL_ROWS - 1);
    work(f);
    add_segment(f, second);
    work(f);
    assert_int_equal(state_of(f)->manifest.segment_count, 2);
    assert_int_equal(index_count(f), 2);
}

static void a_quiet_collection_ends_with_one_graph(void **state)
{
    struct fixture *f = fixture_of(state);
    make_two(f, SEAL_ROWS / 2);
    pass(f, 3);
    assert_int_equal(state_of(f)->manifest.segment_count, 2);
    pass(f, 4);
    assert_one_graph(f);
    close_root(f);
}

static void a_few_rows_are_no_reason(void **state)
{
    struct fixture *f = fixture_of(state);
    make_two(f, SEAL_ROWS / 2);
    pass(f, 7);
    assert_one_graph(f);
    const struct uuid large = state_of(f)->manifest.segments[0].uuid;
    for (int i = 0; i < 5; i++) {
        add_segment(f, 1);
        pass(f, 60);
        assert_true(uuid_equal(&state_of(f)->manifest.segments[0].uuid, &large));
    }
    assert_true(state_of(f)->manifest.segment_count <= 2);
    close_root(f);
}

/* Nor is it quiet as soon as a root is opened. */
static void nothing_is_merged_in_quiet_while_somebody_writes(void **state)
{
    struct fixture *f = fixture_of(state);
    make_two(f, SEAL_ROWS / 2);
    for (int i = 0; i < 4; i++) {
        struct lynse_id none = {.number = 1000000};
        pass(f, 4);
        assert_done(lynse_delete(f->docs, &none, 1, NULL, NULL, &f->err), f);
    }
    close_root(f);
    open_root(f, &frames);
    pass(f, 4);
    assert_int_equal(state_of(f)->manifest.segment_count, 2);
    pass(f, 3);
    assert_one_graph(f);
    close_root(f);
}

/* It is told to end, and another one begins when it is quiet again. */
static void a_close_does_not_wait_for_it(void **state)
{
    struct fixture *f = fixture_of(state);
    for (int steps = 0; steps < 80; steps += 8) {
        make_two(f, SEAL_ROWS / 2);
        for (int i = 0; i < POLLS_MAX && !f->docs->host->merge; i++) {
            manual_clock_advance(&f->clock, SECOND_US / 10);
            lynse_poll(f->db, 0);
        }
        assert_non_null(f->docs->host->merge);
        for (int i = 0; i < steps && f->docs->host->merge; i++) lynse_poll(f->db, 0);
        bool is_over = !f->docs->host->merge;
        close_root(f);
        open_root(f, &frames);
        assert_int_equal(state_of(f)->manifest.segment_count, is_over ? 1 : 2);
        pass(f, 7);
        assert_one_graph(f);
        assert_done(lynse_collection_drop(f->db, "notes/docs", &f->err), f);
        close_root(f);
        f->next = 0;
    }
}

static void one_that_finds_no_room_is_tried_again_later(void **state)
{
    struct fixture *f = fixture_of(state);
    const struct faulty_plan full = {
        .kinds = FAULTY_WRITE, .os_errno = ENOSPC, .mode = FAULTY_RUN, .nth = 1, .times = 1000};
    make_two(f, SEAL_ROWS / 2);
    vfs_faulty_arm(f->fs, &full);
    pass(f, 7);
    assert_true(vfs_faulty_fired(f->fs) > 0);
    vfs_faulty_disarm(f->fs);
    assert_int_equal(state_of(f)->manifest.segment_count, 2);
    assert_int_equal(index_count(f), 2);
    pass(f, 40);
    assert_one_graph(f);
    close_root(f);
}

/* One graph of SEAL_ROWS + SEAL_ROWS / 2 - 1 rows. */
static void make_one(struct fixture *f)
{
    make_two(f, SEAL_ROWS / 2);
    pass(f, 7);
    assert_one_graph(f);
}

/* Few as they are: what they come to is written anyway. */
static void rows_of_the_tail_come_along(void **state)
{
    struct fixture *f = fixture_of(state);
    make_two(f, SEAL_ROWS / 2);
    add_rows(f, 1);
    pass(f, 3);
    assert_int_equal(state_of(f)->manifest.segment_count, 2);
    pass(f, 4);
    assert_one_graph(f);
    assert_int_equal(state_of(f)->manifest.segments[0].row_count, f->next);
    size_t fourth = (size_t)f->next / 4;
    add_rows(f, fourth - 1);
    pass(f, 60);
    assert_int_equal(state_of(f)->manifest.segments[0].row_count, f->next - fourth + 1);
    add_rows(f, 1);
    pass(f, 7);
    assert_int_equal(state_of(f)->manifest.segments[0].row_count, f->next);
    close_root(f);
}

/* Of what is in the tail when a root is opened, too. */
static void a_large_tail_gets_a_graph_of_its_own(void **state)
{
    struct fixture *f = fixture_of(state);
    make_one(f);
    while (f->next < 5 * QUIET_TAIL_ROWS) {
        add_segment(f, SEAL_ROWS - 1);
        pass(f, 7);
    }
    assert_one_graph(f);
    add_rows(f, QUIET_TAIL_ROWS - 1);
    pass(f, 60);
    assert_int_equal(state_of(f)->manifest.segment_count, 1);
    close_root(f);
    open_root(f, &frames);
    add_rows(f, 1);
    close_root(f);
    open_root(f, &frames);
    pass(f, 4);
    assert_int_equal(state_of(f)->manifest.segment_count, 1);
    pass(f, 3);
    assert_int_equal(state_of(f)->manifest.segment_count, 2);
    assert_int_equal(index_count(f), 2);
    close_root(f);
}

/* Rows of segments that were not there before. */
static uint64_t new_rows(struct fixture *f, const struct uuid *old, uint32_t old_count)
{
    const struct manifest *m = &state_of(f)->manifest;
    uint64_t rows = 0;
    for (uint32_t i = 0; i < m->segment_count; i++) {
        bool is_old = false;
        for (uint32_t k = 0; k < old_count; k++)
            is_old = is_old || uuid_equal(&m->segments[i].uuid, &old[k]);
        rows += is_old ? 0 : m->segments[i].row_count;
    }
    return rows;
}

/* One row, and quiet, and so on: none is written for the sake of each. */
static void a_trickle_rewrites_a_row_rarely(void **state)
{
    enum { COME = 120, TIMES = 8 };
    struct fixture *f = fixture_of(state);
    uint64_t written = 0;
    make_one(f);
    for (int i = 0; i < COME; i++) {
        const struct manifest *m = &state_of(f)->manifest;
        struct uuid old[LIMIT_SEGMENTS];
        uint32_t old_count = m->segment_count;
        for (uint32_t k = 0; k < old_count; k++) old[k] = m->segments[k].uuid;
        add_rows(f, 1);
        pass(f, 6);
        written += new_rows(f, old, old_count);
    }
    assert_true(written > 0 && written <= (uint64_t)COME * TIMES);
    close_root(f);
}

static void no_tail_is_sealed_while_somebody_writes(void **state)
{
    struct fixture *f = fixture_of(state);
    make_one(f);
    for (size_t i = 0; i + 1 < SEAL_ROWS; i++) {
        add_rows(f, 1);
        pass(f, 4);
        assert_int_equal(state_of(f)->manifest.segment_count, 1);
    }
    close_root(f);
}

/* What cannot be sealed is searched where it is, and tried again. */
static void a_tail_that_finds_no_room_is_sealed_later(void **state)
{
    struct fixture *f = fixture_of(state);
    const struct faulty_plan full = {
        .kinds = FAULTY_WRITE, .os_errno = ENOSPC, .mode = FAULTY_RUN, .nth = 1, .times = 1000};
    make_one(f);
    add_rows(f, QUIET_TAIL_ROWS);
    vfs_faulty_arm(f->fs, &full);
    pass(f, 7);
    assert_true(vfs_faulty_fired(f->fs) > 0);
    vfs_faulty_disarm(f->fs);
    pass(f, 60);
    assert_one_graph(f);
    close_root(f);
}

/* Rows without a graph are scanned as fast in several segments, and in the tail. */
static void without_an_index_nothing_is_merged_in_quiet(void **state)
{
    struct fixture *f = fixture_of(state);
    open_root(f, &frames);
    add_segments(f);
    add_rows(f, SEAL_ROWS - 1);
    pass(f, 20);
    assert_int_equal(state_of(f)->manifest.segment_count, SEGMENTS);
    close_root(f);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(rows_that_were_there_get_one_graph),
    CASE(what_cannot_be_put_together_gets_a_graph_each),
    CASE(whatever_comes_between_there_is_one_graph),
    CASE(rows_that_come_later_wait_for_their_own),
    CASE(a_quiet_collection_ends_with_one_graph),
    CASE(a_few_rows_are_no_reason),
    CASE(nothing_is_merged_in_quiet_while_somebody_writes),
    CASE(a_close_does_not_wait_for_it),
    CASE(one_that_finds_no_room_is_tried_again_later),
    CASE(rows_of_the_tail_come_along),
    CASE(a_large_tail_gets_a_graph_of_its_own),
    CASE(a_trickle_rewrites_a_row_rarely),
    CASE(no_tail_is_sealed_while_somebody_writes),
    CASE(a_tail_that_finds_no_room_is_sealed_later),
    CASE(without_an_index_nothing_is_merged_in_quiet),
};
TEST_MAIN(tests)
