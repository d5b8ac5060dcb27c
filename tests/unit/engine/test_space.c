/* SPDX-License-Identifier: Apache-2.0 */
/* test_space.c — a disk that fills: what is refused and when, what goes on, and how it ends. */
#include <errno.h>

#include "support/small_disk.h"

/* ---- the mark ---- */

static void the_default_mark_fits_the_file_system(void **state)
{
    (void)state;
    assert_int_equal(space_default_mark(100ull << 40), 1ull << 40);
    assert_int_equal(space_default_mark(1ull << 30), 64 * MIB);
    assert_int_equal(space_default_mark(512 * MIB), 64 * MIB);
    assert_int_equal(space_default_mark(80 * MIB), 10 * MIB); /* or nothing could be written */
    assert_int_equal(space_default_mark(0), 0);
    assert_int_equal(space_default_mark(UINT64_MAX), 0);
}

static void a_write_below_the_mark_is_refused_before_it_is_logged(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection_info before = {0}, after = {0};
    open_db(f, &waits, 2 * MIB);
    add_rows(f, 0, 10);
    assert_done(lynse_collection_info(f->docs, &before, &f->err), f);
    leave_free(f, 2 * MIB - 1);
    f->change_count = 0;
    for (uint64_t i = 10; i < 20; i++) assert_full(f, add_row(f, i), "notes/docs", "2097152");
    assert_non_null(strstr(f->err.text, "2097151"));
    assert_int_equal(f->err.os_errno, 0);
    assert_int_equal(f->change_count, 0);
    assert_done(lynse_collection_info(f->docs, &after, &f->err), f);
    assert_int_equal(after.applied_lsn, before.applied_lsn);
    assert_int_equal(after.log_bytes, before.log_bytes);
    assert_int_equal(count_rows(f), 10);
    search_all(f);
    assert_done(close_db(f), f);
    vfs_memory_set_total(f->memory, UINT64_MAX);
    open_db(f, &waits, 2 * MIB);
    assert_int_equal(count_rows(f), 10);
}

/* A small disk and nobody else on it: log must not take the room that its segment needs. */
static void what_waits_to_be_sealed_can_be_sealed_when_writes_stop(void **state)
{
    struct fixture *f = *state;
    uint64_t number = 0;
    open_db(f, &waits, 0);
    vfs_memory_set_total(f->memory, 4 << 20);
    for (int i = 0; i < 3; i++) {
        while (add_row(f, number) == LYNSE_OK) number++;
        assert_full(f, f->err.code, "notes/docs", "that wait");
        assert_done(lynse_flush(f->docs, &f->err), f);
        add_rows(f, number++, 1);
    }
    assert_int_equal(count_rows(f), number);
}

static void deleting_flushing_and_closing_go_on_below_the_mark(void **state)
{
    struct fixture *f = *state;
    open_db(f, &waits, 2 * MIB);
    add_rows(f, 0, 10);
    leave_free(f, MIB);
    assert_full(f, add_row(f, 11), "notes/docs", "2097152");
    for (uint64_t i = 0; i < 5; i++) assert_done(delete_row(f, i), f);
    assert_done(lynse_flush(f->docs, &f->err), f);
    assert_done(lynse_sync(f->db, &f->err), f);
    assert_int_equal(count_rows(f), 5);
    assert_done(lynse_collection_drop(f->db, "notes/docs", &f->err), f);
    assert_done(close_db(f), f);
}

static void nothing_new_is_made_below_the_mark(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection *c;
    struct lynse_collection_desc more = {.name = "notes/more", .dim = DIM};
    open_db(f, &waits, 2 * MIB);
    leave_free(f, MIB);
    assert_full(f, lynse_collection_create(f->db, &more, &c, &f->err), "/root", "2097152");
    assert_full(f, lynse_database_create(f->db, "other", &f->err), "/root", "2097152");
    leave_free(f, 4 * MIB);
    assert_done(lynse_collection_create(f->db, &more, &c, &f->err), f);
}

