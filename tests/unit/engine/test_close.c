/* SPDX-License-Identifier: Apache-2.0 */
/* test_close.c — a root that cannot be closed as it should be says what is kept and what is not. */
#include <errno.h>

#include "api/handles.h"
#include "base/limits.h"
#include "support/test.h"
#include "support/vfs_faulty.h"

enum { DIM = 512 }; /* few rows make a long log */

struct fixture {
    struct alloc *disk;
    struct vfs *memory;
    struct vfs *fs; /* a faulty one over it */
    struct manual_clock clock;
    struct lynse *db;
    struct lynse_error err;
};

static const struct faulty_plan full = {.kinds = FAULTY_WRITE | FAULTY_TRUNCATE | FAULTY_MAKE,
                                        .os_errno = ENOSPC,
                                        .mode = FAULTY_STICKY,
                                        .nth = 1};
static const struct faulty_plan no_sync = {
    .kinds = FAULTY_SYNC, .os_errno = EIO, .mode = FAULTY_STICKY, .nth = 1};

#define assert_done(call, f)                                                                       \
    do {                                                                                           \
        if ((call) != LYNSE_OK) fail_msg("%s", (f)->err.text);                                     \
    } while (0)

/* Polls may sync, as a close with threads may flush. */
static void open_root(struct fixture *f)
{
    struct error err = {0};
    struct engine_desc desc = {.path = "/root",
                               .is_inline = true,
                               .poll_may_sync = true,
                               .seed = 1,
                               .vfs = f->fs,
                               .clock = &f->clock.base};
    assert_ok(api_open(&desc, alloc_create(NULL, 0), &f->db, &err), &err);
}

static int close_root(struct fixture *f)
{
    struct lynse *db = f->db;
    f->db = NULL;
    return lynse_close(db, &f->err);
}

static struct lynse_collection *require(struct fixture *f, const char *name, uint32_t sync)
{
    struct lynse_collection_desc desc = {.name = name, .dim = DIM, .sync = sync};
    struct lynse_collection *c;
    assert_done(lynse_collection_require(f->db, &desc, &c, &f->err), f);
    return c;
}

static uint64_t count_rows(struct fixture *f, struct lynse_collection *c)
{
    uint64_t count = 0;
    assert_done(lynse_count(c, &count, &f->err), f);
    return count;
}

static void add_rows(struct fixture *f, struct lynse_collection *c, size_t count)
{
    float *vectors = calloc(count * DIM, sizeof *vectors);
    assert_non_null(vectors);
    struct lynse_rows rows = {.dim = DIM, .count = count, .vectors = vectors};
    assert_done(lynse_add(c, &rows, NULL, NULL, &f->err), f);
    free(vectors);
}

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.disk = alloc_create(NULL, 0)};
    f.memory = vfs_memory_create(f.disk);
    f.fs = vfs_faulty_create(f.disk, f.memory);
    manual_clock_init(&f.clock, 1000000);
    open_root(&f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->db) assert_done(close_root(f), f);
    vfs_faulty_destroy(f->fs);
    vfs_memory_destroy(f->memory);
    assert_int_equal(alloc_used_bytes(f->disk), 0); /* whatever close said, all is let go */
    alloc_destroy(f->disk);
    return 0;
}

static void assert_said(const struct fixture *f, int code, const char *kept, const char *undone)
{
    if (f->err.code != code || !strstr(f->err.text, kept) || !strstr(f->err.text, undone) ||
        !strstr(f->err.text, "notes/docs"))
        fail_msg("%s: %s", lynse_error_name(f->err.code), f->err.text);
}

static void on_a_full_disk_every_write_is_kept_and_close_says_so(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection *c = require(f, "notes/docs", LYNSE_SYNC_ALWAYS);
    for (int i = 0; i < 3; i++) add_rows(f, c, 1);
    vfs_faulty_arm(f->fs, &full);
    assert_int_equal(close_root(f), LYNSE_DISK_FULL);
    assert_said(f, LYNSE_DISK_FULL, "all acknowledged writes are durable (to LSN 3)",
                "the mark at the log's end");
    assert_int_equal(f->err.os_errno, ENOSPC);
    vfs_faulty_disarm(f->fs);
    open_root(f);
    assert_int_equal(count_rows(f, require(f, "notes/docs", 0)), 3);
}

