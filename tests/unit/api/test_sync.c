/* SPDX-License-Identifier: Apache-2.0 */
/* test_sync.c — levels, barriers, and writes that do not wait. */
#include <unistd.h>

#include "fixture.h"

static struct lynse_write_result put_at(struct fixture *f, uint64_t number, uint32_t sync)
{
    float vector[] = {(float)number, 1, 0};
    struct lynse_write_result result = {0};
    struct lynse_write_options options = {.sync = sync};
    struct lynse_rows rows = {.dim = 3, .count = 1, .numbers = &number, .vectors = vector};
    assert_done(lynse_upsert(f->docs, &rows, &options, &result, &f->err), f);
    return result;
}

static void an_answer_names_the_level_it_reached(void **state)
{
    struct fixture *f = *state;
    bool is_inline = f->variant->mode == LYNSE_INLINE;
    struct lynse_id id = number_id(1);
    struct lynse_write_options always = {.sync = LYNSE_SYNC_ALWAYS};
    struct lynse_write_result result;
    uint64_t durable = 0;
    fixture_make_docs(f);
    for (uint32_t level = LYNSE_SYNC_ALWAYS; level <= LYNSE_SYNC_OS; level++) {
        assert_done(lynse_set_sync(f->docs, level, 0, &f->err), f);
        assert_int_equal(info_of(f).sync, level);
        assert_int_equal(put_at(f, 1, LYNSE_SYNC_ALWAYS).sync_reached, LYNSE_SYNC_ALWAYS);
        struct lynse_collection_info info = info_of(f);
        assert_int_equal(info.durable_lsn, info.applied_lsn);
        assert_int_equal(put_at(f, 1, LYNSE_SYNC_OS).sync_reached, LYNSE_SYNC_OS);
        uint32_t reached = put_at(f, 1, LYNSE_SYNC_INTERVAL).sync_reached;
        /* Without a timer nothing is synced in time; with one it may have been already. */
        if (is_inline) assert_int_equal(reached, LYNSE_SYNC_OS);
        else assert_true(reached == LYNSE_SYNC_INTERVAL || reached == LYNSE_SYNC_ALWAYS);
        assert_done(lynse_collection_sync(f->docs, &durable, &f->err), f);
        assert_int_equal(durable, info_of(f).applied_lsn);
    }
    /* Nothing to do, but what was found is not on the disk yet. */
    assert_done(lynse_delete(f->docs, &id, 1, NULL, &result, &f->err), f);
    assert_int_equal(result.sync_reached, LYNSE_SYNC_OS);
    assert_true(info_of(f).durable_lsn < info_of(f).applied_lsn);
    assert_done(lynse_delete(f->docs, &id, 1, &always, &result, &f->err), f);
    assert_int_equal(result.row_count, 0);
    assert_int_equal(result.sync_reached, LYNSE_SYNC_ALWAYS);
    assert_int_equal(info_of(f).durable_lsn, info_of(f).applied_lsn);
}

static void level_none_writes_nothing_before_a_flush(void **state)
{
    struct fixture *f = *state;
    fixture_make_docs(f);
    put_at(f, 1, 0);
    assert_done(lynse_set_sync(f->docs, LYNSE_SYNC_NONE, 0, &f->err), f);
    assert_int_equal(info_of(f).durable_lsn, 1); /* what other levels promised is kept */
    uint64_t log_bytes = info_of(f).log_bytes;
    for (uint64_t i = 2; i < 50; i++)
        assert_int_equal(put_at(f, i, LYNSE_SYNC_ALWAYS).sync_reached, LYNSE_SYNC_NONE);
    struct lynse_collection_info info = info_of(f);
    assert_int_equal(info.applied_lsn, 49);
    if (!IS_TINY) assert_int_equal(info.log_bytes, log_bytes); /* sealing retires it */
    if (!IS_TINY) assert_true(info.durable_lsn < 49);
    assert_done(lynse_sync(f->db, &f->err), f);
    assert_done(lynse_flush(f->docs, &f->err), f);
    info = info_of(f);
    assert_int_equal(info.durable_lsn, 49);
    assert_int_equal(info.flushed_lsn, 49);
    put_at(f, 60, 0);
    if (f->variant->in_memory) return;
    fixture_reopen(f); /* close flushes too */
    assert_int_equal(count_rows(f), 50);
    assert_int_equal(info_of(f).sync, LYNSE_SYNC_NONE);
}

