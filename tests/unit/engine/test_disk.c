/* SPDX-License-Identifier: Apache-2.0 */
/* test_disk.c — a root on a disk of the test's: what is asked of it when, and what is left when it
 * fails. */
#include <errno.h>

#include "api/handles.h"
#include "os/vfs_record.h"
#include "support/test.h"
#include "support/vfs_faulty.h"

enum { DIM = 3 };

struct fixture {
    struct alloc *disk; /* of the file systems */
    struct vfs *memory;
    struct vfs *fs; /* over it */
    struct lynse *db;
    struct lynse_error err;
    /* What the recorder saw. */
    size_t sync_count, change_count;
};

/* ---- a root over any file system, behind lynse.h ---- */

static int open_root(struct fixture *f, const struct engine_desc *how)
{
    struct engine_desc desc = *how;
    struct error err = {0};
    desc.path = "/root";
    desc.vfs = f->fs;
    desc.job_threads = 1;
    if (api_open(&desc, alloc_create(NULL, 0), &f->db, &err) == 0) return LYNSE_OK;
    return api_fail(&err, &f->err);
}

static int close_root(struct fixture *f)
{
    struct lynse *db = f->db;
    f->db = NULL;
    return lynse_close(db, &f->err);
}

#define assert_done(call, f)                                                                       \
    do {                                                                                           \
        if ((call) != LYNSE_OK) fail_msg("%s", (f)->err.text);                                     \
    } while (0)

static const struct engine_desc inline_root = {.is_inline = true, .seed = 1};
static const struct engine_desc threads_root = {.actor_threads = 2, .seed = 1};

static int note_change(void *ctx, const struct vfs_op *op, struct error *err)
{
    struct fixture *f = ctx;
    (void)err;
    f->change_count++;
    f->sync_count += op->kind == VFS_OP_FILE_SYNC || op->kind == VFS_OP_DIR_SYNC;
    return 0;
}

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.disk = alloc_create(NULL, 0)};
    f.memory = vfs_memory_create(f.disk);
    f.fs = f.memory;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->db) assert_done(close_root(f), f);
    vfs_memory_destroy(f->memory);
    assert_int_equal(alloc_used_bytes(f->disk), 0);
    alloc_destroy(f->disk);
    return 0;
}

static int add_one(struct lynse_collection *c, uint64_t number, uint32_t sync,
                   lynse_write_done *done, void *ctx, struct lynse_error *err)
{
    float vector[DIM] = {(float)number};
    struct lynse_write_options options = {.sync = sync, .done = done, .done_ctx = ctx};
    struct lynse_rows rows = {.dim = DIM, .count = 1, .numbers = &number, .vectors = vector};
    return lynse_upsert(c, &rows, &options, NULL, err);
}

static struct lynse_collection *make_docs(struct fixture *f)
{
    struct lynse_collection *c;
    struct lynse_collection_desc desc = {.name = "notes/docs", .dim = DIM};
    assert_done(lynse_collection_create(f->db, &desc, &c, &f->err), f);
    return c;
}

static uint64_t count_rows(struct fixture *f, struct lynse_collection *c)
{
    uint64_t count = 0;
    assert_done(lynse_count(c, &count, &f->err), f);
    return count;
}

/* ---- what is asked of the disk ---- */

static void count_done(void *ctx, const struct lynse_write_result *result,
                       const struct lynse_error *error)
{
    (void)error;
    *(int *)ctx += result != NULL;
}

