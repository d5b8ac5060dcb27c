/* SPDX-License-Identifier: Apache-2.0 */
#include "os/vfs_record.h"

#include "support/oom_sweep.h"
#include "support/vfs_backends.h"

enum { LOG_BYTES = 4096 };

/* The operations as text, one a line, and where to fail. */
struct observer {
    char log[LOG_BYTES];
    size_t size;
    unsigned count;
    unsigned fail_at; /* 0: never */
};

static const char *const KIND_TEXTS[VFS_OP_KIND_COUNT] = {
    [VFS_OP_DIR_MAKE] = "mkdir",      [VFS_OP_DIR_REMOVE] = "rmdir",
    [VFS_OP_DIR_SYNC] = "dirsync",    [VFS_OP_FILE_CREATE] = "create",
    [VFS_OP_FILE_WRITE] = "write",    [VFS_OP_FILE_SYNC] = "sync",
    [VFS_OP_FILE_TRUNCATE] = "trunc", [VFS_OP_FILE_UNLINK] = "unlink",
    [VFS_OP_FILE_RENAME] = "rename",
};

static int observe(void *ctx, const struct vfs_op *op, struct error *err)
{
    struct observer *o = ctx;
    int n = snprintf(o->log + o->size, LOG_BYTES - o->size, "%s d%llu f%llu %s %s @%llu '%.*s'\n",
                     KIND_TEXTS[op->kind], (unsigned long long)op->dir,
                     (unsigned long long)op->file, op->name ? op->name : "-",
                     op->name_to ? op->name_to : "-", (unsigned long long)op->offset,
                     (int)op->data.size, op->data.size ? (const char *)op->data.data : "");
    assert_true(n > 0 && (size_t)n < LOG_BYTES - o->size);
    o->size += (size_t)n;
    if (++o->count == o->fail_at) return error_set(err, LYNSE_INTERNAL, "crash here");
    return 0;
}

struct lab {
    struct observer observer;
    struct vfs *inner;
    struct vfs *fs;
    struct vfs_dir *root;
};

static void lab_open(struct lab *lab)
{
    struct error err = {0};
    *lab = (struct lab){0};
    lab->inner = vfs_memory_create(alloc_libc());
    lab->fs = vfs_record_create(alloc_libc(), lab->inner, observe, &lab->observer);
    assert_ok(vfs_dir_open(lab->fs, "r", VFS_DIR_CREATE, &lab->root, &err), &err);
}

static void lab_close(struct lab *lab)
{
    vfs_dir_close(lab->root);
    vfs_record_destroy(lab->fs);
    vfs_memory_destroy(lab->inner);
}

static void the_life_of_a_file_is_told_in_order(void **state)
{
    (void)state;
    struct lab lab;
    struct error err = {0};
    char data[8];
    size_t n;
    lab_open(&lab);
    struct vfs_file *f = open_file(lab.root, "tmp", VFS_WRITE | VFS_CREATE);
    write_at(f, 0, "head");
    write_at(f, 4, "tail");
    assert_ok(vfs_sync(f, &err), &err);
    assert_ok(vfs_rename(lab.root, "tmp", "seg", &err), &err);
    assert_ok(vfs_dir_sync(lab.root, &err), &err);
    assert_ok(vfs_read(f, 0, data, sizeof data, &n, &err), &err);
    assert_ok(vfs_truncate(f, 3, &err), &err);
    close_file(f);
    assert_ok(vfs_unlink(lab.root, "seg", &err), &err);
    assert_string_equal(lab.observer.log, "create d1 f2 tmp - @0 ''\n"
                                          "write d0 f2 - - @0 'head'\n"
                                          "write d0 f2 - - @4 'tail'\n"
                                          "sync d0 f2 - - @0 ''\n"
                                          "rename d1 f2 tmp seg @0 ''\n"
                                          "dirsync d1 f0 - - @0 ''\n"
                                          "trunc d0 f2 - - @3 ''\n"
                                          "unlink d1 f0 seg - @0 ''\n");
    lab_close(&lab);
}

static void numbers_follow_the_file_and_not_the_name(void **state)
{
    (void)state;
    struct lab lab;
    struct error err = {0};
    lab_open(&lab);
    make_file(lab.root, "a", "1"); /* number 2 */
    make_file(lab.root, "b", "2"); /* number 3 */
    assert_ok(vfs_rename(lab.root, "a", "b", &err), &err);
    struct vfs_file *f = open_file(lab.root, "b", VFS_READ);
    assert_int_equal(vfs_record_file_number(f), 2);
    close_file(f);
    assert_ok(vfs_unlink(lab.root, "b", &err), &err);
    f = open_file(lab.root, "b", VFS_WRITE | VFS_CREATE_ANY);
    assert_int_equal(vfs_record_file_number(f), 4);
    close_file(f);
    f = open_file(lab.root, "b", VFS_WRITE | VFS_CREATE_ANY); /* no second creation */
    assert_int_equal(vfs_record_file_number(f), 4);
    close_file(f);
    assert_null(strstr(strstr(lab.observer.log, "f4") + 1, "f4"));
    lab_close(&lab);
}

