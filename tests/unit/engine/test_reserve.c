/* SPDX-License-Identifier: Apache-2.0 */
/* test_reserve.c — the room that is set aside for a full disk: who has one, what it is for, and how
 * it comes back. */
#include <errno.h>

#include "support/small_disk.h"

/* ---- the file ---- */

static void a_small_root_has_no_reserve(void **state)
{
    struct fixture *f = *state;
    vfs_memory_set_total(f->memory, HUGE_DISK);
    open_db(f, &waits, 1);
    add_rows(f, 0, 1);
    assert_done(lynse_flush(f->docs, &f->err), f);
    assert_done(close_db(f), f);
    assert_false(has_reserve(f));
    assert_true(used_bytes(f) < MIB);
}

static void a_large_root_gets_one_and_keeps_it(void **state)
{
    struct fixture *f = *state;
    enum { WIDE = 32768, ROWS = RESERVE_FROM_BYTES / (4 * WIDE) + 1 };
    struct lynse_collection_desc desc = {.name = "notes/wide", .dim = WIDE};
    struct lynse_collection *wide;
    float *vector = calloc(WIDE, sizeof *vector);
    struct lynse_rows rows = {.dim = WIDE, .count = 1, .vectors = vector};
    vfs_memory_set_total(f->memory, HUGE_DISK);
    open_db(f, &waits, 1);
    assert_done(lynse_collection_create(f->db, &desc, &wide, &f->err), f);
    for (int i = 0; i < ROWS; i++) assert_done(lynse_add(wide, &rows, NULL, NULL, &f->err), f);
    assert_done(lynse_flush(wide, &f->err), f);
    assert_true(has_reserve(f));
    assert_done(close_db(f), f);
    assert_true(has_reserve(f));
    open_db(f, &waits, 1);
    assert_true(has_reserve(f));
    assert_done(close_db(f), f);
    assert_ok(vfs_unlink(f->root, RESERVE_NAME, NULL), &(struct error){0});
    open_db(f, &waits, 1);
    assert_done(lynse_collection_open(f->db, "notes/wide", &wide, &f->err), f);
    assert_true(has_reserve(f));
    free(vector);
}

enum { BLOCK_BYTES = 4096, BLOCKS = RESERVE_BYTES / BLOCK_BYTES };

