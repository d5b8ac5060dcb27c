/* SPDX-License-Identifier: Apache-2.0 */
/* test_misplaced.c — a file of a root that is gone, or has something else in its place. */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

enum { PATH_BYTES = 3 * TEMP_PATH_BYTES };

/* The path of the last entry of `folder` that begins so: of fewer than ten log files the newest. */
static void find(const char *folder, const char *prefix, char out[PATH_BYTES])
{
    DIR *dir = opendir(folder);
    char last[256] = "";
    assert_non_null(dir);
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0 && strcmp(e->d_name, last) > 0)
            snprintf(last, sizeof last, "%s", e->d_name);
    closedir(dir);
    assert_true(last[0] != 0);
    int bytes = snprintf(out, PATH_BYTES, "%s/%s", folder, last);
    assert_in_range(bytes, 1, PATH_BYTES - 1);
}

/* A root with a collection whose rows are in a segment and in the log. */
static void fill(struct fixture *f, char out_collection[PATH_BYTES])
{
    struct lynse_collection_info info = {0};
    fixture_make_docs(f);
    add_numbers(f, 0, 8);
    assert_done(lynse_flush(f->docs, &f->err), f);
    add_numbers(f, 100, 8);
    assert_done(lynse_collection_info(f->docs, &info, &f->err), f);
    snprintf(out_collection, PATH_BYTES, "%s/%s", f->path, info.directory);
    fixture_close(f);
}

static int open_all(struct fixture *f)
{
    struct lynse_open_desc desc = fixture_desc(f);
    struct lynse *db = NULL;
    struct lynse_collection *docs;
    int code = lynse_open(&desc, &db, &f->err);
    if (code != LYNSE_OK) return code;
    code = lynse_collection_open(db, "docs", &docs, &f->err);
    assert_int_equal(lynse_close(db, NULL), LYNSE_OK);
    return code;
}

static void a_link_or_a_directory_in_a_files_place_is_told(void **state)
{
    struct fixture *f = *state;
    const char *const prefixes[] = {"catalog-", "manifest-", "wal-", "seg-"};
    char collection[PATH_BYTES], path[PATH_BYTES], aside[PATH_BYTES + 8];
    fill(f, collection);
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        find(i == 0 ? f->path : collection, prefixes[i], path);
        const char *name = strrchr(path, '/') + 1;
        snprintf(aside, sizeof aside, "%s/aside", f->folder);
        assert_int_equal(rename(path, aside), 0);
        assert_int_equal(symlink(aside, path), 0);
        assert_refused(open_all(f), f, LYNSE_CORRUPT, name,
                       "is not a plain file; links are not followed");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkdir(path, 0755), 0);
        assert_refused(open_all(f), f, LYNSE_CORRUPT, name,
                       "is not a plain file; links are not followed");
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(rename(aside, path), 0);
    }
    assert_int_equal(open_all(f), LYNSE_OK);
}

static void a_catalog_that_is_gone_is_told(void **state)
{
    struct fixture *f = *state;
    char collection[PATH_BYTES], path[PATH_BYTES], aside[PATH_BYTES + 8];
    fill(f, collection);
    find(f->path, "catalog-", path);
    snprintf(aside, sizeof aside, "%s/aside", f->folder);
    assert_int_equal(rename(path, aside), 0);
    assert_refused(open_all(f), f, LYNSE_CORRUPT, "the catalog of", "is missing", f->path);
    assert_int_equal(rename(aside, path), 0);
    assert_int_equal(open_all(f), LYNSE_OK);
}

static void remove_manifests(const char *collection)
{
    char path[PATH_BYTES];
    DIR *dir = opendir(collection);
    assert_non_null(dir);
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (strncmp(e->d_name, "manifest-", 9) != 0) continue;
        int bytes = snprintf(path, sizeof path, "%s/%s", collection, e->d_name);
        assert_in_range(bytes, 1, PATH_BYTES - 1);
        assert_int_equal(unlink(path), 0);
    }
    closedir(dir);
}

/* Whoever opens it; the others are as healthy as before. */
static void a_collection_without_manifests_is_damaged_not_absent(void **state)
{
    struct fixture *f = *state;
    struct lynse_open_desc desc;
    struct lynse_collection_desc other = {.name = "other", .dim = 2}, again = {.name = "docs"};
    struct lynse_collection *c;
    char collection[PATH_BYTES];
    uint64_t count = 1;
    int there = 0;
    fill(f, collection);
    remove_manifests(collection);
    assert_refused(open_all(f), f, LYNSE_CORRUPT, "collection 'default/docs'", "no manifest");
    fixture_open(f);
    assert_refused(lynse_collection_require(f->db, &again, &c, &f->err), f, LYNSE_CORRUPT,
                   "collection 'default/docs'", "no manifest");
    assert_done(lynse_collection_exists(f->db, "docs", &there, &f->err), f);
    assert_true(there); /* its name is taken */
    assert_done(lynse_collection_create(f->db, &other, &c, &f->err), f);
    assert_done(lynse_count(c, &count, &f->err), f);
    assert_int_equal(count, 0);
    fixture_close(f);
    desc = fixture_desc(f);
    desc.flags |= LYNSE_OPEN_READ_ONLY;
    assert_done(lynse_open(&desc, &f->db, &f->err), f);
    assert_refused(lynse_collection_open(f->db, "docs", &c, &f->err), f, LYNSE_CORRUPT,
                   "collection 'default/docs'", "no manifest");
    assert_done(lynse_collection_open(f->db, "other", &c, &f->err), f);
    fixture_close(f);
    fixture_open(f);
    assert_done(lynse_collection_drop(f->db, "docs", &f->err), f);
}

/* A folder that has a name like a collection's is somebody's own all the same. */
static void without_our_lock_it_is_not_ours(void **state)
{
    struct fixture *f = *state;
    char path[PATH_BYTES], lock[PATH_BYTES];
    fixture_close(f);
    find(f->path, "catalog-", path);
    assert_int_equal(unlink(path), 0);
    snprintf(lock, sizeof lock, "%s/LOCK", f->path);
    assert_int_equal(unlink(lock), 0);
    snprintf(path, sizeof path, "%s/0123456789abcdef0123456789abcdef", f->path);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_refused(open_all(f), f, LYNSE_INVALID, "is not a Lynse database");
}

#define CASES(_)                                                                                   \
    _(a_link_or_a_directory_in_a_files_place_is_told)                                              \
    _(a_catalog_that_is_gone_is_told)                                                              \
    _(a_collection_without_manifests_is_damaged_not_absent) _(without_our_lock_it_is_not_ours)

static const struct CMUnitTest tests[] = {API_IN_FOLDERS(CASES)};
TEST_MAIN(tests)