static void directories_have_numbers_of_their_own(void **state)
{
    (void)state;
    struct lab lab;
    struct vfs_dir *d = NULL;
    struct error err = {0};
    lab_open(&lab);
    assert_int_equal(vfs_record_dir_number(lab.root), 1);
    assert_ok(vfs_dir_make(lab.root, "c", &err), &err);
    assert_ok(vfs_dir_open_in(lab.root, "c", &d, &err), &err);
    assert_int_equal(vfs_record_dir_number(d), 2);
    make_file(d, "f", "");
    assert_ok(vfs_dir_sync(d, &err), &err);
    assert_ok(vfs_unlink(d, "f", &err), &err);
    vfs_dir_close(d);
    assert_ok(vfs_dir_remove(lab.root, "c", &err), &err);
    assert_ok(vfs_dir_make(lab.root, "c", &err), &err);
    assert_ok(vfs_dir_open_in(lab.root, "c", &d, &err), &err);
    assert_int_equal(vfs_record_dir_number(d), 4);
    vfs_dir_close(d);
    assert_string_equal(lab.observer.log, "mkdir d1 f2 c - @0 ''\n"
                                          "create d2 f3 f - @0 ''\n"
                                          "write d0 f3 - - @0 ''\n"
                                          "dirsync d2 f0 - - @0 ''\n"
                                          "unlink d2 f0 f - @0 ''\n"
                                          "rmdir d1 f0 c - @0 ''\n"
                                          "mkdir d1 f4 c - @0 ''\n");
    lab_close(&lab);
}

static void what_failed_below_is_not_told(void **state)
{
    (void)state;
    struct lab lab;
    struct vfs_file *f = NULL;
    struct error err = {0};
    lab_open(&lab);
    assert_fails(vfs_unlink(lab.root, "x", &err), &err, LYNSE_NOT_FOUND);
    assert_fails(vfs_rename(lab.root, "x", "y", &err), &err, LYNSE_NOT_FOUND);
    assert_fails(vfs_dir_remove(lab.root, "x", &err), &err, LYNSE_NOT_FOUND);
    assert_fails(vfs_open(lab.root, "x", VFS_WRITE, &f, &err), &err, LYNSE_NOT_FOUND);
    assert_int_equal(lab.observer.count, 0);
    lab_close(&lab);
}

static void the_observer_can_fail_what_was_done(void **state)
{
    (void)state;
    struct lab lab;
    struct vfs_file *f = NULL;
    struct error err = {0};
    lab_open(&lab);
    lab.observer.fail_at = 1;
    assert_fails(vfs_open(lab.root, "f", VFS_WRITE | VFS_CREATE, &f, &err), &err, LYNSE_INTERNAL);
    assert_string_equal(err.text, "crash here");
    assert_true(file_is_there(lab.root, "f"));

    f = open_file(lab.root, "f", VFS_WRITE);
    lab.observer.fail_at = 2;
    assert_fails(vfs_write(f, 0, "done", 4, &err), &err, LYNSE_INTERNAL);
    assert_content(f, "done");
    close_file(f);
    lab_close(&lab);
}

/* ---- out of memory ---- */

struct sweep {
    struct alloc *a;
    struct vfs *inner;
};

static int count_only(void *ctx, const struct vfs_op *op, struct error *err)
{
    (void)ctx;
    (void)op;
    (void)err;
    return 0;
}

static int use_all(struct vfs_dir *root, struct error *err)
{
    struct vfs_file *f = NULL;
    struct vfs_dir *d = NULL;
    int rc = vfs_dir_make(root, "d", err);
    if (rc == 0) rc = vfs_dir_open_in(root, "d", &d, err);
    if (rc == 0) rc = vfs_open(d, "f", VFS_WRITE | VFS_CREATE, &f, err);
    if (rc == 0) rc = vfs_write(f, 0, "x", 1, err);
    if (rc == 0) rc = vfs_rename(d, "f", "g", err);
    (void)vfs_close(f, NULL);
    /* The inner file system is kept from run to run: leave it as it was. */
    if (d) (void)vfs_unlink(d, "f", NULL);
    if (d) (void)vfs_unlink(d, "g", NULL);
    vfs_dir_close(d);
    (void)vfs_dir_remove(root, "d", NULL);
    return rc;
}

static int record_all(void *ctx, struct error *err)
{
    struct sweep *s = ctx;
    struct vfs_dir *root = NULL;
    struct vfs *fs = vfs_record_create(s->a, s->inner, count_only, NULL);
    if (!fs) return error_no_memory(err, 0);
    int rc = vfs_dir_open(fs, "r", VFS_DIR_CREATE, &root, err);
    if (rc == 0) rc = use_all(root, err);
    vfs_dir_close(root);
    vfs_record_destroy(fs);
    return rc;
}

static void every_failed_allocation_is_an_error_and_nothing_leaks(void **state)
{
    (void)state;
    struct sweep s = {alloc_create(NULL, 0), vfs_memory_create(alloc_libc())};
    oom_sweep(s.a, record_all, &s);
    vfs_memory_destroy(s.inner);
    alloc_destroy(s.a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_life_of_a_file_is_told_in_order),
    cmocka_unit_test(numbers_follow_the_file_and_not_the_name),
    cmocka_unit_test(directories_have_numbers_of_their_own),
    cmocka_unit_test(what_failed_below_is_not_told),
    cmocka_unit_test(the_observer_can_fail_what_was_done),
    cmocka_unit_test(every_failed_allocation_is_an_error_and_nothing_leaks),
};

TEST_MAIN(tests)
