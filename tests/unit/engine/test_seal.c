/* SPDX-License-Identifier: Apache-2.0 */
/* test_seal.c — full tails become segments: what happens while one is being made, in a frame loop
 * too, and what writers and readers see when none can be made. */
#include <errno.h>

#include "base/limits.h"
#include "support/docs_fixture.h"

enum { DIM = 2 };

/* Maps are made only to publish a segment: the log goes on without. */
static const struct faulty_plan no_segment = {
    .kinds = FAULTY_MAP, .os_errno = EIO, .mode = FAULTY_STICKY, .nth = 1};

static const struct engine_desc inline_root = {.is_inline = true, .seed = 1};
static const struct engine_desc frame_root = {.is_inline = true, .poll_may_sync = true, .seed = 1};
static const struct engine_desc threads_root = {.actor_threads = 1, .seed = 1};

static void make_docs(struct fixture *f, uint32_t sync)
{
    struct lynse_collection_desc desc = {.name = "notes/docs", .dim = DIM, .sync = sync};
    assert_done(lynse_collection_require(f->db, &desc, &f->docs, &f->err), f);
}

static int set_up(void **state)
{
    static struct fixture f;
    fixture_init(&f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_deinit(*state);
    return 0;
}

static bool is_sealing(struct fixture *f)
{
    return f->docs->host->seal != NULL;
}

static size_t sealed_count(struct fixture *f)
{
    return state_of(f)->manifest.segment_count;
}

static uint64_t count_rows(struct fixture *f)
{
    uint64_t count = 0;
    assert_done(lynse_count(f->docs, &count, &f->err), f);
    return count;
}

static int add_rows(struct fixture *f, size_t count)
{
    float *vectors = calloc(count * DIM, sizeof *vectors);
    uint64_t *numbers = malloc(count * sizeof *numbers);
    assert_non_null(vectors);
    assert_non_null(numbers);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = f->next + i;
        vectors[i * DIM] = (float)(f->next + i);
    }
    struct lynse_rows rows = {.dim = DIM, .count = count, .numbers = numbers, .vectors = vectors};
    int code = lynse_add(f->docs, &rows, NULL, NULL, &f->err);
    if (code == LYNSE_OK) f->next += count;
    free(vectors);
    free(numbers);
    return code;
}

/* A tail's worth of rows; stops at the first refusal. */
static int add_tail(struct fixture *f)
{
    int code = LYNSE_OK;
    for (size_t left = SEAL_ROWS; left > 0 && code == LYNSE_OK;) {
        size_t count = left < LIMIT_BATCH_ROWS ? left : LIMIT_BATCH_ROWS;
        code = add_rows(f, count);
        left -= count;
    }
    return code;
}

/* Add until a write is refused: soon. */
static int fill_up(struct fixture *f)
{
    struct lynse_collection_info info = {0};
    struct lynse_error refusal;
    int code = LYNSE_OK;
    for (int tails = 0; code == LYNSE_OK; tails++) {
        assert_true(tails < 5);
        code = add_tail(f);
    }
    refusal = f->err;
    assert_done(lynse_collection_info(f->docs, &info, &f->err), f);
    assert_true(info.tail_count <= 3 * (SEAL_ROWS + 10)); /* a test may have put a few before */
    f->err = refusal;
    return code;
}

static void assert_nearest(struct fixture *f, uint64_t number)
{
    float query[DIM] = {(float)number};
    struct lynse_search_desc desc = {.vector = query, .dim = DIM, .k = 1, .error = &f->err};
    struct lynse_hits *hits;
    assert_done(lynse_search(f->docs, &desc, &hits), f);
    assert_int_equal(hits->count, 1);
    lynse_hits_free(hits);
}

/* What was acknowledged is there, now and after opening again. */
static void assert_whole(struct fixture *f, uint64_t rows)
{
    assert_int_equal(count_rows(f), rows);
    assert_done(fixture_close(f), f);
    fixture_open(f, &threads_root);
    make_docs(f, 0);
    assert_int_equal(count_rows(f), rows);
}

/* ---- a seal that fails ---- */

static void assert_refusal(struct fixture *f, int code, bool is_retried)
{
    assert_int_equal(f->err.code, code);
    assert_non_null(strstr(f->err.text, "notes/docs"));
    assert_non_null(strstr(f->err.text, "injected")); /* the reason */
    if (is_retried) assert_true(f->err.retry_after_ms > 0);
    else assert_int_equal(f->err.retry_after_ms, 0);
    if (!is_retried) assert_non_null(strstr(f->err.text, "lynse_sync"));
}

