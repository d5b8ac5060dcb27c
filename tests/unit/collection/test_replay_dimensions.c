/* SPDX-License-Identifier: Apache-2.0 */
/* test_replay_dimensions.c — the records of a log agree on the dimension, also within the group
 * that is the first to tell it; one that does not is damage, whatever its checksums say (P9). */
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
    struct collection_options options = {.metric = 1, .sync_level = SYNC_OS};

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

/* One row with that id, the last of its group or not. */
static int replay(struct fixture *f, uint64_t id, uint32_t dim, bool is_group_end,
                  struct error *err)
{
    static const float vector[8] = {1};
    struct record_id ids[] = {id_of_number(id)};
    struct record_rows rows = {ids, 1, vector, dim, NULL};
    struct buf payload;

    buf_init(&payload, alloc_libc(), MEM_LOG);
    record_encode_upsert(&payload, &rows);
    int rc = collection_replay_record(f->collection, 1, RECORD_UPSERT, buf_slice(&payload),
                                      is_group_end, err);
    buf_deinit(&payload);
    return rc;
}

static void records_of_a_group_share_a_dimension(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};

    assert_ok(replay(f, 1, 8, false, &err), &err);
    assert_ok(replay(f, 2, 8, true, &err), &err);
    assert_int_equal(f->collection->dim, 8);
}

static void a_shorter_row_within_the_first_group_is_damage(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};

    assert_ok(replay(f, 1, 8, false, &err), &err);
    assert_fails(replay(f, 2, 2, true, &err), &err, LYNSE_CORRUPT);
    assert_non_null(strstr(err.text, "dimension 2"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(records_of_a_group_share_a_dimension, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_shorter_row_within_the_first_group_is_damage, set_up,
                                    tear_down),
};
TEST_MAIN(tests)
