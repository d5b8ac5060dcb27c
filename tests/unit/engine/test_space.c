/* SPDX-License-Identifier: Apache-2.0 */
/* test_space.c — a disk that fills: what is refused and when, what goes on, and how it ends. */
#include <errno.h>

#include "api/handles.h"
#include "os/vfs_record.h"
#include "support/test.h"
#include "support/vfs_faulty.h"

enum { DIM = 3, MIB = 1 << 20, FILL_ROWS = 10 };
#define HUGE_DISK (1ull << 50)

struct fixture {
    struct alloc *disk;
    struct vfs *memory;
    struct vfs *record; /* over it; counts changes */
    struct vfs *fs;     /* over that; fails */
    struct vfs_dir *root;
    struct manual_clock clock;
    struct lynse *db;
    struct lynse_collection *docs;
    struct lynse_error err;
    size_t change_count;
};

static int note_change(void *ctx, const struct vfs_op *op, struct error *err)
{
    struct fixture *f = ctx;
    (void)op;
    (void)err;
    f->change_count++;
    return 0;
}

static int set_up(void **state)
{
    static struct fixture f;
    struct error err = {0};
    f = (struct fixture){.disk = alloc_create(NULL, 0)};
    f.memory = vfs_memory_create(f.disk);
    f.record = vfs_record_create(f.disk, f.memory, note_change, &f);
    f.fs = vfs_faulty_create(f.disk, f.record);
    manual_clock_init(&f.clock, 1000000);
    assert_ok(vfs_dir_open(f.memory, "/root", VFS_DIR_CREATE, &f.root, &err), &err);
    *state = &f;
    return 0;
}

#define assert_done(call, f)                                                                       \
    do {                                                                                           \
        if ((call) != LYNSE_OK) fail_msg("%s", (f)->err.text);                                     \
    } while (0)

static int close_db(struct fixture *f)
{
    struct lynse *db = f->db;
    f->db = NULL;
    return lynse_close(db, &f->err);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->db) assert_done(close_db(f), f);
    vfs_dir_close(f->root);
    vfs_faulty_destroy(f->fs);
    vfs_record_destroy(f->record);
    vfs_memory_destroy(f->memory);
    assert_int_equal(alloc_used_bytes(f->disk), 0);
    alloc_destroy(f->disk);
    return 0;
}

/* ---- a root on that disk ---- */

static const struct engine_desc waits = {.is_inline = true, .poll_may_sync = true};
static const struct engine_desc frames = {.is_inline = true};

static struct engine_desc describe(struct fixture *f, const struct engine_desc *how,
                                   uint64_t low_water_bytes, struct alloc *a)
{
    struct engine_desc desc = *how;
    desc.path = "/root";
    desc.vfs = f->fs;
    desc.alloc = a;
    desc.clock = &f->clock.base;
    desc.seed = 1;
    desc.low_water_bytes = low_water_bytes;
    return desc;
}

static void open_db(struct fixture *f, const struct engine_desc *how, uint64_t low_water_bytes)
{
    struct error err = {0};
    struct alloc *a = alloc_create(NULL, 0);
    struct api_memory *memory = mem_zalloc(a, MEM_GENERAL, sizeof *memory);
    struct lynse *db = mem_zalloc(a, MEM_GENERAL, sizeof *db);
    struct engine_desc desc = describe(f, how, low_water_bytes, a);
    mutex_init(&memory->mutex);
    memory->reference_count = 1;
    memory->alloc = a;
    assert_ok(engine_open(&desc, &db->engine, &err), &err);
    db->memory = memory;
    mutex_init(&db->mutex);
    f->db = db;
    struct lynse_collection_desc docs = {.name = "notes/docs", .dim = DIM};
    assert_done(lynse_collection_require(db, &docs, &f->docs, &f->err), f);
}

static int add_row(struct fixture *f, uint64_t number)
{
    float vector[DIM] = {(float)number};
    struct lynse_rows rows = {.dim = DIM, .count = 1, .numbers = &number, .vectors = vector};
    return lynse_upsert(f->docs, &rows, NULL, NULL, &f->err);
}

static void add_rows(struct fixture *f, uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) assert_done(add_row(f, first + i), f);
}

static int delete_row(struct fixture *f, uint64_t number)
{
    struct lynse_id id = {.number = number};
    return lynse_delete(f->docs, &id, 1, NULL, NULL, &f->err);
}

static uint64_t count_rows(struct fixture *f)
{
    uint64_t count = 0;
    assert_done(lynse_count(f->docs, &count, &f->err), f);
    return count;
}

