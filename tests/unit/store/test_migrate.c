/* SPDX-License-Identifier: Apache-2.0 */
#include "store/migrate.h"

#include "store/format.h"
#include "support/test.h"

static const struct migrate_step STEPS[] = {{1, 2, NULL}, {2, 3, NULL}, {3, 4, NULL},
                                            {3, 5, NULL}, {5, 6, NULL}, {5, 9, NULL}};
static const struct migrate_table TABLE = {STEPS, 6, 6};

static void the_chain_is_as_short_as_the_steps_allow(void **state)
{
    const struct migrate_step *path[MIGRATE_STEPS_MAX];
    struct error err = {0};
    size_t count = 99;
    (void)state;
    assert_ok(migrate_path(&TABLE, 1, path, &count, &err), &err);
    assert_int_equal(count, 4);
    assert_ptr_equal(path[2], &STEPS[3]); /* 3 to 5, not by way of 4 */
    assert_ptr_equal(path[3], &STEPS[4]); /* not past the newest */
    assert_ok(migrate_path(&TABLE, 6, path, &count, &err), &err);
    assert_int_equal(count, 0);
}

static void newer_and_too_old_are_told_apart(void **state)
{
    const struct migrate_step *path[MIGRATE_STEPS_MAX];
    struct error err = {0};
    size_t count = 0;
    (void)state;
    assert_fails(migrate_path(&TABLE, 7, path, &count, &err), &err, LYNSE_FORMAT_TOO_NEW);
    assert_non_null(strstr(err.text, "7"));
    assert_non_null(strstr(err.text, "6"));
    assert_fails(migrate_path(&TABLE, 4, path, &count, &err), &err, LYNSE_UNSUPPORTED);
    assert_fails(migrate_path(&TABLE, 0, path, &count, &err), &err, LYNSE_UNSUPPORTED);
}

static void a_file_that_needs_an_upgrade_says_so(void **state)
{
    struct error err = {0};
    (void)state;
    assert_ok(migrate_check(&TABLE, 6, "catalog-3", &err), &err);
    assert_fails(migrate_check(&TABLE, 2, "catalog-3", &err), &err, LYNSE_UNSUPPORTED);
    assert_non_null(strstr(err.text, "catalog-3"));
    assert_non_null(strstr(err.text, "upgraded to 6"));
}

static void a_chain_without_end_is_cut(void **state)
{
    struct migrate_step steps[40];
    const struct migrate_step *path[MIGRATE_STEPS_MAX];
    struct error err = {0};
    size_t count = 0;
    (void)state;
    for (uint16_t i = 0; i < 40; i++) steps[i] = (struct migrate_step){i, (uint16_t)(i + 1), NULL};
    struct migrate_table table = {steps, 40, 40};
    assert_fails(migrate_path(&table, 0, path, &count, &err), &err, LYNSE_UNSUPPORTED);
    assert_ok(migrate_path(&table, 40 - MIGRATE_STEPS_MAX, path, &count, &err), &err);
    assert_int_equal(count, MIGRATE_STEPS_MAX);
}

static void this_build_reads_its_own_major_alone(void **state)
{
    struct error err = {0};
    (void)state;
    assert_ok(migrate_check(migrate_table_built_in(), FORMAT_MAJOR, "x", &err), &err);
    assert_fails(migrate_check(migrate_table_built_in(), FORMAT_MAJOR + 1, "x", &err), &err,
                 LYNSE_FORMAT_TOO_NEW);
    assert_fails(migrate_check(migrate_table_built_in(), FORMAT_MAJOR - 1, "x", &err), &err,
                 LYNSE_UNSUPPORTED);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_chain_is_as_short_as_the_steps_allow),
    cmocka_unit_test(newer_and_too_old_are_told_apart),
    cmocka_unit_test(a_file_that_needs_an_upgrade_says_so),
    cmocka_unit_test(a_chain_without_end_is_cut),
    cmocka_unit_test(this_build_reads_its_own_major_alone),
};
TEST_MAIN(tests)
