/* SPDX-License-Identifier: Apache-2.0 */
/* Shadows of segments: what they hold is what packing the rows gives, whoever made which part of it
 * and when; and they stay within their room. */
#include <sched.h>

#include "base/limits.h"
#include "base/rng.h"
#include "base/thread.h"
#include "segment/segment_shadow.h"
#include "support/test.h"
#include "support/test_view.h"

enum { DIM = 70, ROWS = 3 * SHADOW_ROWS_MIN + 100, PUT_ROWS = 7, READERS = 4 };
enum { ASKED_MAX = 10000000 }; /* far more than it takes */

struct fixture {
    struct alloc *alloc;
    struct shadow_room *room;
    struct test_view rows;
    struct rng rng;
};

static void set_up(struct fixture *f, size_t room_bytes)
{
    struct error err = {0};
    f->alloc = alloc_create(NULL, 0);
    assert_non_null(f->alloc);
    rng_init(&f->rng, test_seed(1));
    assert_ok(shadow_room_create(f->alloc, room_bytes, &f->room, &err), &err);
    test_view_init(&f->rows, f->alloc, DIM, 1);
    test_view_open_part(&f->rows, ROWS);
}

static void tear_down(struct fixture *f)
{
    test_view_deinit(&f->rows);
    assert_int_equal(shadow_room_bytes(f->room), 0);
    shadow_room_destroy(f->room);
    assert_int_equal(alloc_used_bytes(f->alloc), 0);
    alloc_destroy(f->alloc);
}

static void put_rows(struct fixture *f, uint32_t first, uint32_t end)
{
    for (uint32_t row = first; row < end; row++) {
        float vector[DIM];
        for (int i = 0; i < DIM; i++) vector[i] = row % 31 == 3 ? 0 : rng_normal(&f->rng);
        test_view_put(&f->rows, id_of_number(row), vector, slice_of(NULL, 0));
    }
}

/* Rows [row, row + run) hold what packing them gives. */
static void check_run(struct segment *s, uint32_t row, const struct shadow_run *run)
{
    struct error err = {0};
    for (uint32_t i = 0; i < run->row_count; i++) {
        uint8_t codes[128];
        float scale, error, norm;
        struct vector_run vectors;
        struct shadow_rows to = {codes, &scale, &error, &norm};
        assert_ok(s->vectors.run(&s->vectors, row + i, 1, &vectors, &err), &err);
        shadow_pack(kernels_active(), vectors.vectors, vectors.norms, 1, DIM, &to);
        assert_memory_equal(run->codes + i * code_stride(DIM), codes, DIM);
        assert_memory_equal(&run->rests.scales[i], &scale, sizeof scale);
        assert_memory_equal(&run->rests.errors[i], &error, sizeof error);
        assert_memory_equal(&run->rests.norms[i], &norm, sizeof norm);
    }
}

/* Ask for rows until all of them are there; how many runs that takes does not matter, since who
 * packs them may have lost the processor meanwhile. */
static void read_all(struct segment *s, struct shadow_source *shadow, uint32_t row_count)
{
    uint32_t asked = 0;
    uint32_t make_max = UINT32_MAX;
    for (uint32_t row = 0; row < row_count && asked < ASKED_MAX; asked++) {
        struct shadow_run run;
        shadow->run(shadow, row, row_count - row, &make_max, &run);
        assert_true(run.row_count <= row_count - row);
        check_run(s, row, &run);
        if (run.row_count == 0) sched_yield();
        row += run.row_count;
    }
    assert_true(asked < ASKED_MAX);
}

static struct segment *segment_of(const struct fixture *f)
{
    return active_segment_base(f->rows.parts[0]);
}

static void a_shadow_follows_its_rows(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, 64 << 20);
    struct segment *s = segment_of(&f);
    put_rows(&f, 0, SHADOW_ROWS_MIN);
    assert_null(segment_shadow(s, NULL, SHADOW_ROWS_MIN));
    assert_null(segment_shadow(s, f.room, SHADOW_ROWS_MIN - 1));
    struct shadow_source *shadow = segment_shadow(s, f.room, SHADOW_ROWS_MIN);
    assert_non_null(shadow);
    assert_ptr_equal(segment_shadow(s, f.room, SHADOW_ROWS_MIN + 1), shadow);
    assert_int_equal(shadow_room_bytes(f.room), 0);
    for (uint32_t end = SHADOW_ROWS_MIN; end < ROWS; end += PUT_ROWS) {
        read_all(s, shadow, end);
        put_rows(&f, end, end + PUT_ROWS < ROWS ? end + PUT_ROWS : ROWS);
    }
    read_all(s, shadow, ROWS);
    assert_true(shadow_room_bytes(f.room) >= ROWS * code_stride(DIM));
    assert_true(shadow_room_bytes(f.room) <=
                2 * ROWS * (code_stride(DIM) + 12) + SHADOW_BLOCK_BYTES);
    tear_down(&f);
}