/* The first bytes of each block of the reserve that is there. */
static void read_blocks(struct fixture *f, uint64_t first_bytes[BLOCKS])
{
    struct vfs_file *file;
    struct error err = {0};
    assert_true(has_reserve(f));
    assert_ok(vfs_open(f->root, RESERVE_NAME, VFS_READ, &file, &err), &err);
    for (uint64_t i = 0; i < BLOCKS; i++) {
        size_t size = 0;
        assert_ok(
            vfs_read(file, i * BLOCK_BYTES, &first_bytes[i], sizeof *first_bytes, &size, &err),
            &err);
        assert_int_equal(size, sizeof *first_bytes);
    }
    assert_ok(vfs_close(file, &err), &err);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* A store that keeps equal blocks once, in one file or in all, would hold no room. */
static void no_block_of_a_reserve_is_like_another(void **state)
{
    struct fixture *f = *state;
    enum { RESERVES = 4 };
    uint64_t *blocks = calloc((size_t)RESERVES * BLOCKS, sizeof *blocks), held = 0;
    struct space s;
    vfs_memory_set_total(f->memory, HUGE_DISK);
    for (uint64_t i = 0; i < RESERVES; i++) {
        const struct space_desc desc = {f->disk, f->root, "/root", 1, i / 2};
        if (i % 2 == 0) { /* another root; else made again */
            space_init(&s);
            space_watch(&s, &desc);
            held = 0;
            space_set_held(&s, &held, RESERVE_FROM_BYTES);
        }
        space_keep_reserve(&s, 0);
        read_blocks(f, blocks + i * BLOCKS);
        assert_true(space_release_reserve(&s));
        if (i % 2 == 1) space_deinit(&s);
    }
    qsort(blocks, (size_t)RESERVES * BLOCKS, sizeof *blocks, compare_u64);
    for (size_t i = 1; i < (size_t)RESERVES * BLOCKS; i++) assert_true(blocks[i] != blocks[i - 1]);
    free(blocks);
}

static void a_part_of_a_reserve_is_removed(void **state)
{
    struct fixture *f = *state;
    open_db(f, &waits, 1);
    assert_done(close_db(f), f);
    put_reserve(f, RESERVE_BYTES - 1);
    open_db(f, &waits, 1);
    bool there = true;
    assert_ok(vfs_exists(f->root, RESERVE_NAME, &there, NULL), &(struct error){0});
    assert_false(there);
}

/* A root that is open, has rows and a reserve, and a disk without a free byte. */
static void fill_disk(struct fixture *f, const struct engine_desc *how)
{
    open_db(f, how, 1);
    assert_done(close_db(f), f);
    if (!has_reserve(f)) put_reserve(f, RESERVE_BYTES);
    open_db(f, how, 1);
    assert_true(has_reserve(f));
    add_rows(f, 0, FILL_ROWS);
    leave_free(f, 0);
}

static void the_reserve_lets_a_full_disk_flush_delete_and_close(void **state)
{
    struct fixture *f = *state;
    fill_disk(f, &waits);
    assert_full(f, add_row(f, 100), "notes/docs", "0 bytes are free");
    assert_true(has_reserve(f)); /* nothing needed it */
    assert_done(delete_row(f, 5), f);
    assert_done(lynse_flush(f->docs, &f->err), f);
    assert_false(has_reserve(f));
    for (uint64_t i = 6; i < FILL_ROWS; i++) assert_done(delete_row(f, i), f);
    search_all(f);
    /* Its room is not for what is new. */
    assert_full(f, add_row(f, 100), "notes/docs", "bytes are free");
    assert_done(lynse_checkpoint(f->docs, &f->err), f);
    assert_done(close_db(f), f);
    vfs_memory_set_total(f->memory, UINT64_MAX);
    open_db(f, &waits, 1);
    assert_int_equal(count_rows(f), 5);
}

static void writes_go_on_by_themselves_once_the_reserve_is_back(void **state)
{
    struct fixture *f = *state;
    fill_disk(f, &threads);
    assert_done(lynse_flush(f->docs, &f->err), f);
    assert_false(has_reserve(f));
    leave_free(f, RESERVE_BYTES);
    assert_full(f, add_row(f, 100), "notes/docs", "bytes are free");
    leave_free(f, 4 * RESERVE_BYTES);
    assert_done(add_row(f, 100), f);
    assert_true(has_reserve(f));
    add_rows(f, 101, 3);
    assert_int_equal(count_rows(f), FILL_ROWS + 4);
}

static void a_delete_that_finds_the_disk_full_is_done_with_the_reserve(void **state)
{
    struct fixture *f = *state;
    const struct faulty_plan once = {
        .kinds = FAULTY_WRITE, .os_errno = EDQUOT, .mode = FAULTY_ONCE, .nth = 1};
    vfs_memory_set_total(f->memory, HUGE_DISK);
    fill_disk(f, &waits);
    leave_free(f, 1ull << 40); /* a quota does not show */
    vfs_faulty_arm(f->fs, &once);
    assert_int_equal(add_row(f, 100), LYNSE_DISK_FULL);
    assert_non_null(strstr(f->err.text, "notes/docs"));
    assert_int_equal(f->err.os_errno, EDQUOT);
    assert_true(has_reserve(f));
    vfs_faulty_arm(f->fs, &once);
    assert_done(delete_row(f, 7), f);
    assert_int_equal(vfs_faulty_fired(f->fs), 1);
    assert_false(has_reserve(f));
    assert_int_equal(count_rows(f), FILL_ROWS - 1);
    assert_full(f, add_row(f, 100), "notes/docs", "reserve");
    assert_done(lynse_sync(f->db, &f->err), f);
    assert_true(has_reserve(f)); /* the quota has room */
    assert_done(add_row(f, 100), f);
}

static void a_quota_is_tried_once_a_second(void **state)
{
    struct fixture *f = *state;
    const struct faulty_plan quota = {
        .kinds = FAULTY_WRITE, .os_errno = EDQUOT, .mode = FAULTY_STICKY, .nth = 1};
    fill_disk(f, &waits);
    leave_free(f, 1ull << 40);
    vfs_faulty_arm(f->fs, &quota);
    assert_int_equal(lynse_flush(f->docs, &f->err), LYNSE_DISK_FULL);
    assert_false(has_reserve(f));
    uint64_t tried = vfs_faulty_fired(f->fs);
    for (int i = 0; i < 10; i++) assert_done(lynse_sync(f->db, &f->err), f);
    assert_int_equal(vfs_faulty_fired(f->fs), tried + 1);
    assert_full(f, add_row(f, 100), "notes/docs", "quota");
    vfs_faulty_disarm(f->fs);
    assert_done(lynse_sync(f->db, &f->err), f);
    assert_full(f, add_row(f, 100), "notes/docs", "quota");
    manual_clock_advance(&f->clock, 1000000);
    assert_done(lynse_sync(f->db, &f->err), f);
    assert_true(has_reserve(f));
    assert_done(add_row(f, 100), f);
    assert_int_equal(count_rows(f), FILL_ROWS + 1);
}

static void a_reserve_that_cannot_be_removed_stops_nothing(void **state)
{
    struct fixture *f = *state;
    const struct faulty_plan stuck = {
        .kinds = FAULTY_UNLINK, .os_errno = ENOSPC, .mode = FAULTY_STICKY, .nth = 1};
    fill_disk(f, &waits);
    vfs_faulty_arm(f->fs, &stuck);
    assert_int_equal(lynse_flush(f->docs, &f->err), LYNSE_DISK_FULL);
    assert_true(has_reserve(f));
    vfs_faulty_disarm(f->fs);
    leave_free(f, MIB); /* what others made room for */
    assert_done(add_row(f, 100), f);
    leave_free(f, 0);
    assert_done(lynse_flush(f->docs, &f->err), f); /* now it can */
    assert_false(has_reserve(f));
}

static void a_reserve_that_cannot_be_looked_at_is_used_all_the_same(void **state)
{
    struct fixture *f = *state;
    const struct faulty_plan mute = {
        .kinds = FAULTY_SIZE, .os_errno = EIO, .mode = FAULTY_STICKY, .nth = 1};
    open_db(f, &waits, 1);
    assert_done(close_db(f), f);
    put_reserve(f, RESERVE_BYTES);
    struct vfs_dir *root;
    struct error err = {0};
    struct space s;
    space_init(&s);
    assert_ok(vfs_dir_open(f->fs, "/root", 0, &root, &err), &err);
    vfs_faulty_arm(f->fs, &mute);
    space_watch(&s, &(struct space_desc){.alloc = f->disk, .root = root, .path = "/root"});
    vfs_faulty_disarm(f->fs);
    assert_true(has_reserve(f));
    assert_true(space_release_reserve(&s));
    assert_false(has_reserve(f));
    space_deinit(&s);
    vfs_dir_close(root);
}

/* The reserve was made when the disk still told what it has. */
static void a_disk_that_stopped_answering_is_not_full(void **state)
{
    struct fixture *f = *state;
    const struct faulty_plan once = {
        .kinds = FAULTY_WRITE, .os_errno = EDQUOT, .mode = FAULTY_ONCE, .nth = 1};
    const struct vfs_space unknown = {UINT64_MAX, UINT64_MAX};
    fill_disk(f, &waits);
    leave_free(f, 1ull << 40);
    vfs_faulty_set_space(f->fs, &unknown);
    vfs_faulty_arm(f->fs, &once);
    assert_done(delete_row(f, 7), f);
    assert_false(has_reserve(f));
    assert_done(add_row(f, 100), f);
    assert_int_equal(count_rows(f), FILL_ROWS);
}

static void inline_no_frame_makes_the_reserve(void **state)
{
    struct fixture *f = *state;
    fill_disk(f, &frames);
    assert_done(lynse_flush(f->docs, &f->err), f);
    assert_false(has_reserve(f));
    leave_free(f, 1ull << 40);
    assert_full(f, add_row(f, 100), "notes/docs", "reserve");
    assert_false(has_reserve(f));
    assert_done(lynse_sync(f->db, &f->err), f);
    assert_true(has_reserve(f));
    assert_done(add_row(f, 100), f);
}

/* As if other collections held enough for a reserve. */
static void feign_large_root(struct fixture *f)
{
    uint64_t held = 0;
    vfs_memory_set_total(f->memory, HUGE_DISK);
    space_set_held(&f->db->engine->space, &held, RESERVE_FROM_BYTES);
}

static void inline_seals_make_no_reserve(struct fixture *f, const struct engine_desc *how,
                                         uint32_t sync)
{
    enum { CALLS_MAX = 10 };
    struct lynse_collection_desc desc = {.name = "notes/long", .dim = 1, .sync = sync};
    struct lynse_collection_info info = {0};
    float *vectors = calloc(SEAL_ROWS, sizeof *vectors);
    struct lynse_rows rows = {.dim = 1, .count = SEAL_ROWS / 2 + 1, .vectors = vectors};
    struct lynse_collection *c;
    open_db(f, how, 1);
    assert_done(lynse_collection_create(f->db, &desc, &c, &f->err), f);
    feign_large_root(f);
    for (int i = 0; i < CALLS_MAX && info.segment_count == 0; i++) {
        assert_done(lynse_add(c, &rows, NULL, NULL, &f->err), f);
        while (lynse_poll(f->db, 1000) == LYNSE_MORE) continue;
        assert_done(lynse_collection_info(c, &info, &f->err), f);
    }
    assert_true(info.segment_count > 0);
    assert_false(has_reserve(f));
    assert_done(lynse_sync(f->db, &f->err), f);
    assert_true(has_reserve(f));
    free(vectors);
}

static void no_poll_makes_the_reserve(void **state)
{
    inline_seals_make_no_reserve(*state, &waits, LYNSE_SYNC_OS);
}

static void no_inline_write_makes_the_reserve(void **state)
{
    inline_seals_make_no_reserve(*state, &frames, LYNSE_SYNC_ALWAYS);
}

static void a_job_thread_makes_the_reserve(void **state)
{
    struct fixture *f = *state;
    enum { CALLS_MAX = 1000 };
    struct lynse_collection_info info = {0};
    float *vectors = calloc((size_t)DIM * SEAL_ROWS, sizeof *vectors);
    struct lynse_rows rows = {.dim = DIM, .count = SEAL_ROWS / 2 + 1, .vectors = vectors};
    open_db(f, &threads, 1);
    feign_large_root(f);
    for (int i = 0; i < CALLS_MAX && info.segment_count == 0; i++) {
        assert_done(lynse_add(f->docs, &rows, NULL, NULL, &f->err), f);
        assert_done(lynse_collection_info(f->docs, &info, &f->err), f);
    }
    assert_true(info.segment_count > 0);
    assert_true(has_reserve(f)); /* it comes first */
    free(vectors);
}

static void closing_makes_the_reserve_for_the_next_start(void **state)
{
    struct fixture *f = *state;
    open_db(f, &waits, 1);
    feign_large_root(f);
    add_rows(f, 0, 1);
    assert_false(has_reserve(f));
    assert_done(close_db(f), f);
    assert_true(has_reserve(f));
}

/* ---- orders that find the disk full ---- */

static int checkpoint(struct fixture *f)
{
    return lynse_checkpoint(f->docs, &f->err);
}

static int enter_none(struct fixture *f)
{
    return lynse_set_sync(f->docs, LYNSE_SYNC_NONE, 100, &f->err);
}

static int leave_none(struct fixture *f)
{
    return lynse_set_sync(f->docs, LYNSE_SYNC_OS, 100, &f->err);
}

static int close_and_open(struct fixture *f)
{
    assert_done(close_db(f), f);
    open_db(f, &frames, 1);
    return LYNSE_OK;
}

/* Whichever of their writes finds it full first, the reserve has room for it and the others. */
static void one_that_finds_the_disk_full_is_done_with_the_reserve(void **state)
{
    struct fixture *f = *state;
    int (*const orders[])(struct fixture *) = {checkpoint, enter_none, leave_none, close_and_open};
    struct faulty_plan once = {
        .kinds = FAULTY_WRITE | FAULTY_RENAME, .os_errno = ENOSPC, .mode = FAULTY_ONCE};
    const struct engine_desc *const ways[] = {&waits, &frames};
    for (size_t i = 0; i < 2 * (sizeof orders / sizeof *orders); i++) {
        bool is_fired = true;
        for (once.nth = 1; is_fired; once.nth++) {
            fill_disk(f, ways[i % 2]);
            leave_free(f, 1ull << 40);
            if (orders[i / 2] == leave_none) assert_done(enter_none(f), f);
            add_rows(f, FILL_ROWS, 1);
            vfs_faulty_arm(f->fs, &once);
            assert_done(orders[i / 2](f), f);
            is_fired = vfs_faulty_fired(f->fs) > 0;
            vfs_faulty_disarm(f->fs);
            assert_int_equal(count_rows(f), FILL_ROWS + 1);
            assert_done(close_db(f), f);
        }
        assert_true(once.nth > 2);
    }
}

static void a_level_that_cannot_be_left_says_whose(void **state)
{
    struct fixture *f = *state;
    const struct faulty_plan full = {
        .kinds = FAULTY_WRITE, .os_errno = ENOSPC, .mode = FAULTY_STICKY, .nth = 1};
    open_db(f, &waits, 1);
    assert_done(lynse_set_sync(f->docs, LYNSE_SYNC_NONE, 100, &f->err), f);
    add_rows(f, 0, 1);
    vfs_faulty_arm(f->fs, &full);
    assert_int_equal(lynse_set_sync(f->docs, LYNSE_SYNC_OS, 100, &f->err), LYNSE_DISK_FULL);
    assert_non_null(strstr(f->err.text, "notes/docs"));
    vfs_faulty_disarm(f->fs);
}

/* At level none what was flushed is all there is. */
static void inline_a_sync_that_cannot_flush_says_so(void **state)
{
    struct fixture *f = *state;
    const struct faulty_plan full = {
        .kinds = FAULTY_WRITE, .os_errno = ENOSPC, .mode = FAULTY_STICKY, .nth = 1};
    struct lynse_collection_desc desc = {.name = "notes/none", .dim = 1, .sync = LYNSE_SYNC_NONE};
    float *vectors = calloc(SEAL_ROWS, sizeof *vectors);
    struct lynse_rows rows = {.dim = 1, .count = SEAL_ROWS / 2 + 1, .vectors = vectors};
    struct lynse_collection *none;
    uint64_t durable = 77;
    fill_disk(f, &frames);
    leave_free(f, 1ull << 40);
    assert_done(lynse_collection_create(f->db, &desc, &none, &f->err), f);
    for (int i = 0; i < 3; i++) assert_done(lynse_add(none, &rows, NULL, NULL, &f->err), f);
    vfs_faulty_arm(f->fs, &full);
    assert_int_equal(lynse_collection_sync(none, &durable, &f->err), LYNSE_DISK_FULL);
    assert_non_null(strstr(f->err.text, "notes/none"));
    assert_int_equal(durable, 77);
    assert_false(has_reserve(f));
    vfs_faulty_disarm(f->fs);
    manual_clock_advance(&f->clock, 1000000);
    assert_done(lynse_collection_sync(none, &durable, &f->err), f);
    assert_true(durable > 0);
    free(vectors);
}

static void what_was_dropped_can_be_dropped_on_a_full_disk(void **state)
{
    struct fixture *f = *state;
    fill_disk(f, &waits);
    assert_done(lynse_collection_drop(f->db, "notes/docs", &f->err), f);
    assert_false(has_reserve(f));
    int there = 1;
    assert_done(lynse_collection_exists(f->db, "notes/docs", &there, &f->err), f);
    assert_false(there);
}

static size_t count_listed(struct fixture *f)
{
    struct catalog c;
    struct twin_info info;
    struct error err = {0};
    bool found = false;
    catalog_init(&c, f->disk, &(struct uuid){{0}});
    assert_ok(catalog_load(&c, f->root, &found, &info, &err), &err);
    size_t count = c.dropped_count;
    catalog_deinit(&c);
    return count;
}

/* A closed root whose catalog lists a collection that was dropped, and a reserve. */
static void leave_dropped(struct fixture *f)
{
    const struct faulty_plan second = {
        .kinds = FAULTY_RENAME, .os_errno = EIO, .mode = FAULTY_ONCE, .nth = 2};
    struct lynse_collection_desc more = {.name = "notes/more", .dim = DIM};
    struct lynse_collection *c;
    open_db(f, &waits, 1);
    assert_done(lynse_collection_create(f->db, &more, &c, &f->err), f);
    vfs_faulty_arm(f->fs, &second);
    assert_done(lynse_collection_drop(f->db, "notes/more", &f->err), f);
    assert_int_equal(vfs_faulty_fired(f->fs), 1);
    vfs_faulty_disarm(f->fs);
    assert_done(close_db(f), f);
    assert_int_equal(count_listed(f), 1);
}

static void a_full_disk_keeps_no_root_from_being_opened(void **state)
{
    struct fixture *f = *state;
    leave_dropped(f);
    leave_free(f, 0);
    open_db(f, &waits, 1);
    assert_int_equal(count_listed(f), 1);
    leave_free(f, MIB);
    assert_done(lynse_database_create(f->db, "other", &f->err), f);
    assert_int_equal(count_listed(f), 0);
}

static void the_list_of_the_dropped_is_forgotten_with_the_reserve(void **state)
{
    struct fixture *f = *state;
    leave_dropped(f);
    put_reserve(f, RESERVE_BYTES);
    leave_free(f, 0);
    open_db(f, &waits, 1);
    assert_int_equal(count_listed(f), 0);
    assert_false(has_reserve(f));
}

/* Once it was renamed a catalog is not written again, whatever the sync answers. */
static void no_failed_sync_takes_the_reserve(void **state)
{
    struct fixture *f = *state;
    struct faulty_plan once = {
        .kinds = FAULTY_DIR_SYNC, .os_errno = ENOSPC, .mode = FAULTY_ONCE, .nth = 1};
    struct engine *e;
    struct error err = {0};
    leave_dropped(f);
    put_reserve(f, RESERVE_BYTES);
    struct alloc *a = alloc_create(NULL, 0);
    struct engine_desc desc = describe(f, &waits, 1, a);
    for (;; once.nth++) {
        vfs_faulty_arm(f->fs, &once);
        int rc = engine_open(&desc, &e, &err);
        if (rc == 0) assert_ok(engine_close(e, &err), &err);
        if (vfs_faulty_fired(f->fs) == 0) break;
        assert_int_equal(rc, -1);
        assert_true(has_reserve(f));
    }
    vfs_faulty_disarm(f->fs);
    assert_int_equal(err.code, LYNSE_IO);
    assert_int_equal(count_listed(f), 0);
    assert_int_equal(once.nth, 4); /* the root's, the removal's, the catalog's */
    alloc_destroy(a);
}

static void what_is_new_does_not_take_the_reserve(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection_desc more = {.name = "notes/more", .dim = DIM};
    struct lynse_collection *c;
    fill_disk(f, &waits);
    leave_free(f, 1);
    assert_int_equal(lynse_database_create(f->db, "other", &f->err), LYNSE_DISK_FULL);
    assert_int_equal(lynse_collection_create(f->db, &more, &c, &f->err), LYNSE_DISK_FULL);
    assert_true(has_reserve(f));
    leave_free(f, MIB);
    assert_done(add_row(f, 100), f);
}

static const struct CMUnitTest tests[] = {
    CASE(a_small_root_has_no_reserve),
    CASE(a_large_root_gets_one_and_keeps_it),
    CASE(no_block_of_a_reserve_is_like_another),
    CASE(a_part_of_a_reserve_is_removed),
    CASE(the_reserve_lets_a_full_disk_flush_delete_and_close),
    CASE(writes_go_on_by_themselves_once_the_reserve_is_back),
    CASE(a_delete_that_finds_the_disk_full_is_done_with_the_reserve),
    CASE(a_quota_is_tried_once_a_second),
    CASE(a_reserve_that_cannot_be_removed_stops_nothing),
    CASE(a_reserve_that_cannot_be_looked_at_is_used_all_the_same),
    CASE(a_disk_that_stopped_answering_is_not_full),
    CASE(inline_no_frame_makes_the_reserve),
    CASE(no_poll_makes_the_reserve),
    CASE(no_inline_write_makes_the_reserve),
    CASE(a_job_thread_makes_the_reserve),
    CASE(closing_makes_the_reserve_for_the_next_start),
    CASE(one_that_finds_the_disk_full_is_done_with_the_reserve),
    CASE(a_level_that_cannot_be_left_says_whose),
    CASE(inline_a_sync_that_cannot_flush_says_so),
    CASE(what_was_dropped_can_be_dropped_on_a_full_disk),
    CASE(a_full_disk_keeps_no_root_from_being_opened),
    CASE(the_list_of_the_dropped_is_forgotten_with_the_reserve),
    CASE(no_failed_sync_takes_the_reserve),
    CASE(what_is_new_does_not_take_the_reserve),
};
TEST_MAIN(tests)