static void a_write_that_would_cross_the_mark_is_refused_alone(void **state)
{
    struct fixture *f = *state;
    enum { WIDE = 4096 };
    struct lynse_collection_desc desc = {.name = "notes/wide", .dim = WIDE};
    struct lynse_collection *wide;
    float *vectors = calloc(100 * WIDE, sizeof *vectors);
    struct lynse_rows rows = {.dim = WIDE, .count = 100, .vectors = vectors};
    open_db(f, &waits, 2 * MIB);
    assert_done(lynse_collection_create(f->db, &desc, &wide, &f->err), f);
    leave_free(f, 3 * MIB);
    assert_full(f, lynse_add(wide, &rows, NULL, NULL, &f->err), "notes/wide", "2097152");
    add_rows(f, 0, 10);
    leave_free(f, 20 * MIB);
    assert_done(lynse_add(wide, &rows, NULL, NULL, &f->err), f);
    free(vectors);
}

static void writes_go_on_only_when_there_is_clearly_more_than_the_mark(void **state)
{
    struct fixture *f = *state;
    open_db(f, &waits, 8 * MIB);
    leave_free(f, 8 * MIB - 1);
    assert_full(f, add_row(f, 1), "notes/docs", "8388608");
    leave_free(f, 8 * MIB + 4096); /* what a delete gave back, say */
    assert_full(f, add_row(f, 1), "notes/docs", "9437184");
    leave_free(f, 9 * MIB);
    assert_done(add_row(f, 1), f);
    leave_free(f, 8 * MIB + 4096); /* it was not full again */
    assert_done(add_row(f, 2), f);
}

static void the_disk_is_asked_now_and_then_only(void **state)
{
    struct fixture *f = *state;
    open_db(f, &waits, MIB);
    const struct faulty_plan count = {
        .kinds = FAULTY_SIZE, .os_errno = EIO, .mode = FAULTY_ONCE, .nth = UINT64_MAX};
    const struct vfs_space full = {MIB - 1, HUGE_DISK}, roomy = {HUGE_DISK, HUGE_DISK};
    vfs_faulty_set_space(f->fs, &roomy);
    add_rows(f, 0, 1);
    vfs_faulty_arm(f->fs, &count);
    add_rows(f, 1, 10);
    assert_true(vfs_faulty_count(f->fs) <= 1);
    vfs_faulty_set_space(f->fs, &full);
    add_rows(f, 200, 1); /* not noticed yet */
    manual_clock_advance(&f->clock, 500000);
    assert_full(f, add_row(f, 201), "notes/docs", "1048576");
    vfs_faulty_set_space(f->fs, &roomy);
    add_rows(f, 300, 1); /* at once: only a disk that was asked refuses */
}

static void a_disk_that_does_not_answer_is_not_full(void **state)
{
    struct fixture *f = *state;
    const struct faulty_plan mute = {
        .kinds = FAULTY_SIZE, .os_errno = EIO, .mode = FAULTY_STICKY, .nth = 1};
    open_db(f, &waits, MIB);
    vfs_faulty_arm(f->fs, &mute);
    manual_clock_advance(&f->clock, 1000000);
    add_rows(f, 0, 10);
    vfs_faulty_disarm(f->fs);
}

/* ---- the end ---- */

/* Nothing is lost whatever operation fails for want of room, and closing says what it means. */
static void closing_a_full_root_says_that_all_is_durable(void **state)
{
    struct fixture *f = *state;
    const struct faulty_plan full = {.kinds = FAULTY_WRITE | FAULTY_TRUNCATE,
                                     .os_errno = ENOSPC,
                                     .mode = FAULTY_STICKY,
                                     .nth = 1};
    open_db(f, &waits, 1);
    add_rows(f, 0, 10);
    vfs_faulty_arm(f->fs, &full);
    assert_int_equal(close_db(f), LYNSE_DISK_FULL);
    assert_non_null(strstr(f->err.text, "durable"));
    assert_non_null(strstr(f->err.text, "notes/docs"));
    vfs_faulty_disarm(f->fs);
    open_db(f, &waits, 1);
    assert_int_equal(count_rows(f), 10);
}

