/* SPDX-License-Identifier: Apache-2.0 */
#include "store/wal_replay.h"

#include "base/hash.h"
#include "unit/store/log_fixture.h"

/* A log file built record by record. */
struct file {
    struct buf bytes;
    struct file_owner owner;
    struct wal_header header;
    uint32_t chain;
    uint64_t durable_lsn; /* of the next records */
};

static int set_up(void **state)
{
    struct file *f = calloc(1, sizeof *f);
    struct uuid salt = {{0x5a, 1, 2, 3}};
    uint8_t header[WAL_HEADER_BYTES];
    f->owner.root.bytes[0] = 1;
    f->owner.collection.bytes[0] = 2;
    file_header_init(&f->header.base, MAGIC_WAL, WAL_HEADER_BYTES, &f->owner, &salt);
    f->header.sequence = 4;
    f->header.first_lsn = 11;
    f->header.prev_last_lsn = 10;
    f->header.prev_last_crc = 77;
    f->header.prev_uuid.bytes[0] = 9;
    f->header.file_bytes = WAL_RECORDS;
    wal_header_encode(&f->header, header);
    buf_init(&f->bytes, alloc_libc(), MEM_LOG);
    for (int copy = 0; copy < 2; copy++) {
        buf_append(&f->bytes, header, sizeof header);
        buf_append_zeros(&f->bytes, WAL_BLOCK_BYTES - sizeof header);
    }
    *state = f;
    return 0;
}
static int tear_down(void **state)
{
    struct file *f = *state;
    buf_deinit(&f->bytes);
    free(f);
    return 0;
}

static void add_record(struct file *f, unsigned kind, uint8_t flags, uint64_t lsn, size_t bytes)
{
    uint8_t payload[8192];
    assert_true(bytes <= sizeof payload);
    expected_payload(lsn, payload, bytes);
    f->chain = wal_record_encode(&f->bytes, &f->header.base.file, (enum record_kind)kind, flags,
                                 lsn, f->durable_lsn, f->chain, slice_of(payload, bytes));
}

static void add_group(struct file *f, uint64_t lsn, size_t bytes)
{
    add_record(f, RECORD_UPSERT, WAL_GROUP_END, lsn, bytes);
}

struct seen {
    uint64_t lsns[64];
    bool ends[64];
    size_t count;
    size_t stop_at; /* 0: never */
};

static int note(void *ctx, uint64_t lsn, enum record_kind kind, struct slice payload, bool is_end,
                struct error *err)
{
    struct seen *s = ctx;
    uint8_t want[8192];
    (void)kind;
    expected_payload(lsn, want, payload.size);
    assert_memory_equal(payload.data, want, payload.size);
    assert_true(s->count < 64);
    s->lsns[s->count] = lsn;
    s->ends[s->count++] = is_end;
    return s->count == s->stop_at ? error_set(err, LYNSE_CANCELLED, "enough") : 0;
}

static int scan_upto(struct file *f, uint64_t upto, struct seen *seen, struct wal_scan *out,
                     struct error *err)
{
    memset(seen, 0, sizeof *seen);
    return wal_scan(buf_slice(&f->bytes), &f->owner, "wal-4", upto, note, seen, out, err);
}

static void assert_scans(struct file *f, uint64_t last, uint64_t vouched)
{
    struct seen seen;
    struct wal_scan scan;
    struct error err = {0};
    assert_ok(scan_upto(f, UINT64_MAX, &seen, &scan, &err), &err);
    assert_int_equal(scan.last_lsn, last);
    assert_int_equal(scan.vouched_lsn, vouched);
    for (size_t i = 0; i < seen.count; i++) assert_true(seen.lsns[i] <= last);
    if (last > 10) assert_int_equal(seen.lsns[seen.count - 1], last);
    else assert_int_equal(seen.count, 0);
}

