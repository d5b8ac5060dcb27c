/* SPDX-License-Identifier: Apache-2.0 */
/* test_directories.c — the directories of what is dropped go, at the next start at the latest, and
 * what cannot go keeps nobody from opening the root or a collection. */
#include <dirent.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lynse.h"
#include "support/temp_dir.h"
#include "support/test.h"

struct fixture {
    char root[TEMP_PATH_BYTES];
    char directory[TEMP_PATH_BYTES + 64]; /* of the collection */
    char strange[TEMP_PATH_BYTES + 80];   /* a folder in it that is nobody's */
};

static struct lynse *open_root(const struct fixture *f)
{
    struct lynse_open_desc desc = {.path = f->root};
    struct lynse_error err = {0};
    struct lynse *db = NULL;

    if (lynse_open(&desc, &db, &err) != LYNSE_OK) fail_msg("%s", err.text);
    return db;
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static int set_up(void **state)
{
    static struct fixture f;
    struct lynse_collection_desc desc = {.name = "a", .dim = 2};
    struct lynse_collection_info info = {0};
    struct lynse_collection *c;

    temp_dir_make(f.root);
    struct lynse *db = open_root(&f);
    assert_int_equal(lynse_collection_create(db, &desc, &c, NULL), LYNSE_OK);
    assert_int_equal(lynse_collection_info(c, &info, NULL), LYNSE_OK);
    snprintf(f.directory, sizeof f.directory, "%s/%s", f.root, info.directory);
    snprintf(f.strange, sizeof f.strange, "%s/strange", f.directory);
    assert_int_equal(lynse_close(db, NULL), LYNSE_OK);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    temp_dir_remove(((struct fixture *)*state)->root);
    return 0;
}

static void drop_and_close(const struct fixture *f)
{
    struct lynse *db = open_root(f);
    int there = 1;

    assert_int_equal(lynse_collection_drop(db, "a", NULL), LYNSE_OK);
    assert_int_equal(lynse_collection_exists(db, "a", &there, NULL), LYNSE_OK);
    assert_false(there);
    assert_int_equal(lynse_close(db, NULL), LYNSE_OK);
}

static void a_drop_takes_the_directory_along(void **state)
{
    struct fixture *f = *state;

    drop_and_close(f);
    assert_false(is_there(f->directory));
}

static void make_in(struct lynse *db, const char *name, struct lynse_collection **out)
{
    struct lynse_collection_desc desc = {.name = name, .dim = 2};
    assert_int_equal(lynse_collection_create(db, &desc, out, NULL), LYNSE_OK);
}

static size_t entry_count(const char *path)
{
    DIR *dir = opendir(path);
    size_t count = 0;

    assert_non_null(dir);
    while (readdir(dir)) count++;
    closedir(dir);
    return count;
}

static void a_database_takes_open_and_closed_collections_along(void **state)
{
    struct fixture *f = *state;
    struct lynse *db = open_root(f);
    struct lynse_collection *open[2], *closed;
    struct lynse_error err = {0};
    size_t before = entry_count(f->root);
    float vector[] = {1, 2};
    struct lynse_rows rows = {.count = 1, .dim = 2, .vectors = vector};
    uint64_t count;

    make_in(db, "box/closed", &closed);
    assert_int_equal(lynse_close(db, NULL), LYNSE_OK);
    db = open_root(f);
    make_in(db, "box/b", &open[0]);
    make_in(db, "box/c", &open[1]);
    assert_int_equal(lynse_add(open[0], &rows, NULL, NULL, NULL), LYNSE_OK);
    assert_int_equal(entry_count(f->root), before + 3);

    assert_int_equal(lynse_database_drop(db, "box", NULL), LYNSE_OK);
    assert_int_equal(entry_count(f->root), before); /* at once: nobody reads them */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lynse_count(open[i], &count, &err), LYNSE_NOT_FOUND);
        assert_int_equal(lynse_add(open[i], &rows, NULL, NULL, &err), LYNSE_NOT_FOUND);
    }
    assert_int_equal(lynse_collection_open(db, "box/closed", &closed, &err), LYNSE_NOT_FOUND);
    assert_int_equal(lynse_database_drop(db, "box", &err), LYNSE_NOT_FOUND);
    assert_true(is_there(f->directory)); /* of another database */
    assert_int_equal(lynse_close(db, NULL), LYNSE_OK);
}

static void drop_box(struct lynse *db, struct lynse_collection *const *boxed,
                     struct lynse_collection *const *others, size_t count)
{
    struct lynse_error err = {0};
    uint64_t live;

    assert_int_equal(lynse_database_drop(db, "box", NULL), LYNSE_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(lynse_count(boxed[i], &live, &err), LYNSE_NOT_FOUND);
        assert_int_equal(lynse_count(others[i], &live, &err), LYNSE_OK);
        assert_int_equal(live, 1);
    }
}

static void a_database_of_many_open_collections_leaves_those_of_others(void **state)
{
    enum { COUNT = 40 };
    struct fixture *f = *state;
    struct lynse *db = open_root(f);
    struct lynse_collection *boxed[COUNT], *others[COUNT];
    size_t before = entry_count(f->root);
    float vector[] = {1, 2};
    struct lynse_rows rows = {.count = 1, .dim = 2, .vectors = vector};

    for (size_t i = 0; i < COUNT; i++) {
        char name[32];
        snprintf(name, sizeof name, "other/%zu", i);
        make_in(db, name, &others[i]);
        assert_int_equal(lynse_add(others[i], &rows, NULL, NULL, NULL), LYNSE_OK);
    }
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < COUNT; i++) {
            char name[32];
            snprintf(name, sizeof name, "box/%zu", i);
            make_in(db, name, &boxed[i]);
        }
        drop_box(db, boxed, others, COUNT);
        for (size_t i = 0; i < COUNT; i += 2) lynse_collection_close(boxed[i]);
        assert_int_equal(entry_count(f->root), before + COUNT);
    }
    assert_int_equal(lynse_close(db, NULL), LYNSE_OK);
}

static void a_directory_that_resists_goes_at_a_later_start(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir(f->strange, 0700), 0);
    drop_and_close(f);
    assert_int_equal(lynse_close(open_root(f), NULL), LYNSE_OK);
    assert_true(is_there(f->directory));

    assert_int_equal(rmdir(f->strange), 0);
    assert_int_equal(lynse_close(open_root(f), NULL), LYNSE_OK);
    assert_false(is_there(f->directory));
}

static void garbage_that_resists_keeps_no_collection_closed(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection *c;
    char garbage[TEMP_PATH_BYTES + 128];

    snprintf(garbage, sizeof garbage, "%s/tmp-%032d", f->directory, 1);
    assert_int_equal(mkdir(garbage, 0700), 0);
    struct lynse *db = open_root(f);
    assert_int_equal(lynse_collection_open(db, "a", &c, NULL), LYNSE_OK);
    assert_int_equal(lynse_close(db, NULL), LYNSE_OK);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_drop_takes_the_directory_along, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_database_takes_open_and_closed_collections_along, set_up,
                                    tear_down),
    cmocka_unit_test_setup_teardown(a_database_of_many_open_collections_leaves_those_of_others,
                                    set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_directory_that_resists_goes_at_a_later_start, set_up,
                                    tear_down),
    cmocka_unit_test_setup_teardown(garbage_that_resists_keeps_no_collection_closed, set_up,
                                    tear_down),
};
TEST_MAIN(tests)
