/* SPDX-License-Identifier: Apache-2.0 */
/* test_pins.c — a reader pins what it reads (L4), and nothing that it could not open: a pin that
 * nobody needs would keep the writer from ever removing a file. */
#include <stdbool.h>
#include <stdlib.h>

#include "lynse.h"
#include "os/vfs.h"
#include "store/dir_lock.h"
#include "support/temp_dir.h"
#include "support/test.h"

struct fixture {
    char root[TEMP_PATH_BYTES];
    char directory[48]; /* of the collection, which has the number 1 */
};

static int set_up(void **state)
{
    static struct fixture f;
    struct lynse_open_desc open = {.path = f.root};
    struct lynse_collection_desc desc = {.name = "a", .dim = 2};
    struct lynse_collection_info info = {0};
    const float vector[] = {1, 2};
    struct lynse_rows rows = {.dim = 2, .count = 1, .vectors = vector};
    struct lynse_collection *c;
    struct lynse *db;

    temp_dir_make(f.root);
    assert_int_equal(lynse_open(&open, &db, NULL), LYNSE_OK);
    assert_int_equal(lynse_collection_create(db, &desc, &c, NULL), LYNSE_OK);
    assert_int_equal(lynse_add(c, &rows, NULL, NULL, NULL), LYNSE_OK);
    assert_int_equal(lynse_flush(c, NULL), LYNSE_OK);
    assert_int_equal(lynse_collection_info(c, &info, NULL), LYNSE_OK);
    memcpy(f.directory, info.directory, sizeof f.directory);
    assert_int_equal(lynse_close(db, NULL), LYNSE_OK);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    temp_dir_remove(((struct fixture *)*state)->root);
    return 0;
}

/* Does anybody pin an epoch of the collection? */
static bool is_pinned(const struct fixture *f)
{
    struct error err = {0};
    struct vfs_dir *root;
    struct vfs_file *lock;
    bool held;

    assert_ok(vfs_dir_open(vfs_posix(), f->root, 0, &root, &err), &err);
    assert_ok(vfs_open(root, LOCK_NAME, VFS_WRITE, &lock, &err), &err);
    assert_ok(vfs_lock_held(lock, 1ull << 32, 1ull << 32, &held, &err), &err);
    vfs_close(lock, NULL);
    vfs_dir_close(root);
    return held;
}

static bool cut_part(void *ctx, const char *name)
{
    struct error err = {0};
    struct vfs_file *part;

    if (strncmp(name, "seg-", 4) != 0) return true;
    assert_ok(vfs_open(ctx, name, VFS_WRITE, &part, &err), &err);
    assert_ok(vfs_truncate(part, 1, &err), &err);
    vfs_close(part, NULL);
    return false;
}

static void damage(const struct fixture *f)
{
    struct error err = {0};
    struct vfs_dir *root, *dir;

    assert_ok(vfs_dir_open(vfs_posix(), f->root, 0, &root, &err), &err);
    assert_ok(vfs_dir_open_in(root, f->directory, &dir, &err), &err);
    assert_ok(vfs_dir_list(dir, cut_part, dir, &err), &err);
    vfs_dir_close(dir);
    vfs_dir_close(root);
}

static struct lynse *open_reader(struct fixture *f)
{
    struct lynse_open_desc open = {.path = f->root, .flags = LYNSE_OPEN_READ_ONLY};
    struct lynse *db = NULL;

    assert_int_equal(lynse_open(&open, &db, NULL), LYNSE_OK);
    return db;
}

static void a_reader_pins_what_it_has_open(void **state)
{
    struct fixture *f = *state;
    struct lynse *db = open_reader(f);
    struct lynse_collection *c;

    assert_false(is_pinned(f));
    assert_int_equal(lynse_collection_open(db, "a", &c, NULL), LYNSE_OK);
    assert_true(is_pinned(f));
    assert_int_equal(lynse_close(db, NULL), LYNSE_OK);
    assert_false(is_pinned(f));
}

static void what_cannot_be_opened_is_not_pinned(void **state)
{
    struct fixture *f = *state;
    struct lynse *db = open_reader(f);
    struct lynse_collection *c;

    damage(f);
    assert_int_equal(lynse_collection_open(db, "a", &c, NULL), LYNSE_CORRUPT);
    assert_false(is_pinned(f));
    assert_int_equal(lynse_close(db, NULL), LYNSE_OK);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_reader_pins_what_it_has_open, set_up, tear_down),
    cmocka_unit_test_setup_teardown(what_cannot_be_opened_is_not_pinned, set_up, tear_down),
};
TEST_MAIN(tests)
