/* SPDX-License-Identifier: Apache-2.0 */
/* test_catalog_owners.c — a catalog that gives a directory to two owners is damaged: opening it
 * would let one of them lose what the other one drops.  Found by fuzz_catalog. */
#include "engine/catalog.h"
#include "support/test.h"

struct pair {
    uint32_t number;
    uint8_t uuid;
};

/* Collections a and b of one database, and one that was dropped. */
static int decode(struct pair a, struct pair b, struct pair dropped, struct alloc *alloc,
                  struct error *err)
{
    struct uuid root = {{1}};
    struct catalog_collection list[2] = {
        {.number = a.number, .uuid = {{a.uuid}}, .database = "d", .name = "a"},
        {.number = b.number, .uuid = {{b.uuid}}, .database = "d", .name = "b"},
    };
    struct catalog_dropped gone = {dropped.number, {{dropped.uuid}}};
    char databases[1][NAME_ROOM] = {"d"};
    struct catalog written = {
        .next_number = 10,
        .databases = databases,
        .database_count = 1,
        .collections = list,
        .collection_count = 2,
        .dropped = &gone,
        .dropped_count = 1,
    };
    struct catalog read;
    struct buf body;

    buf_init(&body, alloc_libc(), MEM_GENERAL);
    catalog_encode(&written, &body);
    catalog_init(&read, alloc, &root);
    int rc = catalog_decode(&read, buf_slice(&body), err);
    catalog_deinit(&read);
    buf_deinit(&body);
    return rc;
}

static void owners_of_their_own_are_accepted(void **state)
{
    struct error err = {0};
    (void)state;
    assert_ok(
        decode((struct pair){1, 1}, (struct pair){2, 2}, (struct pair){3, 3}, alloc_libc(), &err),
        &err);
}

static void two_collections_do_not_share_a_directory(void **state)
{
    struct error err = {0};
    (void)state;
    assert_fails(
        decode((struct pair){1, 1}, (struct pair){2, 1}, (struct pair){3, 3}, alloc_libc(), &err),
        &err, LYNSE_CORRUPT);
    assert_non_null(strstr(err.text, "1 and 2 share a directory"));
}

static void a_dropped_directory_belongs_to_no_collection(void **state)
{
    struct error err = {0};
    (void)state;
    assert_fails(
        decode((struct pair){1, 1}, (struct pair){2, 2}, (struct pair){3, 2}, alloc_libc(), &err),
        &err, LYNSE_CORRUPT);
}

static void a_number_is_given_out_once(void **state)
{
    struct error err = {0};
    (void)state;
    assert_fails(
        decode((struct pair){1, 1}, (struct pair){1, 2}, (struct pair){3, 3}, alloc_libc(), &err),
        &err, LYNSE_CORRUPT);
    assert_fails(
        decode((struct pair){1, 1}, (struct pair){2, 2}, (struct pair){2, 3}, alloc_libc(), &err),
        &err, LYNSE_CORRUPT);
}

static void running_out_of_memory_is_not_damage(void **state)
{
    struct alloc *a = alloc_create(NULL, 0);
    struct error err = {0};
    int rc = -1;
    (void)state;
    assert_non_null(a);
    for (uint64_t n = 1; rc != 0; n++) {
        assert_true(n < 100);
        alloc_fail_after(a, n, true);
        rc = decode((struct pair){1, 1}, (struct pair){2, 2}, (struct pair){3, 3}, a, &err);
        if (rc != 0) assert_int_equal(err.code, LYNSE_NO_MEMORY);
        assert_int_equal(alloc_used_bytes(a), 0);
    }
    alloc_destroy(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(owners_of_their_own_are_accepted),
    cmocka_unit_test(two_collections_do_not_share_a_directory),
    cmocka_unit_test(a_dropped_directory_belongs_to_no_collection),
    cmocka_unit_test(a_number_is_given_out_once),
    cmocka_unit_test(running_out_of_memory_is_not_damage),
};
TEST_MAIN(tests)
