/* SPDX-License-Identifier: Apache-2.0 */
/* test_collection_requests.c — a write that is sent again is applied once: in one batch, after it,
 * after a crash, after a seal; and what was not applied is judged anew. */
#include <errno.h>

#include "bed.h"

#include "support/vfs_faulty.h"

struct fixture {
    struct alloc *alloc;
    struct vfs *memory;
    struct vfs *fs;
    struct bed bed;
    struct error err;
};

static void make(struct fixture *f, uint8_t level)
{
    *f = (struct fixture){.alloc = alloc_create(NULL, 0)};
    f->memory = vfs_memory_create(f->alloc);
    f->fs = vfs_faulty_create(f->alloc, f->memory);
    assert_ok(bed_create(&f->bed, f->alloc, f->fs, level, 1, &f->err), &f->err);
    assert_ok(bed_open(&f->bed, &f->err), &f->err);
}

static int set_up(void **state)
{
    static struct fixture f;
    make(&f, SYNC_ALWAYS);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    bed_destroy(&f->bed);
    vfs_faulty_destroy(f->fs);
    vfs_memory_destroy(f->memory);
    assert_int_equal(alloc_used_bytes(f->alloc), 0);
    alloc_destroy(f->alloc);
    return 0;
}

/* The request of number `id`: rows 0 … count-1, or as many new ones. */
static void fill(struct bed_write *w, enum write_kind kind, uint8_t count, uint16_t version,
                 uint8_t id)
{
    struct model_write m = {.kind = kind, .count = count, .version = version, .n = 1};
    uint8_t bytes[REQUEST_ID_BYTES] = {id, [15] = 0x80};

    for (uint8_t i = 0; i < count; i++) m.ids[i] = i;
    m.gives_ids = kind == WRITE_ADD;
    bed_fill(w, &m, 0);
    collection_write_identify(&w->base, bytes);
}

static void send(struct fixture *f, struct bed_write *w)
{
    struct collection_write *one = &w->base;

    f->bed.answered = 0;
    assert_ok(collection_write_check(f->alloc, one, &f->err), &f->err);
    collection_write_batch(f->bed.c, &one, 1);
    assert_int_equal(f->bed.answered, 1);
}

/* Send it as a client that knows of no answer does: made anew. */
static struct collection_write sent(struct fixture *f, enum write_kind kind, uint8_t count,
                                    uint16_t version, uint8_t id)
{
    static struct bed_write w;
    fill(&w, kind, count, version, id);
    send(f, &w);
    return w.base;
}

static void reopen(struct fixture *f)
{
    bed_abandon(&f->bed);
    assert_ok(bed_open(&f->bed, &f->err), &f->err);
}

static void assert_repeats(struct fixture *f, const struct collection_write *first,
                           enum write_kind kind, uint8_t count, uint16_t version, uint8_t id)
{
    uint64_t lsn = f->bed.c->applied_lsn;
    struct collection_write again = sent(f, kind, count, version, id);

    assert_ok(again.error.code, &again.error);
    assert_true(again.is_repeat);
    assert_int_equal(again.lsn, first->lsn);
    assert_int_equal(again.row_count, first->row_count);
    assert_int_equal(again.first_number, first->first_number);
    assert_int_equal(f->bed.c->applied_lsn, lsn);
}

static void test_is_answered_as_the_first_time(void **state)
{
    struct fixture *f = *state;
    struct collection_write a = sent(f, WRITE_ADD, 3, 1, 1);
    struct collection_write b = sent(f, WRITE_ADD, 2, 2, 2);

    assert_false(a.is_repeat);
    assert_int_equal(b.first_number, 3);
    assert_repeats(f, &b, WRITE_ADD, 2, 2, 2);
    assert_repeats(f, &a, WRITE_ADD, 3, 1, 1);
    struct collection_write d = sent(f, WRITE_DELETE, 2, 0, 3);
    struct collection_write r = sent(f, WRITE_RESTORE, 2, 0, 4);
    assert_int_equal(r.row_count, 2);
    assert_repeats(f, &d, WRITE_DELETE, 2, 0, 3); /* and does not undo the restore */
    struct collection_write u = sent(f, WRITE_UPSERT, 2, 9, 5);
    reopen(f);
    assert_repeats(f, &a, WRITE_ADD, 3, 1, 1);
    assert_repeats(f, &d, WRITE_DELETE, 2, 0, 3);
    assert_repeats(f, &r, WRITE_RESTORE, 2, 0, 4);
    assert_repeats(f, &u, WRITE_UPSERT, 2, 9, 5);
}

