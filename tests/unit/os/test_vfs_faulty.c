/* SPDX-License-Identifier: Apache-2.0 */
#include "support/vfs_faulty.h"

#include <errno.h>

#include "support/vfs_backends.h"

static void arm(struct backend *b, unsigned kinds, int os_errno, enum faulty_mode mode,
                uint64_t nth)
{
    struct faulty_plan plan = {.kinds = kinds, .os_errno = os_errno, .mode = mode, .nth = nth};
    vfs_faulty_arm(b->fs, &plan);
}

static void the_nth_operation_fails_once(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    struct vfs_file *f = open_file(b->root, "f", VFS_WRITE | VFS_CREATE);
    arm(b, FAULTY_WRITE, ENOSPC, FAULTY_ONCE, 2);
    write_at(f, 0, "one");
    assert_fails(vfs_write(f, 3, "two", 3, &err), &err, LYNSE_DISK_FULL);
    assert_int_equal(err.os_errno, ENOSPC);
    write_at(f, 3, "three");
    assert_content(f, "onethree");
    assert_int_equal(vfs_faulty_count(b->fs), 3); /* reads are not of the armed kind */
    assert_int_equal(vfs_faulty_fired(b->fs), 1);
    close_file(f);
}

static void a_sticky_fault_lasts_until_it_is_disarmed(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    struct vfs_file *f = open_file(b->root, "f", VFS_WRITE | VFS_CREATE);
    arm(b, FAULTY_WRITE | FAULTY_TRUNCATE, EROFS, FAULTY_STICKY, 2);
    write_at(f, 0, "one");
    assert_fails(vfs_write(f, 3, "two", 3, &err), &err, LYNSE_READ_ONLY);
    assert_fails(vfs_truncate(f, 0, &err), &err, LYNSE_READ_ONLY);
    assert_fails(vfs_write(f, 3, "two", 3, &err), &err, LYNSE_READ_ONLY);
    vfs_faulty_disarm(b->fs);
    assert_int_equal(vfs_faulty_fired(b->fs), 3);
    write_at(f, 3, "two");
    assert_content(f, "onetwo");
    close_file(f);
}

static uint64_t fire_by_chance(struct backend *b, struct vfs_file *f, uint64_t seed)
{
    struct faulty_plan plan = {
        .kinds = FAULTY_WRITE, .os_errno = EIO, .mode = FAULTY_CHANCE, .one_in = 4, .seed = seed};
    vfs_faulty_arm(b->fs, &plan);
    uint64_t failures = 0;
    for (int i = 0; i < 400; i++) failures += vfs_write(f, 0, "x", 1, NULL) != 0;
    assert_int_equal(failures, vfs_faulty_fired(b->fs));
    vfs_faulty_disarm(b->fs);
    return failures;
}

static void chance_follows_its_seed(void **state)
{
    struct backend *b = *state;
    uint64_t seed = test_seed(7);
    struct vfs_file *f = open_file(b->root, "f", VFS_WRITE | VFS_CREATE);
    uint64_t failures = fire_by_chance(b, f, seed);
    assert_in_range(failures, 40, 180); /* 100 expected, seven standard deviations either side */
    assert_int_equal(failures, fire_by_chance(b, f, seed));
    close_file(f);
}

static void a_short_write_leaves_its_first_half(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    struct vfs_file *f = open_file(b->root, "f", VFS_WRITE | VFS_CREATE);
    struct faulty_plan plan = {
        .kinds = FAULTY_WRITE, .os_errno = EDQUOT, .mode = FAULTY_ONCE, .nth = 1, .is_short = true};
    vfs_faulty_arm(b->fs, &plan);
    assert_fails(vfs_write(f, 0, "12345678", 8, &err), &err, LYNSE_DISK_FULL);
    assert_content(f, "1234");
    close_file(f);
}

struct lost {
    unsigned count;
    char name[16];
    struct vfs_file *file;
};

static void on_lost(void *ctx, struct vfs_file *f, const char *name)
{
    struct lost *l = ctx;
    l->count++;
    l->file = f;
    (void)snprintf(l->name, sizeof l->name, "%s", name);
}

static void a_failed_sync_says_whose_data_is_lost(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    struct lost lost = {0};
    struct vfs_file *f = open_file(b->root, "wal-1", VFS_WRITE | VFS_CREATE);
    vfs_faulty_on_lost(b->fs, on_lost, &lost);
    write_at(f, 0, "seen");
    arm(b, FAULTY_SYNC, EIO, FAULTY_ONCE, 1);
    assert_fails(vfs_sync(f, &err), &err, LYNSE_IO);
    assert_int_equal(lost.count, 1);
    assert_string_equal(lost.name, "wal-1");
    assert_non_null(lost.file);
    assert_content(f, "seen");          /* the cache still has it */
    assert_ok(vfs_sync(f, &err), &err); /* and the kernel has forgotten */
    assert_int_equal(lost.count, 1);
    close_file(f);
}

static void a_failed_close_releases_the_handle(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    struct vfs_file *f = open_file(b->root, "f", VFS_WRITE | VFS_CREATE);
    write_at(f, 0, "x");
    arm(b, FAULTY_CLOSE, EIO, FAULTY_ONCE, 1);
    assert_fails(vfs_close(f, &err), &err, LYNSE_IO);
    assert_file(b->root, "f", "x"); /* the tear-down demands that no handle is left */
}

/* ---- a sweep over every kind ---- */

