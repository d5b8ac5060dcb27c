/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"
#include "support/oom_sweep.h"
#include "support/vfs_backends.h"

static struct alloc *a;

static int set_up(void **state)
{
    (void)state;
    a = alloc_create(NULL, 0);
    return a ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
    return 0;
}

static struct vfs_dir *open_dir(struct vfs *fs, const char *path, unsigned flags)
{
    struct error err = {0};
    struct vfs_dir *d = NULL;
    assert_ok(vfs_dir_open(fs, path, flags, &d, &err), &err);
    return d;
}

static void roots_are_apart(void **state)
{
    (void)state;
    struct vfs *fs = vfs_memory_create(a);
    struct vfs *other_fs = vfs_memory_create(a);
    struct vfs_dir *one = open_dir(fs, "/one", VFS_DIR_CREATE);
    struct vfs_dir *two = open_dir(fs, "/two", VFS_DIR_CREATE);
    struct vfs_dir *far = open_dir(other_fs, "/one", VFS_DIR_CREATE);
    uint64_t id_one[2];
    uint64_t id_far[2];
    make_file(one, "f", "x");
    assert_false(file_is_there(two, "f"));
    assert_false(file_is_there(far, "f"));
    assert_int_equal(vfs_dir_identity(one, id_one, NULL), 0);
    assert_int_equal(vfs_dir_identity(far, id_far, NULL), 0);
    assert_memory_not_equal(id_one, id_far, sizeof id_one);
    vfs_dir_close(one);
    vfs_dir_close(two);
    one = open_dir(fs, "/one", 0); /* what was written is there at the next open */
    assert_file(one, "f", "x");
    vfs_dir_close(one);
    vfs_dir_close(far);
    vfs_memory_destroy(fs);
    vfs_memory_destroy(other_fs);
    vfs_memory_destroy(NULL);
}

static void a_map_never_changes(void **state)
{
    (void)state;
    struct error err = {0};
    const void *map = NULL;
    struct vfs *fs = vfs_memory_create(a);
    struct vfs_dir *root = open_dir(fs, "r", VFS_DIR_CREATE);
    make_file(root, "f", "before");
    struct vfs_file *f = open_file(root, "f", VFS_WRITE);
    assert_ok(vfs_map(f, 6, &map, &err), &err);
    write_at(f, 0, "after!");
    assert_memory_equal(map, "before", 6);
    assert_content(f, "after!");
    assert_ok(vfs_truncate(f, 0, &err), &err);
    assert_memory_equal(map, "before", 6);
    assert_ok(vfs_truncate(f, 6, &err), &err);
    assert_memory_equal(map, "before", 6);
    vfs_unmap(fs, map, 6);
    assert_fails(vfs_map(f, 7, &map, &err), &err, LYNSE_INVALID);
    close_file(f);
    vfs_dir_close(root);
    vfs_memory_destroy(fs);
}

static void a_mapped_file_keeps_no_room_for_growth(void **state)
{
    (void)state;
    enum { BLOCK = 4096, BLOCKS = 200 };
    struct error err = {0};
    char block[BLOCK] = {0};
    const void *map = NULL;
    struct vfs *fs = vfs_memory_create(a);
    struct vfs_dir *root = open_dir(fs, "r", VFS_DIR_CREATE);
    struct vfs_file *f = open_file(root, "f", VFS_WRITE | VFS_CREATE);
    for (uint64_t i = 0; i < BLOCKS; i++)
        assert_ok(vfs_write(f, i * BLOCK, block, BLOCK, &err), &err);
    assert_ok(vfs_map(f, BLOCK * BLOCKS, &map, &err), &err);
    assert_true(alloc_used_bytes(a) < BLOCK * BLOCKS * 9 / 8 + 8192);
    close_file(f);
    vfs_unmap(fs, map, BLOCK * BLOCKS);
    vfs_dir_close(root);
    vfs_memory_destroy(fs);
}

static bool count_entry(void *ctx, const char *name)
{
    (void)name;
    ++*(unsigned *)ctx;
    return true;
}

static void a_directory_holds_many_names(void **state)
{
    (void)state;
    enum { NAMES = 20000 };
    struct error err = {0};
    char name[16];
    unsigned count = 0;
    struct vfs *fs = vfs_memory_create(a);
    struct vfs_dir *root = open_dir(fs, "r", VFS_DIR_CREATE);
    for (int i = 0; i < NAMES; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        assert_ok(vfs_dir_make(root, name, &err), &err);
    }
    for (int i = 0; i < NAMES; i += 2) {
        (void)snprintf(name, sizeof name, "%d", i);
        assert_ok(vfs_dir_remove(root, name, &err), &err);
    }
    for (int i = 0; i < NAMES; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        assert_int_equal(file_is_there(root, name), i % 2);
    }
    assert_ok(vfs_dir_list(root, count_entry, &count, &err), &err);
    assert_int_equal(count, NAMES / 2);
    vfs_dir_close(root);
    vfs_memory_destroy(fs);
}