static void search_all(struct fixture *f)
{
    float query[DIM] = {1};
    struct lynse_search_desc desc = {.vector = query, .dim = DIM, .error = &f->err};
    struct lynse_hits *hits;
    assert_done(lynse_search(f->docs, &desc, &hits), f);
    lynse_hits_free(hits);
}

static void assert_full(struct fixture *f, int code, const char *name, const char *limit)
{
    assert_int_equal(code, LYNSE_DISK_FULL);
    assert_int_equal(f->err.code, LYNSE_DISK_FULL);
    if (!strstr(f->err.text, name) || !strstr(f->err.text, limit) ||
        !strstr(f->err.text, "low_water_bytes"))
        fail_msg("'%s' lacks %s or %s", f->err.text, name, limit);
}

/* ---- the disk ---- */

static uint64_t used_bytes(struct fixture *f)
{
    struct vfs_space space;
    vfs_memory_set_total(f->memory, HUGE_DISK);
    assert_ok(vfs_dir_space(f->root, &space, NULL), &(struct error){0});
    return HUGE_DISK - space.free_bytes;
}

static void leave_free(struct fixture *f, uint64_t bytes)
{
    vfs_memory_set_total(f->memory, used_bytes(f) + bytes);
    manual_clock_advance(&f->clock, 1000000);
}

static void put_reserve(struct fixture *f, uint64_t bytes)
{
    struct vfs_file *file;
    struct error err = {0};
    assert_ok(vfs_open(f->root, RESERVE_NAME, VFS_WRITE | VFS_CREATE, &file, &err), &err);
    assert_ok(vfs_truncate(file, bytes, &err), &err);
    assert_ok(vfs_close(file, &err), &err);
}

static bool has_reserve(struct fixture *f)
{
    struct vfs_file *file;
    uint64_t size = 0;
    struct error err = {0};
    if (vfs_open(f->root, RESERVE_NAME, VFS_READ, &file, &err) != 0) return false;
    assert_ok(vfs_size(file, &size, &err), &err);
    assert_ok(vfs_close(file, &err), &err);
    assert_int_equal(size, RESERVE_BYTES);
    return true;
}

/* ---- the mark ---- */

static void the_default_mark_fits_the_file_system(void **state)
{
    (void)state;
    assert_int_equal(space_default_mark(100ull << 40), 1ull << 40);
    assert_int_equal(space_default_mark(1ull << 30), 64 * MIB);
    assert_int_equal(space_default_mark(512 * MIB), 64 * MIB);
    assert_int_equal(space_default_mark(80 * MIB), 10 * MIB); /* or nothing could be written */
    assert_int_equal(space_default_mark(0), 0);
    assert_int_equal(space_default_mark(UINT64_MAX), 0);
}

static void a_write_below_the_mark_is_refused_before_it_is_logged(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection_info before = {0}, after = {0};
    open_db(f, &waits, 2 * MIB);
    add_rows(f, 0, 10);
    assert_done(lynse_collection_info(f->docs, &before, &f->err), f);
    leave_free(f, 2 * MIB - 1);
    f->change_count = 0;
    for (uint64_t i = 10; i < 20; i++) assert_full(f, add_row(f, i), "notes/docs", "2097152");
    assert_non_null(strstr(f->err.text, "2097151"));
    assert_int_equal(f->err.os_errno, 0);
    assert_int_equal(f->change_count, 0);
    assert_done(lynse_collection_info(f->docs, &after, &f->err), f);
    assert_int_equal(after.applied_lsn, before.applied_lsn);
    assert_int_equal(after.log_bytes, before.log_bytes);
    assert_int_equal(count_rows(f), 10);
    search_all(f);
    assert_done(close_db(f), f);
    vfs_memory_set_total(f->memory, UINT64_MAX);
    open_db(f, &waits, 2 * MIB);
    assert_int_equal(count_rows(f), 10);
}

static void deleting_flushing_and_closing_go_on_below_the_mark(void **state)
{
    struct fixture *f = *state;
    open_db(f, &waits, 2 * MIB);
    add_rows(f, 0, 10);
    leave_free(f, MIB);
    assert_full(f, add_row(f, 11), "notes/docs", "2097152");
    for (uint64_t i = 0; i < 5; i++) assert_done(delete_row(f, i), f);
    assert_done(lynse_flush(f->docs, &f->err), f);
    assert_done(lynse_sync(f->db, &f->err), f);
    assert_int_equal(count_rows(f), 5);
    assert_done(lynse_collection_drop(f->db, "notes/docs", &f->err), f);
    assert_done(close_db(f), f);
}

