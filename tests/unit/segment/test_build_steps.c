/* SPDX-License-Identifier: Apache-2.0 */
/* test_build_steps.c — the build of a segment in steps: each is small, and any may be the last. */
#include "segment/active_segment.h"
#include "segment/sealed_segment.h"
#include "segment/segment_builder.h"
#include "unit/store/part_fixture.h"

enum { DIM = 4 };

struct fixture {
    struct part_fixture files;
    struct doc_cache *cache;
    struct view_part input;
    uint32_t id_count;
};

static void mark_dead(struct fixture *f, uint32_t row)
{
    struct tombstones_edit *e;
    struct error err = {0};
    assert_ok(tombstones_edit_begin(f->input.dead, &e, &err), &err);
    assert_ok(tombstones_edit_reserve(e, row, &err), &err);
    tombstones_edit_set(e, row);
    tombstones_release(f->input.dead);
    f->input.dead = tombstones_edit_finish(e);
}

/* Ids in no order, each written twice: the older rows are dead, and the last id altogether. */
static void set_up(struct fixture *f, uint32_t id_count)
{
    static const uint8_t document[] = {0x81, 0xa1, 'a', 0xa4, 't', 'e', 'x', 't'};
    struct active_segment *t;
    struct error err = {0};
    uint32_t row_count = 2 * id_count, row;
    memset(f, 0, sizeof *f);
    part_fixture_init(&f->files, 1);
    assert_ok(doc_cache_create(f->files.alloc, 1 << 20, &f->cache, &err), &err);
    assert_ok(active_segment_create(f->files.alloc, DIM, row_count, &t, &err), &err);
    f->input = (struct view_part){.segment = active_segment_base(t), .row_count = row_count};
    assert_ok(tombstones_create(f->files.alloc, row_count, &f->input.dead, &err), &err);
    f->id_count = id_count;
    for (uint32_t i = 0; i < row_count; i++) {
        const float vector[DIM] = {(float)i};
        char text[16];
        uint64_t number = (uint64_t)i * 7919 % id_count;
        struct record_id id = id_of_number(number);
        snprintf(text, sizeof text, "%u", (unsigned)number);
        if (number % 3 == 0) id = id_of_text(slice_of_text(text));
        assert_ok(active_segment_stage(t, &id, i + 1, vector, slice_of(document, sizeof document),
                                       &row, &err),
                  &err);
        if (i < id_count) mark_dead(f, i);
    }
    mark_dead(f, row_count - 1);
    active_segment_commit(t, row_count);
}

static void tear_down(struct fixture *f)
{
    segment_release(f->input.segment);
    tombstones_release(f->input.dead);
    doc_cache_destroy(f->cache);
    part_fixture_deinit(&f->files);
}

static struct segment_builder *begin(struct fixture *f)
{
    struct segment_build_desc desc = {
        .alloc = f->files.alloc,
        .dir = f->files.dir,
        .owner = f->files.owner,
        .rng = &f->files.rng,
        .dim = DIM,
        .parts = &f->input,
        .part_count = 1,
        .flushed_lsn = f->input.row_count,
    };
    struct segment_builder *b;
    struct error err = {0};
    assert_ok(segment_builder_create(&desc, &b, &err), &err);
    return b;
}

struct operations {
    size_t syncs, writes;
};

static void note_operation(void *ctx, enum faulty_kind kind)
{
    struct operations *o = ctx;
    o->syncs += kind == FAULTY_SYNC;
    o->writes += kind == FAULTY_WRITE;
}

static void each_step_is_a_bounded_piece_of_work(void **state)
{
    (void)state;
    struct fixture f;
    struct operations done = {0};
    struct error err = {0};
    struct segment *s;
    size_t steps = 0, syncs = 0, writes_max = 0;
    int rc = 0;
    set_up(&f, 10 * BUILD_STEP_ROWS);
    struct segment_builder *b = begin(&f);
    vfs_faulty_on_operation(f.files.fs, note_operation, &done);
    for (; rc == 0; steps++) {
        done = (struct operations){0};
        rc = segment_builder_step(b, &err);
        assert_true(done.syncs <= 1);
        syncs += done.syncs;
        if (done.writes > writes_max) writes_max = done.writes;
    }
    vfs_faulty_on_operation(f.files.fs, NULL, NULL);
    assert_int_equal(rc, 1);
    assert_int_equal(syncs, 3);
    assert_true(steps > 5 * f.id_count / BUILD_STEP_ROWS); /* so many passes at least */
    assert_true(writes_max <= BUILD_STEP_BYTES / CHECKSUM_BLOCK_BYTES + 4);
    struct segment_build out = segment_builder_take(b);
    segment_builder_destroy(b);
    assert_int_equal(out.segment.row_count, f.id_count);
    assert_int_equal(tombstones_count(out.dead), 1);
    assert_ok(sealed_segment_open(f.files.alloc, f.files.dir, &f.files.owner, &out.segment, DIM,
                                  f.cache, &s, &err),
              &err);
    assert_ok(sealed_segment_verify(s, &err), &err);
    segment_release(s);
    segment_build_deinit(&out);
    tear_down(&f);
}

static void a_build_given_up_at_any_step_leaves_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    bool is_done = false;
    set_up(&f, 30);
    for (int steps = 0; !is_done; steps++) {
        struct segment_builder *b = begin(&f);
        int rc = 0;
        for (int i = 0; i < steps && rc == 0; i++) rc = segment_builder_step(b, &err);
        assert_in_range(rc, 0, 1);
        is_done = rc == 1; /* and not taken */
        segment_builder_destroy(b);
        assert_int_equal(part_fixture_file_count(&f.files), 0);
    }
    tear_down(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_step_is_a_bounded_piece_of_work),
    cmocka_unit_test(a_build_given_up_at_any_step_leaves_nothing),
};
TEST_MAIN(tests)