/* More than a close leaves to the next start, in a tail that is not full. */
static uint64_t add_long_log(struct fixture *f, struct lynse_collection *c)
{
    struct lynse_collection_info info = {0};
    uint64_t rows = 0;
    for (; info.log_bytes <= CLOSE_FLUSH_BYTES; rows++) {
        add_rows(f, c, 1);
        assert_done(lynse_collection_info(c, &info, &f->err), f);
    }
    assert_int_equal(info.segment_count, 0);
    return rows;
}

static void a_flush_that_closing_could_not_do_is_told(void **state)
{
    struct fixture *f = *state;
    const struct faulty_plan no_segment = {
        .kinds = FAULTY_MAP, .os_errno = EIO, .mode = FAULTY_STICKY, .nth = 1};
    struct lynse_collection *c = require(f, "notes/docs", LYNSE_SYNC_ALWAYS);
    uint64_t rows = add_long_log(f, c);
    vfs_faulty_arm(f->fs, &no_segment);
    assert_int_equal(close_root(f), LYNSE_IO);
    assert_said(f, LYNSE_IO, "all acknowledged writes are durable", "the flush: ");
    vfs_faulty_disarm(f->fs);
    open_root(f);
    assert_int_equal(count_rows(f, require(f, "notes/docs", 0)), rows);
    assert_done(close_root(f), f);
    open_root(f);
    struct lynse_collection_info info = {0};
    c = require(f, "notes/docs", 0);
    assert_int_equal(count_rows(f, c), rows);
    assert_done(lynse_collection_info(c, &info, &f->err), f);
    assert_int_equal(info.log_bytes, 0); /* done this time */
}

static void writes_that_may_be_missing_have_a_code_of_their_own(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection *c = require(f, "notes/docs", LYNSE_SYNC_OS);
    add_rows(f, c, 1);
    assert_done(lynse_sync(f->db, &f->err), f);
    const struct lynse_id ids[] = {{.number = 0}, {.number = 1}}; /* whichever it was */
    assert_done(lynse_delete(c, ids, 2, NULL, NULL, &f->err), f);
    vfs_faulty_arm(f->fs, &no_sync);
    assert_int_equal(close_root(f), LYNSE_OUTCOME_UNKNOWN);
    assert_said(f, LYNSE_OUTCOME_UNKNOWN, "after LSN 1 (of 2) may be missing",
                "the sync of the log");
    vfs_faulty_disarm(f->fs);
}

static void in_level_none_what_is_not_flushed_may_be_missing(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection *c = require(f, "notes/docs", LYNSE_SYNC_NONE);
    add_rows(f, c, 2);
    assert_done(lynse_flush(c, &f->err), f);
    add_rows(f, c, 3);
    vfs_faulty_arm(f->fs, &full);
    assert_int_equal(close_root(f), LYNSE_OUTCOME_UNKNOWN);
    assert_said(f, LYNSE_OUTCOME_UNKNOWN, "after LSN 1 (of 2) may be missing", "the flush");
    assert_int_equal(f->err.os_errno, ENOSPC);
    vfs_faulty_disarm(f->fs);
    open_root(f);
    assert_int_equal(count_rows(f, require(f, "notes/docs", 0)), 2);
}

static void of_several_collections_the_one_that_may_lack_writes_is_told(void **state)
{
    struct fixture *f = *state;
    const char *safe[] = {"notes/a", "notes/z"};
    add_rows(f, require(f, safe[0], LYNSE_SYNC_ALWAYS), 1);
    add_rows(f, require(f, "notes/docs", LYNSE_SYNC_NONE), 1);
    add_rows(f, require(f, safe[1], LYNSE_SYNC_ALWAYS), 1);
    vfs_faulty_arm(f->fs, &full);
    assert_int_equal(close_root(f), LYNSE_OUTCOME_UNKNOWN);
    assert_said(f, LYNSE_OUTCOME_UNKNOWN, "may be missing", "the flush");
    vfs_faulty_disarm(f->fs);
    open_root(f);
    for (int i = 0; i < 2; i++) assert_int_equal(count_rows(f, require(f, safe[i], 0)), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    TEST(on_a_full_disk_every_write_is_kept_and_close_says_so),
    TEST(a_flush_that_closing_could_not_do_is_told),
    TEST(writes_that_may_be_missing_have_a_code_of_their_own),
    TEST(in_level_none_what_is_not_flushed_may_be_missing),
    TEST(of_several_collections_the_one_that_may_lack_writes_is_told),
};
TEST_MAIN(tests)