/* Reads, and what adds no row, go on. */
static void use_all_the_same(struct fixture *f)
{
    struct lynse_id id = {.number = 1};
    int there = 0;
    assert_int_equal(count_rows(f), f->next);
    assert_nearest(f, 3);
    assert_done(lynse_delete(f->docs, &id, 1, NULL, NULL, &f->err), f);
    assert_done(lynse_exists(f->docs, &id, &there, &f->err), f);
    assert_false(there);
}

static void threads_writes_are_refused_with_the_reason_until_a_flush_works(void **state)
{
    struct fixture *f = *state;
    fixture_open(f, &threads_root);
    make_docs(f, 0);
    vfs_faulty_arm(f->fs, &no_segment);
    assert_int_equal(fill_up(f), LYNSE_BUSY);
    assert_refusal(f, LYNSE_BUSY, true);
    use_all_the_same(f);
    assert_int_equal(lynse_flush(f->docs, &f->err), LYNSE_IO);
    assert_int_equal(add_rows(f, 1), LYNSE_BUSY);
    vfs_faulty_disarm(f->fs);
    assert_done(lynse_flush(f->docs, &f->err), f);
    assert_done(add_tail(f), f);
    assert_whole(f, f->next - 1);
}

static void threads_writes_go_on_by_themselves_when_a_later_try_works(void **state)
{
    struct fixture *f = *state;
    struct faulty_plan twice = no_segment;
    const struct timespec pause = {.tv_nsec = 5000000};
    twice.mode = FAULTY_RUN;
    twice.times = 2;
    fixture_open(f, &threads_root);
    make_docs(f, LYNSE_SYNC_OS);
    vfs_faulty_arm(f->fs, &twice);
    for (int tails = 0; tails < 6;) {
        if (add_tail(f) == LYNSE_OK) {
            tails++;
            continue;
        }
        assert_refusal(f, LYNSE_BUSY, true);
        nanosleep(&pause, NULL);
    }
    assert_int_equal(vfs_faulty_fired(f->fs), 2);
    assert_whole(f, f->next);
}

static void a_full_disk_is_the_answer_where_it_is_the_reason(void **state)
{
    struct fixture *f = *state;
    struct faulty_plan full = no_segment;
    full.os_errno = ENOSPC;
    fixture_open(f, &frame_root);
    make_docs(f, 0);
    vfs_faulty_arm(f->fs, &full);
    assert_int_equal(fill_up(f), LYNSE_DISK_FULL);
    assert_refusal(f, LYNSE_DISK_FULL, true);
    assert_int_equal(f->err.os_errno, ENOSPC);
    vfs_faulty_disarm(f->fs);
    assert_done(lynse_flush(f->docs, &f->err), f);
    assert_whole(f, f->next);
}

static void poll_all(struct fixture *f)
{
    while (lynse_poll(f->db, 1000) == LYNSE_MORE) continue;
}

static void frames_try_again_when_it_is_time_and_ever_more_seldom(void **state)
{
    struct fixture *f = *state;
    uint32_t last = 0;
    fixture_open(f, &frame_root);
    make_docs(f, 0);
    vfs_faulty_arm(f->fs, &no_segment);
    assert_int_equal(fill_up(f), LYNSE_BUSY);
    for (int i = 0; i < 8; i++) {
        uint64_t fired = vfs_faulty_fired(f->fs);
        assert_int_equal(add_rows(f, 1), LYNSE_BUSY);
        assert_refusal(f, LYNSE_BUSY, true);
        uint32_t after = f->err.retry_after_ms;
        assert_true(after >= last);
        last = after;
        poll_all(f);
        assert_int_equal(vfs_faulty_fired(f->fs), fired); /* it is not time */
        manual_clock_advance(&f->clock, after * 1000ull);
        poll_all(f);
        assert_int_equal(vfs_faulty_fired(f->fs), fired + 1);
    }
    assert_in_range(last, 5000, 60000);
    vfs_faulty_disarm(f->fs);
    manual_clock_advance(&f->clock, 60000000);
    poll_all(f);
    assert_true(sealed_count(f) > 0);
    assert_done(add_tail(f), f);
    assert_whole(f, f->next);
}

static void a_host_whose_polls_do_not_sync_is_told_to(void **state)
{
    struct fixture *f = *state;
    fixture_open(f, &inline_root);
    make_docs(f, 0);
    assert_int_equal(fill_up(f), LYNSE_BUSY);
    assert_non_null(strstr(f->err.text, "lynse_sync"));
    vfs_faulty_arm(f->fs, &no_segment);
    assert_done(lynse_sync(f->db, &f->err), f); /* the log is durable */
    assert_int_equal(add_rows(f, 1), LYNSE_BUSY);
    assert_refusal(f, LYNSE_BUSY, false);
    use_all_the_same(f);
    vfs_faulty_disarm(f->fs);
    manual_clock_advance(&f->clock, 60000000);
    poll_all(f);
    assert_int_equal(sealed_count(f), 0); /* R4b */
    assert_int_equal(add_rows(f, 1), LYNSE_BUSY);
    assert_done(lynse_sync(f->db, &f->err), f);
    assert_done(add_tail(f), f);
    assert_whole(f, f->next - 1);
}

