/* SPDX-License-Identifier: Apache-2.0 */
#include "store/twin_file.h"

#include <errno.h>

#include "base/hash.h"
#include "unit/store/log_fixture.h"

static int set_up(void **state)
{
    struct log_fixture *f = malloc(sizeof *f);
    fixture_init(f);
    *state = f;
    return 0;
}
static int tear_down(void **state)
{
    fixture_deinit(*state);
    free(*state);
    return 0;
}

static int try_publish(struct log_fixture *f, uint64_t epoch, const char *body, bool *renamed,
                       struct error *err)
{
    return twin_file_publish(f->dir, "catalog-", epoch, MAGIC_CATALOG, 0, &f->owner,
                             slice_of_text(body), &f->rng, f->alloc, renamed, err);
}

static void publish(struct log_fixture *f, uint64_t epoch, const char *body)
{
    struct error err = {0};
    bool renamed = false;
    assert_ok(try_publish(f, epoch, body, &renamed, &err), &err);
    assert_true(renamed);
}

static int try_read(struct log_fixture *f, uint64_t epoch, struct buf *body, struct twin_info *info,
                    struct error *err)
{
    buf_init(body, f->alloc, MEM_GENERAL);
    return twin_file_read(f->dir, "catalog-", epoch, MAGIC_CATALOG, &f->owner, body, info, err);
}

static void assert_reads(struct log_fixture *f, uint64_t epoch, const char *want, int damaged)
{
    struct error err = {0};
    struct buf body;
    struct twin_info info;
    assert_ok(try_read(f, epoch, &body, &info, &err), &err);
    assert_int_equal(body.size, strlen(want));
    assert_memory_equal(body.data, want, body.size);
    assert_int_equal(info.damaged_copies, damaged);
    buf_deinit(&body);
}

static void assert_refused(struct log_fixture *f, uint64_t epoch, int code)
{
    struct error err = {0};
    struct buf body;
    struct twin_info info;
    assert_fails(try_read(f, epoch, &body, &info, &err), &err, code);
    buf_deinit(&body);
}

static void what_is_published_is_read(void **state)
{
    struct log_fixture *f = *state;
    publish(f, 3, "the content");
    assert_reads(f, 3, "the content", 0);
    publish(f, 4, "");
    assert_reads(f, 4, "", 0);
    assert_int_equal(size_of(f, "catalog-4"), 2 * TWIN_ALIGN);
    assert_refused(f, 5, LYNSE_NOT_FOUND);
}

static void the_file_is_synced_before_its_name_and_the_name_before_success(void **state)
{
    struct log_fixture *f = *state;
    publish(f, 3, "x");
    assert_string_equal(f->ops, "create:tmp- write:0+8192 sync rename:tmp->catalog-3 dirsync ");
}

static void any_one_damaged_copy_is_survived(void **state)
{
    struct log_fixture *f = *state;
    publish(f, 3, "the content");
    struct bytes good = read_bytes(f, "catalog-3");
    for (size_t bit = 0; bit < good.size * 8; bit += test_stride()) {
        good.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        replace_bytes(f, "catalog-3", good.data, good.size);
        assert_reads(f, 3, "the content", 1);
        good.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(good.data);
}

static void damage_in_both_copies_is_damage(void **state)
{
    struct log_fixture *f = *state;
    static const size_t places[] = {0, 9, 80, 88, 96, 108, 112, 120, 4000};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        for (size_t j = 0; j < sizeof places / sizeof *places; j++) {
            if (places[i] == 9 && places[j] == 9) continue; /* two copies of another major */
            publish(f, 3, "the content");
            flip_bit(f, "catalog-3", places[i], 0);
            flip_bit(f, "catalog-3", TWIN_ALIGN + places[j], 0);
            assert_refused(f, 3, LYNSE_CORRUPT);
            assert_int_equal(vfs_unlink(f->dir, "catalog-3", NULL), 0);
        }
    }
}

static void every_cut_leaves_one_copy_or_is_found(void **state)
{
    struct log_fixture *f = *state;
    publish(f, 3, "the content");
    struct bytes good = read_bytes(f, "catalog-3");
    for (size_t size = 0; size < good.size; size += test_stride()) {
        replace_bytes(f, "catalog-3", good.data, size);
        if (size >= good.size / 2) assert_reads(f, 3, "the content", 1);
        else assert_refused(f, 3, LYNSE_CORRUPT);
    }
    free(good.data);
}

static void two_whole_copies_that_differ_are_damage(void **state)
{
    struct log_fixture *f = *state;
    publish(f, 3, "one");
    struct bytes one = read_bytes(f, "catalog-3");
    assert_int_equal(vfs_unlink(f->dir, "catalog-3", NULL), 0);
    publish(f, 3, "two");
    overwrite(f, "catalog-3", 0, one.data, one.size / 2);
    assert_refused(f, 3, LYNSE_CORRUPT);
    free(one.data);
}

static void a_file_under_a_wrong_name_or_of_others_is_refused(void **state)
{
    struct log_fixture *f = *state;
    publish(f, 3, "one");
    struct bytes b = read_bytes(f, "catalog-3");
    replace_bytes(f, "catalog-4", b.data, b.size);
    assert_refused(f, 4, LYNSE_CORRUPT);
    f->owner.root.bytes[3] ^= 1;
    assert_refused(f, 3, LYNSE_CORRUPT);
    free(b.data);
}

