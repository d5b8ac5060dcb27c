/* SPDX-License-Identifier: Apache-2.0 */
/* Frozen rows → a sealed segment: what a reader could reach before, it reaches after, and the rest
 * is gone. */
#include "base/atomic.h"
#include "segment/active_segment.h"
#include "segment/sealed_segment.h"
#include "segment/segment_builder.h"
#include "simd/kernels.h"
#include "unit/store/part_fixture.h"

enum { DIM = 6, PARTS_MAX = 4, ROWS_MAX = 6000, DOC_MAX = 200 };

/* ---- The model: rows by number ---- */

struct model_row {
    uint32_t who; /* id */
    uint64_t lsn;
    uint64_t seed; /* of vector and document */
    bool is_dead;
    uint32_t old_part, old_row; /* before the last build */
};

struct model_part {
    uint32_t row_count;
    struct model_row rows[ROWS_MAX];
};

struct builder_fixture {
    struct part_fixture files;
    struct doc_cache *cache;
    size_t part_count;
    struct view_part parts[PARTS_MAX];
    struct model_part *model[PARTS_MAX];
    uint64_t lsn;
};

static void set_up(struct builder_fixture *f, uint64_t seed)
{
    struct error err = {0};
    memset(f, 0, sizeof *f);
    part_fixture_init(&f->files, seed);
    assert_ok(doc_cache_create(f->files.alloc, DOC_CACHE_BYTES, &f->cache, &err), &err);
    for (int i = 0; i < PARTS_MAX; i++) {
        f->model[i] = (struct model_part *)calloc(1, sizeof *f->model[i]);
        assert_non_null(f->model[i]);
    }
}

static void drop_parts(struct builder_fixture *f)
{
    for (size_t i = 0; i < f->part_count; i++) {
        segment_release(f->parts[i].segment);
        tombstones_release(f->parts[i].dead);
    }
    f->part_count = 0;
}

static void tear_down(struct builder_fixture *f)
{
    drop_parts(f);
    doc_cache_destroy(f->cache);
    for (int i = 0; i < PARTS_MAX; i++) free(f->model[i]);
    part_fixture_deinit(&f->files);
}

static struct record_id make_id(uint32_t who, char text[16])
{
    if (who % 2) return id_of_number(who / 2);
    snprintf(text, 16, "%u", who / 2);
    return id_of_text(slice_of_text(text));
}

static void make_vector(uint64_t seed, float out[DIM])
{
    for (int i = 0; i < DIM; i++) out[i] = (float)(hash_u64(seed + (uint64_t)i) % 2000) - 1000;
}

/* A msgpack map of one binary, or nothing. */
static struct slice make_document(uint64_t seed, uint8_t bytes[DOC_MAX])
{
    size_t size = seed % 3 == 0 ? 0 : (size_t)(5 + seed % (DOC_MAX - 10));
    if (size == 0) return slice_of(NULL, 0);
    const uint8_t head[5] = {0x81, 0xa1, 't', 0xc4, (uint8_t)(size - 5)};
    memcpy(bytes, head, sizeof head);
    for (size_t i = 5; i < size; i++) bytes[i] = (uint8_t)(seed >> (i % 8));
    return slice_of(bytes, size);
}

static void mark(struct tombstones **t, uint32_t row, bool is_dead)
{
    struct tombstones_edit *e;
    struct error err = {0};
    assert_ok(tombstones_edit_begin(*t, &e, &err), &err);
    assert_ok(tombstones_edit_reserve(e, row, &err), &err);
    if (is_dead) tombstones_edit_set(e, row);
    else tombstones_edit_clear(e, row);
    struct tombstones *next = tombstones_edit_finish(e);
    tombstones_release(*t);
    *t = next;
}

static void mark_row(struct builder_fixture *f, size_t part, uint32_t row, bool is_dead)
{
    mark(&f->parts[part].dead, row, is_dead);
    f->model[part]->rows[row].is_dead = is_dead;
}

