/* SPDX-License-Identifier: Apache-2.0 */
/* test_replay_skipped.c — a log may hold groups of which this version knows no record and may
 * ignore all: a later version wrote them.  Their LSNs are used up all the same.  Found by
 * fuzz_wal. */
#include "base/limits.h"
#include "collection/collection.h"
#include "store/wal_replay.h"
#include "support/test.h"

enum { LATER_KIND = 77, DIM = 2 };

static const struct file_owner OWNER = {{{1}}, {{2}}};

struct fixture {
    struct vfs *fs;
    struct view_slot slot;
    struct rng rng;
    struct doc_cache *cache;
    struct collection *collection; /* open, or NULL */
};

static void on_written(void *ctx, struct collection_write *w)
{
    (void)ctx, (void)w;
}

static struct collection_desc describe(struct fixture *f)
{
    struct collection_desc desc = {
        .alloc = alloc_libc(),
        .owner = OWNER,
        .number = 1,
        .clock = clock_system(),
        .rng = &f->rng,
        .cache = f->cache,
        .slot = &f->slot,
        .may_sync = true,
        .on_written = on_written,
    };
    struct error err = {0};

    assert_ok(vfs_dir_open(f->fs, "c", VFS_DIR_CREATE, &desc.take_dir, &err), &err);
    return desc;
}

/* As after a crash: what was open is left as it is. */
static void leave(struct fixture *f)
{
    if (f->collection) collection_abandon(f->collection);
    f->collection = NULL;
    view_slot_publish(&f->slot, NULL);
}

static struct collection *open_again(struct fixture *f)
{
    struct error err = {0};

    leave(f);
    struct collection_desc desc = describe(f);
    assert_ok(collection_open(&desc, &f->collection, &err), &err);
    return f->collection;
}

static int set_up(void **state)
{
    static struct fixture f;
    struct error err = {0};
    struct collection_options options = {.dim = DIM, .metric = 1, .sync_level = SYNC_ALWAYS};

    f = (struct fixture){.fs = vfs_memory_create(alloc_libc())};
    rng_init(&f.rng, 1);
    view_slot_init(&f.slot);
    assert_ok(doc_cache_create(alloc_libc(), 1 << 20, &f.cache, &err), &err);
    struct collection_desc desc = describe(&f);
    assert_ok(collection_create(&desc, &options, &err), &err);
    vfs_dir_close(desc.take_dir);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    leave(f);
    view_slot_deinit(&f->slot);
    doc_cache_destroy(f->cache);
    vfs_memory_destroy(f->fs);
    return 0;
}

static void append_header(struct buf *out, const struct uuid *salt)
{
    uint8_t bytes[WAL_HEADER_BYTES];
    struct wal_header h = {.sequence = 1, .first_lsn = 1, .file_bytes = WAL_RECORDS};

    file_header_init(&h.base, MAGIC_WAL, WAL_HEADER_BYTES, &OWNER, salt);
    wal_header_encode(&h, bytes);
    for (int copy = 0; copy < 2; copy++) {
        buf_append(out, bytes, sizeof bytes);
        buf_append_zeros(out, WAL_BLOCK_BYTES - sizeof bytes);
    }
}

/* A log of one group, LSN 1, that a later version wrote. */
static void write_later_log(struct fixture *f)
{
    static const struct uuid salt = {{0x5a, 3}};
    struct error err = {0};
    struct vfs_dir *dir;
    struct vfs_file *file;
    struct buf log;

    buf_init(&log, alloc_libc(), MEM_LOG);
    append_header(&log, &salt);
    wal_record_encode(&log, &salt, (enum record_kind)LATER_KIND, WAL_GROUP_END | WAL_IGNORABLE, 1,
                      0, 0, slice_of("later", 5));
    assert_ok(vfs_dir_open(f->fs, "c", 0, &dir, &err), &err);
    assert_ok(vfs_open(dir, "wal-1", VFS_WRITE | VFS_CREATE, &file, &err), &err);
    assert_ok(vfs_write(file, 0, log.data, log.size, &err), &err);
    assert_ok(vfs_close(file, &err), &err);
    vfs_dir_close(dir);
    buf_deinit(&log);
}

static uint64_t write_row(struct collection *c, uint64_t id)
{
    static const float vector[DIM] = {1, 2};
    struct record_id ids[] = {id_of_number(id)};
    struct collection_write w = {
        .kind = WRITE_UPSERT, .ids = ids, .count = 1, .vectors = vector, .dim = DIM};
    struct collection_write *writes[] = {&w};

    collection_write_batch(c, writes, 1);
    assert_ok(w.error.code ? -1 : 0, &w.error);
    return w.lsn;
}

static void a_write_follows_the_groups_that_were_skipped(void **state)
{
    struct fixture *f = *state;

    write_later_log(f);
    struct collection *c = open_again(f);
    assert_int_equal(c->applied_lsn, 1);
    assert_int_equal(write_row(c, 7), 2);
}

static void what_was_written_behind_them_is_there_after_a_crash(void **state)
{
    struct fixture *f = *state;
    struct record_id id = id_of_number(7);
    struct overlay_entry entry;
    struct error err = {0};

    write_later_log(f);
    write_row(open_again(f), 7);
    struct collection *c = open_again(f);
    assert_int_equal(c->applied_lsn, 2);
    assert_int_equal(collection_find(c, &id, &entry, &err), 1);
    assert_ok(collection_check(c, &err), &err);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_write_follows_the_groups_that_were_skipped, set_up,
                                    tear_down),
    cmocka_unit_test_setup_teardown(what_was_written_behind_them_is_there_after_a_crash, set_up,
                                    tear_down),
};
TEST_MAIN(tests)