static void flushes_that_fail_leave_no_pile_of_small_tails(void **state)
{
    struct fixture *f = *state;
    const uint32_t levels[] = {LYNSE_SYNC_OS, LYNSE_SYNC_NONE};
    fixture_open(f, &frame_root);
    for (size_t i = 0; i < 2; i++) {
        struct lynse_collection_desc desc = {
            .name = i == 0 ? "notes/os" : "notes/none", .dim = DIM, .sync = levels[i]};
        uint64_t before = f->next;
        assert_done(lynse_collection_create(f->db, &desc, &f->docs, &f->err), f);
        vfs_faulty_arm(f->fs, &no_segment);
        for (int k = 0; k < 10; k++) {
            assert_done(add_rows(f, 1), f);
            assert_int_equal(lynse_flush(f->docs, &f->err), LYNSE_IO);
        }
        assert_int_equal(state_of(f)->part_count, 1);
        assert_in_range(fill_up(f), LYNSE_BUSY, LYNSE_BUSY);
        for (int k = 0; k < 10; k++) {
            assert_int_equal(lynse_flush(f->docs, &f->err), LYNSE_IO);
            (void)add_rows(f, 1);
            manual_clock_advance(&f->clock, 60000000);
            poll_all(f);
        }
        assert_true(state_of(f)->part_count <= 4);
        vfs_faulty_disarm(f->fs);
        assert_done(lynse_flush(f->docs, &f->err), f);
        assert_done(add_rows(f, 1), f);
        assert_int_equal(count_rows(f), f->next - before);
    }
}

/* ---- a seal in steps ---- */

/* Two tails' worth are written, and the first poll has begun to seal. */
static void begin_sealing(struct fixture *f)
{
    fixture_open(f, &frame_root);
    make_docs(f, 0);
    assert_done(add_tail(f), f);
    assert_false(is_sealing(f));
    assert_done(add_rows(f, 3), f); /* freezes it */
    assert_true(is_sealing(f));
    assert_int_equal(sealed_count(f), 0);
}

static void many_small_polls_seal_a_tail_and_one_does_not(void **state)
{
    struct fixture *f = *state;
    int polls = 0;
    begin_sealing(f);
    while (is_sealing(f)) {
        assert_int_equal(sealed_count(f), 0);
        assert_int_equal(count_rows(f), f->next);
        lynse_poll(f->db, 0);
        polls++;
    }
    /* Five passes over all rows are the least that a build can do with. */
    assert_true(polls > 5 * SEAL_ROWS / BUILD_STEP_ROWS);
    assert_int_equal(sealed_count(f), 1);
    /* What is not needed any more goes. */
    for (polls = 0; lynse_poll(f->db, 0) != LYNSE_OK; polls++) assert_true(polls < 50);
    assert_whole(f, f->next);
}

static void count_done(void *ctx, const struct lynse_write_result *result,
                       const struct lynse_error *error)
{
    (void)error;
    *(uint64_t *)ctx += result != NULL;
}

/* A write that does not wait, by upsert: the row stands at (number, mark). */
static void send_row(struct fixture *f, uint64_t number, float mark, uint64_t *done)
{
    float vector[DIM] = {(float)number, mark};
    struct lynse_write_options options = {.done = count_done, .done_ctx = done};
    struct lynse_rows rows = {.dim = DIM, .count = 1, .numbers = &number, .vectors = vector};
    assert_done(lynse_upsert(f->docs, &rows, &options, NULL, &f->err), f);
}

static void assert_mark(struct fixture *f, uint64_t number, float mark)
{
    struct lynse_id id = {.number = number};
    struct lynse_hits *hits;
    assert_done(lynse_get(f->docs, &id, 1, LYNSE_WITH_VECTORS, &hits, &f->err), f);
    assert_int_equal(hits->count, 1);
    assert_true(hits->vectors[0] == (float)number);
    assert_true(hits->vectors[1] == mark);
    lynse_hits_free(hits);
}