static void groups_are_handed_out_whole_and_in_order(void **state)
{
    struct file *f = *state;
    struct seen seen;
    struct wal_scan scan;
    struct error err = {0};
    assert_scans(f, 10, 0);
    add_group(f, 11, 0);
    add_record(f, RECORD_UPSERT, 0, 12, 5);
    add_record(f, RECORD_DELETE, 0, 12, 6);
    add_record(f, RECORD_RESTORE, WAL_GROUP_END, 12, 7);
    uint32_t last_crc = f->chain;
    size_t end = f->bytes.size;
    add_record(f, RECORD_UPSERT, 0, 13, 8);
    assert_ok(scan_upto(f, UINT64_MAX, &seen, &scan, &err), &err);
    assert_int_equal(seen.count, 4);
    assert_int_equal(scan.last_lsn, 12);
    assert_int_equal(scan.last_crc, last_crc);
    assert_int_equal(scan.end_offset, end);
    assert_true(scan.is_torn);
    assert_false(seen.ends[1]);
    assert_true(seen.ends[3]);
    assert_int_equal(scan.header.sequence, 4);
}

static void the_callback_can_stop_the_walk(void **state)
{
    struct file *f = *state;
    struct seen seen = {.stop_at = 2};
    struct wal_scan scan;
    struct error err = {0};
    for (uint64_t lsn = 11; lsn < 20; lsn++) add_group(f, lsn, 9);
    assert_fails(
        wal_scan(buf_slice(&f->bytes), &f->owner, "wal-4", UINT64_MAX, note, &seen, &scan, &err),
        &err, LYNSE_CANCELLED);
    assert_int_equal(seen.count, 2);
}

static void groups_above_the_proved_end_are_dead(void **state)
{
    struct file *f = *state;
    struct seen seen;
    struct wal_scan scan;
    struct error err = {0};
    add_group(f, 11, 9);
    uint32_t crc = f->chain;
    add_group(f, 12, 9);
    assert_ok(scan_upto(f, 11, &seen, &scan, &err), &err);
    assert_int_equal(seen.count, 1);
    assert_int_equal(scan.last_lsn, 11);
    assert_int_equal(scan.last_crc, crc);
    assert_ok(scan_upto(f, 10, &seen, &scan, &err), &err);
    assert_int_equal(seen.count, 0);
    assert_int_equal(scan.last_crc, 0);
}

static void marks_and_padding_stand_between_groups(void **state)
{
    struct file *f = *state;
    struct seen seen;
    struct wal_scan scan;
    struct error err = {0};
    f->durable_lsn = 10;
    add_record(f, RECORD_MARK, WAL_IGNORABLE, 10, 0);
    add_group(f, 11, 9);
    uint32_t crc = f->chain;
    f->durable_lsn = 11;
    add_record(f, RECORD_PAD, WAL_IGNORABLE, 11, 100);
    add_record(f, RECORD_MARK, WAL_IGNORABLE, 11, 0);
    assert_ok(scan_upto(f, UINT64_MAX, &seen, &scan, &err), &err);
    assert_int_equal(scan.last_lsn, 11);
    assert_int_equal(scan.last_crc, crc); /* marks do not count */
    assert_int_equal(scan.end_offset, f->bytes.size);
    add_group(f, 12, 9);
    assert_scans(f, 12, 11);
}

static void what_is_out_of_order_ends_the_log(void **state)
{
    struct file *f = *state;
    size_t size = f->bytes.size;
    static const struct {
        unsigned kind;
        uint8_t flags;
        uint64_t lsn;
    } cases[] = {
        {RECORD_UPSERT, WAL_GROUP_END, 11}, /* again */
        {RECORD_UPSERT, WAL_GROUP_END, 13}, /* a gap */
        {RECORD_MARK, WAL_IGNORABLE, 10},   /* of another LSN */
        {RECORD_MARK, WAL_IGNORABLE, 12},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f->bytes.size = size;
        f->chain = 0;
        add_group(f, 11, 9);
        add_record(f, cases[i].kind, cases[i].flags, cases[i].lsn, 0);
        add_group(f, 12, 9);
        assert_scans(f, 11, 0);
    }
    f->bytes.size = size; /* a mark inside a group */
    f->chain = 0;
    add_record(f, RECORD_UPSERT, 0, 11, 9);
    add_record(f, RECORD_MARK, WAL_IGNORABLE, 10, 0);
    add_record(f, RECORD_UPSERT, WAL_GROUP_END, 11, 9);
    assert_scans(f, 10, 0);
}