static bool find_newest(struct builder_fixture *f, uint32_t who, size_t *out_part,
                        uint32_t *out_row)
{
    for (size_t i = f->part_count; i-- > 0;)
        for (uint32_t row = f->model[i]->row_count; row-- > 0;)
            if (f->model[i]->rows[row].who == who) {
                *out_part = i;
                *out_row = row;
                return true;
            }
    return false;
}

/* Append a tail of `row_count` rows of ids below `id_count`, with deletes and restores between. */
static void add_tail(struct builder_fixture *f, uint32_t row_count, uint32_t id_count)
{
    struct active_segment *t;
    struct error err = {0};
    size_t at = f->part_count++, part;
    struct model_part *m = f->model[at];
    uint32_t row;
    m->row_count = 0;
    assert_ok(active_segment_create(f->files.alloc, DIM, row_count + 1, &t, &err), &err);
    f->parts[at].segment = active_segment_base(t);
    f->parts[at].row_count = row_count;
    assert_ok(tombstones_create(f->files.alloc, row_count + 1, &f->parts[at].dead, &err), &err);
    while (m->row_count < row_count) {
        char text[16];
        float vector[DIM];
        uint8_t bytes[DOC_MAX];
        uint32_t who = (uint32_t)rng_below(&f->files.rng, id_count);
        if (rng_chance(&f->files.rng, 0.2)) {
            if (find_newest(f, who, &part, &row))
                mark_row(f, part, row, rng_chance(&f->files.rng, 0.8));
            continue;
        }
        struct model_row r = {.who = who, .lsn = ++f->lsn, .seed = rng_u64(&f->files.rng)};
        struct record_id id = make_id(who, text);
        if (find_newest(f, who, &part, &row)) mark_row(f, part, row, true);
        make_vector(r.seed, vector);
        assert_ok(
            active_segment_stage(t, &id, r.lsn, vector, make_document(r.seed, bytes), &row, &err),
            &err);
        m->rows[m->row_count++] = r;
    }
    active_segment_commit(t, row_count);
}

static struct segment_build_desc describe(struct builder_fixture *f)
{
    return (struct segment_build_desc){
        .alloc = f->files.alloc,
        .dir = f->files.dir,
        .owner = f->files.owner,
        .rng = &f->files.rng,
        .dim = DIM,
        .parts = f->parts,
        .part_count = f->part_count,
        .flushed_lsn = f->lsn + 5,
    };
}

/* What has to be in the result, by the rule and nothing else. */
static void make_expected(struct builder_fixture *f, struct model_part *out)
{
    out->row_count = 0;
    for (size_t i = 0; i < f->part_count; i++) {
        for (uint32_t row = 0; row < f->model[i]->row_count; row++) {
            struct model_row r = f->model[i]->rows[row];
            size_t part = 0;
            uint32_t newest = 0;
            find_newest(f, r.who, &part, &newest);
            if (r.is_dead && (part != i || newest != row)) continue;
            r.old_part = (uint32_t)i;
            r.old_row = row;
            out->rows[out->row_count++] = r;
        }
    }
}

static void assert_sealed_row(struct segment *s, uint32_t row, const struct model_row *expected)
{
    struct error err = {0};
    char text[16];
    float vector[DIM];
    uint8_t bytes[DOC_MAX];
    struct record_id id, want = make_id(expected->who, text);
    uint64_t lsn;
    uint32_t at, none;
    struct doc_ref doc = {0};
    struct vector_run run;
    assert_ok(segment_id(s, row, &id, &err), &err);
    assert_true(id_equal(&id, &want));
    assert_ok(segment_lsn(s, row, &lsn, &err), &err);
    assert_int_equal(lsn, expected->lsn);
    assert_ok(segment_document(s, row, &doc, &err), &err);
    assert_true(slice_equal(doc.document, make_document(expected->seed, bytes)));
    doc_ref_release(&doc);
    assert_ok(s->vectors.run(&s->vectors, row, 1, &run, &err), &err);
    make_vector(expected->seed, vector);
    assert_memory_equal(run.vectors, vector, sizeof vector);
    assert_true(run.norms[0] == dense_norm_f32(kernels_active(), vector, DIM));
    assert_int_equal(segment_find(s, &want, UINT32_MAX, &at, &err), 1);
    assert_int_equal(at, row);
    assert_int_equal(segment_find(s, &want, row, &at, &err), 0);
    assert_int_equal(segment_find_older(s, row, &none, &err), 0);
}

