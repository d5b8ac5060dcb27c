/* SPDX-License-Identifier: Apache-2.0 */
#include "store/wal.h"

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

/* ---- order of operations ---- */

static void nothing_is_written_before_the_first_group(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    uint64_t durable = 9;
    assert_ok(f->log->ops->sync(f->log, &durable, &err), &err);
    assert_int_equal(durable, 0);
    assert_ok(wal_mark(f->wal, 0, true, &err), &err);
    assert_ok(f->log->ops->complete(f->log, true, &err), &err);
    assert_string_equal(f->ops, "");
    assert_ok(try_append(f, 1, &err), &err);
    assert_string_equal(f->ops, ""); /* append collects, complete writes */
    assert_ok(f->log->ops->complete(f->log, true, &err), &err);
}

static void a_file_is_whole_with_its_first_group_before_it_has_its_name(void **state)
{
    struct log_fixture *f = *state;
    char want[256];
    f->payload_bytes = 8;
    write_groups(f, 1);
    snprintf(want, sizeof want,
             "create:tmp- write:8192+40 write:8232+%d write:0+8192 sync rename:tmp->wal-1 dirsync ",
             WAL_FIRST_BYTES - 8232);
    assert_string_equal(f->ops, want);
}

static void a_batch_is_one_write_and_one_sync(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    f->payload_bytes = 8;
    write_groups(f, 1);
    forget_ops(f);
    write_groups(f, 50);
    assert_string_equal(f->ops, "write:8232+2000 sync ");
    forget_ops(f);
    assert_ok(try_write(f, 2, false, &err), &err);
    assert_string_equal(f->ops, "write:10232+80 ");
    assert_int_equal(f->log->ops->durable_lsn(f->log), 51);
    assert_int_equal(f->committed_lsn, 53);
    uint64_t durable = 0;
    assert_ok(f->log->ops->sync(f->log, &durable, &err), &err);
    assert_int_equal(durable, 53);
    forget_ops(f);
    assert_ok(f->log->ops->sync(f->log, &durable, &err), &err);
    assert_string_equal(f->ops, ""); /* nothing new: no sync */
}

static void a_full_file_is_synced_before_its_successor_exists(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    f->payload_bytes = (WAL_FIRST_BYTES - WAL_RECORDS - WAL_MARK_ROOM) / 2 - 32;
    assert_ok(try_write(f, 1, false, &err), &err);
    assert_ok(try_write(f, 1, false, &err), &err);
    assert_int_equal(f->log->ops->durable_lsn(f->log), 1); /* the file was made with it */
    forget_ops(f);
    assert_ok(try_write(f, 1, false, &err), &err); /* `os` and `interval` too (R4a) */
    assert_true(strncmp(f->ops, "sync create:tmp- ", 17) == 0);
    assert_non_null(strstr(f->ops, "sync rename:tmp->wal-2 dirsync "));
    assert_null(strstr(f->ops, "dirsync write")); /* what it was made for was in it before */
    assert_int_equal(f->log->ops->durable_lsn(f->log), 3);
    assert_survives(f);
}

static void a_batch_can_go_through_several_files(void **state)
{
    struct log_fixture *f = *state;
    f->payload_bytes = 3000;
    write_groups(f, 60);
    assert_true(wal_file_count(f->wal) > 2);
    assert_int_equal(f->log->ops->durable_lsn(f->log), 60);
    assert_survives(f);
    write_groups(f, 3);
    assert_survives(f);
}

/* ---- sizes ---- */

static void files_double_up_to_their_limit(void **state)
{
    struct log_fixture *f = *state;
    uint64_t want = WAL_FIRST_BYTES;
    char name[TWIN_NAME_BYTES];
    f->payload_bytes = 3900;
    for (uint64_t sequence = 1; sequence < 13; sequence++) {
        while (wal_file_count(f->wal) <= sequence) write_groups(f, 1);
        numbered_name(name, WAL_PREFIX, sequence);
        assert_int_equal(size_of(f, name), want);
        want = 2 * want > WAL_MAX_BYTES ? WAL_MAX_BYTES : 2 * want;
    }
    assert_survives(f);
}

static void a_large_group_gets_a_file_of_its_size(void **state)
{
    struct log_fixture *f = *state;
    f->payload_bytes = WAL_MAX_BYTES + 12345;
    write_groups(f, 1);
    uint64_t want = WAL_RECORDS + wal_record_bytes(f->payload_bytes) + WAL_MARK_ROOM;
    assert_int_equal(size_of(f, "wal-1"), align_up((size_t)want, WAL_BLOCK_BYTES));
    f->payload_bytes = 100;
    write_groups(f, 1);
    assert_survives(f);
}

