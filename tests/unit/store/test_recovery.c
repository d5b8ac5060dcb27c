/* SPDX-License-Identifier: Apache-2.0 */
#include "store/recovery.h"

#include <errno.h>

#include "store/file_gc.h"
#include "unit/store/log_fixture.h"

static int set_up(void **state)
{
    struct log_fixture *f = malloc(sizeof *f);
    fixture_init(f);
    fixture_open(f);
    f->payload_bytes = 100; /* a record has 136 bytes */
    *state = f;
    return 0;
}
static int tear_down(void **state)
{
    fixture_deinit(*state);
    free(*state);
    return 0;
}

enum { RECORD_BYTES = 136 };

static uint64_t record_at(unsigned index)
{
    return WAL_RECORDS + (uint64_t)index * RECORD_BYTES;
}

static void assert_recovers_to(struct log_fixture *f, uint64_t lsn)
{
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(f->replayed_lsn, lsn);
    assert_int_equal(f->committed_lsn, lsn);
}

static void assert_refused(struct log_fixture *f, const char *why)
{
    struct error err = {0};
    fixture_close(f);
    assert_fails(fixture_try_open(f, &err), &err, LYNSE_CORRUPT);
    if (!strstr(err.text, why)) fail_msg("'%s' does not say '%s'", err.text, why);
}

/* ---- a torn tail is no damage, and damage is no torn tail (R3) ---- */

static void what_was_never_acked_may_be_torn(void **state)
{
    struct log_fixture *f = *state;
    write_groups(f, 3);
    write_groups(f, 4); /* one batch: nobody vouches for it */
    for (unsigned i = 6; i >= 3; i--) {
        flip_bit(f, "wal-1", record_at(i) + 50, 3);
        assert_recovers_to(f, i);
        flip_bit(f, "wal-1", record_at(i) + 50, 3);
        /* The restart goes on in a file of its own, which proves the end: put it back. */
        assert_false(is_there(f, "wal-2"));
    }
}

static void what_a_later_record_vouches_for_must_be_there(void **state)
{
    struct log_fixture *f = *state;
    write_groups(f, 1);
    write_groups(f, 1);
    write_groups(f, 1); /* says that 2 was durable */
    for (unsigned i = 0; i < 2; i++) {
        flip_bit(f, "wal-1", record_at(i) + 50, 3);
        assert_refused(f, "LSN 2 was durable");
        flip_bit(f, "wal-1", record_at(i) + 50, 3);
    }
    flip_bit(f, "wal-1", record_at(2) + 50, 3);
    fixture_open(f);
    assert_int_equal(f->committed_lsn, 2); /* the blind spot */
}

static void a_mark_closes_the_blind_spot(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    write_groups(f, 3);
    assert_ok(wal_mark(f->wal, 0, true, &err), &err);
    flip_bit(f, "wal-1", record_at(2) + 50, 3);
    assert_refused(f, "LSN 3 was durable");
    /* The mark stands in another block than what it vouches for. */
    flip_bit(f, "wal-1", record_at(2) + 50, 3);
    uint8_t garbage[WAL_BLOCK_BYTES];
    memset(garbage, 0xa5, sizeof garbage);
    overwrite(f, "wal-1", WAL_RECORDS, garbage, sizeof garbage);
    assert_refused(f, "LSN 3 was durable");
}

/* Everything of the file from `from` on is zero, as before it was written. */
static void forget_from(struct log_fixture *f, uint64_t from)
{
    struct bytes file = read_bytes(f, "wal-1");
    memset(file.data + from, 0, file.size - (size_t)from);
    replace_bytes(f, "wal-1", file.data, file.size);
    free(file.data);
}

/* Its zeros are in the file already, so that the beginning of a torn mark is a whole padding. */
static void the_padding_of_a_torn_mark_vouches_for_nothing(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    write_groups(f, 3);
    assert_ok(wal_mark(f->wal, 0, false, &err), &err);
    forget_from(f, WAL_RECORDS + WAL_BLOCK_BYTES);
    assert_recovers_to(f, 3);
    assert_false(wal_is_vouched(f->wal));
}

static void a_record_behind_the_torn_end_vouches_for_nothing_that_shares_its_block(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    write_groups(f, 1);
    assert_ok(try_write(f, 3, false, &err), &err); /* each says that 1 was durable */
    uint8_t zeros[RECORD_BYTES] = {0};
    overwrite(f, "wal-1", record_at(1), zeros, sizeof zeros); /* the first of them was lost */
    assert_recovers_to(f, 1);
    assert_false(wal_is_vouched(f->wal));
}