static void memory_that_is_out_is_not_a_full_disk(void **state)
{
    (void)state;
    struct error err = {0};
    struct alloc *small = alloc_create(NULL, 1 << 16);
    struct vfs *fs = vfs_memory_create(small);
    struct vfs_dir *root = open_dir(fs, "r", VFS_DIR_CREATE);
    struct vfs_file *f = open_file(root, "f", VFS_WRITE | VFS_CREATE);
    write_at(f, 4096, "x");
    assert_fails(vfs_truncate(f, 1 << 20, &err), &err, LYNSE_NO_MEMORY);
    assert_fails(vfs_write(f, 1ull << 61, "x", 1, &err), &err, LYNSE_NO_MEMORY);
    uint64_t size;
    assert_ok(vfs_size(f, &size, &err), &err);
    assert_int_equal(size, 4097);
    struct vfs_space space = {0};
    assert_ok(vfs_dir_space(root, &space, &err), &err);
    assert_int_equal(space.free_bytes, UINT64_MAX);
    close_file(f);
    vfs_dir_close(root);
    vfs_memory_destroy(fs);
    assert_int_equal(alloc_used_bytes(small), 0);
    alloc_destroy(small);
}

static uint64_t free_in(struct vfs_dir *dir)
{
    struct error err = {0};
    struct vfs_space space = {0};
    assert_ok(vfs_dir_space(dir, &space, &err), &err);
    return space.free_bytes;
}

static void a_bounded_disk_fills_as_real_ones_do(void **state)
{
    (void)state;
    struct error err = {0};
    uint64_t size;
    struct vfs *fs = vfs_memory_create(a);
    struct vfs_dir *root = open_dir(fs, "r", VFS_DIR_CREATE);
    struct vfs_file *f = open_file(root, "f", VFS_WRITE | VFS_CREATE);
    struct vfs_file *g = open_file(root, "g", VFS_WRITE | VFS_CREATE);
    vfs_memory_set_total(fs, 100);
    assert_ok(vfs_truncate(f, 90, &err), &err);
    assert_int_equal(free_in(root), 10);
    assert_fails(vfs_write(g, 0, "0123456789abcdef", 16, &err), &err, LYNSE_DISK_FULL);
    assert_true(err.os_errno != 0);
    assert_ok(vfs_size(g, &size, &err), &err);
    assert_int_equal(size, 10); /* what fitted */
    assert_int_equal(free_in(root), 0);
    assert_ok(vfs_write(f, 0, "over what is there", 18, &err), &err);
    assert_fails(vfs_truncate(f, 91, &err), &err, LYNSE_DISK_FULL);
    assert_fails(vfs_write(f, 90, "x", 1, &err), &err, LYNSE_DISK_FULL);
    assert_ok(vfs_unlink(root, "f", &err), &err);
    assert_int_equal(free_in(root), 0); /* still open */
    close_file(f);
    assert_int_equal(free_in(root), 90);
    assert_ok(vfs_truncate(g, 4, &err), &err);
    assert_int_equal(free_in(root), 96);
    vfs_memory_set_total(fs, 3);
    assert_int_equal(free_in(root), 0);
    vfs_memory_set_total(fs, UINT64_MAX);
    assert_ok(vfs_truncate(g, 1000, &err), &err);
    assert_int_equal(free_in(root), UINT64_MAX);
    close_file(g);
    vfs_dir_close(root);
    vfs_memory_destroy(fs);
}

/* ---- out of memory ---- */

static bool ignore_entry(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return true;
}

static int use_file(struct vfs *fs, struct vfs_dir *dir, struct vfs_file *f, struct error *err)
{
    const void *map = NULL;
    int rc = vfs_write(f, 0, "some bytes", 10, err);
    if (rc == 0) rc = vfs_write(f, 100, "more", 4, err);
    if (rc == 0) rc = vfs_truncate(f, 5000, err);
    if (rc == 0) rc = vfs_lock(f, 0, 10, VFS_LOCK_EXCLUSIVE, err);
    if (rc == 0) rc = vfs_unlock(f, 3, 2, err);
    if (rc == 0) rc = vfs_lock(f, 4, 4, VFS_LOCK_SHARED, err);
    if (rc == 0) rc = vfs_map(f, 5000, &map, err);
    if (rc != 0) return rc;
    rc = vfs_write(f, 0, "copied", 6, err);
    if (rc == 0) assert_memory_equal(map, "some bytes", 10);
    vfs_unmap(fs, map, 5000);
    if (rc == 0) rc = vfs_rename(dir, "f", "g", err);
    return rc;
}

