/* SPDX-License-Identifier: Apache-2.0 */
/* test_catalog.c — the list of databases and collections, its body and its file. */
#include "codec/tagged.h"
#include "engine/catalog.h"
#include "support/oom_sweep.h"
#include "support/test.h"

struct fixture {
    struct alloc *alloc;
    struct vfs *fs;
    struct vfs_dir *root;
    struct rng rng;
    struct error err;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.alloc = alloc_create(NULL, 0)};
    f.fs = vfs_memory_create(f.alloc);
    rng_init(&f.rng, 1);
    assert_ok(vfs_dir_open(f.fs, "/root", VFS_DIR_CREATE, &f.root, &f.err), &f.err);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    vfs_dir_close(f->root);
    vfs_memory_destroy(f->fs);
    assert_int_equal(alloc_used_bytes(f->alloc), 0);
    alloc_destroy(f->alloc);
    return 0;
}

static void init(struct fixture *f, struct catalog *c)
{
    catalog_init(c, f->alloc, &(struct uuid){{7, 8, 9}});
}

static void add(struct fixture *f, struct catalog *c, const char *database, const char *name)
{
    struct catalog_collection entry = {.number = (uint32_t)c->next_number,
                                       .uuid = uuid_make(&f->rng)};
    snprintf(entry.database, sizeof entry.database, "%s", database);
    snprintf(entry.name, sizeof entry.name, "%s", name);
    if (!catalog_has_database(c, database))
        assert_ok(catalog_add_database(c, database, &f->err), &f->err);
    assert_ok(catalog_add_collection(c, &entry, &f->err), &f->err);
}

/* A catalog with a bit of everything. */
static void fill(struct fixture *f, struct catalog *c)
{
    init(f, c);
    add(f, c, "notes", "b");
    add(f, c, "notes", "a");
    add(f, c, "default", "plain");
    assert_ok(catalog_add_database(c, "empty", &f->err), &f->err);
    add(f, c, "notes", "gone");
    assert_ok(catalog_drop_collection(c, "notes", "gone", &f->err), &f->err);
}

static void assert_equal(struct fixture *f, const struct catalog *a, const struct catalog *b)
{
    struct buf x, y;
    buf_init(&x, f->alloc, MEM_GENERAL);
    buf_init(&y, f->alloc, MEM_GENERAL);
    catalog_encode(a, &x);
    catalog_encode(b, &y);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    buf_deinit(&x);
    buf_deinit(&y);
}

/* ---- the list ---- */

static void lists_are_sorted_and_numbers_are_used_once(void **state)
{
    struct fixture *f = *state;
    struct catalog c;
    fill(f, &c);
    assert_string_equal(c.databases[0], "default");
    assert_string_equal(c.databases[1], "empty");
    assert_string_equal(c.databases[2], "notes");
    assert_int_equal(c.collection_count, 3);
    assert_string_equal(c.collections[1].name, "a");
    assert_string_equal(c.collections[2].name, "b");
    assert_int_equal(catalog_find(&c, "notes", "a")->number, 2);
    assert_null(catalog_find(&c, "notes", "gone"));
    assert_null(catalog_find(&c, "default", "a"));
    assert_int_equal(c.dropped_count, 1);
    assert_int_equal(c.next_number, 5);
    add(f, &c, "notes", "gone"); /* another one */
    assert_int_equal(catalog_find(&c, "notes", "gone")->number, 5);
    catalog_forget_dropped(&c, 4);
    catalog_forget_dropped(&c, 4);
    assert_int_equal(c.dropped_count, 0);
    catalog_deinit(&c);
}

static void a_change_that_cannot_be_leaves_the_list_alone(void **state)
{
    struct fixture *f = *state;
    struct catalog c, before;
    fill(f, &c);
    init(f, &before);
    assert_ok(catalog_copy(&before, &c, &f->err), &f->err);
    struct catalog_collection twin = *catalog_find(&c, "notes", "a");
    twin.number = (uint32_t)c.next_number;
    assert_fails(catalog_add_collection(&c, &twin, &f->err), &f->err, LYNSE_ALREADY_EXISTS);
    assert_fails(catalog_add_database(&c, "notes", &f->err), &f->err, LYNSE_ALREADY_EXISTS);
    assert_fails(catalog_drop_database(&c, "nowhere", &f->err), &f->err, LYNSE_NOT_FOUND);
    assert_fails(catalog_drop_collection(&c, "notes", "z", &f->err), &f->err, LYNSE_NOT_FOUND);
    assert_equal(f, &c, &before);
    assert_ok(catalog_drop_database(&c, "empty", &f->err), &f->err);
    assert_int_equal(before.database_count, 3); /* a copy shares nothing */
    catalog_deinit(&c);
    catalog_deinit(&before);
}