static void a_mark_that_recovery_finds_still_vouches(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    write_groups(f, 3);
    assert_ok(wal_mark(f->wal, 0, true, &err), &err);
    assert_recovers_to(f, 3);
    assert_true(wal_is_vouched(f->wal));
}

static void a_manifest_vouches_too(void **state)
{
    struct log_fixture *f = *state;
    write_groups(f, 3);
    fixture_manifest(f, 2, 0, 3, 1);
    flip_bit(f, "wal-1", record_at(2) + 50, 3);
    assert_refused(f, "LSN 3 was durable");
    assert_int_equal(vfs_unlink(f->dir, "wal-1", NULL), 0);
    assert_refused(f, "LSN 3 was durable");
}

static void every_cut_of_an_unvouched_batch_leaves_a_prefix(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    write_groups(f, 2);
    assert_ok(try_write(f, 6, false, &err), &err);
    fixture_close(f);
    struct bytes good = read_bytes(f, "wal-1");
    uint64_t end = record_at(8);
    for (uint64_t cut = record_at(2); cut <= end; cut += 3) {
        for (unsigned fill = 0; fill < 2; fill++) {
            struct bytes torn = {malloc(good.size), good.size};
            memcpy(torn.data, good.data, good.size);
            memset(torn.data + cut, fill ? 0x5a : 0, (size_t)(end - cut));
            replace_bytes(f, "wal-1", torn.data, torn.size);
            fixture_open(f);
            uint64_t whole = (cut - WAL_RECORDS) / RECORD_BYTES;
            assert_true(f->committed_lsn == whole || f->committed_lsn == whole + 1);
            assert_int_equal(f->replayed_lsn, f->committed_lsn);
            fixture_close(f);
            free(torn.data);
        }
    }
    free(good.data);
}

static void every_flipped_bit_is_found_survived_or_in_the_last_batch(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    f->payload_bytes = 24;
    write_groups(f, 1);
    write_groups(f, 1);
    write_groups(f, 1);
    fixture_close(f);
    struct bytes good = read_bytes(f, "wal-1");
    size_t found = 0, survived = 0, blind = 0, stride = test_stride();
    for (size_t bit = 0; bit < good.size * 8; bit++) {
        bool is_record = bit / 8 >= WAL_RECORDS && bit / 8 < WAL_RECORDS + 3 * 56;
        if (!is_record && bit % stride != 0) continue;
        if (bit % 8 != bit / 8 % 8 && bit / 8 > WAL_RECORDS + 3 * 56) continue;
        good.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        overwrite(f, "wal-1", bit / 8, good.data + bit / 8, 1);
        if (fixture_try_open(f, &err) != 0) {
            assert_int_equal(err.code, LYNSE_CORRUPT);
            found++;
        } else {
            assert_true(f->committed_lsn >= 2);
            assert_int_equal(f->replayed_lsn, f->committed_lsn);
            if (f->committed_lsn == 3) survived++;
            else blind += 1;
            fixture_close(f);
        }
        good.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        overwrite(f, "wal-1", bit / 8, good.data + bit / 8, 1);
    }
    assert_int_equal(found, 2 * 56 * 8); /* the first two records */
    assert_int_equal(blind, 56 * 8);     /* the third, for which nobody vouches */
    assert_true(survived > 0);
    free(good.data);
}

/* ---- the chain of files (R3a) ---- */

static void a_torn_end_that_a_successor_proves_stays_dead(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    write_groups(f, 2);
    assert_ok(try_write(f, 3, false, &err), &err); /* 3, 4, 5 */
    flip_bit(f, "wal-1", record_at(3) + 50, 3);    /* 4 is torn; 5 is whole */
    assert_recovers_to(f, 3);
    f->payload_bytes = 60;
    write_groups(f, 2); /* 4 and 5 again, others */
    assert_recovers_to(f, 5);
    /* Even if the sector comes back: what a successor has declared dead is dead. */
    flip_bit(f, "wal-1", record_at(3) + 50, 3);
    assert_recovers_to(f, 5);
}

