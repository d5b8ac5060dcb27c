/* SPDX-License-Identifier: Apache-2.0 */
#include "store/file_gc.h"

#include <errno.h>

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

static const char *const kept[] = {
    "manifest-5",
    "manifest-4",
    "manifest-6", /* the next one: no business of this pass */
    "wal-7",
    "wal-8",
    "wal-07",
    "seg-01000000000000000000000000000000.ids",
    "seg-01000000000000000000000000000000.del-3",
    "tmp-11111111111111111111111111111111", /* the spare */
    "tmp-2222222222222222222222222222222",  /* a digit is missing: somebody else's */
    "tmp-holiday.zip",
    "tmp-",
    "notes.txt",
    "manifest-x",
    "LOCK",
};
static const char *const removed[] = {
    "manifest-3",
    "manifest-2",
    "wal-6",
    "wal-1",
    "seg-01000000000000000000000000000000.del-2",
    "seg-01000000000000000000000000000000.doc",
    "seg-02000000000000000000000000000000.ids",
    "tmp-33333333333333333333333333333333",
};
enum {
    KEPT = sizeof kept / sizeof *kept,
    REMOVED = sizeof removed / sizeof *removed,
};

static void make_files(struct log_fixture *f)
{
    for (size_t i = 0; i < KEPT; i++) replace_bytes(f, kept[i], "", 0);
    for (size_t i = 0; i < REMOVED; i++) replace_bytes(f, removed[i], "", 0);
}

static struct manifest_segment segment = {.uuid = {{1}},
                                          .del_lsn = 3,
                                          .part_count = 2,
                                          .parts = {{.kind = PART_IDS}, {.kind = PART_DELETES}}};

static int run_pass(struct log_fixture *f, struct vfs_file *lock, bool is_building,
                    struct error *err)
{
    struct manifest m = {.alloc = f->alloc,
                         .epoch = 5,
                         .number = 3,
                         .wal_first = 7,
                         .segment_count = 1,
                         .segments = &segment};
    struct file_gc_keep keep = {.spare = "tmp-11111111111111111111111111111111",
                                .is_building = is_building};
    return file_gc_run(f->dir, &m, lock, &keep, err);
}

static int run(struct log_fixture *f, struct vfs_file *lock, struct error *err)
{
    return run_pass(f, lock, false, err);
}

static void only_what_nothing_can_need_is_removed(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    make_files(f);
    assert_ok(run(f, NULL, &err), &err);
    for (size_t i = 0; i < KEPT; i++)
        if (!is_there(f, kept[i])) fail_msg("%s is gone", kept[i]);
    for (size_t i = 0; i < REMOVED; i++)
        if (is_there(f, removed[i])) fail_msg("%s is still there", removed[i]);
}

static void what_is_being_built_is_left_alone(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    make_files(f);
    assert_ok(run_pass(f, NULL, true, &err), &err);
    assert_true(is_there(f, "tmp-33333333333333333333333333333333"));
    assert_true(is_there(f, "seg-02000000000000000000000000000000.ids"));
    assert_false(is_there(f, "manifest-3")); /* old logs and manifests need not wait for it */
    assert_false(is_there(f, "wal-6"));
    assert_ok(run(f, NULL, &err), &err);
    for (size_t i = 0; i < REMOVED; i++) assert_false(is_there(f, removed[i]));
}

static void an_index_that_is_being_built_is_left_alone(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    struct manifest m = {
        .alloc = f->alloc, .epoch = 5, .number = 3, .wal_first = 7, .segments = &segment};
    const struct file_gc_keep keep = {
        .index_temporaries = {"tmp-33333333333333333333333333333333"},
        .index_names = {"seg-02000000000000000000000000000000.ids"},
    };
    make_files(f);
    assert_ok(file_gc_run(f->dir, &m, NULL, &keep, &err), &err);
    assert_true(is_there(f, keep.index_temporaries[0]));
    assert_true(is_there(f, keep.index_names[0]));
    assert_false(is_there(f, "tmp-11111111111111111111111111111111"));
    assert_false(is_there(f, "seg-01000000000000000000000000000000.doc"));
}