static void a_database_goes_with_its_collections_and_no_others(void **state)
{
    struct fixture *f = *state;
    struct catalog c;
    fill(f, &c);
    add(f, &c, "note", "a"); /* neighbours by name */
    add(f, &c, "notes-2", "a");
    assert_ok(catalog_drop_database(&c, "notes", &f->err), &f->err);
    assert_false(catalog_has_database(&c, "notes"));
    assert_null(catalog_find(&c, "notes", "a"));
    assert_null(catalog_find(&c, "notes", "b"));
    assert_int_equal(c.collection_count, 3);
    assert_non_null(catalog_find(&c, "note", "a"));
    assert_non_null(catalog_find(&c, "notes-2", "a"));
    assert_non_null(catalog_find(&c, "default", "plain"));
    assert_int_equal(c.dropped_count, 3); /* their directories are still to go */
    add(f, &c, "notes", "a");
    assert_int_equal(catalog_find(&c, "notes", "a")->number, 7);
    catalog_deinit(&c);
}

static int change_everything(void *ctx, struct error *err)
{
    struct fixture *f = ctx;
    struct catalog c;
    struct catalog_collection entry = {.number = 1, .database = "d", .name = "n"};
    int rc = -1;
    init(f, &c);
    if (catalog_add_database(&c, "d", err) != 0) goto out;
    if (catalog_add_collection(&c, &entry, err) != 0) goto out;
    struct catalog copy;
    init(f, &copy);
    if (catalog_copy(&copy, &c, err) != 0) goto out;
    if (catalog_drop_database(&copy, "d", err) == 0)
        rc = catalog_drop_collection(&c, "d", "n", err);
    catalog_deinit(&copy);
out:
    catalog_deinit(&c);
    return rc;
}

static void memory_may_run_out(void **state)
{
    struct fixture *f = *state;
    oom_sweep(f->alloc, change_everything, f);
}

/* ---- the body ---- */

static int decode(struct fixture *f, struct slice body, struct catalog *out)
{
    init(f, out);
    return catalog_decode(out, body, &f->err);
}

static void what_is_encoded_is_decoded(void **state)
{
    struct fixture *f = *state;
    struct catalog c, back;
    struct buf body;
    for (int i = 0; i < 2; i++) {
        if (i == 0) init(f, &c);
        else fill(f, &c);
        buf_init(&body, f->alloc, MEM_GENERAL);
        catalog_encode(&c, &body);
        assert_ok(decode(f, buf_slice(&body), &back), &f->err);
        assert_equal(f, &c, &back);
        catalog_deinit(&c);
        catalog_deinit(&back);
        buf_deinit(&body);
    }
}