/* Files of the log double; the last room of a disk is not for a file that is nearly empty. */
static void the_log_takes_small_files_where_large_ones_have_no_room(void **state)
{
    struct fixture *f = *state;
    enum { LEFT = 100 << 10 };
    struct vfs_space space;
    uint64_t number = 0;
    open_db(f, &waits, 1);
    while (used_bytes(f) < 500 << 10) add_rows(f, number++, 1);
    leave_free(f, LEFT); /* the next file would have 512 KiB */
    while (add_row(f, number) == LYNSE_OK) number++;
    assert_int_equal(f->err.code, LYNSE_DISK_FULL);
    assert_ok(vfs_dir_space(f->root, &space, NULL), &(struct error){0});
    assert_true(space.free_bytes < 32 << 10);
    assert_int_equal(count_rows(f), number);
    assert_done(close_db(f), f);
    vfs_memory_set_total(f->memory, UINT64_MAX);
    open_db(f, &waits, 1);
    assert_int_equal(count_rows(f), number);
}

/* ---- what waited ---- */

struct outcome {
    int calls, code;
};
static void note_outcome(void *ctx, const struct lynse_write_result *result,
                         const struct lynse_error *error)
{
    struct outcome *o = ctx;
    o->calls++;
    o->code = result ? LYNSE_OK : error->code;
}

static void a_write_that_waited_too_long_is_not_begun(void **state)
{
    struct fixture *f = *state;
    struct outcome late = {0}, patient = {0};
    uint64_t numbers[] = {1, 2};
    float vectors[2 * DIM] = {1};
    struct lynse_write_options options = {
        .sync = LYNSE_SYNC_ALWAYS, .done = note_outcome, .done_ctx = &late, .timeout_us = 1000000};
    struct lynse_rows rows = {.dim = DIM, .count = 1, .numbers = numbers, .vectors = vectors};
    open_db(f, &frames, 1);
    assert_done(lynse_upsert(f->docs, &rows, &options, NULL, &f->err), f);
    options.done_ctx = &patient;
    options.timeout_us = 100000000;
    rows.numbers = numbers + 1;
    assert_done(lynse_upsert(f->docs, &rows, &options, NULL, &f->err), f);
    while (lynse_poll(f->db, 1000) == LYNSE_MORE) continue;
    assert_int_equal(late.calls, 0);
    manual_clock_advance(&f->clock, 2000000);
    assert_done(lynse_sync(f->db, &f->err), f);
    assert_int_equal(late.calls, 1);
    assert_int_equal(late.code, LYNSE_DEADLINE);
    assert_int_equal(patient.calls, 1);
    assert_int_equal(patient.code, LYNSE_OK);
    assert_int_equal(count_rows(f), 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_default_mark_fits_the_file_system),
    CASE(a_write_below_the_mark_is_refused_before_it_is_logged),
    CASE(what_waits_to_be_sealed_can_be_sealed_when_writes_stop),
    CASE(deleting_flushing_and_closing_go_on_below_the_mark),
    CASE(nothing_new_is_made_below_the_mark),
    CASE(a_write_that_would_cross_the_mark_is_refused_alone),
    CASE(writes_go_on_only_when_there_is_clearly_more_than_the_mark),
    CASE(the_disk_is_asked_now_and_then_only),
    CASE(a_disk_that_does_not_answer_is_not_full),
    CASE(closing_a_full_root_says_that_all_is_durable),
    CASE(the_log_takes_small_files_where_large_ones_have_no_room),
    CASE(a_write_that_waited_too_long_is_not_begun),
};
TEST_MAIN(tests)