static void assert_build(struct builder_fixture *f, const struct segment_build *b,
                         const struct model_part *expected)
{
    uint32_t kept = 0;
    assert_int_equal(b->segment.row_count, expected->row_count);
    assert_int_equal(b->segment.first_lsn, expected->rows[0].lsn);
    assert_int_equal(b->segment.last_lsn, expected->rows[expected->row_count - 1].lsn);
    assert_int_equal(b->segment.map_lsn, f->lsn + 5);
    assert_int_equal(b->segment.del_lsn, 0);
    assert_int_equal(b->segment.part_count, 3);
    assert_int_equal(b->part_count, f->part_count);
    for (uint32_t i = 0; i < f->part_count; i++) {
        for (uint32_t row = 0; row < f->model[i]->row_count; row++) {
            const struct model_row *r = &expected->rows[kept];
            bool is_kept = kept < expected->row_count && r->old_part == i && r->old_row == row;
            assert_int_equal(b->row_map[i][row], is_kept ? kept : UINT32_MAX);
            if (is_kept) assert_int_equal(tombstones_get(b->dead, kept), r->is_dead);
            kept += is_kept;
        }
    }
    assert_int_equal(kept, expected->row_count);
}

/* Build what is there, check it, and make it the only part. */
static void build_and_replace(struct builder_fixture *f)
{
    struct segment_build_desc desc = describe(f);
    struct segment_build b = {0};
    struct segment *s = NULL;
    struct error err = {0};
    struct model_part *expected = (struct model_part *)calloc(1, sizeof *expected);
    make_expected(f, expected);
    assert_ok(segment_build_run(&desc, &b, &err), &err);
    assert_build(f, &b, expected);
    assert_ok(sealed_segment_open(f->files.alloc, f->files.dir, &f->files.owner, &b.segment, DIM,
                                  f->cache, &s, &err),
              &err);
    assert_ok(sealed_segment_verify(s, &err), &err);
    assert_int_equal(s->row_capacity, expected->row_count);
    assert_true(uuid_equal(&s->uuid, &b.segment.uuid));
    for (uint32_t row = 0; row < expected->row_count; row++)
        assert_sealed_row(s, row, &expected->rows[row]);
    drop_parts(f);
    f->part_count = 1;
    f->parts[0] = (struct view_part){
        .segment = s, .dead = tombstones_acquire(b.dead), .row_count = expected->row_count};
    memcpy(f->model[0], expected, sizeof *expected);
    segment_build_deinit(&b);
    free(expected);
}

/* ---- Cases ---- */

static void what_could_be_reached_is_kept_and_nothing_else(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 4, 5, 63, 64, 65, 500, 2000};
    uint64_t seed = test_seed(1);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct builder_fixture f;
        set_up(&f, seed + i);
        add_tail(&f, sizes[i], sizes[i] / 2 + 2);
        build_and_replace(&f); /* one tail */
        assert_int_equal(part_fixture_file_count(&f.files), 3);
        add_tail(&f, sizes[i] / 3 + 1, sizes[i] + 2);
        add_tail(&f, sizes[i], sizes[i] / 2 + 2);
        build_and_replace(&f); /* a sealed one and two tails */
        add_tail(&f, 1, 1);
        build_and_replace(&f);
        build_and_replace(&f); /* a sealed one alone */
        assert_int_equal(part_fixture_file_count(&f.files), 12);
        tear_down(&f);
    }
}