static void inline_no_frame_waits_for_the_disk(void **state)
{
    struct fixture *f = *state;
    struct lynse_hits *hits;
    float query[DIM] = {1};
    struct lynse_search_desc search = {.vector = query, .dim = DIM};
    int done = 0, always = 0;
    f->fs = vfs_record_create(f->disk, f->memory, note_change, f);
    assert_done(open_root(f, &inline_root), f);
    struct lynse_collection *c = make_docs(f);
    size_t before = f->sync_count;
    assert_true(before > 0);
    for (uint64_t i = 0; i < 20; i++) {
        assert_done(add_one(c, i, 0, NULL, NULL, &f->err), f);
        assert_done(add_one(c, i, LYNSE_SYNC_INTERVAL, count_done, &done, &f->err), f);
        while (lynse_poll(f->db, 1000) == LYNSE_MORE) continue;
        assert_done(lynse_search(c, &search, &hits), f);
        lynse_hits_free(hits);
    }
    assert_int_equal(done, 20);
    assert_done(add_one(c, 99, LYNSE_SYNC_ALWAYS, count_done, &always, &f->err), f);
    for (int i = 0; i < 50; i++) lynse_poll(f->db, 1000);
    assert_int_equal(always, 0);
    assert_int_equal(f->sync_count, before);
    assert_done(lynse_sync(f->db, &f->err), f);
    assert_int_equal(always, 1);
    assert_true(f->sync_count > before);
    before = f->sync_count;
    for (uint64_t i = 0; i < 10; i++) assert_done(add_one(c, i, 0, NULL, NULL, &f->err), f);
    assert_int_equal(f->sync_count, before); /* the next file was made ahead */
    assert_done(close_root(f), f);
    vfs_record_destroy(f->fs);
}

static void reading_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct engine_desc reader = inline_root;
    struct lynse_collection *c;
    struct lynse_names *names;
    assert_done(open_root(f, &inline_root), f);
    c = make_docs(f);
    for (uint64_t i = 0; i < 10; i++) assert_done(add_one(c, i, 0, NULL, NULL, &f->err), f);
    assert_done(lynse_flush(c, &f->err), f);
    assert_done(add_one(c, 50, LYNSE_SYNC_ALWAYS, NULL, NULL, &f->err), f);
    assert_done(close_root(f), f);
    f->fs = vfs_record_create(f->disk, f->memory, note_change, f);
    reader.read_only = true;
    assert_done(open_root(f, &reader), f);
    assert_done(lynse_collection_open(f->db, "notes/docs", &c, &f->err), f);
    assert_int_equal(count_rows(f, c), 11);
    assert_done(lynse_refresh(f->db, &f->err), f);
    assert_done(lynse_list_fields(c, &names, &f->err), f);
    lynse_names_free(names);
    assert_done(close_root(f), f);
    assert_int_equal(f->change_count, 0);
    vfs_record_destroy(f->fs);
}

/* ---- every operation fails once ---- */

/* What must be there afterwards: 1 yes, 0 no, -1 nobody knows. */
struct expectation {
    int docs, other, empty;
    uint64_t rows_min, rows_max;
};

static int outcome(struct fixture *f, int code, int if_done, int before)
{
    if (code == LYNSE_OK) return if_done;
    if (f->err.code != code || !f->err.text[0]) fail_msg("code %d without a text", code);
    switch (code) {
    case LYNSE_OUTCOME_UNKNOWN:
        return -1;
    case LYNSE_IO:
    case LYNSE_DISK_FULL:
    case LYNSE_READ_ONLY: /* after an unknown outcome */
    case LYNSE_NOT_FOUND: /* what an earlier failure did not make */
    case LYNSE_CORRUPT:   /* a file cannot be read */
    case LYNSE_BUSY:      /* the log has to be synced first */
        return before;
    default:
        fail_msg("%s: %s", lynse_error_name(code), f->err.text);
    }
    return before;
}

/* A collection may be there although the handle could not be opened; then the text says so. */
static int make(struct fixture *f, const char *name, struct lynse_collection **out)
{
    struct lynse_collection_desc desc = {.name = name, .dim = DIM};
    int rc = outcome(f, lynse_collection_create(f->db, &desc, out, &f->err), 1, 0);
    return rc == 0 && strstr(f->err.text, "made, but not opened") ? 1 : rc;
}