static void an_older_file_must_reach_its_proved_end(void **state)
{
    struct log_fixture *f = *state;
    write_groups(f, 3);
    fixture_reopen(f);
    write_groups(f, 1);
    flip_bit(f, "wal-1", record_at(2) + 50, 3);
    assert_refused(f, "ends at LSN 2");
    flip_bit(f, "wal-1", record_at(2) + 50, 3);
    fixture_open(f);
}

static void files_of_another_chain_are_refused(void **state)
{
    struct log_fixture *f = *state;
    write_groups(f, 2);
    struct bytes first = read_bytes(f, "wal-1");
    fixture_close(f);
    assert_int_equal(vfs_unlink(f->dir, "wal-1", NULL), 0);
    fixture_open(f);
    write_groups(f, 2);
    fixture_reopen(f);
    write_groups(f, 1);
    replace_bytes(f, "wal-1", first.data, first.size); /* the same LSNs, another history */
    assert_refused(f, "another file");
    free(first.data);
}

static void a_gap_in_the_log_is_damage(void **state)
{
    struct log_fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        write_groups(f, 2);
        fixture_reopen(f);
    }
    struct bytes second = read_bytes(f, "wal-2");
    assert_int_equal(vfs_unlink(f->dir, "wal-2", NULL), 0);
    assert_refused(f, "gap");
    replace_bytes(f, "wal-2", second.data, second.size);
    struct bytes first = read_bytes(f, "wal-1");
    assert_int_equal(vfs_unlink(f->dir, "wal-1", NULL), 0);
    assert_refused(f, "gap");
    replace_bytes(f, "wal-1", second.data, second.size); /* a file under another name */
    assert_refused(f, "number 2");
    replace_bytes(f, "wal-1", first.data, first.size);
    fixture_open(f);
    free(first.data);
    free(second.data);
}

static void a_log_of_another_collection_is_refused(void **state)
{
    struct log_fixture *f = *state;
    write_groups(f, 2);
    struct bytes b = read_bytes(f, "wal-1");
    b.data[50] ^= 1;
    replace_bytes(f, "wal-1", b.data, b.size);
    fixture_reopen(f); /* one copy of the header: survived */
    struct file_owner other = f->owner;
    other.collection.bytes[2] ^= 1;
    struct file_owner mine = f->owner;
    f->owner = other;
    fixture_manifest(f, 2, 0, 0, 1);
    assert_refused(f, "another collection");
    f->owner = mine;
    fixture_manifest(f, 3, 0, 0, 1);
    fixture_open(f);
    free(b.data);
}

static void files_below_wal_first_are_not_read(void **state)
{
    struct log_fixture *f = *state;
    write_groups(f, 2);
    fixture_reopen(f);
    write_groups(f, 2);
    fixture_manifest(f, 2, 2, 2, 2);
    replace_bytes(f, "wal-1", "garbage", 7);
    assert_recovers_to(f, 4);
    assert_false(is_there(f, "wal-1")); /* and removed */
    fixture_manifest(f, 3, 4, 4, 3);
    assert_recovers_to(f, 4);
    write_groups(f, 1);
    assert_true(is_there(f, "wal-3"));
    assert_recovers_to(f, 5);
}

static void both_headers_bad_is_damage_one_is_survived(void **state)
{
    struct log_fixture *f = *state;
    struct recovery r;
    struct error err = {0};
    write_groups(f, 2);
    flip_bit(f, "wal-1", 100, 1);
    fixture_close(f);
    assert_ok(fixture_try_recover(f, false, &r, &err), &err);
    assert_int_equal(r.damaged_copies, 1);
    recovery_deinit(&r);
    flip_bit(f, "wal-1", WAL_SECOND_HEADER + 100, 1);
    assert_refused(f, "both headers are bad");
}

/* ---- order of operations (R3b, R14) ---- */

static void what_was_read_is_synced_before_anything_is_removed(void **state)
{
    struct log_fixture *f = *state;
    char want[256];
    write_groups(f, 2);
    fixture_reopen(f);
    write_groups(f, 3);
    fixture_close(f);
    replace_bytes(f, "tmp-00000000000000000000000000000000", "", 0);
    replace_bytes(f, "seg-00000000000000000000000000000000.ids", "", 0);
    forget_ops(f);
    fixture_open(f);
    snprintf(want, sizeof want, "sync write:8192+%d sync dirsync ", 3 * RECORD_BYTES);
    assert_true(strncmp(f->ops, want, strlen(want)) == 0);
    assert_non_null(strstr(f->ops, "unlink:tmp- "));
    assert_non_null(strstr(f->ops, "unlink:seg- "));
    assert_int_equal(count_names(f, "tmp-"), 0);
    assert_int_equal(count_names(f, "seg-"), 0);
}