/* Written by seals, checkpoints and other manifests; nothing of it is left in the log. */
static void test_outlives_the_log(void **state)
{
    struct fixture *f = *state;
    struct collection_write a = sent(f, WRITE_ADD, 3, 1, 1);

    assert_ok(collection_flush(f->bed.c, true, &f->err), &f->err);
    struct collection_write b = sent(f, WRITE_ADD, 3, 1, 2);
    assert_ok(collection_set_description(f->bed.c, "x", &f->err), &f->err);
    reopen(f);
    assert_repeats(f, &a, WRITE_ADD, 3, 1, 1);
    assert_repeats(f, &b, WRITE_ADD, 3, 1, 2);
    assert_ok(collection_flush(f->bed.c, true, &f->err), &f->err);
    reopen(f);
    assert_repeats(f, &a, WRITE_ADD, 3, 1, 1);
    assert_repeats(f, &b, WRITE_ADD, 3, 1, 2);
    assert_ok(bed_close(&f->bed, &f->err), &f->err);
    assert_ok(bed_open(&f->bed, &f->err), &f->err);
    assert_repeats(f, &b, WRITE_ADD, 3, 1, 2);
}

static void test_is_for_one_command(void **state)
{
    struct fixture *f = *state;
    (void)sent(f, WRITE_UPSERT, 3, 1, 1);
    uint64_t lsn = f->bed.c->applied_lsn;
    struct collection_write others[] = {
        sent(f, WRITE_UPSERT, 3, 2, 1), sent(f, WRITE_UPSERT, 2, 1, 1),
        sent(f, WRITE_DELETE, 3, 1, 1), sent(f, WRITE_ADD, 3, 1, 1)};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(others[i].error.code, LYNSE_INVALID);
        assert_non_null(strstr(others[i].error.text, "request_id"));
        assert_false(others[i].is_repeat);
    }
    assert_int_equal(f->bed.c->applied_lsn, lsn);
}

/* The second of a batch waits for the first: here one that is applied, and one that is refused. */
static void test_in_one_batch(void **state)
{
    struct fixture *f = *state;
    struct bed_write writes[4];
    struct collection_write *list[4];

    fill(&writes[0], WRITE_ADD, 2, 1, 1);
    fill(&writes[1], WRITE_ADD, 2, 1, 1);
    fill(&writes[2], WRITE_ADD, 1, 5, 2);
    fill(&writes[3], WRITE_ADD, 2, 1, 1);
    for (size_t i = 0; i < 4; i++) list[i] = &writes[i].base;
    f->bed.answered = 0;
    collection_write_batch(f->bed.c, list, 4);
    assert_int_equal(f->bed.answered, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(f->bed.order[i], list[i]);
        assert_int_equal(list[i]->error.code, LYNSE_OK);
        assert_int_equal(list[i]->is_repeat, i == 1 || i == 3);
        assert_int_equal(list[i]->lsn, i == 2 ? 2 : 1);
    }
    assert_int_equal(f->bed.c->applied_lsn, 2);
}

/* What was refused, changed nothing, or failed on the disk is not remembered. */
static void test_forgets_what_was_not_applied(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(sent(f, WRITE_DELETE, 2, 0, 1).lsn, 0);
    (void)sent(f, WRITE_ADD, 2, 1, 2);
    assert_int_equal(sent(f, WRITE_DELETE, 2, 0, 1).row_count, 2);

    struct faulty_plan plan = {
        .kinds = FAULTY_WRITE, .os_errno = ENOSPC, .mode = FAULTY_ONCE, .nth = 1};
    vfs_faulty_arm(f->fs, &plan);
    assert_int_equal(sent(f, WRITE_ADD, 2, 7, 3).error.code, LYNSE_DISK_FULL);
    vfs_faulty_disarm(f->fs);
    uint64_t lsn = f->bed.c->applied_lsn;
    struct collection_write again = sent(f, WRITE_ADD, 2, 7, 3);
    assert_ok(again.error.code, &again.error);
    assert_false(again.is_repeat);
    assert_int_equal(f->bed.c->applied_lsn, lsn + 1);
}

/* A failed sync: nobody knows.  What is opened afterwards has the write and its id, or neither. */
static void test_after_a_failed_sync(void **state)
{
    struct fixture *f = *state;
    struct faulty_plan plan = {
        .kinds = FAULTY_SYNC, .os_errno = EIO, .mode = FAULTY_STICKY, .nth = 1};

    (void)sent(f, WRITE_ADD, 1, 1, 1);
    vfs_faulty_arm(f->fs, &plan);
    assert_int_equal(sent(f, WRITE_ADD, 2, 1, 2).error.code, LYNSE_OUTCOME_UNKNOWN);
    vfs_faulty_disarm(f->fs);
    assert_int_equal(sent(f, WRITE_ADD, 2, 1, 2).error.code, LYNSE_READ_ONLY);
    reopen(f);
    bool is_there = f->bed.c->applied_lsn == 2;
    struct collection_write again = sent(f, WRITE_ADD, 2, 1, 2);
    assert_ok(again.error.code, &again.error);
    assert_int_equal(again.is_repeat, is_there);
    assert_int_equal(f->bed.c->applied_lsn, 2);
}

