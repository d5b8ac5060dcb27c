/* SPDX-License-Identifier: Apache-2.0 */
/* A deletion by filter whose time runs out, at whichever look at the clock: what was not sent is
 * not applied, and is said to be not applied. */
#include "api/handles.h"
#include "support/test.h"

enum { ROWS = 15, TIMEOUT_US = 1000, LOOKS_MAX = 1000 };

/* Stands, but for one look at which it has gone on by more than the time-out. */
struct leaping_clock {
    struct clock base; /* first */
    uint64_t now_us;
    uint64_t looks_left; /* until it leaps; 0: never */
};

static uint64_t look(const struct clock *c)
{
    struct leaping_clock *l = (struct leaping_clock *)c;

    if (l->looks_left > 0 && --l->looks_left == 0) l->now_us += 10 * TIMEOUT_US;
    return l->now_us;
}

static int64_t wall(const struct clock *c)
{
    return (int64_t)((const struct leaping_clock *)c)->now_us;
}

struct fixture {
    struct alloc *disk;
    struct vfs *memory;
    struct leaping_clock clock;
    struct lynse *db;
    struct lynse_collection *docs;
    struct lynse_error err;
};

static void set_up(struct fixture *f)
{
    struct error err = {0};
    float vectors[ROWS] = {0};

    *f = (struct fixture){.disk = alloc_create(NULL, 0)};
    f->memory = vfs_memory_create(f->disk);
    f->clock = (struct leaping_clock){{.monotonic_us = look, .wall_us = wall}, 1000000, 0};
    struct engine_desc desc = {
        .path = "/root", .is_inline = true, .seed = 1, .vfs = f->memory, .clock = &f->clock.base};
    struct lynse_collection_desc docs = {.name = "docs", .dim = 1};
    struct lynse_rows rows = {.dim = 1, .count = ROWS, .vectors = vectors};
    assert_ok(api_open(&desc, alloc_create(NULL, 0), &f->db, &err), &err);
    assert_int_equal(lynse_collection_create(f->db, &docs, &f->docs, &f->err), LYNSE_OK);
    assert_int_equal(lynse_add(f->docs, &rows, NULL, NULL, &f->err), LYNSE_OK);
}

static void tear_down(struct fixture *f)
{
    assert_int_equal(lynse_close(f->db, &f->err), LYNSE_OK);
    vfs_memory_destroy(f->memory);
    assert_int_equal(alloc_used_bytes(f->disk), 0);
    alloc_destroy(f->disk);
}

static void what_is_late_before_it_is_sent_is_not_sent(void **state)
{
    struct fixture f;
    struct lynse_write_options options = {.timeout_us = TIMEOUT_US};
    char last[sizeof f.err.text] = "";

    (void)state;
    set_up(&f);
    /* The first two looks give the deadline. */
    for (uint64_t at = 3; at < LOOKS_MAX; at++) {
        struct lynse_write_result result = {0};
        uint64_t count = 0;
        f.clock.looks_left = at;
        int code = lynse_delete_where(f.docs, "n IS NULL", &options, &result, &f.err);
        f.clock.looks_left = 0;
        if (code != LYNSE_DEADLINE) break;
        memcpy(last, f.err.text, sizeof last);
        assert_int_equal(result.row_count, 0);
        assert_int_equal(lynse_count(f.docs, &count, &f.err), LYNSE_OK);
        assert_int_equal(count, ROWS);
    }
    /* The last look of all was after what matched was known. */
    assert_non_null(strstr(last, "delete: the deadline passed"));
    tear_down(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_late_before_it_is_sent_is_not_sent),
};
TEST_MAIN(tests)
