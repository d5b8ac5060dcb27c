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
        if (kind != INDEX_NONE && !index_find(kind)) continue;
        for (unsigned metric = 1; metric <= METRIC_MAX; metric++) {
            struct index_plan plan = {.kind = (enum index_kind)kind};
            if (kind != INDEX_NONE) index_params_init(index_find(kind), &plan.params);
            assert_ok(collection_set_index(b.c, &plan, (uint8_t)metric, NULL, &err), &err);
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
        const struct index_plan plan = {.kind = (enum index_kind)pairs[i][0]};
        assert_fails(collection_set_index(b.c, &plan, pairs[i][1], NULL, &err), &err,
                     LYNSE_INTERNAL);
        assert_int_equal(b.c->manifest.epoch, epoch);
        assert_false(b.c->is_poisoned);
    }
    bed_destroy(&b);
    vfs_memory_destroy(fs);
}

/* What opening answers when the manifest has these fields. */
static void assert_not_opened(const struct manifest_field *fields, uint32_t count, int code,
                              const char *text)
{
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
    mem_free(alloc_libc(), m.fields);
    m.fields = mem_zalloc(alloc_libc(), MEM_GENERAL, count * sizeof *fields);
    assert_non_null(m.fields);
    memcpy(m.fields, fields, count * sizeof *fields);
    m.field_count = count;
    struct collection_desc desc = bed_desc(&b);
    assert_ok(manifest_publish(&m, b.root, &desc.owner, &b.rng, &renamed, &err), &err);
    manifest_deinit(&m);
    assert_fails(bed_open(&b, &err), &err, code);
    if (!strstr(err.text, text)) fail_msg("%s", err.text);
    bed_destroy(&b);
    vfs_memory_destroy(fs);
}

static struct manifest_field field_of(uint8_t kind, uint8_t storage, uint8_t metric,
                                      uint8_t index_kind)
{
    return (struct manifest_field){
        .kind = kind,
        .storage = storage,
        .metric = metric,
        .index_kind = index_kind,
        .dim = BED_DIM,
        .name = "default",
    };
}

/* As a file of another version, or of an enemy, may say it. */
static void what_no_registry_knows_is_not_opened(void **state)
{
    (void)state;
    const struct {
        uint8_t metric;
        const char *text;
    } cases[] = {
        {0, "vector field 'default' has an unknown metric"},
        {METRIC_MAX + 1, "vector field 'default' has an unknown metric"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct manifest_field f = field_of(VECTOR_DENSE, STORAGE_F32, cases[i].metric, INDEX_FLAT);
        assert_not_opened(&f, 1, LYNSE_CORRUPT, cases[i].text);
    }
}

/* The format has words for them. */
static void fields_of_other_kinds_are_not_taken_for_dense_ones(void **state)
{
    (void)state;
    for (uint8_t kind = 1; vector_kind_is_known(kind); kind++) {
        if (kind == VECTOR_DENSE) continue;
        struct manifest_field f = field_of(kind, STORAGE_F32, METRIC_L2, INDEX_FLAT);
        assert_not_opened(&f, 1, LYNSE_UNSUPPORTED, "'default' is not of dense vectors");
    }
}

static void a_second_field_is_not_ignored(void **state)
{
    (void)state;
    static struct manifest_field fields[MANIFEST_FIELDS_MAX];
    const uint32_t counts[] = {2, MANIFEST_FIELDS_MAX};
    for (uint32_t i = 0; i < MANIFEST_FIELDS_MAX; i++) {
        fields[i] = field_of(VECTOR_DENSE, STORAGE_F32, METRIC_L2, INDEX_FLAT);
        if (i > 0) snprintf(fields[i].name, sizeof fields[i].name, "field%u", i);
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        assert_not_opened(fields, counts[i], LYNSE_UNSUPPORTED, "vector fields");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_metric_and_index_kind_outlives_the_process),
    cmocka_unit_test(what_no_registry_knows_is_not_kept),
    cmocka_unit_test(what_no_registry_knows_is_not_opened),
    cmocka_unit_test(fields_of_other_kinds_are_not_taken_for_dense_ones),
    cmocka_unit_test(a_second_field_is_not_ignored),
};
TEST_MAIN(tests)