static void opening_again_gives_the_same(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    write_groups(f, 2);
    assert_ok(try_write(f, 3, false, &err), &err);
    flip_bit(f, "wal-1", record_at(4) + 50, 3);
    for (int i = 0; i < 3; i++) assert_recovers_to(f, 4);
    assert_int_equal(wal_file_count(f->wal), 1);
    assert_int_equal(f->log->ops->replay_bytes(f->log), 4 * RECORD_BYTES);
}

static void each_failing_operation_leaves_everything_for_the_next_start(void **state)
{
    struct log_fixture *f = *state;
    write_groups(f, 3);
    fixture_reopen(f);
    write_groups(f, 3);
    fixture_close(f);
    for (uint64_t n = 1;; n++) {
        struct error err = {0};
        replace_bytes(f, "tmp-00000000000000000000000000000001", "", 0);
        arm(f, FAULTY_ALL, EIO, FAULTY_ONCE, n, n % 2);
        int rc = fixture_try_open(f, &err);
        bool fired = vfs_faulty_fired(f->faulty) > 0;
        vfs_faulty_disarm(f->faulty);
        if (rc == 0) fixture_close(f); /* a failed close of what was only read is no matter */
        else assert_int_equal(err.code, LYNSE_IO);
        fixture_open(f);
        assert_int_equal(f->committed_lsn, 6);
        fixture_close(f);
        if (!fired) break;
    }
}

static int open_and_close(void *ctx, struct error *err)
{
    struct log_fixture *f = ctx;
    int rc = fixture_try_open(f, err);
    if (rc == 0) fixture_close(f);
    return rc;
}

static void memory_may_run_out_anywhere(void **state)
{
    struct log_fixture *f = *state;
    write_groups(f, 3);
    fixture_reopen(f);
    write_groups(f, 3);
    fixture_close(f);
    oom_sweep(f->alloc, open_and_close, f);
}

static void replay_starts_after_what_is_flushed(void **state)
{
    struct log_fixture *f = *state;
    write_groups(f, 5);
    fixture_manifest(f, 2, 3, 3, 1);
    struct recovery r;
    struct error err = {0};
    fixture_close(f);
    assert_ok(fixture_try_recover(f, false, &r, &err), &err); /* check_replayed wants 4, 5 */
    assert_int_equal(f->replayed_lsn, 5);
    assert_int_equal(r.position.last_lsn, 5);
    assert_int_equal(r.upto_lsn, 5);
    recovery_deinit(&r);
}

/* ---- readers (L4) ---- */

static void assert_reader_shows(struct log_fixture *f, uint64_t lsn)
{
    struct recovery r;
    struct error err = {0};
    forget_ops(f);
    assert_ok(fixture_try_recover(f, true, &r, &err), &err);
    assert_int_equal(r.upto_lsn, lsn);
    assert_int_equal(f->replayed_lsn, lsn);
    assert_int_equal(r.damage.code, 0);
    assert_string_equal(f->ops, ""); /* a reader writes, syncs and removes nothing */
    recovery_deinit(&r);
}

static void a_reader_shows_what_is_proved_durable(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    assert_reader_shows(f, 0);
    write_groups(f, 2);
    assert_reader_shows(f, 0); /* nobody has said yet that 2 is durable */
    write_groups(f, 1);
    assert_reader_shows(f, 2); /* a record */
    assert_ok(wal_mark(f->wal, 0, true, &err), &err);
    assert_reader_shows(f, 3); /* a mark */
    write_groups(f, 1);
    wal_close_current(f->wal);
    write_groups(f, 1);
    assert_reader_shows(f, 4); /* a successor's header */
    fixture_manifest(f, 2, 0, 5, 1);
    assert_reader_shows(f, 5); /* a manifest */
}