static void a_body_that_is_cut_short_or_changed_is_found_out_or_another_list(void **state)
{
    struct fixture *f = *state;
    struct catalog c, back;
    struct buf body;
    fill(f, &c);
    buf_init(&body, f->alloc, MEM_GENERAL);
    catalog_encode(&c, &body);
    for (size_t size = 0; size < body.size; size++) {
        uint8_t *exact = malloc(size + 1); /* a read past the end is seen by the sanitizers */
        memcpy(exact, body.data, size);
        assert_fails(decode(f, slice_of(exact, size), &back), &f->err, LYNSE_CORRUPT);
        assert_non_null(strstr(f->err.text, "catalog"));
        catalog_deinit(&back);
        free(exact);
    }
    for (size_t bit = 0; bit < body.size * 8; bit++) {
        body.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (decode(f, buf_slice(&body), &back) == 0) { /* a letter, a number: still a list */
            struct buf again;
            buf_init(&again, f->alloc, MEM_GENERAL);
            catalog_encode(&back, &again);
            assert_true(again.size <= body.size);
            buf_deinit(&again);
        } else {
            assert_true(f->err.code == LYNSE_CORRUPT || f->err.code == LYNSE_FORMAT_TOO_NEW);
        }
        catalog_deinit(&back);
        body.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buf_deinit(&body);
    catalog_deinit(&c);
}

static void a_field_of_a_later_version_is_skipped_or_too_new(void **state)
{
    struct fixture *f = *state;
    struct catalog c, back;
    fill(f, &c);
    for (uint16_t flags = 0; flags <= TAGGED_REQUIRED; flags++) {
        struct buf body;
        buf_init(&body, f->alloc, MEM_GENERAL);
        catalog_encode(&c, &body);
        size_t begin = tagged_begin(&body, 77, flags, 0);
        buf_append(&body, "later", 5);
        tagged_end(&body, begin);
        int rc = decode(f, buf_slice(&body), &back);
        if (flags == TAGGED_REQUIRED) {
            assert_fails(rc, &f->err, LYNSE_FORMAT_TOO_NEW);
            assert_non_null(strstr(f->err.text, "77"));
        } else {
            assert_ok(rc, &f->err);
            assert_equal(f, &c, &back);
        }
        catalog_deinit(&back);
        buf_deinit(&body);
    }
    catalog_deinit(&c);
}

/* ---- the file ---- */

static void flip(struct fixture *f, const char *name, uint64_t at)
{
    struct vfs_file *file;
    uint8_t byte;
    size_t got;
    assert_ok(vfs_open(f->root, name, VFS_WRITE, &file, &f->err), &f->err);
    assert_ok(vfs_read(file, at, &byte, 1, &got, &f->err), &f->err);
    byte ^= 0x40;
    assert_ok(vfs_write(file, at, &byte, 1, &f->err), &f->err);
    assert_ok(vfs_close(file, &f->err), &f->err);
}

static void one_damaged_copy_is_survived_and_two_are_not(void **state)
{
    struct fixture *f = *state;
    struct catalog c, back;
    struct twin_info info;
    bool found, is_renamed;
    fill(f, &c);
    assert_ok(catalog_publish(&c, f->root, &f->rng, &is_renamed, &f->err), &f->err);
    assert_int_equal(c.epoch, 1);
    enum { COPY = 4096, BODY = 112 };
    for (int copy = 0; copy < 2; copy++) {
        flip(f, "catalog-1", (uint64_t)copy * COPY + BODY + 3);
        init(f, &back);
        assert_ok(catalog_load(&back, f->root, &found, &info, &f->err), &f->err);
        assert_true(found);
        assert_int_equal(info.damaged_copies, 1);
        assert_equal(f, &c, &back);
        assert_true(uuid_equal(&back.root, &c.root));
        catalog_deinit(&back);
        flip(f, "catalog-1", (uint64_t)copy * COPY + BODY + 3);
    }
    flip(f, "catalog-1", BODY + 3);
    flip(f, "catalog-1", COPY + BODY + 9);
    init(f, &back);
    assert_fails(catalog_load(&back, f->root, &found, &info, &f->err), &f->err, LYNSE_CORRUPT);
    assert_non_null(strstr(f->err.text, "catalog-1"));
    catalog_deinit(&back);
    catalog_deinit(&c);
}

static void the_highest_epoch_rules_and_the_others_go(void **state)
{
    struct fixture *f = *state;
    struct catalog c, back;
    struct twin_info info;
    bool found, is_renamed, there;
    init(f, &back);
    assert_ok(catalog_load(&back, f->root, &found, &info, &f->err), &f->err);
    assert_false(found);
    catalog_deinit(&back);
    fill(f, &c);
    for (int i = 0; i < 3; i++)
        assert_ok(catalog_publish(&c, f->root, &f->rng, &is_renamed, &f->err), &f->err);
    add(f, &c, "default", "newest");
    assert_ok(catalog_publish(&c, f->root, &f->rng, &is_renamed, &f->err), &f->err);
    init(f, &back);
    assert_ok(catalog_load(&back, f->root, &found, &info, &f->err), &f->err);
    assert_int_equal(back.epoch, 4);
    assert_equal(f, &c, &back);
    assert_ok(catalog_clean(&back, f->root, &f->err), &f->err);
    assert_ok(vfs_exists(f->root, "catalog-3", &there, &f->err), &f->err);
    assert_false(there);
    assert_ok(vfs_exists(f->root, "catalog-4", &there, &f->err), &f->err);
    assert_true(there);
    catalog_deinit(&back);
    catalog_deinit(&c);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(lists_are_sorted_and_numbers_are_used_once),
    CASE(a_change_that_cannot_be_leaves_the_list_alone),
    CASE(a_database_goes_with_its_collections_and_no_others),
    CASE(memory_may_run_out),
    CASE(what_is_encoded_is_decoded),
    CASE(a_body_that_is_cut_short_or_changed_is_found_out_or_another_list),
    CASE(a_field_of_a_later_version_is_skipped_or_too_new),
    CASE(one_damaged_copy_is_survived_and_two_are_not),
    CASE(the_highest_epoch_rules_and_the_others_go),
};
TEST_MAIN(tests)
