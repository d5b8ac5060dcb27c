/* SPDX-License-Identifier: Apache-2.0 */
#include "store/wal.h"

#include <errno.h>

#include "unit/store/log_fixture.h"

static int set_up(void **state)
{
    struct log_fixture *f = malloc(sizeof *f);
    fixture_init(f);
    fixture_open(f);
    forget_ops(f);
    *state = f;
    return 0;
}
static int tear_down(void **state)
{
    fixture_deinit(*state);
    free(*state);
    return 0;
}

/* ---- without syncs (R4b) ---- */

static void without_syncs_a_file_must_have_been_made_ahead(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    wal_set_rules(f->wal, 0);
    assert_fails(try_append(f, 1, &err), &err, LYNSE_BUSY);
    assert_non_null(strstr(err.text, "lynse_sync"));
    assert_fails(wal_prepare(f->wal, &err), &err, LYNSE_BUSY);
    wal_set_rules(f->wal, WAL_MAY_SYNC);
    assert_ok(wal_prepare(f->wal, &err), &err);
    assert_non_null(strstr(f->ops, "rename:tmp->wal-1 dirsync "));
    wal_set_rules(f->wal, 0);
    forget_ops(f);
    f->payload_bytes = 3000;
    for (int i = 0; i < 40; i++) assert_ok(try_write(f, 1, false, &err), &err);
    assert_null(strstr(f->ops, "sync"));
    assert_null(strstr(f->ops, "create"));
    assert_true(size_of(f, "wal-1") > 2 * WAL_FIRST_BYTES); /* it grew */
    uint64_t durable;
    assert_fails(f->log->ops->sync(f->log, &durable, &err), &err, LYNSE_BUSY);
}

static void a_sync_follows_a_grown_file_up(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    uint64_t durable = 0;
    assert_ok(wal_prepare(f->wal, &err), &err);
    assert_ok(wal_prepare(f->wal, &err), &err); /* it is there */
    assert_int_equal(wal_file_count(f->wal), 1);
    wal_set_rules(f->wal, 0);
    f->payload_bytes = WAL_FIRST_BYTES;
    assert_ok(try_write(f, 2, false, &err), &err);
    wal_set_rules(f->wal, WAL_MAY_SYNC);
    assert_ok(f->log->ops->sync(f->log, &durable, &err), &err);
    assert_int_equal(durable, 2);
    assert_ok(wal_prepare(f->wal, &err), &err);
    assert_int_equal(wal_file_count(f->wal), 2);
    wal_set_rules(f->wal, 0);
    assert_ok(try_write(f, 1, false, &err), &err);
    assert_survives(f);
}

static void too_much_unsynced_is_busy(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    uint64_t durable;
    assert_ok(wal_prepare(f->wal, &err), &err);
    wal_set_rules(f->wal, 0);
    f->payload_bytes = UNSYNCED_BYTES_MAX / 2;
    assert_ok(try_write(f, 2, false, &err), &err);
    assert_fails(try_append(f, 3, &err), &err, LYNSE_BUSY);
    wal_set_rules(f->wal, WAL_MAY_SYNC);
    assert_ok(f->log->ops->sync(f->log, &durable, &err), &err);
    wal_set_rules(f->wal, 0);
    assert_ok(try_write(f, 1, false, &err), &err);
}

static void a_file_that_cannot_grow_has_lost_nothing(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    assert_ok(wal_prepare(f->wal, &err), &err);
    wal_set_rules(f->wal, 0);
    f->payload_bytes = WAL_FIRST_BYTES;
    assert_ok(try_write(f, 1, false, &err), &err);
    arm(f, FAULTY_WRITE, ENOSPC, FAULTY_STICKY, 1, false);
    assert_fails(try_write(f, 1, false, &err), &err, LYNSE_DISK_FULL);
    vfs_faulty_disarm(f->faulty);
    assert_int_equal(f->committed_lsn, 1);
    assert_ok(try_write(f, 1, false, &err), &err); /* there is room again */
    assert_survives(f);
}