static void a_reader_stops_before_damage_and_says_so(void **state)
{
    struct log_fixture *f = *state;
    struct recovery r;
    struct error err = {0};
    for (int i = 0; i < 3; i++) {
        write_groups(f, 1);
        write_groups(f, 1);
        fixture_reopen(f);
    }
    fixture_close(f);
    flip_bit(f, "wal-2", record_at(1) + 50, 3);
    assert_ok(fixture_try_recover(f, true, &r, &err), &err);
    assert_int_equal(r.damage.code, LYNSE_CORRUPT);
    assert_int_equal(r.upto_lsn, 3);
    assert_int_equal(f->replayed_lsn, 3);
    recovery_deinit(&r);
    flip_bit(f, "wal-2", 10, 3);
    flip_bit(f, "wal-2", WAL_SECOND_HEADER + 10, 3);
    assert_ok(fixture_try_recover(f, true, &r, &err), &err);
    assert_int_equal(r.damage.code, LYNSE_CORRUPT);
    assert_int_equal(r.upto_lsn, 1); /* its header alone told that 2 was durable */
    recovery_deinit(&r);
    /* What the manifest names needs the log up to there: then there is nothing true to show. */
    fixture_manifest(f, 2, 0, 4, 1);
    assert_fails(fixture_try_recover(f, true, &r, &err), &err, LYNSE_CORRUPT);
}

static void a_damaged_newest_file_can_still_be_read_up_to_there(void **state)
{
    struct log_fixture *f = *state;
    struct recovery r;
    struct error err = {0};
    for (int i = 0; i < 4; i++) write_groups(f, 1);
    fixture_close(f);
    flip_bit(f, "wal-1", record_at(1) + 50, 3);
    assert_fails(fixture_try_recover(f, false, &r, &err), &err, LYNSE_CORRUPT);
    assert_ok(fixture_try_recover(f, true, &r, &err), &err);
    assert_int_equal(r.damage.code, LYNSE_CORRUPT);
    assert_int_equal(r.upto_lsn, 1);
    recovery_deinit(&r);
}

static void an_unknown_feature_that_only_forbids_writing_makes_a_reader(void **state)
{
    struct log_fixture *f = *state;
    struct recovery r;
    struct error err = {0};
    write_groups(f, 2);
    fixture_close(f);
    struct bytes b = read_bytes(f, "wal-1");
    struct wal_header h;
    int damaged;
    bool read_only;
    assert_ok(wal_header_read(slice_of(b.data, b.size), &f->owner, "wal-1", &h, &damaged,
                              &read_only, &err),
              &err);
    h.base.read_only_compatible = 8;
    wal_header_encode(&h, b.data);
    memcpy(b.data + WAL_SECOND_HEADER, b.data, WAL_HEADER_BYTES);
    replace_bytes(f, "wal-1", b.data, b.size);
    free(b.data);
    forget_ops(f);
    assert_ok(fixture_try_recover(f, false, &r, &err), &err);
    assert_true(r.must_read_only);
    assert_string_equal(f->ops, "");
    recovery_deinit(&r);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(what_was_never_acked_may_be_torn),
    CASE(what_a_later_record_vouches_for_must_be_there),
    CASE(a_mark_closes_the_blind_spot),
    CASE(the_padding_of_a_torn_mark_vouches_for_nothing),
    CASE(a_record_behind_the_torn_end_vouches_for_nothing_that_shares_its_block),
    CASE(a_mark_that_recovery_finds_still_vouches),
    CASE(a_manifest_vouches_too),
    CASE(every_cut_of_an_unvouched_batch_leaves_a_prefix),
    CASE(every_flipped_bit_is_found_survived_or_in_the_last_batch),
    CASE(a_torn_end_that_a_successor_proves_stays_dead),
    CASE(an_older_file_must_reach_its_proved_end),
    CASE(files_of_another_chain_are_refused),
    CASE(a_gap_in_the_log_is_damage),
    CASE(a_log_of_another_collection_is_refused),
    CASE(files_below_wal_first_are_not_read),
    CASE(both_headers_bad_is_damage_one_is_survived),
    CASE(what_was_read_is_synced_before_anything_is_removed),
    CASE(opening_again_gives_the_same),
    CASE(each_failing_operation_leaves_everything_for_the_next_start),
    CASE(memory_may_run_out_anywhere),
    CASE(replay_starts_after_what_is_flushed),
    CASE(a_reader_shows_what_is_proved_durable),
    CASE(a_reader_stops_before_damage_and_says_so),
    CASE(a_damaged_newest_file_can_still_be_read_up_to_there),
    CASE(an_unknown_feature_that_only_forbids_writing_makes_a_reader),
};
TEST_MAIN(tests)