static void a_group_fits_to_the_last_byte_before_the_room_for_a_mark(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    f->payload_bytes = WAL_FIRST_BYTES - WAL_RECORDS - WAL_MARK_ROOM - 32 - 40;
    write_groups(f, 1);
    f->payload_bytes = 8;
    write_groups(f, 1);
    assert_int_equal(wal_file_count(f->wal), 1);
    assert_ok(wal_mark(f->wal, 0, true, &err), &err);
    assert_true(wal_is_vouched(f->wal));
    assert_int_equal(size_of(f, "wal-1"), WAL_FIRST_BYTES);
    write_groups(f, 1);
    assert_int_equal(wal_file_count(f->wal), 2);
    assert_survives(f);
}

/* One group, half of its payload a bulk; it need not outlive `complete`. */
static void append_with_bulk(struct log_fixture *f, uint64_t lsn, uint8_t *payload, size_t split)
{
    struct error err = {0};
    size_t bytes = expected_bytes(f, lsn), bulk = (bytes - split) / 2;
    expected_payload(lsn, payload, bytes);
    uint8_t *around = malloc(bytes - bulk + 1);
    memcpy(around, payload, split);
    memcpy(around + split, payload + split + bulk, bytes - split - bulk);
    struct commit_record record = {.kind = RECORD_UPSERT,
                                   .payload = slice_of(around, bytes - bulk),
                                   .bulk = slice_of(payload + split, bulk),
                                   .bulk_at = split};
    assert_ok(f->log->ops->append(f->log, lsn, &record, 1, &err), &err);
    free(around);
}

static void a_bulk_is_written_from_where_it_is(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    uint8_t payloads[6][WAL_FIRST_BYTES];
    const size_t splits[] = {0, 8, 40, 24};
    f->payload_bytes = 600;
    assert_ok(try_append(f, 1, &err), &err);
    for (uint64_t i = 0; i < 4; i++) append_with_bulk(f, 2 + i, payloads[i], splits[i]);
    assert_ok(try_append(f, 6, &err), &err);
    assert_ok(f->log->ops->complete(f->log, true, &err), &err);
    assert_int_equal(wal_file_count(f->wal), 1);
    /* In a file that is there, and over the edge into the next. */
    f->payload_bytes = 7000;
    append_with_bulk(f, 7, payloads[4], 16);
    append_with_bulk(f, 8, payloads[5], 6000);
    assert_ok(try_append(f, 9, &err), &err);
    assert_ok(f->log->ops->complete(f->log, true, &err), &err);
    assert_true(wal_file_count(f->wal) > 1);
    assert_int_equal(f->committed_lsn, 9);
    assert_survives(f);
}

static void a_group_over_the_limit_is_refused_alone(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    static const uint8_t byte;
    const struct commit_record half = {.kind = RECORD_UPSERT,
                                       .payload = slice_of(&byte, LIMIT_GROUP_BYTES / 2)};
    struct commit_record huge[2] = {half, half};
    assert_ok(try_append(f, 1, &err), &err);
    assert_fails(f->log->ops->append(f->log, 2, huge, 2, &err), &err, LYNSE_TOO_LARGE);
    assert_non_null(strstr(err.text, "268435520 bytes, at most 268435456"));
    huge[0].payload.size = SIZE_MAX - 7;
    assert_fails(f->log->ops->append(f->log, 2, huge, 2, &err), &err, LYNSE_TOO_LARGE);
    assert_ok(try_append(f, 2, &err), &err);
    assert_ok(f->log->ops->complete(f->log, true, &err), &err);
    assert_int_equal(f->committed_lsn, 2);
    assert_survives(f);
}

static void a_restart_goes_on_in_a_new_file(void **state)
{
    struct log_fixture *f = *state;
    write_groups(f, 3);
    assert_survives(f);
    write_groups(f, 3);
    assert_int_equal(wal_file_count(f->wal), 2);
    assert_true(is_there(f, "wal-2"));
    assert_survives(f);
    assert_survives(f);
}

/* ---- marks ---- */

static void a_mark_starts_a_block_and_vouches(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    f->payload_bytes = 8;
    write_groups(f, 2);
    assert_false(wal_is_vouched(f->wal));
    forget_ops(f);
    assert_ok(wal_mark(f->wal, 0, true, &err), &err);
    assert_string_equal(f->ops, "write:8272+4048 sync "); /* padding to 12288, and 32 bytes */
    assert_true(wal_is_vouched(f->wal));
    forget_ops(f);
    assert_ok(wal_mark(f->wal, 0, true, &err), &err);
    assert_string_equal(f->ops, "");
    assert_survives(f);
    assert_true(wal_is_vouched(f->wal)); /* recovery has seen the mark */
}