static void records_of_another_salt_or_place_do_not_continue(void **state)
{
    struct file *f = *state;
    add_group(f, 11, 9);
    add_group(f, 12, 9);
    size_t size = f->bytes.size;
    f->header.base.file.bytes[5] ^= 1; /* the next records are of a recycled file */
    add_group(f, 13, 9);
    assert_scans(f, 12, 0);
    f->header.base.file.bytes[5] ^= 1;
    f->bytes.size = size;
    f->chain ^= 1; /* a record that was written for another place */
    add_group(f, 13, 9);
    assert_scans(f, 12, 0);
}

static void unknown_kinds_are_refused_unless_ignorable(void **state)
{
    struct file *f = *state;
    struct seen seen;
    struct wal_scan scan;
    struct error err = {0};
    add_record(f, RECORD_UPSERT, 0, 11, 9);
    add_record(f, 99, WAL_IGNORABLE | WAL_GROUP_END, 11, 9);
    assert_ok(scan_upto(f, UINT64_MAX, &seen, &scan, &err), &err);
    assert_int_equal(seen.count, 1);
    assert_true(seen.ends[0]); /* the last one that is known */
    add_record(f, 99, 0, 12, 9);
    assert_scans(f, 11, 0); /* torn before it was complete: no matter */
    add_record(f, RECORD_UPSERT, WAL_GROUP_END, 12, 9);
    assert_fails(scan_upto(f, UINT64_MAX, &seen, &scan, &err), &err, LYNSE_FORMAT_TOO_NEW);
    assert_ok(scan_upto(f, 11, &seen, &scan, &err), &err); /* dead: no matter */
}

static void a_record_behind_damage_vouches_and_is_no_data(void **state)
{
    struct file *f = *state;
    for (uint64_t lsn = 11; lsn < 20; lsn++) {
        f->durable_lsn = lsn - 1;
        add_group(f, lsn, 500);
    }
    assert_scans(f, 19, 18);
    f->bytes.data[WAL_RECORDS + 3 * wal_record_bytes(500) + 100] ^= 1;
    assert_scans(f, 13, 18);
    /* The header of the damaged one tells no length any more either. */
    memset(f->bytes.data + WAL_RECORDS + 3 * wal_record_bytes(500), 0xff, 600);
    assert_scans(f, 13, 18);
}

static void a_claim_above_its_own_lsn_is_no_claim(void **state)
{
    struct file *f = *state;
    add_group(f, 11, 9);
    f->durable_lsn = 13;
    add_group(f, 12, 9);
    assert_scans(f, 11, 0);
}

static void every_flipped_bit_ends_the_log_there_or_is_survived(void **state)
{
    struct file *f = *state;
    struct seen seen;
    struct wal_scan scan;
    struct error err = {0};
    size_t starts[8];
    for (uint64_t lsn = 11; lsn < 19; lsn++) {
        starts[lsn - 11] = f->bytes.size;
        f->durable_lsn = lsn - 1;
        add_group(f, lsn, (size_t)(lsn % 4) * 11);
    }
    for (size_t bit = 0; bit < f->bytes.size * 8; bit += test_stride()) {
        size_t at = bit / 8, hit = 0;
        f->bytes.data[at] ^= (uint8_t)(1u << bit % 8);
        if (at < WAL_RECORDS) {
            struct wal_header h;
            int damaged = 0;
            bool read_only;
            assert_ok(wal_header_read(buf_slice(&f->bytes), &f->owner, "wal-4", &h, &damaged,
                                      &read_only, &err),
                      &err);
            assert_int_equal(damaged, 1);
            assert_ok(scan_upto(f, UINT64_MAX, &seen, &scan, &err), &err);
            assert_int_equal(scan.last_lsn, 18);
        } else {
            while (hit + 1 < 8 && starts[hit + 1] <= at) hit++;
            assert_ok(scan_upto(f, UINT64_MAX, &seen, &scan, &err), &err);
            assert_int_equal(scan.last_lsn, 10 + hit);
            assert_int_equal(seen.count, hit);
            /* Each but the newest has a later record that vouches for it. */
            assert_int_equal(scan.vouched_lsn, hit == 7 ? 16 : 17);
        }
        f->bytes.data[at] ^= (uint8_t)(1u << bit % 8);
    }
}

