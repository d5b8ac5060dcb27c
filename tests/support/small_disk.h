/* SPDX-License-Identifier: Apache-2.0 */
/* small_disk.h — a root on a disk whose room a test chooses, through the calls of a host. */
#ifndef SUPPORT_SMALL_DISK_H
#define SUPPORT_SMALL_DISK_H

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

static inline int note_change(void *ctx, const struct vfs_op *op, struct error *err)
{
    struct fixture *f = ctx;
    (void)op;
    (void)err;
    f->change_count++;
    return 0;
}

static inline int set_up(void **state)
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

static inline int close_db(struct fixture *f)
{
    struct lynse *db = f->db;
    f->db = NULL;
    return lynse_close(db, &f->err);
}

static inline int tear_down(void **state)
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
static const struct engine_desc threads = {.job_threads = 1}; /* their clock is the system's */

static inline struct engine_desc describe(struct fixture *f, const struct engine_desc *how,
                                          uint64_t low_water_bytes, struct alloc *a)
{
    struct engine_desc desc = *how;
    desc.path = "/root";
    desc.vfs = f->fs;
    desc.alloc = a;
    desc.clock = how->is_inline ? &f->clock.base : NULL;
    desc.seed = 1;
    desc.low_water_bytes = low_water_bytes;
    return desc;
}

static inline void open_db(struct fixture *f, const struct engine_desc *how,
                           uint64_t low_water_bytes)
{
    struct error err = {0};
    struct engine_desc desc = describe(f, how, low_water_bytes, NULL);
    assert_ok(api_open(&desc, alloc_create(NULL, 0), &f->db, &err), &err);
    struct lynse_collection_desc docs = {.name = "notes/docs", .dim = DIM};
    assert_done(lynse_collection_require(f->db, &docs, &f->docs, &f->err), f);
}

static inline int add_row(struct fixture *f, uint64_t number)
{
    float vector[DIM] = {(float)number};
    struct lynse_rows rows = {.dim = DIM, .count = 1, .numbers = &number, .vectors = vector};
    return lynse_upsert(f->docs, &rows, NULL, NULL, &f->err);
}

static inline void add_rows(struct fixture *f, uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) assert_done(add_row(f, first + i), f);
}

static inline int delete_row(struct fixture *f, uint64_t number)
{
    struct lynse_id id = {.number = number};
    return lynse_delete(f->docs, &id, 1, NULL, NULL, &f->err);
}

static inline uint64_t count_rows(struct fixture *f)
{
    uint64_t count = 0;
    assert_done(lynse_count(f->docs, &count, &f->err), f);
    return count;
}

static inline void search_all(struct fixture *f)
{
    float query[DIM] = {1};
    struct lynse_search_desc desc = {.vector = query, .dim = DIM, .error = &f->err};
    struct lynse_hits *hits;
    assert_done(lynse_search(f->docs, &desc, &hits), f);
    lynse_hits_free(hits);
}

static inline void assert_full(struct fixture *f, int code, const char *name, const char *limit)
{
    assert_int_equal(code, LYNSE_DISK_FULL);
    assert_int_equal(f->err.code, LYNSE_DISK_FULL);
    if (!strstr(f->err.text, name) || !strstr(f->err.text, limit) ||
        !strstr(f->err.text, "low_water_bytes"))
        fail_msg("'%s' lacks %s or %s", f->err.text, name, limit);
}

/* ---- the disk ---- */

static inline uint64_t used_bytes(struct fixture *f)
{
    struct vfs_space space;
    vfs_memory_set_total(f->memory, HUGE_DISK);
    assert_ok(vfs_dir_space(f->root, &space, NULL), &(struct error){0});
    return HUGE_DISK - space.free_bytes;
}

static inline void leave_free(struct fixture *f, uint64_t bytes)
{
    vfs_memory_set_total(f->memory, used_bytes(f) + bytes);
    manual_clock_advance(&f->clock, 1000000);
}

static inline void put_reserve(struct fixture *f, uint64_t bytes)
{
    struct vfs_file *file;
    struct error err = {0};
    assert_ok(vfs_open(f->root, RESERVE_NAME, VFS_WRITE | VFS_CREATE, &file, &err), &err);
    assert_ok(vfs_truncate(file, bytes, &err), &err);
    assert_ok(vfs_close(file, &err), &err);
}

static inline bool has_reserve(struct fixture *f)
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

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
