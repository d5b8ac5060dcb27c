/* SPDX-License-Identifier: Apache-2.0 */
/* Locks and maps: the same cases over every file system. */
#include "base/limits.h"
#include "support/vfs_backends.h"

/* ---- locks ---- */

struct lock_pair {
    struct vfs_file *one;
    struct vfs_file *two;
};

static struct lock_pair open_pair(struct backend *b)
{
    struct lock_pair p;
    p.one = open_file(b->root, "LOCK", VFS_WRITE | VFS_CREATE_ANY);
    p.two = open_file(b->root, "LOCK", VFS_WRITE | VFS_CREATE_ANY);
    return p;
}

static void close_pair(struct lock_pair p)
{
    close_file(p.one);
    close_file(p.two);
}

static bool held(struct vfs_file *f, uint64_t start, uint64_t size)
{
    bool is_held;
    struct error err = {0};
    assert_ok(vfs_lock_held(f, start, size, &is_held, &err), &err);
    return is_held;
}

static void an_exclusive_lock_keeps_another_handle_out(void **state)
{
    struct lock_pair p = open_pair(*state);
    struct error err = {0};
    assert_ok(vfs_lock(p.one, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    assert_fails(vfs_lock(p.two, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err, LYNSE_LOCKED);
    assert_fails(vfs_lock(p.two, 0, 1, VFS_LOCK_SHARED, &err), &err, LYNSE_LOCKED);
    assert_ok(vfs_lock(p.one, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    assert_ok(vfs_lock(p.two, 1, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    assert_ok(vfs_unlock(p.one, 0, 1, &err), &err);
    assert_ok(vfs_lock(p.two, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    close_pair(p);
}

static void shared_locks_stand_together(void **state)
{
    struct backend *b = *state;
    struct lock_pair p = open_pair(b);
    struct vfs_file *reader = open_file(b->root, "LOCK", VFS_READ);
    struct error err = {0};
    uint64_t pin = (7ull << 32) + 5;
    assert_ok(vfs_lock(p.one, pin, 1, VFS_LOCK_SHARED, &err), &err);
    assert_ok(vfs_lock(reader, pin, 1, VFS_LOCK_SHARED, &err), &err);
    assert_fails(vfs_lock(p.two, pin, 1, VFS_LOCK_EXCLUSIVE, &err), &err, LYNSE_LOCKED);
    assert_true(held(p.two, 7ull << 32, 6));
    assert_false(held(p.two, 7ull << 32, 5));
    assert_false(held(p.two, pin + 1, 100));
    assert_ok(vfs_unlock(p.one, pin, 1, &err), &err);
    assert_true(held(p.two, pin, 1));
    close_file(reader);
    assert_false(held(p.two, pin, 1));
    close_pair(p);
}

static void own_locks_are_not_seen_as_held(void **state)
{
    struct lock_pair p = open_pair(*state);
    struct error err = {0};
    assert_ok(vfs_lock(p.one, 10, 5, VFS_LOCK_EXCLUSIVE, &err), &err);
    assert_false(held(p.one, 0, 100));
    assert_true(held(p.two, 0, 100));
    assert_true(held(p.two, 14, 1));
    assert_false(held(p.two, 15, 1));
    assert_false(held(p.two, 0, 10));
    close_pair(p);
}

static void close_releases_locks(void **state)
{
    struct lock_pair p = open_pair(*state);
    struct error err = {0};
    assert_ok(vfs_lock(p.one, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    close_file(p.one);
    assert_ok(vfs_lock(p.two, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    close_file(p.two);
}

static void closing_one_handle_keeps_the_others_lock(void **state)
{
    struct backend *b = *state;
    struct lock_pair p = open_pair(b);
    struct error err = {0};
    assert_ok(vfs_lock(p.one, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    assert_file(b->root, "LOCK", ""); /* POSIX locks would be lost at its close */
    assert_true(held(p.two, 0, 1));
    close_pair(p);
}

static void unlocking_the_middle_keeps_both_ends(void **state)
{
    struct lock_pair p = open_pair(*state);
    struct error err = {0};
    assert_ok(vfs_lock(p.one, 0, 10, VFS_LOCK_EXCLUSIVE, &err), &err);
    assert_ok(vfs_unlock(p.one, 4, 2, &err), &err);
    assert_true(held(p.two, 0, 4));
    assert_false(held(p.two, 4, 2));
    assert_true(held(p.two, 6, 4));
    assert_ok(vfs_lock(p.one, 2, 6, VFS_LOCK_SHARED, &err), &err); /* over both cuts */
    assert_ok(vfs_lock(p.two, 3, 4, VFS_LOCK_SHARED, &err), &err);
    assert_fails(vfs_lock(p.two, 1, 1, VFS_LOCK_SHARED, &err), &err, LYNSE_LOCKED);
    assert_fails(vfs_lock(p.two, 8, 1, VFS_LOCK_SHARED, &err), &err, LYNSE_LOCKED);
    assert_ok(vfs_unlock(p.one, 0, 100, &err), &err);
    assert_false(held(p.two, 0, 100));
    close_pair(p);
}

/* ---- maps ---- */

static void a_map_shows_the_file_and_outlives_handle_and_name(void **state)
{
    struct backend *b = *state;
    const void *map = NULL;
    struct error err = {0};
    make_file(b->root, "f", "mapped bytes");
    struct vfs_file *f = open_file(b->root, "f", VFS_READ);
    assert_ok(vfs_map(f, 12, &map, &err), &err);
    assert_int_equal((uintptr_t)map % ALIGN_VECTOR, 0);
    assert_memory_equal(map, "mapped bytes", 12);
    close_file(f);
    assert_memory_equal(map, "mapped bytes", 12);
    assert_ok(vfs_unlink(b->root, "f", &err), &err);
    assert_memory_equal(map, "mapped bytes", 12);
    vfs_unmap(b->fs, map, 12);
}

static void a_map_survives_growth_of_the_file(void **state)
{
    struct backend *b = *state;
    const void *map = NULL;
    struct error err = {0};
    char block[4096];
    memset(block, 'x', sizeof block);
    struct vfs_file *f = open_file(b->root, "f", VFS_WRITE | VFS_CREATE);
    write_at(f, 0, "stable");
    assert_ok(vfs_map(f, 6, &map, &err), &err);
    for (uint64_t i = 0; i < 64; i++)
        assert_ok(vfs_write(f, 6 + i * sizeof block, block, sizeof block, &err), &err);
    assert_memory_equal(map, "stable", 6);
    close_file(f);
    vfs_unmap(b->fs, map, 6);
}

static void two_maps_of_a_file_end_apart(void **state)
{
    struct backend *b = *state;
    const void *one = NULL;
    const void *two = NULL;
    struct error err = {0};
    make_file(b->root, "f", "twice");
    struct vfs_file *f = open_file(b->root, "f", VFS_READ);
    assert_ok(vfs_map(f, 5, &one, &err), &err);
    assert_ok(vfs_map(f, 5, &two, &err), &err);
    close_file(f);
    vfs_unmap(b->fs, one, 5);
    assert_memory_equal(two, "twice", 5);
    vfs_unmap(b->fs, two, 5);
}

static void an_empty_file_can_be_mapped(void **state)
{
    struct backend *b = *state;
    const void *map = NULL;
    struct error err = {0};
    make_file(b->root, "f", "");
    struct vfs_file *f = open_file(b->root, "f", VFS_READ);
    assert_ok(vfs_map(f, 0, &map, &err), &err);
    assert_non_null(map);
    vfs_unmap(b->fs, map, 0);
    close_file(f);
}

#define CASES(_)                                                                                   \
    _(an_exclusive_lock_keeps_another_handle_out)                                                  \
    _(shared_locks_stand_together)                                                                 \
    _(own_locks_are_not_seen_as_held)                                                              \
    _(close_releases_locks)                                                                        \
    _(closing_one_handle_keeps_the_others_lock)                                                    \
    _(unlocking_the_middle_keeps_both_ends)                                                        \
    _(a_map_shows_the_file_and_outlives_handle_and_name)                                           \
    _(a_map_survives_growth_of_the_file)                                                           \
    _(two_maps_of_a_file_end_apart)                                                                \
    _(an_empty_file_can_be_mapped)

VFS_BACKEND_TESTS(CASES)

TEST_MAIN(tests)