static void live(struct fixture *f, struct expectation *x)
{
    struct lynse_collection *c = NULL, *d = NULL;
    x->empty = outcome(f, lynse_database_create(f->db, "empty", &f->err), 1, 0);
    x->docs = make(f, "notes/docs", &c);
    x->other = make(f, "notes/other", &d);
    for (uint64_t i = 0; c && i < 5; i++) {
        int r =
            outcome(f, add_one(c, i, i == 3 ? LYNSE_SYNC_ALWAYS : 0, NULL, NULL, &f->err), 1, 0);
        x->rows_min += r == 1;
        x->rows_max += r != 0;
        if (i == 2) outcome(f, lynse_flush(c, &f->err), 0, 0);
    }
    outcome(f, lynse_sync(f->db, &f->err), 0, 0);
    if (d) lynse_collection_close(d);
    /* Gone by name when the call says so, and when nobody knows. */
    if (x->other != 0) {
        int r = outcome(f, lynse_collection_drop(f->db, "notes/other", &f->err), 0, x->other);
        x->other = r == 0 ? 0 : -1;
    }
    if (x->empty != 0) {
        int r = outcome(f, lynse_database_drop(f->db, "empty", &f->err), 0, x->empty);
        x->empty = r;
    }
    if (c) outcome(f, lynse_checkpoint(c, &f->err), 0, 0);
}

struct entries {
    size_t directories, catalogs, others;
};

static bool count_entry(void *ctx, const char *name)
{
    struct entries *e = ctx;
    if (strlen(name) == 32) e->directories++;
    else if (strncmp(name, "catalog-", 8) == 0) e->catalogs++;
    else if (strcmp(name, "LOCK") != 0) e->others++;
    return true;
}

static void assert_exists(struct fixture *f, const char *name, int expected)
{
    int there = -1;
    assert_done(lynse_collection_exists(f->db, name, &there, &f->err), f);
    if (expected >= 0 && there != expected) fail_msg("%s: %d, expected %d", name, there, expected);
}

static void check_aftermath(struct fixture *f, const struct expectation *x)
{
    struct entries e = {0};
    struct vfs_dir *root;
    struct error err = {0};
    struct lynse_collection *c;
    assert_done(open_root(f, &inline_root), f);
    assert_exists(f, "notes/docs", x->docs);
    assert_exists(f, "notes/other", x->other);
    int docs = 0, other = 0;
    assert_done(lynse_collection_exists(f->db, "notes/docs", &docs, &f->err), f);
    assert_done(lynse_collection_exists(f->db, "notes/other", &other, &f->err), f);
    if (docs) {
        assert_done(lynse_collection_open(f->db, "notes/docs", &c, &f->err), f);
        uint64_t count = count_rows(f, c);
        assert_in_range(count, x->rows_min, x->rows_max);
        assert_done(add_one(c, 70, LYNSE_SYNC_ALWAYS, NULL, NULL, &f->err), f);
        assert_int_equal(count_rows(f, c), count + 1);
    }
    assert_done(close_root(f), f);
    assert_ok(vfs_dir_open(f->memory, "/root", 0, &root, &err), &err);
    assert_ok(vfs_dir_list(root, count_entry, &e, &err), &err);
    vfs_dir_close(root);
    assert_int_equal(e.directories, docs + other); /* nothing of what failed is left */
    assert_int_equal(e.catalogs, 1);
    assert_int_equal(e.others, 0);
}

static bool run_failing(const struct faulty_plan *plan)
{
    struct fixture f = {.disk = alloc_create(NULL, 0)};
    struct expectation x = {0};
    f.memory = vfs_memory_create(f.disk);
    f.fs = vfs_faulty_create(f.disk, f.memory);
    vfs_faulty_arm(f.fs, plan);
    if (outcome(&f, open_root(&f, &inline_root), 1, 0) == 1) {
        live(&f, &x);
        outcome(&f, close_root(&f), 0, 0);
    }
    bool has_failed = vfs_faulty_fired(f.fs) > 0;
    vfs_faulty_disarm(f.fs);
    check_aftermath(&f, &x);
    vfs_faulty_destroy(f.fs);
    vfs_memory_destroy(f.memory);
    assert_int_equal(alloc_used_bytes(f.disk), 0);
    alloc_destroy(f.disk);
    return has_failed;
}