static void a_version_after_the_inputs_supersedes(void **state)
{
    struct builder_fixture f;
    struct model_part expected = {0};
    struct segment_build b = {0};
    struct error err = {0};
    uint32_t kept = 0;

    (void)state;
    set_up(&f, test_seed(40));
    add_tail(&f, 1000, 700);
    add_tail(&f, 300, 700);
    add_tail(&f, 300, 700);
    make_expected(&f, &expected);
    struct segment_build_desc desc = describe(&f);
    desc.part_count = 1;
    desc.newer = &f.parts[1];
    desc.newer_count = 2;
    assert_ok(segment_build_run(&desc, &b, &err), &err);
    while (kept < expected.row_count && expected.rows[kept].old_part == 0) kept++;
    assert_int_equal(b.segment.row_count, kept);
    assert_true(kept < 800); /* many were superseded by what is not rewritten */
    for (uint32_t i = 0; i < kept; i++) assert_int_equal(b.row_map[0][expected.rows[i].old_row], i);
    segment_build_deinit(&b);
    tear_down(&f);
}

static void runs_are_verified_some_blocks_at_a_time(void **state)
{
    (void)state;
    enum { WIDE = 1000, ROWS = 700 };
    struct builder_fixture f;
    struct segment_build b = {0};
    struct segment_build_desc desc;
    struct segment *s;
    struct active_segment *t;
    struct error err = {0};
    struct vector_run run;
    static float vector[WIDE];
    uint32_t row, runs = 0;
    set_up(&f, 1);
    assert_ok(active_segment_create(f.files.alloc, WIDE, ROWS, &t, &err), &err);
    f.parts[0].segment = active_segment_base(t);
    f.parts[0].row_count = ROWS;
    assert_ok(tombstones_create(f.files.alloc, ROWS, &f.parts[0].dead, &err), &err);
    f.part_count = 1;
    for (uint32_t i = 0; i < ROWS; i++) {
        struct record_id id = id_of_number(i);
        vector[0] = (float)i;
        assert_ok(active_segment_stage(t, &id, 1, vector, slice_of(NULL, 0), &row, &err), &err);
    }
    active_segment_commit(t, ROWS);
    desc = describe(&f);
    desc.dim = WIDE;
    assert_ok(segment_build_run(&desc, &b, &err), &err);
    assert_ok(sealed_segment_open(f.files.alloc, f.files.dir, &f.files.owner, &b.segment, WIDE,
                                  f.cache, &s, &err),
              &err);
    for (row = 0; row < ROWS; row += run.row_count, runs++) {
        assert_ok(s->vectors.run(&s->vectors, row, ROWS - row, &run, &err), &err);
        for (uint32_t i = 0; i < run.row_count; i++)
            assert_true(run.vectors[(size_t)i * WIDE] == (float)(row + i));
    }
    uint32_t run_rows = 16 * CHECKSUM_BLOCK_BYTES / (WIDE * 4);
    assert_int_equal(runs, (ROWS + run_rows - 1) / run_rows);
    segment_release(s);
    segment_build_deinit(&b);
    tear_down(&f);
}

static void no_rows_make_no_files(void **state)
{
    (void)state;
    struct builder_fixture f;
    struct segment_build b = {0};
    struct error err = {0};
    set_up(&f, 1);
    add_tail(&f, 0, 1);
    struct segment_build_desc desc = describe(&f);
    assert_ok(segment_build_run(&desc, &b, &err), &err);
    assert_int_equal(b.segment.row_count, 0);
    assert_null(b.dead);
    assert_int_equal(part_fixture_file_count(&f.files), 0);
    segment_build_deinit(&b);
    segment_build_deinit(&b);
    tear_down(&f);
}

