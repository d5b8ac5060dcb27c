/* SPDX-License-Identifier: Apache-2.0 */
/* test_refresh.c — a collection that cannot follow does not keep the others from it. */
#include "lynse.h"
#include "os/vfs.h"
#include "support/temp_dir.h"
#include "support/test.h"

static struct lynse *open_root(const char *path, uint32_t flags)
{
    struct lynse_open_desc desc = {.path = path, .flags = flags};
    struct lynse_error err = {0};
    struct lynse *db = NULL;

    if (lynse_open(&desc, &db, &err) != LYNSE_OK) fail_msg("%s", err.text);
    return db;
}

static struct lynse_collection *require(struct lynse *db, const char *name)
{
    struct lynse_collection_desc desc = {.name = name, .dim = 2};
    struct lynse_collection *c = NULL;

    assert_int_equal(lynse_collection_require(db, &desc, &c, NULL), LYNSE_OK);
    return c;
}

static void add_and_flush(struct lynse_collection *c)
{
    static const float vector[] = {1, 2};
    struct lynse_rows rows = {.dim = 2, .count = 1, .vectors = vector};

    assert_int_equal(lynse_add(c, &rows, NULL, NULL, NULL), LYNSE_OK);
    assert_int_equal(lynse_flush(c, NULL), LYNSE_OK);
}

static bool cut_part(void *ctx, const char *name)
{
    struct error err = {0};
    struct vfs_file *part;

    if (strncmp(name, "seg-", 4) != 0) return true;
    assert_ok(vfs_open(ctx, name, VFS_WRITE, &part, &err), &err);
    assert_ok(vfs_truncate(part, 1, &err), &err);
    vfs_close(part, NULL);
    return true;
}

static void damage(const char *path, struct lynse_collection *c)
{
    struct lynse_collection_info info = {0};
    struct error err = {0};
    struct vfs_dir *root, *dir;

    assert_int_equal(lynse_collection_info(c, &info, NULL), LYNSE_OK);
    assert_ok(vfs_dir_open(vfs_posix(), path, 0, &root, &err), &err);
    assert_ok(vfs_dir_open_in(root, info.directory, &dir, &err), &err);
    assert_ok(vfs_dir_list(dir, cut_part, dir, &err), &err);
    vfs_dir_close(dir);
    vfs_dir_close(root);
}

static void the_others_move_on(void **state)
{
    char path[TEMP_PATH_BYTES];
    struct lynse_error err = {0};
    uint64_t count = 0;
    (void)state;

    temp_dir_make(path);
    struct lynse *writer = open_root(path, 0);
    struct lynse_collection *a = require(writer, "a"), *b = require(writer, "b");
    struct lynse *reader = open_root(path, LYNSE_OPEN_READ_ONLY);
    struct lynse_collection *seen_a = require(reader, "a"), *seen_b = require(reader, "b");
    add_and_flush(a);
    add_and_flush(b);
    damage(path, a);

    assert_int_equal(lynse_refresh(reader, &err), LYNSE_CORRUPT);
    assert_int_equal(lynse_count(seen_a, &count, NULL), LYNSE_OK);
    assert_int_equal(count, 0);
    assert_int_equal(lynse_count(seen_b, &count, NULL), LYNSE_OK);
    assert_int_equal(count, 1);
    assert_int_equal(lynse_close(reader, NULL), LYNSE_OK);
    assert_int_equal(lynse_close(writer, NULL), LYNSE_OK);
    temp_dir_remove(path);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_others_move_on),
};
TEST_MAIN(tests)