static void what_is_done_between_the_steps_counts(void **state)
{
    struct fixture *f = *state;
    uint64_t sent = 0, done = 0, deleted = 0, removed = 0;
    begin_sealing(f);
    while (is_sealing(f)) {
        struct lynse_id id = {.number = SEAL_ROWS - 1 - deleted};
        struct lynse_write_options later = {.done = count_done, .done_ctx = &removed};
        if (sent == done && sent < SEAL_ROWS / 2) send_row(f, sent++, 7, &done);
        if (removed == deleted && deleted < SEAL_ROWS / 4) {
            assert_done(lynse_delete(f->docs, &id, 1, &later, NULL, &f->err), f);
            deleted++;
        }
        lynse_poll(f->db, 0);
        assert_int_equal(count_rows(f), f->next - removed);
        if (done > 0) assert_mark(f, done - 1, 7);
        assert_mark(f, SEAL_ROWS / 2, 0);
        assert_nearest(f, 5);
    }
    poll_all(f);
    assert_true(done > 2 && removed > 2);
    assert_int_equal(done, sent);
    assert_int_equal(removed, deleted);
    assert_true(sealed_count(f) >= 1);
    struct error err = {0};
    assert_ok(collection_check(state_of(f), &err), &err);
    assert_whole(f, f->next - deleted);
    for (uint64_t i = 0; i < done; i++) assert_mark(f, i, 7);
}

struct names {
    size_t temporary, segment;
};

static bool count_name(void *ctx, const char *name)
{
    struct names *n = ctx;
    n->temporary += strncmp(name, "tmp-", 4) == 0;
    n->segment += strncmp(name, "seg-", 4) == 0;
    return true;
}

static void closing_in_the_middle_is_clean(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    for (int polls = 0; polls < 12; polls += 3) {
        f->next = 0;
        begin_sealing(f);
        for (int i = 0; i < polls; i++) lynse_poll(f->db, 0);
        assert_true(is_sealing(f));
        assert_done(fixture_close(f), f);
        fixture_open(f, &inline_root);
        make_docs(f, 0);
        struct names n = {0};
        assert_int_equal(count_rows(f), f->next);
        assert_ok(vfs_dir_list(state_of(f)->dir, count_name, &n, &err), &err);
        assert_int_equal(n.segment, 3 * sealed_count(f));
        assert_true(n.temporary <= 1); /* a log file to be used again */
        assert_done(lynse_collection_drop(f->db, "notes/docs", &f->err), f);
        assert_done(fixture_close(f), f);
    }
}

static void dropping_in_the_middle_stops_it(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct vfs_dir *dir;
    char name[UUID_TEXT_BYTES];
    begin_sealing(f);
    for (int i = 0; i < 10; i++) lynse_poll(f->db, 0);
    assert_true(is_sealing(f));
    uuid_format(&f->docs->host->entry.uuid, name);
    assert_done(lynse_collection_drop(f->db, "notes/docs", &f->err), f);
    assert_fails(vfs_dir_open_in(f->db->engine->root, name, &dir, &err), &err, LYNSE_NOT_FOUND);
    assert_int_equal(lynse_poll(f->db, 1000), LYNSE_OK);
    make_docs(f, 0);
    f->next = 0;
    assert_done(add_rows(f, 3), f);
    assert_whole(f, 3);
}

static void a_step_that_fails_is_a_seal_that_fails(void **state)
{
    struct fixture *f = *state;
    const struct faulty_plan write = {
        .kinds = FAULTY_WRITE, .os_errno = EIO, .mode = FAULTY_ONCE, .nth = 1};
    begin_sealing(f);
    vfs_faulty_arm(f->fs, &write);
    while (is_sealing(f)) lynse_poll(f->db, 0);
    assert_int_equal(vfs_faulty_fired(f->fs), 1);
    assert_int_equal(sealed_count(f), 0);
    assert_done(add_rows(f, 1), f); /* one that waits is none too many */
    manual_clock_advance(&f->clock, 60000000);
    poll_all(f);
    assert_int_equal(sealed_count(f), 1);
    assert_whole(f, f->next);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    TEST(threads_writes_are_refused_with_the_reason_until_a_flush_works),
    TEST(threads_writes_go_on_by_themselves_when_a_later_try_works),
    TEST(a_full_disk_is_the_answer_where_it_is_the_reason),
    TEST(frames_try_again_when_it_is_time_and_ever_more_seldom),
    TEST(a_host_whose_polls_do_not_sync_is_told_to),
    TEST(flushes_that_fail_leave_no_pile_of_small_tails),
    TEST(many_small_polls_seal_a_tail_and_one_does_not),
    TEST(what_is_done_between_the_steps_counts),
    TEST(closing_in_the_middle_is_clean),
    TEST(dropping_in_the_middle_stops_it),
    TEST(a_step_that_fails_is_a_seal_that_fails),
};
TEST_MAIN(tests)