static void a_mark_without_a_sync_vouches_when_a_sync_comes(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    write_groups(f, 2);
    assert_ok(wal_mark(f->wal, 0, false, &err), &err);
    assert_false(wal_is_vouched(f->wal));
    forget_ops(f);
    assert_ok(wal_mark(f->wal, 0, false, &err), &err);
    assert_string_equal(f->ops, ""); /* it is there already */
    assert_ok(wal_mark(f->wal, 0, true, &err), &err);
    assert_string_equal(f->ops, "sync ");
    assert_true(wal_is_vouched(f->wal));
}

static void what_is_flushed_or_followed_up_needs_no_mark(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    write_groups(f, 2);
    forget_ops(f);
    assert_ok(wal_mark(f->wal, 2, true, &err), &err);
    assert_string_equal(f->ops, "");
    wal_vouched_by_manifest(f->wal, 2);
    assert_true(wal_is_vouched(f->wal));
    write_groups(f, 1);
    assert_false(wal_is_vouched(f->wal));
    wal_close_current(f->wal);
    write_groups(f, 1); /* the successor's header vouches for 3 */
    assert_false(wal_is_vouched(f->wal));
    assert_ok(wal_mark(f->wal, 2, true, &err), &err);
    assert_true(wal_is_vouched(f->wal));
    assert_survives(f);
}

static void marks_and_groups_take_turns(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    for (size_t bytes = 1; bytes < 4200; bytes += 61) {
        f->payload_bytes = bytes;
        write_groups(f, 1);
        assert_ok(wal_mark(f->wal, 0, true, &err), &err);
        assert_true(wal_is_vouched(f->wal));
    }
    assert_survives(f);
}

static void without_room_a_mark_is_left_to_the_manifest(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    uint64_t durable = 0;
    f->payload_bytes = WAL_FIRST_BYTES - WAL_RECORDS - WAL_MARK_ROOM - 32 - 40;
    write_groups(f, 1);
    f->payload_bytes = 8;
    assert_ok(try_write(f, 1, false, &err), &err);
    assert_ok(wal_mark(f->wal, 0, false, &err), &err); /* for LSN 1 */
    assert_ok(f->log->ops->sync(f->log, &durable, &err), &err);
    assert_int_equal(durable, 2);
    assert_ok(wal_mark(f->wal, 0, true, &err), &err);
    if (!wal_is_vouched(f->wal)) wal_vouched_by_manifest(f->wal, durable);
    assert_int_equal(size_of(f, "wal-1"), WAL_FIRST_BYTES);
    assert_survives(f);
}

/* ---- retirement ---- */

/* A checkpoint up to the last LSN. */
static void checkpoint(struct log_fixture *f, uint64_t epoch)
{
    uint64_t lsn = f->committed_lsn;
    wal_close_current(f->wal);
    uint64_t first = wal_first_needed(f->wal, lsn);
    fixture_manifest(f, epoch, lsn, lsn, first);
    wal_vouched_by_manifest(f->wal, lsn);
    wal_retire(f->wal, first);
}

static void a_retired_file_becomes_the_spare_and_is_used_again(void **state)
{
    struct log_fixture *f = *state;
    write_groups(f, 5);
    uint64_t bytes = size_of(f, "wal-1");
    checkpoint(f, 2);
    assert_int_equal(wal_file_count(f->wal), 0);
    assert_int_equal(f->log->ops->replay_bytes(f->log), 0);
    assert_int_equal(count_names(f, "wal-"), 0);
    assert_non_null(wal_spare_name(f->wal));
    assert_true(is_there(f, wal_spare_name(f->wal)));
    forget_ops(f);
    f->payload_bytes = 8;
    write_groups(f, 2);
    assert_string_equal(f->ops, "write:8192+80 write:0+8192 sync rename:tmp->wal-2 dirsync ");
    assert_null(wal_spare_name(f->wal));
    assert_int_equal(count_names(f, "tmp-"), 0);
    assert_int_equal(size_of(f, "wal-2"), bytes);
    assert_survives(f); /* the old records are of another salt */
}

/* The UUID of a log file's header. */
static struct uuid salt_of(struct log_fixture *f, const char *name)
{
    struct uuid salt;
    struct bytes b = read_bytes(f, name);
    memcpy(salt.bytes, b.data + 64, sizeof salt.bytes);
    free(b.data);
    return salt;
}

static void a_file_that_is_used_again_has_a_new_salt_and_meanwhile_no_header(void **state)
{
    struct log_fixture *f = *state;
    write_groups(f, 5);
    struct uuid before = salt_of(f, "wal-1");
    checkpoint(f, 2);
    struct bytes spare = read_bytes(f, wal_spare_name(f->wal));
    assert_true(bytes_are_zero(spare.data, WAL_RECORDS));
    free(spare.data);
    write_groups(f, 1);
    struct uuid after = salt_of(f, "wal-2");
    assert_false(uuid_equal(&before, &after));
}

