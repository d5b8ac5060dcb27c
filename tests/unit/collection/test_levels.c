/* SPDX-License-Identifier: Apache-2.0 */
/* test_levels.c — level none is entered and left between seals: the rows that a seal leaves to the
 * log would otherwise be in neither (P1). */
#include "collection/collection.h"
#include "support/test.h"

struct fixture {
    struct vfs *fs;
    struct view_slot slot;
    struct rng rng;
    struct doc_cache *cache;
    struct collection *collection;
};

static void on_written(void *ctx, struct collection_write *w)
{
    (void)ctx, (void)w;
}

static struct collection_desc describe(struct fixture *f)
{
    struct collection_desc desc = {
        .alloc = alloc_libc(),
        .owner = {{{1}}, {{2}}},
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

static int set_up(void **state)
{
    static struct fixture f;
    struct error err = {0};
    struct collection_options options = {
        .dim = 1, .metric = 1, .sync_level = SYNC_ALWAYS, .sync_interval_ms = 100};

    f = (struct fixture){.fs = vfs_memory_create(alloc_libc())};
    rng_init(&f.rng, 1);
    view_slot_init(&f.slot);
    assert_ok(doc_cache_create(alloc_libc(), 1 << 20, &f.cache, &err), &err);
    struct collection_desc desc = describe(&f);
    assert_ok(collection_create(&desc, &options, &err), &err);
    assert_ok(collection_open(&desc, &f.collection, &err), &err);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    view_slot_publish(&f->slot, NULL);
    collection_abandon(f->collection);
    view_slot_deinit(&f->slot);
    doc_cache_destroy(f->cache);
    vfs_memory_destroy(f->fs);
    return 0;
}

static void add_row(struct fixture *f)
{
    static const float vector[] = {1};
    struct collection_write w = {.kind = WRITE_ADD, .count = 1, .vectors = vector, .dim = 1};
    struct collection_write *writes[] = {&w};

    collection_write_batch(f->collection, writes, 1);
    assert_int_equal(w.error.code, LYNSE_OK);
}

static void none_is_not_entered_while_a_segment_is_written(void **state)
{
    struct fixture *f = *state;
    struct collection *c = f->collection;
    struct segment_build_desc desc;
    struct segment_build build = {0};
    struct error err = {0};

    add_row(f);
    assert_ok(collection_freeze(c, &err), &err);
    assert_ok(collection_seal_begin(c, false, &desc, &err), &err);
    add_row(f); /* in the log alone */
    assert_fails(collection_set_sync(c, SYNC_NONE, 100, &err), &err, LYNSE_BUSY);
    assert_ok(collection_set_sync(c, SYNC_OS, 100, &err), &err);
    assert_ok(segment_build_run(&desc, &build, &err), &err);
    assert_ok(collection_seal_finish(c, &build, false, &err), &err);
    segment_build_deinit(&build);
    assert_ok(collection_set_sync(c, SYNC_NONE, 100, &err), &err);

    struct collection_desc again = describe(f);
    collection_abandon(c); /* as a crash would */
    assert_ok(collection_open(&again, &f->collection, &err), &err);
    assert_int_equal(f->collection->applied_lsn, 2);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(none_is_not_entered_while_a_segment_is_written, set_up,
                                    tear_down),
};
TEST_MAIN(tests)