static void files_of_a_discarded_build_are_removed(void **state)
{
    (void)state;
    struct builder_fixture f;
    struct segment_build b = {0};
    struct error err = {0};
    set_up(&f, 1);
    add_tail(&f, 50, 30);
    struct segment_build_desc desc = describe(&f);
    assert_ok(segment_build_run(&desc, &b, &err), &err);
    assert_int_equal(part_fixture_file_count(&f.files), 3);
    segment_build_remove_files(&b, f.files.dir);
    assert_int_equal(part_fixture_file_count(&f.files), 0);
    segment_build_deinit(&b);
    tear_down(&f);
}

static void a_cancelled_build_leaves_nothing(void **state)
{
    (void)state;
    struct builder_fixture f;
    struct segment_build b = {0};
    struct error err = {0};
    _Atomic(bool) cancel = true;
    set_up(&f, 1);
    add_tail(&f, 50, 30);
    struct segment_build_desc desc = describe(&f);
    desc.cancel = &cancel;
    assert_fails(segment_build_run(&desc, &b, &err), &err, LYNSE_CANCELLED);
    assert_int_equal(part_fixture_file_count(&f.files), 0);
    atomic_store_relaxed(&cancel, false);
    assert_ok(segment_build_run(&desc, &b, &err), &err);
    segment_build_deinit(&b);
    tear_down(&f);
}

static void inputs_out_of_order_are_refused(void **state)
{
    (void)state;
    struct builder_fixture f;
    struct segment_build b = {0};
    struct error err = {0};
    set_up(&f, 1);
    add_tail(&f, 5, 1000);
    add_tail(&f, 5, 1000000);
    struct view_part swap = f.parts[0];
    f.parts[0] = f.parts[1];
    f.parts[1] = swap;
    struct segment_build_desc desc = describe(&f);
    assert_fails(segment_build_run(&desc, &b, &err), &err, LYNSE_CORRUPT);
    assert_int_equal(part_fixture_file_count(&f.files), 0);
    tear_down(&f);
}

/* ---- Opening ---- */

static void assert_refused(struct builder_fixture *f, const struct manifest_segment *m,
                           uint32_t dim)
{
    struct error err = {0};
    struct segment *s = NULL;
    assert_fails(sealed_segment_open(f->files.alloc, f->files.dir, &f->files.owner, m, dim,
                                     f->cache, &s, &err),
                 &err, LYNSE_CORRUPT);
}

static void segments_that_are_not_whole_are_refused(void **state)
{
    (void)state;
    struct builder_fixture f;
    struct segment_build b = {0};
    struct error err = {0};
    set_up(&f, 1);
    add_tail(&f, 50, 30);
    struct segment_build_desc desc = describe(&f);
    assert_ok(segment_build_run(&desc, &b, &err), &err);
    struct manifest_segment m = b.segment;
    assert_refused(&f, &m, DIM + 1);
    assert_refused(&f, &m, 0);
    m.row_count++;
    assert_refused(&f, &m, DIM);
    for (uint32_t i = 0; i < 3; i++) {
        m = b.segment;
        m.parts[i] = m.parts[--m.part_count]; /* one is missing */
        assert_refused(&f, &m, DIM);
        m = b.segment;
        m.parts[m.part_count++] = m.parts[i]; /* one twice */
        assert_refused(&f, &m, DIM);
        m = b.segment;
        m.parts[i].kind = 9;
        assert_refused(&f, &m, DIM);
        m = b.segment;
        m.parts[i].hash.low ^= 1;
        assert_refused(&f, &m, DIM);
    }
    m = b.segment;
    m.part_count = SEGMENT_PARTS_MAX + 1;
    assert_refused(&f, &m, DIM);
    segment_build_deinit(&b);
    tear_down(&f);
}

