/* SPDX-License-Identifier: Apache-2.0 */
/* test_catalog_numbers.c — a collection's number is half of a lock's place: one that no lock can
 * have is damage, whatever its checksum says. */
#include "engine/catalog.h"
#include "support/test.h"

static int decode(uint64_t next_number, uint32_t dropped, struct error *err)
{
    struct uuid root = {{1}};
    struct catalog_dropped gone = {dropped, {{2}}};
    struct catalog written = {.next_number = next_number, .dropped = &gone, .dropped_count = 1};
    struct catalog read;
    struct buf body;

    buf_init(&body, alloc_libc(), MEM_GENERAL);
    catalog_encode(&written, &body);
    catalog_init(&read, alloc_libc(), &root);
    int rc = catalog_decode(&read, buf_slice(&body), err);
    catalog_deinit(&read);
    buf_deinit(&body);
    return rc;
}

static void the_last_number_has_a_place(void **state)
{
    struct error err = {0};
    (void)state;
    assert_ok(decode(INT32_MAX, INT32_MAX - 1, &err), &err);
}

static void a_number_without_a_place_is_damage(void **state)
{
    struct error err = {0};
    (void)state;
    assert_fails(decode(1ull << 31, INT32_MAX, &err), &err, LYNSE_CORRUPT);
    assert_fails(decode(UINT32_MAX, 1u << 31, &err), &err, LYNSE_CORRUPT);
    assert_fails(decode(INT32_MAX, INT32_MAX, &err), &err, LYNSE_CORRUPT);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_last_number_has_a_place),
    cmocka_unit_test(a_number_without_a_place_is_damage),
};
TEST_MAIN(tests)