static void a_built_segment_is_left_alone_while_it_gets_its_index(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    struct manifest m = {
        .alloc = f->alloc, .epoch = 5, .number = 3, .wal_first = 7, .segments = &segment};
    const struct uuid built = {{2}};
    const struct file_gc_keep keep = {
        .index_temporaries = {NULL, "tmp-33333333333333333333333333333333"}, .segment = &built};
    make_files(f);
    assert_ok(file_gc_run(f->dir, &m, NULL, &keep, &err), &err);
    assert_true(is_there(f, "seg-02000000000000000000000000000000.ids"));
    assert_true(is_there(f, keep.index_temporaries[1]));
    assert_false(is_there(f, "seg-01000000000000000000000000000000.doc"));
}

static void a_pinned_epoch_keeps_everything_but_tmp_files(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    struct vfs_file *writer = NULL, *reader = NULL;
    static const struct {
        uint64_t byte;
        bool pins;
    } cases[] = {
        {(3ull << 32) + 4, true},  {(3ull << 32) + 0, true},  {(3ull << 32) + 5, false},
        {(2ull << 32) + 4, false}, {(4ull << 32) + 0, false}, {0, false},
    };
    replace_bytes(f, "LOCK", "", 0);
    assert_ok(vfs_open(f->dir, "LOCK", VFS_WRITE, &writer, &err), &err);
    assert_ok(vfs_open(f->dir, "LOCK", VFS_READ, &reader, &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool pinned = false;
        make_files(f);
        assert_ok(vfs_lock(reader, cases[i].byte, 1, VFS_LOCK_SHARED, &err), &err);
        assert_ok(file_gc_is_pinned(writer, 3, 5, &pinned, &err), &err);
        assert_int_equal(pinned, cases[i].pins);
        assert_ok(run(f, writer, &err), &err);
        assert_int_equal(is_there(f, "wal-6"), cases[i].pins);
        assert_int_equal(is_there(f, removed[5]), cases[i].pins);
        assert_false(is_there(f, "tmp-33333333333333333333333333333333"));
        assert_ok(vfs_unlock(reader, cases[i].byte, 1, &err), &err);
        assert_int_equal(vfs_unlink(f->dir, "LOCK", NULL), 0);
        assert_ok(vfs_close(writer, &err), &err);
        assert_ok(vfs_close(reader, &err), &err);
        replace_bytes(f, "LOCK", "", 0);
        assert_ok(vfs_open(f->dir, "LOCK", VFS_WRITE, &writer, &err), &err);
        assert_ok(vfs_open(f->dir, "LOCK", VFS_READ, &reader, &err), &err);
    }
    assert_ok(vfs_close(writer, &err), &err);
    assert_ok(vfs_close(reader, &err), &err);
}

static void a_file_that_cannot_be_removed_does_not_save_the_others(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    make_files(f);
    arm(f, FAULTY_UNLINK, EIO, FAULTY_ONCE, 3, false);
    assert_fails(run(f, NULL, &err), &err, LYNSE_IO);
    vfs_faulty_disarm(f->faulty);
    size_t left = 0;
    for (size_t i = 0; i < REMOVED; i++) left += is_there(f, removed[i]);
    assert_int_equal(left, 1);
    assert_ok(run(f, NULL, &err), &err);
    for (size_t i = 0; i < REMOVED; i++) assert_false(is_there(f, removed[i]));
}

static void without_an_answer_about_pins_nothing_is_removed(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    struct vfs_file *lock = NULL;
    make_files(f);
    assert_ok(vfs_open(f->dir, "LOCK", VFS_WRITE, &lock, &err), &err);
    arm(f, FAULTY_LOCK, EIO, FAULTY_ONCE, 1, false);
    assert_fails(run(f, lock, &err), &err, LYNSE_IO);
    vfs_faulty_disarm(f->faulty);
    for (size_t i = 0; i < REMOVED; i++) assert_true(is_there(f, removed[i]));
    assert_ok(vfs_close(lock, &err), &err);
}

static int run_again(void *ctx, struct error *err)
{
    make_files(ctx);
    return run(ctx, NULL, err);
}

static void memory_may_run_out_anywhere(void **state)
{
    struct log_fixture *f = *state;
    oom_sweep(f->alloc, run_again, f);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(only_what_nothing_can_need_is_removed),
    CASE(what_is_being_built_is_left_alone),
    CASE(an_index_that_is_being_built_is_left_alone),
    CASE(a_built_segment_is_left_alone_while_it_gets_its_index),
    CASE(a_pinned_epoch_keeps_everything_but_tmp_files),
    CASE(a_file_that_cannot_be_removed_does_not_save_the_others),
    CASE(without_an_answer_about_pins_nothing_is_removed),
    CASE(memory_may_run_out_anywhere),
};
TEST_MAIN(tests)