static bool see_entry(void *ctx, const char *name)
{
    (void)name;
    *(bool *)ctx = true;
    return true;
}

static int use_names(struct backend *b, struct vfs_dir *d, struct error *err)
{
    bool seen = false;
    uint64_t numbers[2];
    if (vfs_exists(d, "f", &seen, err) != 0) return -1;
    if (vfs_rename(d, "f", "g", err) != 0) return -1;
    if (vfs_dir_sync(d, err) != 0) return -1;
    if (vfs_dir_list(d, see_entry, &seen, err) != 0) return -1;
    if (vfs_dir_identity(d, numbers, err) != 0) return -1;
    struct vfs_space space;
    if (vfs_dir_space(d, &space, err) != 0) return -1;
    if (vfs_unlink(d, "g", err) != 0) return -1;
    return vfs_dir_remove(b->root, "d", err);
}

static int use_content(struct backend *b, struct vfs_file *f, struct error *err)
{
    char byte;
    size_t n;
    uint64_t size;
    bool is_held;
    const void *map;
    if (vfs_write(f, 0, "xyz", 3, err) != 0) return -1;
    if (vfs_truncate(f, 2, err) != 0) return -1;
    if (vfs_sync(f, err) != 0) return -1;
    if (vfs_read(f, 0, &byte, 1, &n, err) != 0) return -1;
    if (vfs_size(f, &size, err) != 0) return -1;
    if (vfs_lock(f, 0, 1, VFS_LOCK_EXCLUSIVE, err) != 0) return -1;
    if (vfs_lock_held(f, 0, 1, &is_held, err) != 0) return -1;
    if (vfs_unlock(f, 0, 1, err) != 0) return -1;
    if (vfs_map(f, 2, &map, err) != 0) return -1;
    vfs_unmap(b->fs, map, 2);
    return 0;
}

static int use_everything(struct backend *b, struct error *err)
{
    struct vfs_dir *root = NULL;
    struct vfs_dir *d = NULL;
    struct vfs_file *f = NULL;
    int rc = vfs_dir_open(b->fs, b->path, 0, &root, err);
    if (rc == 0) rc = vfs_dir_make(root, "d", err);
    if (rc == 0) rc = vfs_dir_open_in(root, "d", &d, err);
    if (rc == 0) rc = vfs_open(d, "f", VFS_WRITE | VFS_CREATE, &f, err);
    if (rc == 0) rc = use_content(b, f, err);
    if (f && vfs_close(f, rc == 0 ? err : NULL) != 0) rc = -1;
    if (rc == 0) rc = use_names(b, d, err);
    vfs_dir_close(d);
    vfs_dir_close(root);
    return rc;
}

static void clean_up(struct backend *b)
{
    struct vfs_dir *d = NULL;
    if (vfs_dir_open_in(b->root, "d", &d, NULL) != 0) return;
    (void)vfs_unlink(d, "f", NULL);
    (void)vfs_unlink(d, "g", NULL);
    vfs_dir_close(d);
    (void)vfs_dir_remove(b->root, "d", NULL);
}

static void the_disk_says_what_space_it_was_told(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    const struct vfs_space told = {12, 1000};
    struct vfs_space space = {0};
    vfs_faulty_set_space(b->fs, &told);
    assert_ok(vfs_dir_space(b->root, &space, &err), &err);
    assert_int_equal(space.free_bytes, 12);
    assert_int_equal(space.total_bytes, 1000);
    make_file(b->root, "f", "longer than twelve bytes"); /* only said */
    vfs_faulty_set_space(b->fs, NULL);
    assert_ok(vfs_dir_space(b->root, &space, &err), &err);
    assert_int_equal(space.free_bytes, UINT64_MAX);
}

static void a_sweep_fails_every_operation_once(void **state)
{
    struct backend *b = *state;
    enum { OPERATIONS = 22 };
    unsigned failures = 0;
    for (uint64_t n = 1;; n++) {
        struct error err = {0};
        arm(b, FAULTY_ALL, EIO, FAULTY_ONCE, n);
        int rc = use_everything(b, &err);
        vfs_faulty_disarm(b->fs);
        if (vfs_faulty_fired(b->fs) == 0) {
            assert_ok(rc, &err);
            break;
        }
        assert_fails(rc, &err, LYNSE_IO);
        failures++;
        clean_up(b);
    }
    assert_int_equal(failures, OPERATIONS);
    for (unsigned kind = 1; kind < FAULTY_ALL; kind <<= 1) { /* each kind is met on the way */
        struct error err = {0};
        arm(b, kind, EIO, FAULTY_ONCE, 1);
        assert_fails(use_everything(b, &err), &err, LYNSE_IO);
        vfs_faulty_disarm(b->fs);
        clean_up(b);
    }
}

#define CASES(_)                                                                                   \
    _(the_nth_operation_fails_once)                                                                \
    _(a_sticky_fault_lasts_until_it_is_disarmed)                                                   \
    _(chance_follows_its_seed)                                                                     \
    _(a_short_write_leaves_its_first_half)                                                         \
    _(a_failed_sync_says_whose_data_is_lost)                                                       \
    _(a_failed_close_releases_the_handle)                                                          \
    _(the_disk_says_what_space_it_was_told)                                                        \
    _(a_sweep_fails_every_operation_once)

static const struct CMUnitTest tests[] = {CASES(FAULTY_CASE)};

TEST_MAIN(tests)