static void sweep(unsigned kinds, int os_errno, enum faulty_mode mode)
{
    struct faulty_plan plan = {.kinds = kinds, .os_errno = os_errno, .mode = mode, .nth = 1};
    while (run_failing(&plan)) plan.nth++;
}

static void every_operation_of_the_disk_may_fail(void **state)
{
    (void)state;
    /* Without reads: a manifest that cannot be read is no reason to doubt what is opened. */
    const unsigned kinds = FAULTY_ALL & ~(unsigned)(FAULTY_LOCK);
    sweep(kinds, EIO, FAULTY_ONCE);
    sweep(kinds, EIO, FAULTY_STICKY);
}

static void a_full_disk_leaves_nothing_behind(void **state)
{
    (void)state;
    sweep(FAULTY_WRITE | FAULTY_MAKE | FAULTY_TRUNCATE, ENOSPC, FAULTY_ONCE);
    sweep(FAULTY_WRITE | FAULTY_MAKE | FAULTY_TRUNCATE, ENOSPC, FAULTY_STICKY);
}

/* One row whose fields fill a log file of their own. */
static int add_large(struct lynse_collection *c, uint64_t number, struct lynse_error *err)
{
    enum { SIZE = 1 << 20 };
    float vector[DIM] = {(float)number};
    uint8_t *map = malloc(SIZE);
    struct lynse_bytes fields = {map, SIZE};
    struct lynse_rows rows = {
        .dim = DIM, .count = 1, .numbers = &number, .vectors = vector, .fields = &fields};
    memcpy(map, "\x81\xa1x\xdb\x00\x0f\xff\xf8", 8);
    memset(map + 8, 'y', SIZE - 8);
    int code = lynse_add(c, &rows, NULL, NULL, err);
    free(map);
    return code;
}

static void writing_goes_on_when_a_full_disk_has_room_again(void **state)
{
    struct fixture *f = *state;
    struct lynse_hits *hits;
    float query[DIM] = {1};
    struct lynse_search_desc search = {.vector = query, .dim = DIM};
    const struct faulty_plan full = {.kinds = FAULTY_WRITE | FAULTY_TRUNCATE,
                                     .os_errno = ENOSPC,
                                     .mode = FAULTY_STICKY,
                                     .nth = 1};
    f->fs = vfs_faulty_create(f->disk, f->memory);
    assert_done(open_root(f, &threads_root), f);
    struct lynse_collection *c = make_docs(f);
    assert_done(add_one(c, 1, 0, NULL, NULL, &f->err), f);
    vfs_faulty_arm(f->fs, &full);
    for (uint64_t i = 2; i < 5; i++) {
        assert_int_equal(add_large(c, i, &f->err), LYNSE_DISK_FULL);
        assert_int_equal(f->err.code, LYNSE_DISK_FULL);
        assert_int_equal(f->err.os_errno, ENOSPC);
        assert_int_equal(count_rows(f, c), 1);
        assert_done(lynse_search(c, &search, &hits), f);
        lynse_hits_free(hits);
    }
    struct lynse_collection_desc desc = {.name = "notes/more", .dim = DIM};
    struct lynse_collection *more;
    assert_int_equal(lynse_collection_create(f->db, &desc, &more, &f->err), LYNSE_DISK_FULL);
    assert_int_equal(lynse_flush(c, &f->err), LYNSE_DISK_FULL);
    vfs_faulty_disarm(f->fs);
    for (uint64_t i = 2; i < 5; i++) assert_done(add_large(c, i, &f->err), f);
    assert_done(lynse_flush(c, &f->err), f);
    assert_done(lynse_collection_create(f->db, &desc, &more, &f->err), f);
    assert_int_equal(count_rows(f, c), 4);
    assert_done(close_root(f), f);
    assert_done(open_root(f, &threads_root), f);
    assert_done(lynse_collection_open(f->db, "notes/docs", &c, &f->err), f);
    assert_int_equal(count_rows(f, c), 4);
    assert_done(close_root(f), f);
    vfs_faulty_destroy(f->fs);
}