static void a_part_that_was_written_is_unknown_until_a_sync_settles_it(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    uint64_t durable;
    assert_ok(wal_prepare(f->wal, &err), &err);
    wal_set_rules(f->wal, 0);
    f->payload_bytes = WAL_FIRST_BYTES;
    assert_ok(try_write(f, 1, false, &err), &err);
    arm(f, FAULTY_WRITE, ENOSPC, FAULTY_ONCE, 1, true);
    assert_fails(try_write(f, 3, false, &err), &err, LYNSE_OUTCOME_UNKNOWN);
    vfs_faulty_disarm(f->faulty);
    assert_int_equal(f->committed_lsn, 1);
    assert_int_equal(f->unknown_lsn, 4);
    assert_false(wal_is_poisoned(f->wal));
    assert_fails(try_append(f, 2, &err), &err, LYNSE_BUSY);
    wal_set_rules(f->wal, WAL_MAY_SYNC);
    assert_ok(f->log->ops->sync(f->log, &durable, &err), &err);
    assert_ok(wal_prepare(f->wal, &err), &err);
    wal_set_rules(f->wal, 0);
    assert_ok(try_write(f, 1, false, &err), &err);
    assert_survives(f);
    assert_int_equal(f->committed_lsn, 2);
}

/* ---- failures ---- */

static void a_failed_sync_poisons_and_is_never_repeated(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    uint64_t durable;
    write_groups(f, 2);
    arm(f, FAULTY_SYNC, EIO, FAULTY_ONCE, 1, false);
    assert_fails(try_write(f, 2, true, &err), &err, LYNSE_OUTCOME_UNKNOWN);
    vfs_faulty_disarm(f->faulty);
    assert_int_equal(f->committed_lsn, 2);
    assert_int_equal(f->unknown_lsn, 4);
    assert_true(wal_is_poisoned(f->wal));
    forget_ops(f);
    assert_fails(try_append(f, 3, &err), &err, LYNSE_READ_ONLY);
    assert_fails(f->log->ops->complete(f->log, true, &err), &err, LYNSE_READ_ONLY);
    assert_fails(f->log->ops->sync(f->log, &durable, &err), &err, LYNSE_READ_ONLY);
    assert_fails(wal_mark(f->wal, 0, true, &err), &err, LYNSE_READ_ONLY);
    assert_fails(wal_prepare(f->wal, &err), &err, LYNSE_READ_ONLY);
    assert_string_equal(f->ops, "");
    fixture_reopen(f);
    assert_true(f->committed_lsn == 2 || f->committed_lsn == 4);
    write_groups(f, 1);
}

static void a_failed_write_is_cut_back_and_that_is_synced(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    f->payload_bytes = 100;
    write_groups(f, 2);
    for (int is_short = 0; is_short < 2; is_short++) {
        write_groups(f, 1); /* there is a current file */
        uint64_t before = f->committed_lsn;
        forget_ops(f);
        arm(f, FAULTY_WRITE, ENOSPC, FAULTY_ONCE, 1, is_short);
        assert_fails(try_write(f, 5, true, &err), &err, LYNSE_DISK_FULL);
        vfs_faulty_disarm(f->faulty);
        const char *cut = strstr(f->ops, "+32 sync ");
        assert_non_null(cut);
        assert_string_equal(cut, "+32 sync "); /* the last that was done */
        assert_int_equal(f->committed_lsn, before);
        assert_int_equal(f->unknown_lsn, 0);
        assert_survives(f); /* nothing of it comes back */
        write_groups(f, 2);
        size_t files = wal_file_count(f->wal);
        arm(f, FAULTY_WRITE, EIO, FAULTY_ONCE, 1, is_short);
        assert_fails(try_write(f, 5, false, &err), &err, LYNSE_IO);
        vfs_faulty_disarm(f->faulty);
        write_groups(f, 1);
        assert_int_equal(wal_file_count(f->wal), files + 1); /* never after garbage */
        assert_survives(f);
    }
}

