/* SPDX-License-Identifier: Apache-2.0 */
/* test_inline.c — a host without threads: what lynse_poll does, and what it leaves alone. */
#include <dirent.h>

#include "base/limits.h"
#include "fixture.h"

struct tally {
    int done, failed;
    uint32_t reached;
};

static void count_done(void *ctx, const struct lynse_write_result *result,
                       const struct lynse_error *error)
{
    struct tally *t = ctx;
    t->done++;
    t->failed += error != NULL;
    if (result) t->reached = result->sync_reached;
}

static void put_async(struct fixture *f, uint64_t number, uint32_t sync, struct tally *t)
{
    float vector[] = {(float)number, 1, 0};
    struct lynse_write_options options = {.sync = sync, .done = count_done, .done_ctx = t};
    struct lynse_rows rows = {.dim = 3, .count = 1, .numbers = &number, .vectors = vector};
    assert_done(lynse_upsert(f->docs, &rows, &options, NULL, &f->err), f);
}

static size_t count_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    size_t count = 0;
    assert_non_null(dir);
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void no_thread_is_ever_started(void **state)
{
    struct fixture *f = *state;
    struct lynse_hits *hits;
    float query[] = {1, 2, 3};
    struct lynse_search_desc desc = {.vector = query, .dim = 3, .error = &f->err};
    size_t before = count_threads();
    fixture_make_docs(f);
    for (uint64_t i = 0; i < 4; i++) {
        add_numbers(f, i * 100, 100);
        breathe(f);
    }
    assert_done(lynse_search(f->docs, &desc, &hits), f);
    lynse_hits_free(hits);
    assert_done(lynse_checkpoint(f->docs, &f->err), f);
    while (lynse_poll(f->db, 1000) == LYNSE_MORE) continue;
    assert_int_equal(count_threads(), before);
}

static void a_poll_of_an_idle_root_has_nothing_to_do(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(lynse_poll(f->db, 0), LYNSE_OK);
    fixture_make_docs(f);
    add_numbers(f, 0, 3);
    assert_int_equal(lynse_poll(f->db, 1000), LYNSE_OK);
    assert_int_equal(lynse_poll(f->db, UINT64_MAX), LYNSE_OK);
}

static void a_poll_does_one_thing_at_least_and_says_what_is_left(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 6 };
    struct lynse_collection *all[COUNT];
    struct tally t = {0};
    char name[16];
    for (size_t i = 0; i < COUNT; i++) {
        struct lynse_collection_desc desc = {.name = name, .dim = 3};
        snprintf(name, sizeof name, "c%zu", i);
        assert_done(lynse_collection_create(f->db, &desc, &all[i], &f->err), f);
    }
    for (size_t i = 0; i < COUNT; i++) {
        f->docs = all[i];
        put_async(f, i, LYNSE_SYNC_OS, &t);
    }
    assert_int_equal(t.done, 0); /* nothing happens by itself */
    for (int i = 1; i < COUNT; i++) {
        assert_int_equal(lynse_poll(f->db, 0), LYNSE_MORE);
        assert_int_equal(t.done, i);
    }
    assert_int_equal(lynse_poll(f->db, 0), LYNSE_OK);
    assert_int_equal(t.done, COUNT);
    assert_int_equal(t.failed, 0);
}

static void a_write_that_wants_the_disk_waits_for_a_call_that_may(void **state)
{
    struct fixture *f = *state;
    struct tally always = {0}, behind = {0};
    fixture_make_docs(f);
    put_async(f, 1, LYNSE_SYNC_ALWAYS, &always);
    put_async(f, 2, LYNSE_SYNC_OS, &behind);
    for (int i = 0; i < 100; i++) lynse_poll(f->db, 1000);
    assert_int_equal(always.done, 0);
    assert_int_equal(behind.done, 0); /* in order */
    assert_done(lynse_sync(f->db, &f->err), f);
    assert_int_equal(always.done, 1);
    assert_int_equal(always.reached, LYNSE_SYNC_ALWAYS);
    assert_int_equal(behind.done, 1);
    assert_int_equal(always.failed + behind.failed, 0);
    assert_int_equal(count_rows(f), 2);
}

static void a_poll_that_may_sync_answers_it(void **state)
{
    struct fixture *f = *state;
    struct tally t = {0};
    fixture_close(f);
    struct lynse_open_desc desc = fixture_desc(f);
    desc.flags = LYNSE_POLL_MAY_SYNC;
    assert_done(lynse_open(&desc, &f->db, &f->err), f);
    fixture_make_docs(f);
    put_async(f, 1, LYNSE_SYNC_ALWAYS, &t);
    for (int i = 0; i < 100 && !t.done; i++) lynse_poll(f->db, 1000);
    assert_int_equal(t.done, 1);
    assert_int_equal(t.reached, LYNSE_SYNC_ALWAYS);
}

/* ---- what may wait for the disk is bounded (R4b) ---- */