static int use_everything(void *ctx, struct error *err)
{
    (void)ctx;
    struct vfs_dir *root = NULL;
    struct vfs_dir *d = NULL;
    struct vfs_file *f = NULL;
    struct vfs *fs = vfs_memory_create(a);
    if (!fs) return error_no_memory(err, 0);
    int rc = vfs_dir_open(fs, "r", VFS_DIR_CREATE, &root, err);
    if (rc == 0) rc = vfs_dir_make(root, "d", err);
    if (rc == 0) rc = vfs_dir_open_in(root, "d", &d, err);
    if (rc == 0) rc = vfs_open(d, "f", VFS_WRITE | VFS_CREATE, &f, err);
    if (rc == 0) rc = use_file(fs, d, f, err);
    if (rc == 0) rc = vfs_dir_list(d, ignore_entry, NULL, err);
    (void)vfs_close(f, NULL);
    vfs_dir_close(d);
    vfs_dir_close(root);
    vfs_memory_destroy(fs);
    return rc;
}

static void every_failed_allocation_is_an_error_and_nothing_leaks(void **state)
{
    (void)state;
    oom_sweep(a, use_everything, NULL);
}

/* The first allocation of a rename is the new name's. */
static void a_rename_without_memory_changes_nothing(void **state)
{
    (void)state;
    struct error err = {0};
    struct vfs *fs = vfs_memory_create(a);
    struct vfs_dir *root = open_dir(fs, "r", VFS_DIR_CREATE);
    make_file(root, "from", "new");
    make_file(root, "to", "old");
    alloc_fail_after(a, 1, false);
    assert_fails(vfs_rename(root, "from", "to", &err), &err, LYNSE_NO_MEMORY);
    alloc_fail_after(a, 0, false);
    assert_file(root, "from", "new");
    assert_file(root, "to", "old");
    assert_ok(vfs_rename(root, "from", "to", &err), &err);
    assert_file(root, "to", "new");
    vfs_dir_close(root);
    vfs_memory_destroy(fs);
}

/* ---- threads ---- */

enum { WRITERS = 4, STEPS = 400 };

struct writer {
    struct vfs_dir *root;
    unsigned number;
    unsigned failures;
};

static void make_rename_remove(void *ctx)
{
    struct writer *w = ctx;
    char tmp[32];
    char name[32];
    (void)snprintf(tmp, sizeof tmp, "tmp-%u", w->number);
    (void)snprintf(name, sizeof name, "file-%u", w->number);
    for (unsigned i = 0; i < STEPS; i++) {
        struct vfs_file *f = NULL;
        unsigned value = 0;
        size_t n;
        if (vfs_open(w->root, tmp, VFS_WRITE | VFS_CREATE, &f, NULL) != 0 ||
            vfs_write(f, 0, &i, sizeof i, NULL) != 0 || vfs_close(f, NULL) != 0 ||
            vfs_rename(w->root, tmp, name, NULL) != 0 ||
            vfs_open(w->root, name, VFS_READ, &f, NULL) != 0 ||
            vfs_read(f, 0, &value, sizeof value, &n, NULL) != 0 || value != i ||
            vfs_dir_list(w->root, ignore_entry, NULL, NULL) != 0 || vfs_close(f, NULL) != 0)
            w->failures++;
    }
}

static void threads_do_not_disturb_each_other(void **state)
{
    (void)state;
    struct error err = {0};
    struct vfs *fs = vfs_memory_create(a);
    struct vfs_dir *root = open_dir(fs, "r", VFS_DIR_CREATE);
    struct thread threads[WRITERS] = {0};
    struct writer writers[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){root, i, 0};
        assert_ok(thread_start(&threads[i], "writer", make_rename_remove, &writers[i], &err), &err);
    }
    unsigned count = 0;
    for (unsigned i = 0; i < WRITERS; i++) {
        thread_join(&threads[i]);
        assert_int_equal(writers[i].failures, 0);
    }
    assert_ok(vfs_dir_list(root, count_entry, &count, &err), &err);
    assert_int_equal(count, WRITERS);
    vfs_dir_close(root);
    vfs_memory_destroy(fs);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(roots_are_apart, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_map_never_changes, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_mapped_file_keeps_no_room_for_growth, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_directory_holds_many_names, set_up, tear_down),
    cmocka_unit_test_setup_teardown(memory_that_is_out_is_not_a_full_disk, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_bounded_disk_fills_as_real_ones_do, set_up, tear_down),
    cmocka_unit_test_setup_teardown(every_failed_allocation_is_an_error_and_nothing_leaks, set_up,
                                    tear_down),
    cmocka_unit_test_setup_teardown(a_rename_without_memory_changes_nothing, set_up, tear_down),
    cmocka_unit_test_setup_teardown(threads_do_not_disturb_each_other, set_up, tear_down),
};

TEST_MAIN(tests)