static void a_newer_major_is_told_from_damage(void **state)
{
    struct log_fixture *f = *state;
    publish(f, 3, "one");
    uint8_t major = 7; /* its checksums may stand elsewhere */
    overwrite(f, "catalog-3", 8, &major, 1);
    assert_reads(f, 3, "one", 1); /* one flipped bit is no other version */
    overwrite(f, "catalog-3", TWIN_ALIGN + 8, &major, 1);
    assert_refused(f, 3, LYNSE_FORMAT_TOO_NEW);
}

static void lengths_are_never_trusted(void **state)
{
    struct log_fixture *f = *state;
    static const uint64_t lengths[] = {0, 1, 4095, 4096, 8192, 1ull << 40, UINT64_MAX - 3};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (size_t at = 88; at <= 96; at += 8) {
            publish(f, 3, "one");
            struct bytes b = read_bytes(f, "catalog-3");
            if (load_u64(b.data + at) != lengths[i]) {
                store_u64(b.data + at, lengths[i]);
                store_u32(b.data + 108, crc32c(0, b.data, 108));
                memcpy(b.data + b.size / 2, b.data, b.size / 2);
                replace_bytes(f, "catalog-3", b.data, b.size);
                assert_refused(f, 3, LYNSE_CORRUPT);
            }
            assert_int_equal(vfs_unlink(f->dir, "catalog-3", NULL), 0);
            free(b.data);
        }
    }
}

static void each_failing_operation_is_reported_and_the_old_epoch_stays(void **state)
{
    struct log_fixture *f = *state;
    publish(f, 3, "old");
    unsigned kinds = FAULTY_ALL & ~(unsigned)(FAULTY_UNLINK);
    for (uint64_t n = 1;; n++) {
        struct error err = {0};
        bool renamed = true;
        arm(f, kinds, EIO, FAULTY_ONCE, n, n % 2);
        int rc = try_publish(f, 4, "new", &renamed, &err);
        bool fired = vfs_faulty_fired(f->faulty) > 0;
        vfs_faulty_disarm(f->faulty);
        if (!fired) break;
        assert_fails(rc, &err, LYNSE_IO);
        assert_int_equal(renamed, is_there(f, "catalog-4")); /* only a failed directory sync */
        assert_int_equal(count_names(f, "tmp-"), 0);
        assert_reads(f, 3, "old", 0);
        if (renamed) assert_int_equal(vfs_unlink(f->dir, "catalog-4", NULL), 0);
    }
    assert_reads(f, 4, "new", 0);
}

static int publish_and_read(void *ctx, struct error *err)
{
    struct log_fixture *f = ctx;
    struct buf body;
    struct twin_info info;
    bool renamed;
    (void)vfs_unlink(f->dir, "catalog-9", NULL);
    if (try_publish(f, 9, "content", &renamed, err) != 0) return -1;
    int rc = try_read(f, 9, &body, &info, err);
    buf_deinit(&body);
    return rc;
}

static void memory_may_run_out_anywhere(void **state)
{
    struct log_fixture *f = *state;
    oom_sweep(f->alloc, publish_and_read, f);
}

static void the_highest_number_is_found_among_other_names(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    uint64_t epoch = 5;
    bool found = true;
    assert_ok(twin_file_newest(f->dir, "catalog-", &epoch, &found, &err), &err);
    assert_false(found);
    publish(f, 9, "");
    publish(f, 10, "");
    publish(f, 2, "");
    replace_bytes(f, "catalog-011", "", 0);
    replace_bytes(f, "catalog-11x", "", 0);
    replace_bytes(f, "xcatalog-12", "", 0);
    assert_ok(twin_file_newest(f->dir, "catalog-", &epoch, &found, &err), &err);
    assert_true(found);
    assert_int_equal(epoch, 10);
}

static void only_plain_decimal_numbers_are_numbers(void **state)
{
    static const struct {
        const char *name;
        bool ok;
        uint64_t number;
    } cases[] = {
        {"wal-1", true, 1},
        {"wal-0", true, 0},
        {"wal-18446744073709551615", true, UINT64_MAX},
        {"wal-18446744073709551616", false, 0},
        {"wal-99999999999999999999999", false, 0},
        {"wal-", false, 0},
        {"wal-01", false, 0},
        {"wal-+1", false, 0},
        {"wal- 1", false, 0},
        {"wal-1 ", false, 0},
        {"wal-0x1", false, 0},
        {"WAL-1", false, 0},
        {"wal", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t number = 0;
        assert_int_equal(numbered_name_parse(cases[i].name, "wal-", &number), cases[i].ok);
        if (cases[i].ok) assert_true(number == cases[i].number);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(what_is_published_is_read),
    CASE(the_file_is_synced_before_its_name_and_the_name_before_success),
    CASE(any_one_damaged_copy_is_survived),
    CASE(damage_in_both_copies_is_damage),
    CASE(every_cut_leaves_one_copy_or_is_found),
    CASE(two_whole_copies_that_differ_are_damage),
    CASE(a_file_under_a_wrong_name_or_of_others_is_refused),
    CASE(a_newer_major_is_told_from_damage),
    CASE(lengths_are_never_trusted),
    CASE(each_failing_operation_is_reported_and_the_old_epoch_stays),
    CASE(memory_may_run_out_anywhere),
    CASE(the_highest_number_is_found_among_other_names),
    CASE(only_plain_decimal_numbers_are_numbers),
};
TEST_MAIN(tests)