static int add_many(struct fixture *f, uint64_t first, size_t count, const float *vectors)
{
    uint64_t *numbers = malloc(count * sizeof *numbers);
    for (size_t i = 0; i < count; i++) numbers[i] = first + i;
    struct lynse_rows rows = {.dim = 3, .count = count, .numbers = numbers, .vectors = vectors};
    int code = lynse_add(f->docs, &rows, NULL, NULL, &f->err);
    free(numbers);
    return code;
}

static void full_tails_make_writes_busy_until_a_sync(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = LIMIT_BATCH_ROWS };
    float *vectors = calloc(COUNT * 3, sizeof *vectors);
    uint64_t added = 0;
    int code = LYNSE_OK;
    fixture_make_docs(f);
    for (int i = 0; i < 20 && code == LYNSE_OK; i++) {
        code = add_many(f, added, COUNT, vectors);
        if (code == LYNSE_OK) added += COUNT;
    }
    assert_refused(add_many(f, added, COUNT, vectors), f, LYNSE_BUSY, "lynse_sync");
    uint64_t lsn = info_of(f).applied_lsn;
    struct lynse_id id = number_id(1);
    assert_int_equal(delete_ids(f, &id, 1), 1); /* needs no room in the tail */
    assert_refused(add_many(f, added, 1, vectors), f, LYNSE_BUSY, "lynse_sync");
    assert_int_equal(info_of(f).applied_lsn, lsn + 1);
    assert_int_equal(count_rows(f), added - 1);
    assert_done(lynse_sync(f->db, &f->err), f);
    assert_int_equal(info_of(f).tail_count, 0);
    assert_done(add_many(f, added, COUNT, vectors), f);
    assert_int_equal(count_rows(f), added - 1 + COUNT);
    free(vectors);
    if (f->variant->in_memory) return;
    fixture_reopen(f);
    assert_int_equal(count_rows(f), added - 1 + COUNT);
}

static void too_much_unsynced_log_makes_writes_busy_until_a_sync(void **state)
{
    struct fixture *f = *state;
    enum { SIZE = LIMIT_DOC_BYTES };
    float vector[] = {1, 2, 3};
    uint8_t *document = malloc(SIZE);
    uint64_t number = 0;
    int code = LYNSE_OK;
    struct lynse_bytes fields = {document, SIZE};
    struct lynse_rows rows = {
        .dim = 3, .count = 1, .numbers = &number, .vectors = vector, .fields = &fields};
    fixture_make_docs(f);
    memcpy(document, "\x81\xa1x\xdb\x00\x0f\xff\xf8", 8);
    memset(document + 8, 'y', SIZE - 8);
    for (; number < 12 && code == LYNSE_OK; number++) /* a tail of tiny limits is full at 16 */
        code = lynse_add(f->docs, &rows, NULL, NULL, &f->err);
    assert_int_equal(code, LYNSE_OK);
    for (; number < 200 && code == LYNSE_OK; number++)
        code = lynse_upsert(f->docs, &rows, NULL, NULL, &f->err);
    assert_refused(lynse_upsert(f->docs, &rows, NULL, NULL, &f->err), f, LYNSE_BUSY, "lynse_sync");
    uint64_t count = count_rows(f);
    assert_done(lynse_sync(f->db, &f->err), f);
    assert_done(lynse_upsert(f->docs, &rows, NULL, NULL, &f->err), f);
    assert_int_equal(count_rows(f), count + 1);
    free(document);
}

static void the_first_write_after_leaving_none_needs_no_sync(void **state)
{
    struct fixture *f = *state;
    fixture_make_docs(f);
    assert_done(lynse_set_sync(f->docs, LYNSE_SYNC_NONE, 0, &f->err), f);
    add_numbers(f, 0, 5);
    assert_done(lynse_set_sync(f->docs, LYNSE_SYNC_OS, 0, &f->err), f);
    add_numbers(f, 5, 5);
    assert_done(lynse_checkpoint(f->docs, &f->err), f);
    add_numbers(f, 10, 5);
    assert_int_equal(count_rows(f), 15);
}

#define EVERYWHERE(_)                                                                              \
    _(no_thread_is_ever_started)                                                                   \
    _(a_poll_of_an_idle_root_has_nothing_to_do)                                                    \
    _(a_poll_does_one_thing_at_least_and_says_what_is_left)                                        \
    _(a_write_that_wants_the_disk_waits_for_a_call_that_may)                                       \
    _(a_poll_that_may_sync_answers_it)                                                             \
    _(full_tails_make_writes_busy_until_a_sync)                                                    \
    _(too_much_unsynced_log_makes_writes_busy_until_a_sync)                                        \
    _(the_first_write_after_leaving_none_needs_no_sync)

static const struct CMUnitTest tests[] = {EVERYWHERE(API_INLINE_FOLDER)
                                              EVERYWHERE(API_INLINE_MEMORY)};
TEST_MAIN(tests)
