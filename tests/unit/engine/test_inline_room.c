/* SPDX-License-Identifier: Apache-2.0 */
/* test_inline_room.c — a host that polls and waits for the disk with each write needs no lynse_sync
 * to keep full tails from piling up in memory (R4b). */
#include <stdlib.h>

#include "base/limits.h"
#include "lynse.h"
#include "support/temp_dir.h"
#include "support/test.h"

enum { ROWS = LIMIT_BATCH_ROWS, CALLS_MAX = 5 * (SEAL_ROWS / LIMIT_BATCH_ROWS + 1) };

static void full_tails_are_sealed_by_writes_that_wait_for_the_disk(void **state)
{
    char root[TEMP_PATH_BYTES];
    struct lynse_open_desc open = {.path = root, .mode = LYNSE_INLINE, .sync = LYNSE_SYNC_ALWAYS};
    struct lynse_collection_desc desc = {.name = "a", .dim = 1};
    struct lynse_collection_info info = {0};
    struct lynse_collection *c;
    struct lynse_error err = {0};
    struct lynse *db;
    (void)state;

    temp_dir_make(root);
    float *vectors = calloc(ROWS, sizeof *vectors);
    assert_non_null(vectors);
    struct lynse_rows rows = {.dim = 1, .count = ROWS, .vectors = vectors};
    assert_int_equal(lynse_open(&open, &db, &err), LYNSE_OK);
    assert_int_equal(lynse_collection_create(db, &desc, &c, &err), LYNSE_OK);
    for (int i = 0; i < CALLS_MAX && info.segment_count == 0; i++) {
        assert_int_equal(lynse_add(c, &rows, NULL, NULL, &err), LYNSE_OK);
        assert_int_equal(lynse_collection_info(c, &info, &err), LYNSE_OK);
    }
    assert_true(info.segment_count > 0);
    assert_true(info.tail_count <= ROWS);
    assert_int_equal(lynse_close(db, &err), LYNSE_OK);
    free(vectors);
    temp_dir_remove(root);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(full_tails_are_sealed_by_writes_that_wait_for_the_disk),
};
TEST_MAIN(tests)
