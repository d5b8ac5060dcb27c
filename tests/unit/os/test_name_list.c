/* SPDX-License-Identifier: Apache-2.0 */
/* test_name_list.c — names are gathered, then removed; what resists does not save the others. */
#include "os/name_list.h"

#include <errno.h>

#include "support/oom_sweep.h"
#include "support/test.h"
#include "support/vfs_faulty.h"

struct fixture {
    struct alloc *alloc;
    struct vfs *memory;
    struct vfs *fs;
    struct vfs_dir *dir;
    struct error err;
};

static void put(struct fixture *f, const char *name)
{
    struct vfs_file *file;
    assert_ok(vfs_open(f->dir, name, VFS_WRITE | VFS_CREATE, &file, &f->err), &f->err);
    assert_ok(vfs_close(file, &f->err), &f->err);
}

static bool is_there(struct fixture *f, const char *name)
{
    bool there = false;
    assert_ok(vfs_exists(f->dir, name, &there, &f->err), &f->err);
    return there;
}

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.alloc = alloc_create(NULL, 0)};
    f.memory = vfs_memory_create(f.alloc);
    f.fs = vfs_faulty_create(f.alloc, f.memory);
    assert_ok(vfs_dir_open(f.fs, "/dir", VFS_DIR_CREATE, &f.dir, &f.err), &f.err);
    put(&f, "a1");
    put(&f, "a2");
    put(&f, "a3");
    put(&f, "b1");
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    vfs_dir_close(f->dir);
    vfs_faulty_destroy(f->fs);
    vfs_memory_destroy(f->memory);
    assert_int_equal(alloc_used_bytes(f->alloc), 0);
    alloc_destroy(f->alloc);
    return 0;
}

static bool begins_with_a(void *ctx, const char *name)
{
    ++*(size_t *)ctx;
    return name[0] == 'a';
}

static size_t count_of(const struct name_list *l)
{
    size_t count = 0;
    for (size_t at = 0; name_list_next(l, &at);) count++;
    return count;
}

static void what_is_wanted_is_gathered_and_removed(void **state)
{
    struct fixture *f = *state;
    struct name_list l;
    size_t asked = 0;
    name_list_init(&l, f->alloc);
    assert_int_equal(count_of(&l), 0);
    assert_ok(name_list_read(&l, f->dir, begins_with_a, &asked, &f->err), &f->err);
    assert_int_equal(asked, 4);
    assert_int_equal(count_of(&l), 3);
    assert_ok(vfs_unlink(f->dir, "a2", &f->err), &f->err); /* somebody was faster */
    assert_ok(name_list_unlink(&l, f->dir, &f->err), &f->err);
    assert_false(is_there(f, "a1"));
    assert_false(is_there(f, "a3"));
    assert_true(is_there(f, "b1"));
    name_list_deinit(&l);
    name_list_init(&l, f->alloc);
    assert_ok(name_list_read(&l, f->dir, NULL, NULL, &f->err), &f->err);
    size_t at = 0;
    assert_string_equal(name_list_next(&l, &at), "b1");
    assert_null(name_list_next(&l, &at));
    name_list_deinit(&l);
}

static void one_that_resists_does_not_save_the_others(void **state)
{
    struct fixture *f = *state;
    struct name_list l;
    struct faulty_plan plan = {
        .kinds = FAULTY_UNLINK, .os_errno = EIO, .mode = FAULTY_ONCE, .nth = 1};
    name_list_init(&l, f->alloc);
    assert_ok(name_list_read(&l, f->dir, NULL, NULL, &f->err), &f->err);
    vfs_faulty_arm(f->fs, &plan);
    assert_fails(name_list_unlink(&l, f->dir, &f->err), &f->err, LYNSE_IO);
    vfs_faulty_disarm(f->fs);
    assert_int_equal(is_there(f, "a1") + is_there(f, "a2") + is_there(f, "a3") + is_there(f, "b1"),
                     1);
    name_list_deinit(&l);
}

static int read_all(void *ctx, struct error *err)
{
    struct fixture *f = ctx;
    struct name_list l;
    name_list_init(&l, f->alloc);
    int rc = name_list_read(&l, f->dir, NULL, NULL, err);
    name_list_deinit(&l);
    return rc;
}

static void memory_may_run_out(void **state)
{
    struct fixture *f = *state;
    oom_sweep(f->alloc, read_all, f);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(what_is_wanted_is_gathered_and_removed),
    CASE(one_that_resists_does_not_save_the_others),
    CASE(memory_may_run_out),
};
TEST_MAIN(tests)