/* Bytes of the vectors part may change with right checksums: verify compares norms and LSNs. */
static void verify_compares_parts_with_each_other(void **state)
{
    (void)state;
    struct builder_fixture f;
    struct segment_build b = {0};
    struct error err = {0};
    struct segment *s;
    char name[PART_NAME_BYTES];
    size_t size;
    set_up(&f, 1);
    add_tail(&f, 50, 30);
    struct segment_build_desc desc = describe(&f);
    assert_ok(segment_build_run(&desc, &b, &err), &err);

    struct manifest_segment m = b.segment;
    m.last_lsn++;
    assert_ok(
        sealed_segment_open(f.files.alloc, f.files.dir, &f.files.owner, &m, DIM, f.cache, &s, &err),
        &err);
    assert_fails(sealed_segment_verify(s, &err), &err, LYNSE_CORRUPT);
    segment_release(s);

    m = b.segment;
    part_name(name, &m.uuid, PART_VECTORS, 0);
    uint8_t *bytes = part_fixture_read(&f.files, name, &size);
    bytes[PART_HEADER_BYTES + 3] ^= 0x7f;
    assert_int_equal(m.parts[1].kind, PART_VECTORS);
    assert_true(part_repair(bytes, size, &m.parts[1].hash));
    part_fixture_write(&f.files, name, bytes, size);
    free(bytes);
    assert_ok(
        sealed_segment_open(f.files.alloc, f.files.dir, &f.files.owner, &m, DIM, f.cache, &s, &err),
        &err);
    assert_fails(sealed_segment_verify(s, &err), &err, LYNSE_CORRUPT);
    segment_release(s);
    segment_build_deinit(&b);
    tear_down(&f);
}

/* ---- Failure of the world ---- */

static struct builder_fixture *failing; /* part_fixture_fail_every_operation has no context */

static int build_once(struct part_fixture *files, struct error *err)
{
    struct segment_build b = {0};
    struct segment_build_desc desc = describe(failing);
    (void)files;
    if (segment_build_run(&desc, &b, err) != 0) return -1;
    segment_build_deinit(&b);
    return 0;
}

static void a_failed_build_leaves_no_file(void **state)
{
    (void)state;
    struct builder_fixture f;
    set_up(&f, 1);
    add_tail(&f, 300, 100);
    failing = &f;
    part_fixture_fail_every_operation(&f.files, build_once);
    tear_down(&f);
}

static int build_and_open(void *ctx, struct error *err)
{
    struct builder_fixture *f = (struct builder_fixture *)ctx;
    struct segment_build_desc desc = describe(f);
    struct segment_build b = {0};
    struct segment *s = NULL;
    int rc = -1;
    if (segment_build_run(&desc, &b, err) != 0) {
        assert_int_equal(part_fixture_file_count(&f->files), 0);
        return -1;
    }
    if (sealed_segment_open(f->files.alloc, f->files.dir, &f->files.owner, &b.segment, DIM,
                            f->cache, &s, err) == 0)
        rc = sealed_segment_verify(s, err);
    segment_release(s);
    segment_build_remove_files(&b, f->files.dir);
    segment_build_deinit(&b);
    return rc;
}

static void running_out_of_memory_is_an_error_like_any_other(void **state)
{
    (void)state;
    struct builder_fixture f;
    struct error err = {0};
    set_up(&f, 1);
    add_tail(&f, 40, 20);
    assert_ok(build_and_open(&f, &err), &err); /* the cache keeps its codec */
    oom_sweep(f.files.alloc, build_and_open, &f);
    tear_down(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_could_be_reached_is_kept_and_nothing_else),
    cmocka_unit_test(a_version_after_the_inputs_supersedes),
    cmocka_unit_test(runs_are_verified_some_blocks_at_a_time),
    cmocka_unit_test(no_rows_make_no_files),
    cmocka_unit_test(files_of_a_discarded_build_are_removed),
    cmocka_unit_test(a_cancelled_build_leaves_nothing),
    cmocka_unit_test(inputs_out_of_order_are_refused),
    cmocka_unit_test(segments_that_are_not_whole_are_refused),
    cmocka_unit_test(verify_compares_parts_with_each_other),
    cmocka_unit_test(a_failed_build_leaves_no_file),
    cmocka_unit_test(running_out_of_memory_is_an_error_like_any_other),
};
TEST_MAIN(tests)