static void nothing_new_is_made_below_the_mark(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection *c;
    struct lynse_collection_desc more = {.name = "notes/more", .dim = DIM};
    open_db(f, &waits, 2 * MIB);
    leave_free(f, MIB);
    assert_full(f, lynse_collection_create(f->db, &more, &c, &f->err), "/root", "2097152");
    assert_full(f, lynse_database_create(f->db, "other", &f->err), "/root", "2097152");
    leave_free(f, 4 * MIB);
    assert_done(lynse_collection_create(f->db, &more, &c, &f->err), f);
}

static void a_write_that_would_cross_the_mark_is_refused_alone(void **state)
{
    struct fixture *f = *state;
    enum { WIDE = 4096 };
    struct lynse_collection_desc desc = {.name = "notes/wide", .dim = WIDE};
    struct lynse_collection *wide;
    float *vectors = calloc(100 * WIDE, sizeof *vectors);
    struct lynse_rows rows = {.dim = WIDE, .count = 100, .vectors = vectors};
    open_db(f, &waits, 2 * MIB);
    assert_done(lynse_collection_create(f->db, &desc, &wide, &f->err), f);
    leave_free(f, 3 * MIB);
    assert_full(f, lynse_add(wide, &rows, NULL, NULL, &f->err), "notes/wide", "2097152");
    add_rows(f, 0, 10);
    leave_free(f, 20 * MIB);
    assert_done(lynse_add(wide, &rows, NULL, NULL, &f->err), f);
    free(vectors);
}

static void writes_go_on_only_when_there_is_clearly_more_than_the_mark(void **state)
{
    struct fixture *f = *state;
    open_db(f, &waits, 8 * MIB);
    leave_free(f, 8 * MIB - 1);
    assert_full(f, add_row(f, 1), "notes/docs", "8388608");
    leave_free(f, 8 * MIB + 4096); /* what a delete gave back, say */
    assert_full(f, add_row(f, 1), "notes/docs", "9437184");
    leave_free(f, 9 * MIB);
    assert_done(add_row(f, 1), f);
    leave_free(f, 8 * MIB + 4096); /* it was not full again */
    assert_done(add_row(f, 2), f);
}

static void the_disk_is_asked_now_and_then_only(void **state)
{
    struct fixture *f = *state;
    open_db(f, &waits, MIB);
    const struct faulty_plan count = {
        .kinds = FAULTY_SIZE, .os_errno = EIO, .mode = FAULTY_ONCE, .nth = UINT64_MAX};
    const struct vfs_space full = {MIB - 1, HUGE_DISK}, roomy = {HUGE_DISK, HUGE_DISK};
    vfs_faulty_set_space(f->fs, &roomy);
    add_rows(f, 0, 1);
    vfs_faulty_arm(f->fs, &count);
    add_rows(f, 1, 10);
    assert_true(vfs_faulty_count(f->fs) <= 1);
    vfs_faulty_set_space(f->fs, &full);
    add_rows(f, 200, 1); /* not noticed yet */
    manual_clock_advance(&f->clock, 500000);
    assert_full(f, add_row(f, 201), "notes/docs", "1048576");
    vfs_faulty_set_space(f->fs, &roomy);
    add_rows(f, 300, 1); /* at once: only a disk that was asked refuses */
}

static void a_disk_that_does_not_answer_is_not_full(void **state)
{
    struct fixture *f = *state;
    const struct faulty_plan mute = {
        .kinds = FAULTY_SIZE, .os_errno = EIO, .mode = FAULTY_STICKY, .nth = 1};
    open_db(f, &waits, MIB);
    vfs_faulty_arm(f->fs, &mute);
    manual_clock_advance(&f->clock, 1000000);
    add_rows(f, 0, 10);
    vfs_faulty_disarm(f->fs);
}

/* ---- the reserve ---- */

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
    fill_disk(f, &waits);
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
    assert_done(add_row(f, 100), f); /* the quota has room: the reserve could be made again */
    assert_true(has_reserve(f));
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
    assert_full(f, add_row(f, 100), "notes/docs", "quota");
    uint64_t tried = vfs_faulty_fired(f->fs);
    for (int i = 0; i < 10; i++) assert_full(f, add_row(f, 100), "notes/docs", "quota");
    assert_int_equal(vfs_faulty_fired(f->fs), tried);
    vfs_faulty_disarm(f->fs);
    assert_full(f, add_row(f, 100), "notes/docs", "quota");
    manual_clock_advance(&f->clock, 1000000);
    assert_done(add_row(f, 100), f);
    assert_true(has_reserve(f));
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