/* From anywhere in the middle: rows come when those before them are there. */
static void a_shadow_can_be_begun_anywhere(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, 64 << 20);
    put_rows(&f, 0, ROWS);
    struct segment *s = segment_of(&f);
    struct shadow_source *shadow = segment_shadow(s, f.room, ROWS);
    uint32_t made = 0;
    for (int round = 0; round < 2000; round++) {
        struct shadow_run run;
        uint32_t make_max = (uint32_t)rng_below(&f.rng, 5), before = make_max;
        uint32_t row = (uint32_t)rng_below(&f.rng, ROWS);
        uint32_t most = 1 + (uint32_t)rng_below(&f.rng, ROWS - row);
        shadow->run(shadow, row, most, &make_max, &run);
        assert_true(run.row_count <= most);
        assert_true(make_max <= before);
        made += before - make_max;
        assert_int_equal(segment_shadow_ready(s), made);
        check_run(s, row, &run);
    }
    read_all(s, shadow, ROWS);
    tear_down(&f);
}

static void a_full_room_is_no_failure(void **state)
{
    (void)state;
    struct fixture f;
    size_t block = SHADOW_FIRST_ROWS * (code_stride(DIM) + 3 * sizeof(float));
    set_up(&f, block + block / 2);
    put_rows(&f, 0, ROWS);
    struct segment *s = segment_of(&f);
    struct shadow_source *shadow = segment_shadow(s, f.room, ROWS);
    struct shadow_run run;
    uint32_t make_max = UINT32_MAX;
    for (uint32_t row = 0; row < SHADOW_FIRST_ROWS; row += run.row_count) {
        shadow->run(shadow, row, ROWS - row, &make_max, &run);
        assert_true(run.row_count > 0);
        check_run(s, row, &run);
    }
    shadow->run(shadow, SHADOW_FIRST_ROWS, 10, &make_max, &run);
    assert_int_equal(run.row_count, 0);
    shadow->run(shadow, 0, ROWS, &make_max, &run);
    assert_int_equal(run.row_count, SHADOW_FIRST_ROWS);
    assert_int_equal(shadow_room_bytes(f.room), block);
    tear_down(&f);
}

static void no_memory_is_no_failure(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, 64 << 20);
    put_rows(&f, 0, ROWS);
    struct segment *s = segment_of(&f);
    struct shadow_run run;
    uint32_t make_max = UINT32_MAX;
    alloc_fail_after(f.alloc, 1, false);
    assert_null(segment_shadow(s, f.room, ROWS));
    struct shadow_source *shadow = segment_shadow(s, f.room, ROWS);
    assert_non_null(shadow);
    alloc_fail_after(f.alloc, 1, false);
    shadow->run(shadow, 0, 10, &make_max, &run);
    assert_int_equal(run.row_count, 0);
    assert_int_equal(shadow_room_bytes(f.room), 0);
    read_all(s, shadow, ROWS);
    tear_down(&f);
}

static int fail_from_row_20(const struct vector_source *s, uint32_t row, uint32_t row_max,
                            struct vector_run *out, struct error *err)
{
    static float vectors[20 * DIM], norms[20];
    (void)s;
    if (row >= 20) return error_set(err, LYNSE_CORRUPT, "row %u is damaged", row);
    *out = (struct vector_run){vectors, norms, row_max < 20 - row ? row_max : 20 - row};
    return 0;
}

/* Whoever needs the rows is told by the vectors; the shadow ends before them. */
static void damaged_rows_have_no_shadow(void **state)
{
    (void)state;
    struct fixture f;
    struct shadow_run run;
    uint32_t make_max = UINT32_MAX;
    set_up(&f, 64 << 20);
    put_rows(&f, 0, SHADOW_ROWS_MIN);
    struct segment *s = segment_of(&f);
    struct shadow_source *shadow = segment_shadow(s, f.room, SHADOW_ROWS_MIN);
    s->vectors.run = fail_from_row_20;
    for (int round = 0; round < 100; round++)
        for (uint32_t row = 0; row < SHADOW_ROWS_MIN; row++)
            shadow->run(shadow, row, SHADOW_ROWS_MIN - row, &make_max, &run);
    assert_true(segment_shadow_ready(s) <= 20);
    shadow->run(shadow, 20 < SHADOW_ROWS_MIN ? 20 : 0, 1, &make_max, &run);
    assert_int_equal(run.row_count, SHADOW_ROWS_MIN > 20 ? 0 : 1);
    tear_down(&f);
}

struct reader {
    struct thread thread;
    struct fixture *fixture;
};

static void read_along(void *ctx)
{
    struct reader *r = (struct reader *)ctx;
    struct segment *s = segment_of(r->fixture);
    struct shadow_source *shadow = segment_shadow(s, r->fixture->room, ROWS);
    assert_non_null(shadow);
    read_all(s, shadow, ROWS);
}

static void several_threads_make_one_shadow(void **state)
{
    (void)state;
    for (int round = 0; round < test_rounds(20); round++) {
        struct fixture f;
        struct reader readers[READERS];
        struct error err = {0};
        set_up(&f, 64 << 20);
        put_rows(&f, 0, ROWS);
        for (int i = 0; i < READERS; i++) {
            readers[i].fixture = &f;
            assert_ok(thread_start(&readers[i].thread, "reader", read_along, &readers[i], &err),
                      &err);
        }
        for (int i = 0; i < READERS; i++) thread_join(&readers[i].thread);
        tear_down(&f);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_shadow_follows_its_rows),
    cmocka_unit_test(a_shadow_can_be_begun_anywhere),
    cmocka_unit_test(a_full_room_is_no_failure),
    cmocka_unit_test(no_memory_is_no_failure),
    cmocka_unit_test(damaged_rows_have_no_shadow),
    cmocka_unit_test(several_threads_make_one_shadow),
};

TEST_MAIN(tests)