static void a_spare_is_extended_with_zeros_to_the_size_that_is_needed(void **state)
{
    struct log_fixture *f = *state;
    write_groups(f, 5);
    checkpoint(f, 2);
    f->payload_bytes = WAL_MAX_BYTES;
    write_groups(f, 1);
    assert_true(size_of(f, "wal-2") > WAL_MAX_BYTES);
    f->payload_bytes = 0;
    assert_survives(f);
    checkpoint(f, 3);
    assert_null(wal_spare_name(f->wal)); /* too large to be kept */
    assert_int_equal(count_names(f, "wal-"), 0);
}

static void there_is_one_spare_at_most(void **state)
{
    struct log_fixture *f = *state;
    for (int i = 0; i < 4; i++) {
        write_groups(f, 2);
        wal_close_current(f->wal);
    }
    assert_int_equal(wal_file_count(f->wal), 4);
    checkpoint(f, 2);
    assert_int_equal(wal_file_count(f->wal), 0);
    assert_int_equal(count_names(f, "wal-"), 3); /* garbage, for file_gc */
    assert_int_equal(count_names(f, "tmp-"), 1);
    write_groups(f, 1);
    assert_survives(f);
}

static void only_files_below_what_the_manifest_says_are_retired(void **state)
{
    struct log_fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        write_groups(f, 2);
        wal_close_current(f->wal);
    }
    write_groups(f, 2);
    assert_int_equal(wal_first_needed(f->wal, 0), 1);
    assert_int_equal(wal_first_needed(f->wal, 1), 1);
    assert_int_equal(wal_first_needed(f->wal, 2), 2);
    assert_int_equal(wal_first_needed(f->wal, 7), 4);
    assert_int_equal(wal_first_needed(f->wal, 8), 4); /* the current one stays */
    assert_int_equal(wal_first_after_close(f->wal, 8), 5);
    assert_int_equal(wal_first_after_close(f->wal, 7), 4);
    wal_retire(f->wal, 3);
    assert_int_equal(wal_file_count(f->wal), 2);
    assert_true(is_there(f, "wal-3"));
    wal_retire(f->wal, 99);
    assert_int_equal(wal_file_count(f->wal), 1);
    assert_true(is_there(f, "wal-4"));
    wal_close_current(f->wal);
    assert_int_equal(wal_first_needed(f->wal, 8), 5);
    assert_int_equal(wal_first_needed(f->wal, 7), 4);
}

static void skipped_lsns_begin_a_log_without_predecessor(void **state)
{
    struct log_fixture *f = *state;
    write_groups(f, 2);
    wal_skip(f->wal, 3); /* level `none` */
    wal_skip(f->wal, 7);
    assert_int_equal(f->log->ops->durable_lsn(f->log), 2);
    f->committed_lsn = 7;
    checkpoint(f, 2);
    assert_int_equal(f->log->ops->durable_lsn(f->log), 7);
    write_groups(f, 2);
    assert_survives(f);
    assert_int_equal(f->committed_lsn, 9);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(nothing_is_written_before_the_first_group),
    CASE(a_file_is_whole_with_its_first_group_before_it_has_its_name),
    CASE(a_batch_is_one_write_and_one_sync),
    CASE(a_full_file_is_synced_before_its_successor_exists),
    CASE(a_batch_can_go_through_several_files),
    CASE(files_double_up_to_their_limit),
    CASE(a_large_group_gets_a_file_of_its_size),
    CASE(a_group_fits_to_the_last_byte_before_the_room_for_a_mark),
    CASE(a_bulk_is_written_from_where_it_is),
    CASE(a_group_over_the_limit_is_refused_alone),
    CASE(a_restart_goes_on_in_a_new_file),
    CASE(a_mark_starts_a_block_and_vouches),
    CASE(a_mark_without_a_sync_vouches_when_a_sync_comes),
    CASE(what_is_flushed_or_followed_up_needs_no_mark),
    CASE(marks_and_groups_take_turns),
    CASE(without_room_a_mark_is_left_to_the_manifest),
    CASE(a_retired_file_becomes_the_spare_and_is_used_again),
    CASE(a_file_that_is_used_again_has_a_new_salt_and_meanwhile_no_header),
    CASE(a_spare_is_extended_with_zeros_to_the_size_that_is_needed),
    CASE(there_is_one_spare_at_most),
    CASE(only_files_below_what_the_manifest_says_are_retired),
    CASE(skipped_lsns_begin_a_log_without_predecessor),
};
TEST_MAIN(tests)