static void a_read_only_disk_can_be_read(void **state)
{
    struct fixture *f = *state;
    struct engine_desc reader = threads_root;
    struct lynse_collection *c;
    const struct faulty_plan read_only = {.kinds = FAULTY_WRITE | FAULTY_TRUNCATE | FAULTY_MAKE |
                                                   FAULTY_RENAME | FAULTY_UNLINK | FAULTY_SYNC |
                                                   FAULTY_DIR_SYNC,
                                          .os_errno = EROFS,
                                          .mode = FAULTY_STICKY,
                                          .nth = 1};
    f->fs = vfs_faulty_create(f->disk, f->memory);
    assert_done(open_root(f, &threads_root), f);
    c = make_docs(f);
    for (uint64_t i = 0; i < 5; i++) assert_done(add_one(c, i, 0, NULL, NULL, &f->err), f);
    assert_done(close_root(f), f);
    vfs_faulty_arm(f->fs, &read_only);
    assert_int_equal(open_root(f, &threads_root), LYNSE_READ_ONLY);
    assert_int_equal(f->err.os_errno, EROFS);
    for (int immutable = 0; immutable < 2; immutable++) {
        reader.read_only = true;
        reader.immutable = immutable;
        assert_done(open_root(f, &reader), f);
        assert_done(lynse_collection_open(f->db, "notes/docs", &c, &f->err), f);
        assert_int_equal(count_rows(f, c), 5);
        assert_int_equal(add_one(c, 9, 0, NULL, NULL, &f->err), LYNSE_READ_ONLY);
        assert_done(close_root(f), f);
    }
    vfs_faulty_disarm(f->fs);
    vfs_faulty_destroy(f->fs);
}

/* ---- what is found in the root ---- */

static void put_file(struct vfs_dir *dir, const char *name)
{
    struct vfs_file *file;
    struct error err = {0};
    assert_ok(vfs_open(dir, name, VFS_WRITE | VFS_CREATE, &file, &err), &err);
    assert_ok(vfs_write(file, 0, "x", 1, &err), &err);
    assert_ok(vfs_close(file, &err), &err);
}

static void put_directory(struct vfs_dir *root, const char *name, const char *file)
{
    struct vfs_dir *dir;
    struct error err = {0};
    assert_ok(vfs_dir_make(root, name, &err), &err);
    assert_ok(vfs_dir_open_in(root, name, &dir, &err), &err);
    if (file) put_file(dir, file);
    vfs_dir_close(dir);
}

static bool is_there(struct vfs_dir *root, const char *name)
{
    bool there = false;
    struct error err = {0};
    assert_ok(vfs_exists(root, name, &there, &err), &err);
    return there;
}

#define UUID(digit) digit "0000000000000000000000000000000"

static void only_what_is_surely_ours_is_removed(void **state)
{
    struct fixture *f = *state;
    struct vfs_dir *root;
    struct error err = {0};
    assert_done(open_root(f, &inline_root), f);
    struct lynse_collection *c = make_docs(f);
    struct lynse_collection_info info = {0};
    assert_done(lynse_collection_info(c, &info, &f->err), f);
    assert_done(close_root(f), f);
    assert_ok(vfs_dir_open(f->memory, "/root", 0, &root, &err), &err);
    put_file(root, "tmp-" UUID("0"));
    put_file(root, "tmp-0123");
    put_file(root, "catalog-1");
    put_file(root, "catalog-x");
    put_file(root, UUID("f"));
    put_directory(root, UUID("1"), NULL);
    put_directory(root, UUID("2"), "manifest-1");
    put_directory(root, UUID("3"), "tmp-" UUID("9"));
    put_directory(root, UUID("7"), "tmp-9");
    put_directory(root, UUID("4"), "manifest-2");
    put_directory(root, UUID("5"), "wal-1");
    put_directory(root, UUID("6"), "letters");
    put_directory(root, "photos", "manifest-1");
    assert_done(open_root(f, &inline_root), f);
    assert_false(is_there(root, "tmp-" UUID("0")));
    assert_true(is_there(root, "tmp-0123"));
    assert_false(is_there(root, "catalog-1"));
    assert_false(is_there(root, UUID("1")));
    assert_false(is_there(root, UUID("2")));
    assert_false(is_there(root, UUID("3")));
    assert_true(is_there(root, "catalog-x"));
    assert_true(is_there(root, UUID("f")));
    assert_true(is_there(root, UUID("4")));
    assert_true(is_there(root, UUID("5")));
    assert_true(is_there(root, UUID("6")));
    assert_true(is_there(root, UUID("7")));
    assert_true(is_there(root, "photos"));
    assert_true(is_there(root, info.directory));
    vfs_dir_close(root);
}