static void what_can_neither_be_cut_nor_followed_up_is_unknown(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    f->payload_bytes = 100;
    write_groups(f, 2);
    arm(f, FAULTY_WRITE, EIO, FAULTY_STICKY, 1, true);
    assert_fails(try_write(f, 5, true, &err), &err, LYNSE_OUTCOME_UNKNOWN);
    vfs_faulty_disarm(f->faulty);
    assert_true(wal_is_poisoned(f->wal));
    assert_int_equal(f->unknown_lsn, 7);
    fixture_reopen(f);
    assert_true(f->committed_lsn >= 2 && f->committed_lsn <= 7);
}

static int fail_after_writing(void *ctx, const struct vfs_op *op, struct error *err)
{
    int *left = ctx;
    if (op->kind != VFS_OP_FILE_WRITE || *left == 0) return 0;
    --*left;
    return error_set(err, LYNSE_IO, "done, and reported as failed");
}

static void a_successor_declares_dead_what_could_not_be_cut(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    int failures = 0;
    struct vfs *outer = vfs_record_create(f->disk_alloc, f->fs, fail_after_writing, &failures);
    struct vfs_dir *dir = f->dir;
    assert_ok(vfs_dir_open(outer, "/c", 0, &f->dir, &err), &err);
    fixture_reopen(f);
    f->payload_bytes = 100;
    write_groups(f, 2);
    failures = 1;                                     /* the batch is in the file, all of it, */
    arm(f, FAULTY_WRITE, EIO, FAULTY_ONCE, 2, false); /* and the cut is not */
    assert_fails(try_write(f, 5, true, &err), &err, LYNSE_IO);
    assert_int_equal(vfs_faulty_fired(f->faulty), 1);
    vfs_faulty_disarm(f->faulty);
    assert_false(wal_is_poisoned(f->wal));
    assert_int_equal(wal_file_count(f->wal), 2);
    assert_survives(f);
    assert_int_equal(f->committed_lsn, 2);
    write_groups(f, 2);
    assert_survives(f);
    fixture_close(f);
    vfs_dir_close(f->dir);
    f->dir = dir;
    vfs_record_destroy(outer);
    fixture_open(f);
    assert_int_equal(f->committed_lsn, 4);
}

/* One fault at every operation of a history; whatever is answered must be true after a restart. */
static void run_history(struct log_fixture *f, bool *out_failed)
{
    struct error err = {0};
    uint64_t durable;
    static const size_t sizes[] = {100, 9000, 50, WAL_FIRST_BYTES, 10};
    for (size_t i = 0; i < 5 && !wal_is_poisoned(f->wal); i++) {
        f->payload_bytes = sizes[i];
        bool sync = i % 2 == 0;
        int rc = try_write(f, i + 1, sync, &err);
        *out_failed = *out_failed || rc != 0;
        if (wal_is_poisoned(f->wal)) break;
        if (i == 2) *out_failed |= f->log->ops->sync(f->log, &durable, &err) != 0;
        if (i == 3) *out_failed |= wal_mark(f->wal, 0, true, &err) != 0;
    }
}

static void sweep(struct log_fixture *f, int os_errno, enum faulty_mode mode, bool is_short)
{
    for (uint64_t n = 1;; n++) {
        bool failed = false;
        /* A name that stays and a disk that does not say how full it is hold nothing up. */
        arm(f, FAULTY_ALL & ~(unsigned)(FAULTY_UNLINK | FAULTY_SPACE), os_errno, mode, n, is_short);
        run_history(f, &failed);
        bool fired = vfs_faulty_fired(f->faulty) > 0;
        vfs_faulty_disarm(f->faulty);
        if (!fired) return;
        /* Where there was no room for a large file, a small one does as well. */
        bool may_succeed = os_errno == ENOSPC && mode == FAULTY_ONCE;
        if (!failed && !may_succeed)
            fail_msg("operation %llu failed unseen", (unsigned long long)n);
        uint64_t committed = f->committed_lsn, unknown = f->unknown_lsn;
        bool poisoned = wal_is_poisoned(f->wal);
        if (!poisoned) { /* a clean failure: the log goes on, and nothing comes back */
            f->payload_bytes = 77;
            if (f->unknown_lsn == 0) write_groups(f, 2);
            committed = f->committed_lsn;
        }
        fixture_reopen(f);
        if (f->committed_lsn < committed || f->committed_lsn > (unknown ? unknown : committed))
            fail_msg("operation %llu: committed %llu, unknown %llu, recovered %llu",
                     (unsigned long long)n, (unsigned long long)committed,
                     (unsigned long long)unknown, (unsigned long long)f->committed_lsn);
        f->payload_bytes = 5;
        write_groups(f, 1);
        fixture_close(f);
        fixture_deinit(f);
        fixture_init(f);
        fixture_open(f);
    }
}