static void every_level_can_follow_every_other(void **state)
{
    struct fixture *f = *state;
    struct lynse_id gone = number_id(0);
    uint64_t number = 0, live = 0;
    fixture_make_docs(f);
    for (uint32_t from = LYNSE_SYNC_ALWAYS; from <= LYNSE_SYNC_NONE; from++)
        for (uint32_t to = LYNSE_SYNC_ALWAYS; to <= LYNSE_SYNC_NONE; to++) {
            assert_done(lynse_set_sync(f->docs, from, 7, &f->err), f);
            put_at(f, number++, 0);
            gone.number = number;
            put_at(f, number++, 0);
            assert_int_equal(delete_ids(f, &gone, 1), 1);
            assert_done(lynse_set_sync(f->docs, to, 0, &f->err), f);
            put_at(f, number++, 0);
            live += 2;
            assert_int_equal(count_rows(f), live);
            if (f->variant->in_memory) continue;
            fixture_reopen(f);
            assert_int_equal(info_of(f).sync, to);
            assert_int_equal(count_rows(f), live);
            assert_false(is_there(f, gone));
        }
}

static void a_flushed_state_needs_no_log(void **state)
{
    struct fixture *f = *state;
    fixture_make_docs(f);
    for (uint64_t i = 0; i < 100; i++) {
        put_at(f, i % 10, LYNSE_SYNC_OS);
        if (i % 20 == 0) breathe(f);
    }
    assert_done(lynse_flush(f->docs, &f->err), f);
    struct lynse_collection_info info = info_of(f);
    assert_int_equal(info.flushed_lsn, 100);
    assert_int_equal(info.durable_lsn, 100);
    assert_int_equal(info.live_count, 10);
    if (!IS_TINY) assert_int_equal(info.deleted_count, 0); /* superseded rows are left out */
    assert_done(lynse_flush(f->docs, &f->err), f);         /* nothing to do */
    assert_done(lynse_checkpoint(f->docs, &f->err), f);
    assert_int_equal(info_of(f).log_bytes, 0);
    assert_done(lynse_checkpoint(f->docs, &f->err), f);
    put_at(f, 50, 0);
    assert_int_equal(count_rows(f), 11);
}

/* ---- writes that do not wait ---- */

struct tally {
    _Atomic(int) done, failed;
    _Atomic(uint64_t) rows, last_lsn;
    _Atomic(int) codes[32];
};

static void count_done(void *ctx, const struct lynse_write_result *result,
                       const struct lynse_error *error)
{
    struct tally *t = ctx;
    assert_true((result == NULL) != (error == NULL));
    if (result) {
        atomic_fetch_add(&t->rows, result->row_count);
        atomic_store(&t->last_lsn, result->lsn);
    } else {
        assert_true(error->code > 0 && error->code < 32 && error->text[0]);
        atomic_fetch_add(&t->failed, 1);
        atomic_fetch_add(&t->codes[error->code], 1);
    }
    atomic_fetch_add(&t->done, 1); /* last: what it points to may go */
}

static int put_async(struct fixture *f, uint64_t number, uint32_t sync, struct tally *t)
{
    float vector[] = {(float)number, 1, 0};
    struct lynse_write_options options = {.sync = sync, .done = count_done, .done_ctx = t};
    struct lynse_rows rows = {.dim = 3, .count = 1, .numbers = &number, .vectors = vector};
    return lynse_upsert(f->docs, &rows, &options, NULL, &f->err);
}

static void await(struct fixture *f, struct tally *t, int count)
{
    while (atomic_load(&t->done) < count)
        if (f->variant->mode == LYNSE_INLINE) lynse_poll(f->db, 1000);
        else usleep(100);
}

static void writes_that_do_not_wait_are_all_answered(void **state)
{
    struct fixture *f = *state;
    struct tally t = {0};
    enum { COUNT = IS_TINY ? 40 : 500 };
    fixture_make_docs(f);
    for (uint64_t i = 0; i < COUNT; i++) assert_done(put_async(f, i, LYNSE_SYNC_OS, &t), f);
    await(f, &t, COUNT);
    assert_int_equal(t.failed, 0);
    assert_int_equal(t.rows, COUNT);
    assert_int_equal(t.last_lsn, COUNT);
    assert_int_equal(count_rows(f), COUNT);
}

static void a_write_that_is_refused_before_it_is_queued_is_not_called_back(void **state)
{
    struct fixture *f = *state;
    struct tally t = {0};
    fixture_make_docs(f);
    assert_int_equal(put_async(f, UINT64_MAX, 0, &t), LYNSE_INVALID);
    assert_int_equal(t.done, 0);
}

static void a_refusal_by_the_collection_is_called_back(void **state)
{
    struct fixture *f = *state;
    struct tally t = {0};
    float vector[] = {1, 2, 3, 4};
    uint64_t number = 1;
    struct lynse_write_options options = {.done = count_done, .done_ctx = &t};
    struct lynse_rows rows = {.dim = 3, .count = 1, .numbers = &number, .vectors = vector};
    fixture_make_docs(f);
    add_numbers(f, 0, 3);
    options.sync = LYNSE_SYNC_OS;
    assert_done(lynse_add(f->docs, &rows, &options, NULL, &f->err), f);
    rows.dim = 4;
    number = 10;
    assert_done(lynse_add(f->docs, &rows, &options, NULL, &f->err), f);
    await(f, &t, 2);
    assert_int_equal(t.codes[LYNSE_ALREADY_EXISTS], 1);
    assert_int_equal(t.codes[LYNSE_DIMENSION], 1);
    assert_int_equal(count_rows(f), 3);
}