static void a_damaged_collection_is_its_own_trouble(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection_info info = {0};
    struct vfs_dir *root, *dir;
    struct error err = {0};
    struct lynse_collection *c, *other;
    struct lynse_collection_desc desc = {.name = "other", .dim = DIM};
    assert_done(open_root(f, &inline_root), f);
    c = make_docs(f);
    assert_done(lynse_collection_info(c, &info, &f->err), f);
    assert_done(lynse_collection_create(f->db, &desc, &other, &f->err), f);
    assert_done(close_root(f), f);
    assert_ok(vfs_dir_open(f->memory, "/root", 0, &root, &err), &err);
    assert_ok(vfs_dir_open_in(root, info.directory, &dir, &err), &err);
    put_file(dir, "manifest-9");
    for (int round = 0; round < 2; round++) {
        assert_done(open_root(f, &inline_root), f);
        assert_int_equal(lynse_collection_open(f->db, "notes/docs", &c, &f->err), LYNSE_CORRUPT);
        assert_non_null(strstr(f->err.text, "notes/docs"));
        assert_int_equal(lynse_collection_open(f->db, "notes/docs", &c, &f->err), LYNSE_CORRUPT);
        assert_done(lynse_collection_open(f->db, "other", &other, &f->err), f);
        assert_done(add_one(other, (uint64_t)round, 0, NULL, NULL, &f->err), f);
        assert_done(close_root(f), f);
    }
    assert_ok(vfs_unlink(dir, "manifest-9", &err), &err);
    vfs_dir_close(dir);
    assert_done(open_root(f, &inline_root), f);
    assert_done(lynse_collection_open(f->db, "notes/docs", &c, &f->err), f); /* mended */
    assert_done(lynse_collection_drop(f->db, "notes/docs", &f->err), f);
    assert_false(is_there(root, info.directory));
    vfs_dir_close(root);
}

/* ---- many ---- */

static void hundreds_of_collections_are_opened_and_closed(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 200 };
    char name[32];
    for (int round = 0; round < 2; round++) {
        struct lynse_collection *all[COUNT];
        assert_done(open_root(f, round == 0 ? &threads_root : &inline_root), f);
        for (size_t i = 0; i < COUNT; i++) {
            struct lynse_collection_desc desc = {.name = name, .dim = DIM};
            snprintf(name, sizeof name, "many/c%zu", i);
            assert_done(lynse_collection_require(f->db, &desc, &all[i], &f->err), f);
            assert_done(add_one(all[i], (uint64_t)round, 0, NULL, NULL, &f->err), f);
        }
        for (size_t i = 0; i < COUNT; i++)
            assert_int_equal(count_rows(f, all[i]), (uint64_t)round + 1);
        assert_done(close_root(f), f);
    }
    assert_done(open_root(f, &threads_root), f);
    assert_done(lynse_database_drop(f->db, "many", &f->err), f);
    int there = 1;
    assert_done(lynse_database_exists(f->db, "many", &there, &f->err), f);
    assert_false(there);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(inline_no_frame_waits_for_the_disk),
    CASE(reading_changes_nothing),
    cmocka_unit_test(every_operation_of_the_disk_may_fail),
    cmocka_unit_test(a_full_disk_leaves_nothing_behind),
    CASE(writing_goes_on_when_a_full_disk_has_room_again),
    CASE(a_read_only_disk_can_be_read),
    CASE(only_what_is_surely_ours_is_removed),
    CASE(a_damaged_collection_is_its_own_trouble),
    CASE(hundreds_of_collections_are_opened_and_closed),
};
TEST_MAIN(tests)