/* Nothing is lost whatever operation fails for want of room, and closing says what it means. */
static void closing_a_full_root_says_that_all_is_durable(void **state)
{
    struct fixture *f = *state;
    const struct faulty_plan full = {.kinds = FAULTY_WRITE | FAULTY_TRUNCATE,
                                     .os_errno = ENOSPC,
                                     .mode = FAULTY_STICKY,
                                     .nth = 1};
    open_db(f, &waits, 1);
    add_rows(f, 0, 10);
    vfs_faulty_arm(f->fs, &full);
    assert_int_equal(close_db(f), LYNSE_DISK_FULL);
    assert_non_null(strstr(f->err.text, "durable"));
    assert_non_null(strstr(f->err.text, "notes/docs"));
    vfs_faulty_disarm(f->fs);
    open_db(f, &waits, 1);
    assert_int_equal(count_rows(f), 10);
}

/* Files of the log double; the last room of a disk is not for a file that is nearly empty. */
static void the_log_takes_small_files_where_large_ones_have_no_room(void **state)
{
    struct fixture *f = *state;
    enum { LEFT = 100 << 10 };
    struct vfs_space space;
    uint64_t number = 0;
    open_db(f, &waits, 1);
    while (used_bytes(f) < 500 << 10) add_rows(f, number++, 1);
    leave_free(f, LEFT); /* the next file would have 512 KiB */
    while (add_row(f, number) == LYNSE_OK) number++;
    assert_int_equal(f->err.code, LYNSE_DISK_FULL);
    assert_ok(vfs_dir_space(f->root, &space, NULL), &(struct error){0});
    assert_true(space.free_bytes < 32 << 10);
    assert_int_equal(count_rows(f), number);
    assert_done(close_db(f), f);
    vfs_memory_set_total(f->memory, UINT64_MAX);
    open_db(f, &waits, 1);
    assert_int_equal(count_rows(f), number);
}

/* ---- what waited ---- */

struct outcome {
    int calls, code;
};
static void note_outcome(void *ctx, const struct lynse_write_result *result,
                         const struct lynse_error *error)
{
    struct outcome *o = ctx;
    o->calls++;
    o->code = result ? LYNSE_OK : error->code;
}

static void a_write_that_waited_too_long_is_not_begun(void **state)
{
    struct fixture *f = *state;
    struct outcome late = {0}, patient = {0};
    uint64_t numbers[] = {1, 2};
    float vectors[2 * DIM] = {1};
    struct lynse_write_options options = {
        .sync = LYNSE_SYNC_ALWAYS, .done = note_outcome, .done_ctx = &late, .timeout_us = 1000000};
    struct lynse_rows rows = {.dim = DIM, .count = 1, .numbers = numbers, .vectors = vectors};
    open_db(f, &frames, 1);
    assert_done(lynse_upsert(f->docs, &rows, &options, NULL, &f->err), f);
    options.done_ctx = &patient;
    options.timeout_us = 100000000;
    rows.numbers = numbers + 1;
    assert_done(lynse_upsert(f->docs, &rows, &options, NULL, &f->err), f);
    while (lynse_poll(f->db, 1000) == LYNSE_MORE) continue;
    assert_int_equal(late.calls, 0);
    manual_clock_advance(&f->clock, 2000000);
    assert_done(lynse_sync(f->db, &f->err), f);
    assert_int_equal(late.calls, 1);
    assert_int_equal(late.code, LYNSE_DEADLINE);
    assert_int_equal(patient.calls, 1);
    assert_int_equal(patient.code, LYNSE_OK);
    assert_int_equal(count_rows(f), 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_default_mark_fits_the_file_system),
    CASE(a_write_below_the_mark_is_refused_before_it_is_logged),
    CASE(deleting_flushing_and_closing_go_on_below_the_mark),
    CASE(nothing_new_is_made_below_the_mark),
    CASE(a_write_that_would_cross_the_mark_is_refused_alone),
    CASE(writes_go_on_only_when_there_is_clearly_more_than_the_mark),
    CASE(the_disk_is_asked_now_and_then_only),
    CASE(a_disk_that_does_not_answer_is_not_full),
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
    CASE(one_that_finds_the_disk_full_is_done_with_the_reserve),
    CASE(a_level_that_cannot_be_left_says_whose),
    CASE(inline_a_sync_that_cannot_flush_says_so),
    CASE(what_was_dropped_can_be_dropped_on_a_full_disk),
    CASE(a_full_disk_keeps_no_root_from_being_opened),
    CASE(the_list_of_the_dropped_is_forgotten_with_the_reserve),
    CASE(no_failed_sync_takes_the_reserve),
    CASE(what_is_new_does_not_take_the_reserve),
    CASE(closing_a_full_root_says_that_all_is_durable),
    CASE(the_log_takes_small_files_where_large_ones_have_no_room),
    CASE(a_write_that_waited_too_long_is_not_begun),
};
TEST_MAIN(tests)