/* In `none` a kill takes what was not flushed, and its ids. */
static void test_in_level_none(void **state)
{
    struct fixture *f = *state;

    assert_ok(collection_set_sync(f->bed.c, SYNC_NONE, 100, &f->err), &f->err);
    struct collection_write a = sent(f, WRITE_ADD, 2, 1, 1);
    assert_repeats(f, &a, WRITE_ADD, 2, 1, 1);
    assert_ok(collection_flush(f->bed.c, false, &f->err), &f->err);
    (void)sent(f, WRITE_ADD, 2, 1, 2);
    assert_ok(collection_set_description(f->bed.c, "a manifest", &f->err), &f->err);
    reopen(f);
    assert_repeats(f, &a, WRITE_ADD, 2, 1, 1);
    struct collection_write b = sent(f, WRITE_ADD, 2, 1, 2);
    assert_false(b.is_repeat);
    assert_int_equal(b.lsn, 2);
}

/* The level is that of the retry: what was only written is synced for it, or it fails. */
static void test_reaches_the_level_of_now(void **state)
{
    struct fixture *f = *state;
    struct bed_write w;

    (void)sent(f, WRITE_ADD, 1, 1, 9); /* makes the log's file, which is synced */
    assert_ok(collection_set_sync(f->bed.c, SYNC_OS, 100, &f->err), &f->err);
    struct collection_write a = sent(f, WRITE_ADD, 2, 1, 1);
    assert_int_equal(a.sync_reached, SYNC_OS);
    struct faulty_plan plan = {
        .kinds = FAULTY_SYNC, .os_errno = EIO, .mode = FAULTY_ONCE, .nth = 1};
    fill(&w, WRITE_ADD, 2, 1, 1);
    w.base.sync = SYNC_ALWAYS;
    f->bed.c->desc.may_sync = false;
    send(f, &w);
    assert_int_equal(w.base.error.code, LYNSE_BUSY);
    f->bed.c->desc.may_sync = true;
    fill(&w, WRITE_ADD, 2, 1, 1);
    w.base.sync = SYNC_ALWAYS;
    send(f, &w);
    assert_ok(w.base.error.code, &w.base.error);
    assert_true(w.base.is_repeat);
    assert_int_equal(w.base.sync_reached, SYNC_ALWAYS);

    (void)sent(f, WRITE_ADD, 2, 1, 2);
    vfs_faulty_arm(f->fs, &plan);
    fill(&w, WRITE_ADD, 2, 1, 2);
    w.base.sync = SYNC_ALWAYS;
    send(f, &w);
    assert_int_not_equal(w.base.error.code, LYNSE_OK);
    vfs_faulty_disarm(f->fs);
}

/* A filter that matches nothing any more asks for its id alone. */
static void test_asks_without_rows(void **state)
{
    struct fixture *f = *state;
    struct collection_write w = {.kind = WRITE_DELETE, .ids = &(struct record_id){0}};
    uint8_t id[REQUEST_ID_BYTES] = {1};
    struct collection_write *one = &w;

    assert_fails(collection_write_check(f->alloc, &w, &f->err), &f->err, LYNSE_INVALID);
    collection_write_identify(&w, id);
    assert_ok(collection_write_check(f->alloc, &w, &f->err), &f->err);
    collection_write_batch(f->bed.c, &one, 1);
    assert_ok(w.error.code, &w.error);
    assert_int_equal(w.lsn, 0);
    assert_false(w.is_repeat);
}

static int live_without_memory(void *ctx, struct error *err)
{
    struct fixture *f = ctx;
    static struct bed_write w;
    int rc = bed_open(&f->bed, err);

    for (uint8_t i = 0; rc == 0 && i < 20; i++) {
        struct collection_write *one = &w.base;
        fill(&w, WRITE_UPSERT, 1, 1, (uint8_t)(i + 1));
        f->bed.answered = 0;
        collection_write_batch(f->bed.c, &one, 1);
        if (w.base.error.code) rc = (*err = w.base.error, -1);
    }
    if (rc == 0) rc = collection_flush(f->bed.c, false, err);
    bed_abandon(&f->bed);
    return rc;
}

/* Whatever allocation fails, the write was applied with its id or not at all. */
static void test_without_memory(void **state)
{
    struct fixture *f = *state;
    uint64_t n = 1;
    int rc = -1;

    bed_abandon(&f->bed);
    for (; rc != 0; n++) {
        f->err = (struct error){0};
        alloc_fail_after(f->alloc, n, false);
        rc = live_without_memory(f, &f->err);
        alloc_fail_after(f->alloc, 0, false);
        if (rc != 0) assert_int_equal(f->err.code, LYNSE_NO_MEMORY);
        assert_true(n < 100000);
    }
    assert_ok(bed_open(&f->bed, &f->err), &f->err);
    assert_true(f->bed.c->applied_lsn >= 20);
    for (uint8_t i = LIMIT_REQUESTS < 20 ? 20 - LIMIT_REQUESTS : 0; i < 20; i++)
        assert_true(sent(f, WRITE_UPSERT, 1, 1, (uint8_t)(i + 1)).is_repeat);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(test_is_answered_as_the_first_time),
    CASE(test_outlives_the_log),
    CASE(test_is_for_one_command),
    CASE(test_in_one_batch),
    CASE(test_forgets_what_was_not_applied),
    CASE(test_after_a_failed_sync),
    CASE(test_in_level_none),
    CASE(test_reaches_the_level_of_now),
    CASE(test_asks_without_rows),
    CASE(test_without_memory),
};
TEST_MAIN(tests)
