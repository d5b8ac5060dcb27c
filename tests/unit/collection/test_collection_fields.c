/* SPDX-License-Identifier: Apache-2.0 */
/* test_collection_fields.c — what the registries know can be kept, and nothing else. */
#include "index/index.h"
#include "simd/metrics.h"
#include "unit/collection/bed.h"

static void set_up(struct bed *b, struct vfs *fs)
{
    struct error err = {0};
    assert_ok(bed_create(b, alloc_libc(), fs, SYNC_ALWAYS, 1, &err), &err);
    assert_ok(bed_open(b, &err), &err);
}

static void every_metric_and_index_kind_outlives_the_process(void **state)
{
    (void)state;
    struct vfs *fs = vfs_memory_create(alloc_libc());
    struct error err = {0};
    struct bed b;
    set_up(&b, fs);
    for (unsigned kind = INDEX_NONE; kind <= INDEX_KIND_MAX; kind++) {
        for (unsigned metric = 1; metric <= METRIC_MAX; metric++) {
            assert_ok(collection_set_index(b.c, (uint8_t)kind, (uint8_t)metric, &err), &err);
            bed_abandon(&b);
            assert_ok(bed_open(&b, &err), &err);
            assert_int_equal(b.c->manifest.fields[0].index_kind, kind);
            assert_int_equal(b.c->manifest.fields[0].metric, metric);
        }
    }
    bed_destroy(&b);
    vfs_memory_destroy(fs);
}

static void what_no_registry_knows_is_not_kept(void **state)
{
    (void)state;
    struct vfs *fs = vfs_memory_create(alloc_libc());
    const uint8_t pairs[][2] = {
        {INDEX_FLAT, 0}, {INDEX_FLAT, METRIC_MAX + 1}, {INDEX_KIND_MAX + 1, METRIC_IP}};
    struct bed b;
    set_up(&b, fs);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        uint64_t epoch = b.c->manifest.epoch;
        struct error err = {0};
        assert_fails(collection_set_index(b.c, pairs[i][0], pairs[i][1], &err), &err,
                     LYNSE_INTERNAL);
        assert_int_equal(b.c->manifest.epoch, epoch);
        assert_false(b.c->is_poisoned);
    }
    bed_destroy(&b);
    vfs_memory_destroy(fs);
}

/* As a file of another version, or of an enemy, may say it. */
static void what_no_registry_knows_is_not_opened(void **state)
{
    (void)state;
    const struct {
        uint8_t metric, index_kind;
        const char *text;
    } cases[] = {
        {0, INDEX_FLAT, "vector field 0 has an unknown metric"},
        {METRIC_MAX + 1, INDEX_FLAT, "vector field 0 has an unknown metric"},
        {METRIC_IP, INDEX_KIND_MAX + 1, "vector field 0 has an unknown index kind"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vfs *fs = vfs_memory_create(alloc_libc());
        struct error err = {0};
        struct manifest m;
        bool renamed;
        struct bed b;
        set_up(&b, fs);
        manifest_init(&m, alloc_libc());
        assert_ok(manifest_copy(&m, &b.c->manifest, &err), &err);
        bed_abandon(&b);
        m.epoch++;
        m.fields[0].metric = cases[i].metric;
        m.fields[0].index_kind = cases[i].index_kind;
        struct collection_desc desc = bed_desc(&b);
        assert_ok(manifest_publish(&m, b.root, &desc.owner, &b.rng, &renamed, &err), &err);
        manifest_deinit(&m);
        assert_fails(bed_open(&b, &err), &err, LYNSE_CORRUPT);
        assert_non_null(strstr(err.text, cases[i].text));
        bed_destroy(&b);
        vfs_memory_destroy(fs);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_metric_and_index_kind_outlives_the_process),
    cmocka_unit_test(what_no_registry_knows_is_not_kept),
    cmocka_unit_test(what_no_registry_knows_is_not_opened),
};
TEST_MAIN(tests)