static void a_torn_end_loses_whole_groups_only(void **state)
{
    struct file *f = *state;
    struct seen seen;
    struct wal_scan scan;
    struct error err = {0};
    size_t ends[6] = {0};
    for (uint64_t lsn = 11; lsn < 17; lsn++) {
        add_record(f, RECORD_UPSERT, 0, lsn, 40);
        add_group(f, lsn, 21);
        ends[lsn - 11] = f->bytes.size;
    }
    size_t size = f->bytes.size;
    uint8_t *good = malloc(size);
    memcpy(good, f->bytes.data, size);
    for (size_t cut = WAL_RECORDS; cut <= size; cut++) {
        uint64_t whole = 10;
        for (size_t i = 0; i < 6; i++) whole += ends[i] - 3 <= cut; /* 3 bytes of padding: zero */
        f->bytes.size = cut;
        assert_ok(scan_upto(f, UINT64_MAX, &seen, &scan, &err), &err);
        assert_true(scan.last_lsn <= whole);
        for (int fill = 0; fill < 2; fill++) { /* zeros, garbage */
            f->bytes.size = size;
            memset(f->bytes.data + cut, fill ? 0xa5 : 0, size - cut);
            assert_ok(scan_upto(f, UINT64_MAX, &seen, &scan, &err), &err);
            uint64_t want = fill ? 10 : whole;
            for (size_t i = 0; fill && i < 6; i++) want += ends[i] <= cut;
            assert_int_equal(scan.last_lsn, want);
            assert_int_equal(seen.count, 2 * (want - 10));
            memcpy(f->bytes.data, good, size);
        }
    }
    free(good);
}

static void a_file_shorter_than_it_was_made_is_damage(void **state)
{
    struct file *f = *state;
    struct seen seen;
    struct wal_scan scan;
    struct error err = {0};
    uint8_t header[WAL_HEADER_BYTES];
    add_group(f, 11, 9);
    f->header.file_bytes = f->bytes.size;
    wal_header_encode(&f->header, header);
    memcpy(f->bytes.data, header, sizeof header);
    memcpy(f->bytes.data + WAL_SECOND_HEADER, header, sizeof header);
    assert_scans(f, 11, 0);
    size_t size = f->bytes.size;
    for (f->bytes.size = 0; f->bytes.size < size; f->bytes.size++)
        assert_fails(scan_upto(f, UINT64_MAX, &seen, &scan, &err), &err, LYNSE_CORRUPT);
}

static void headers_that_are_whole_and_differ_are_damage(void **state)
{
    struct file *f = *state;
    struct wal_header h;
    struct error err = {0};
    int damaged;
    bool read_only;
    uint8_t header[WAL_HEADER_BYTES];
    f->header.prev_last_crc++;
    wal_header_encode(&f->header, header);
    memcpy(f->bytes.data + WAL_SECOND_HEADER, header, sizeof header);
    assert_fails(
        wal_header_read(buf_slice(&f->bytes), &f->owner, "wal-4", &h, &damaged, &read_only, &err),
        &err, LYNSE_CORRUPT);
    f->bytes.data[0] ^= 1;
    assert_ok(
        wal_header_read(buf_slice(&f->bytes), &f->owner, "wal-4", &h, &damaged, &read_only, &err),
        &err);
    assert_int_equal(h.prev_last_crc, 78);
    f->bytes.data[WAL_SECOND_HEADER + 200] ^= 1;
    assert_fails(
        wal_header_read(buf_slice(&f->bytes), &f->owner, "wal-4", &h, &damaged, &read_only, &err),
        &err, LYNSE_CORRUPT);
}

