/* SPDX-License-Identifier: Apache-2.0 */
/* test_old_views.c — a scan outlives the state of the collection that it was begun on; what it
 * finds damaged then is an error like any other. */
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

static struct lynse_collection *require(struct lynse *db)
{
    struct lynse_collection_desc desc = {.name = "a", .dim = 2};
    struct lynse_collection *c = NULL;

    assert_int_equal(lynse_collection_require(db, &desc, &c, NULL), LYNSE_OK);
    return c;
}

/* The first bytes of a part's sections, which opening does not read. */
static bool flip_part(void *ctx, const char *name)
{
    struct error err = {0};
    struct vfs_file *part;
    uint8_t byte;
    size_t got;

    if (strncmp(name, "seg-", 4) != 0) return true;
    assert_ok(vfs_open(ctx, name, VFS_WRITE, &part, &err), &err);
    assert_ok(vfs_read(part, 128, &byte, 1, &got, &err), &err);
    byte ^= 1;
    assert_ok(vfs_write(part, 128, &byte, 1, &err), &err);
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
    assert_ok(vfs_dir_list(dir, flip_part, dir, &err), &err);
    vfs_dir_close(dir);
    vfs_dir_close(root);
}

static void a_scan_that_outlives_a_refresh_meets_damage(void **state)
{
    static const float vector[] = {1, 2};
    struct lynse_rows rows = {.dim = 2, .count = 1, .vectors = vector};
    char path[TEMP_PATH_BYTES];
    struct lynse_error err = {0};
    struct lynse_hits *hits = NULL;
    struct lynse_scan *scan;
    (void)state;

    temp_dir_make(path);
    struct lynse *writer = open_root(path, 0);
    struct lynse_collection *c = require(writer);
    assert_int_equal(lynse_add(c, &rows, NULL, NULL, NULL), LYNSE_OK);
    assert_int_equal(lynse_flush(c, NULL), LYNSE_OK);
    struct lynse *reader = open_root(path, LYNSE_OPEN_READ_ONLY);
    struct lynse_collection *seen = require(reader);
    assert_int_equal(lynse_scan_begin(seen, LYNSE_WITH_VECTORS, &scan, NULL), LYNSE_OK);
    assert_int_equal(lynse_refresh(reader, &err), LYNSE_OK);
    damage(path, c);

    assert_int_equal(lynse_scan_next(scan, 10, &hits, &err), LYNSE_CORRUPT);
    assert_non_null(strstr(err.text, "is damaged"));
    lynse_scan_free(scan);
    assert_int_equal(lynse_close(reader, NULL), LYNSE_OK);
    assert_int_equal(lynse_close(writer, NULL), LYNSE_OK);
    temp_dir_remove(path);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_scan_that_outlives_a_refresh_meets_damage),
};
TEST_MAIN(tests)