static void a_full_mailbox_answers_busy(void **state)
{
    struct fixture *f = *state;
    struct tally t = {0};
    enum { COUNT = 5000 };
    fixture_make_docs(f);
    if (f->variant->mode != LYNSE_INLINE) return; /* nobody else takes messages out there */
    for (uint64_t i = 0; i < COUNT; i++) assert_done(put_async(f, i, LYNSE_SYNC_OS, &t), f);
    assert_true(t.codes[LYNSE_BUSY] > 0);
    await(f, &t, COUNT);
    assert_int_equal(t.failed, t.codes[LYNSE_BUSY]);
    assert_int_equal(count_rows(f), (uint64_t)(COUNT - t.failed));
    breathe(f);
    add_numbers(f, COUNT, 1);
}

static void close_answers_everything_that_waits(void **state)
{
    struct fixture *f = *state;
    struct tally t = {0};
    enum { COUNT = IS_TINY ? 40 : 300 };
    fixture_make_docs(f);
    for (uint64_t i = 0; i < COUNT; i++)
        assert_done(put_async(f, i, i % 3 ? LYNSE_SYNC_OS : LYNSE_SYNC_ALWAYS, &t), f);
    fixture_close(f);
    assert_int_equal(t.done, COUNT);
    assert_int_equal(t.failed, 0); /* what was queued before is drained */
    fixture_open(f);
    if (f->variant->in_memory) return;
    assert_done(lynse_collection_open(f->db, "docs", &f->docs, &f->err), f);
    assert_int_equal(count_rows(f), COUNT);
}

static void a_drop_answers_everything_that_waits(void **state)
{
    struct fixture *f = *state;
    struct tally t = {0};
    enum { COUNT = IS_TINY ? 40 : 300 };
    fixture_make_docs(f);
    for (uint64_t i = 0; i < COUNT; i++)
        assert_done(put_async(f, i, i % 3 ? LYNSE_SYNC_OS : LYNSE_SYNC_ALWAYS, &t), f);
    assert_done(lynse_collection_drop(f->db, "docs", &f->err), f);
    await(f, &t, COUNT);
    assert_int_equal(put_async(f, 0, LYNSE_SYNC_OS, &t), LYNSE_OK);
    await(f, &t, COUNT + 1);
    assert_true(t.failed >= 1);
    assert_int_equal(t.failed, t.codes[LYNSE_NOT_FOUND]);
}

static void a_write_whose_time_is_over_is_not_called_a_success(void **state)
{
    struct fixture *f = *state;
    uint64_t live = 0, unknown = 0;
    fixture_make_docs(f);
    for (uint64_t i = 0; i < 200; i++) {
        float vector[] = {1, 2, 3};
        struct lynse_write_options options = {.timeout_us = 1 + i % 50, .sync = LYNSE_SYNC_ALWAYS};
        struct lynse_rows rows = {.dim = 3, .count = 1, .numbers = &i, .vectors = vector};
        if (i % 32 == 0) breathe(f); /* all may be in time */
        int code = lynse_add(f->docs, &rows, &options, NULL, &f->err);
        assert_true(code == LYNSE_OK || code == LYNSE_DEADLINE || code == LYNSE_OUTCOME_UNKNOWN);
        live += code == LYNSE_OK;
        unknown += code == LYNSE_OUTCOME_UNKNOWN;
        if (code == LYNSE_OUTCOME_UNKNOWN) assert_non_null(strstr(f->err.text, "timeout_us"));
    }
    breathe(f);
    add_numbers(f, 1000, 1); /* whatever was queued is decided now */
    uint64_t count = count_rows(f) - 1;
    assert_true(count >= live && count <= live + unknown);
}

#define CASES(_)                                                                                   \
    _(an_answer_names_the_level_it_reached)                                                        \
    _(level_none_writes_nothing_before_a_flush)                                                    \
    _(every_level_can_follow_every_other)                                                          \
    _(a_flushed_state_needs_no_log)                                                                \
    _(writes_that_do_not_wait_are_all_answered)                                                    \
    _(a_write_that_is_refused_before_it_is_queued_is_not_called_back)                              \
    _(a_refusal_by_the_collection_is_called_back)                                                  \
    _(a_full_mailbox_answers_busy)                                                                 \
    _(close_answers_everything_that_waits)                                                         \
    _(a_drop_answers_everything_that_waits)                                                        \
    _(a_write_whose_time_is_over_is_not_called_a_success)

static const struct CMUnitTest tests[] = {API_EVERYWHERE(CASES)};
TEST_MAIN(tests)