static void impossible_headers_are_refused(void **state)
{
    struct file *f = *state;
    static const uint64_t first_lsns[][2] = {
        {0, UINT64_MAX}, {11, 11}, {11, 9}, {UINT64_MAX, UINT64_MAX - 1}};
    struct error err = {0};
    for (size_t i = 0; i < 6; i++) {
        struct wal_header h = f->header, got;
        uint8_t header[WAL_HEADER_BYTES];
        int damaged;
        bool read_only;
        if (i < 4) {
            h.first_lsn = first_lsns[i][0];
            h.prev_last_lsn = first_lsns[i][1];
        } else {
            h.sequence = i == 4 ? 0 : UINT64_MAX;
        }
        wal_header_encode(&h, header);
        memcpy(f->bytes.data, header, sizeof header);
        memcpy(f->bytes.data + WAL_SECOND_HEADER, header, sizeof header);
        assert_fails(wal_header_read(buf_slice(&f->bytes), &f->owner, "wal-4", &got, &damaged,
                                     &read_only, &err),
                     &err, LYNSE_CORRUPT);
    }
}

/* Headers that pass the 16 bits and claim the rest of the file, each with a wrong checksum. */
static void the_search_behind_damage_has_a_budget(void **state)
{
    struct file *f = *state;
    struct seen seen;
    struct wal_scan scan;
    struct error err = {0};
    enum { COUNT = 200, BYTES = 1 << 20 };
    add_group(f, 11, 9);
    buf_append_zeros(&f->bytes, 8);
    for (int i = 0; i < COUNT; i++) {
        struct buf one;
        size_t left = BYTES - f->bytes.size - WAL_RECORD_HEADER_BYTES;
        buf_init(&one, alloc_libc(), MEM_LOG);
        uint8_t *payload = calloc(1, left);
        wal_record_encode(&one, &f->header.base.file, RECORD_UPSERT, 0, 12, 0, 0,
                          slice_of(payload, left));
        buf_append(&f->bytes, one.data, WAL_RECORD_HEADER_BYTES);
        free(payload);
        buf_deinit(&one);
    }
    f->bytes.data[f->bytes.size - 1] ^= 1;
    buf_append_zeros(&f->bytes, BYTES - f->bytes.size - 1);
    buf_append_u8(&f->bytes, 1);
    assert_fails(scan_upto(f, UINT64_MAX, &seen, &scan, &err), &err, LYNSE_CORRUPT);
    assert_non_null(strstr(err.text, "too many"));
    assert_ok(scan_upto(f, 11, &seen, &scan, &err), &err); /* nobody has to search */
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(groups_are_handed_out_whole_and_in_order),
    CASE(the_callback_can_stop_the_walk),
    CASE(groups_above_the_proved_end_are_dead),
    CASE(marks_and_padding_stand_between_groups),
    CASE(what_is_out_of_order_ends_the_log),
    CASE(records_of_another_salt_or_place_do_not_continue),
    CASE(unknown_kinds_are_refused_unless_ignorable),
    CASE(a_record_behind_damage_vouches_and_is_no_data),
    CASE(a_claim_above_its_own_lsn_is_no_claim),
    CASE(every_flipped_bit_ends_the_log_there_or_is_survived),
    CASE(a_torn_end_loses_whole_groups_only),
    CASE(a_file_shorter_than_it_was_made_is_damage),
    CASE(headers_that_are_whole_and_differ_are_damage),
    CASE(impossible_headers_are_refused),
    CASE(the_search_behind_damage_has_a_budget),
};
TEST_MAIN(tests)