static void every_failing_operation_is_answered_truly(void **state)
{
    sweep(*state, EIO, FAULTY_ONCE, false);
    sweep(*state, ENOSPC, FAULTY_ONCE, true);
    sweep(*state, EIO, FAULTY_STICKY, true);
    sweep(*state, ENOSPC, FAULTY_STICKY, false);
}

static void a_file_that_cannot_be_made_fails_the_rest_of_the_batch(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    f->payload_bytes = WAL_FIRST_BYTES - WAL_RECORDS - WAL_MARK_ROOM - 32;
    write_groups(f, 1);
    wal_close_current(f->wal);
    arm(f, FAULTY_OPEN, ENOSPC, FAULTY_ONCE, 2, false); /* the second file of the batch */
    assert_fails(try_write(f, 6, true, &err), &err, LYNSE_DISK_FULL);
    vfs_faulty_disarm(f->faulty);
    assert_true(f->committed_lsn > 1 && f->committed_lsn < 7); /* what stood before is durable */
    assert_int_equal(f->log->ops->durable_lsn(f->log), f->committed_lsn);
    assert_int_equal(count_names(f, "tmp-"), 0);
    write_groups(f, 2);
    assert_survives(f);
}

static int write_history(void *ctx, struct error *err)
{
    struct log_fixture *f = ctx;
    struct wal_position position = {.next_sequence = 1};
    for (uint64_t s = 1; s < 9; s++) {
        char name[TWIN_NAME_BYTES];
        numbered_name(name, WAL_PREFIX, s);
        (void)vfs_unlink(f->dir, name, NULL);
    }
    if (wal_create(f->alloc, f->dir, &f->owner, &f->rng, &position, NULL, 0, &f->wal, err) != 0)
        return -1;
    f->log = wal_log(f->wal);
    f->log->on_complete = on_complete;
    f->log->on_complete_ctx = f;
    f->committed_lsn = 0;
    int rc = 0;
    for (int i = 0; rc == 0 && i < 3; i++) {
        f->payload_bytes = i == 1 ? WAL_FIRST_BYTES : 3000;
        rc = try_write(f, 3, true, err);
    }
    if (rc == 0) rc = wal_mark(f->wal, 0, true, err);
    assert_false(wal_is_poisoned(f->wal)); /* no memory is no reason */
    fixture_close(f);
    return rc;
}

static void memory_may_run_out_anywhere(void **state)
{
    struct log_fixture *f = *state;
    fixture_close(f);
    oom_sweep(f->alloc, write_history, f);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(without_syncs_a_file_must_have_been_made_ahead),
    CASE(a_sync_follows_a_grown_file_up),
    CASE(too_much_unsynced_is_busy),
    CASE(a_file_that_cannot_grow_has_lost_nothing),
    CASE(a_part_that_was_written_is_unknown_until_a_sync_settles_it),
    CASE(a_failed_sync_poisons_and_is_never_repeated),
    CASE(a_failed_write_is_cut_back_and_that_is_synced),
    CASE(what_can_neither_be_cut_nor_followed_up_is_unknown),
    CASE(a_successor_declares_dead_what_could_not_be_cut),
    CASE(every_failing_operation_is_answered_truly),
    CASE(a_file_that_cannot_be_made_fails_the_rest_of_the_batch),
    CASE(memory_may_run_out_anywhere),
};
TEST_MAIN(tests)
