/* SPDX-License-Identifier: Apache-2.0 */
/* A tail that keeps the block in which many vectors came, instead of a copy. */
#include "base/limits.h"
#include "segment/active_segment.h"
#include "simd/kernels.h"
#include "support/oom_sweep.h"
#include "support/tail.h"
#include "support/test.h"

enum { WIDE = 16, NARROW = 5, BLOCK_ROWS = 4086, BEFORE = 10 };
/* Of vectors that fill chunks even in the second block. */
enum { LONG = TAIL_CHUNK_ROWS < BLOCK_ROWS / 8 ? WIDE : 1024 };

static float component(uint64_t seed, uint32_t i)
{
    return (float)((seed * 13 + i) % 4093);
}

static float *make_block(struct alloc *a, uint64_t seed, uint32_t dim)
{
    float *block = (float *)mem_alloc_aligned(a, MEM_TAIL, (size_t)BLOCK_ROWS * dim * sizeof(float),
                                              ALIGN_VECTOR);
    for (uint32_t i = 0; block && i < BLOCK_ROWS * dim; i++)
        block[i] = component(seed + i / dim, i % dim);
    return block;
}

/* BLOCK_ROWS rows from a block; returns what is left of it to the caller. */
static int stage_block(struct active_segment *t, uint64_t lsn, float *block, float **out_left,
                       struct error *err)
{
    static struct record_id ids[BLOCK_ROWS];
    uint32_t row;

    for (uint32_t i = 0; i < BLOCK_ROWS; i++) ids[i] = id_of_number(lsn * 10000 + i);
    struct tail_rows rows = {
        .ids = ids, .count = BLOCK_ROWS, .lsn = lsn, .vectors = block, .take_block = &block};
    int rc = active_segment_stage_many(t, &rows, &row, err);
    *out_left = block;
    return rc;
}

static void assert_vectors(struct test_tail *f, uint32_t first_row, uint64_t seed, uint32_t dim)
{
    for (uint32_t row = 0; row < BLOCK_ROWS; row++) {
        struct vector_run run = {0};
        assert_int_equal(f->base->vectors.run(&f->base->vectors, first_row + row, 1, &run, NULL),
                         0);
        for (uint32_t i = 0; i < dim; i++) assert_true(run.vectors[i] == component(seed + row, i));
        assert_true(run.norms[0] == dense_norm_f32(kernels_active(), run.vectors, dim));
    }
}

static void a_block_is_kept_where_its_rows_fill_chunks(void **state)
{
    (void)state;
    struct test_tail f;
    struct error err = {0};
    float *left, vector[WIDE] = {1};
    uint32_t row;

    test_tail_set_up(&f, WIDE, 4 * BLOCK_ROWS);
    for (uint32_t i = 0; i < BEFORE; i++) {
        struct record_id id = id_of_number(i);
        assert_ok(active_segment_stage(f.tail, &id, 1, vector, slice_of(NULL, 0), &row, &err),
                  &err);
    }
    float *block = make_block(f.alloc, 5, WIDE);
    size_t before = alloc_tag_bytes(f.alloc, MEM_TAIL);
    assert_ok(stage_block(f.tail, 2, block, &left, &err), &err);
    assert_null(left);
    /* The vectors are there once, not twice. */
    assert_true(alloc_tag_bytes(f.alloc, MEM_TAIL) - before < BLOCK_ROWS * (WIDE + 16) * 4);
    active_segment_commit(f.tail, BEFORE + BLOCK_ROWS);
    assert_vectors(&f, BEFORE, 5, WIDE);
    assert_ok(stage_block(f.tail, 3, make_block(f.alloc, 7, WIDE), &left, &err), &err);
    mem_free(f.alloc, left);
    active_segment_commit(f.tail, BEFORE + 2 * BLOCK_ROWS);
    assert_vectors(&f, BEFORE, 5, WIDE);
    assert_vectors(&f, BEFORE + BLOCK_ROWS, 7, WIDE);
    test_tail_tear_down(&f);
}

static void dropped_rows_give_their_block_back(void **state)
{
    (void)state;
    struct test_tail f;
    struct error err = {0};
    float *left;

    test_tail_set_up(&f, LONG, 4 * BLOCK_ROWS);
    /* A table of ids that has room for all stays. */
    assert_ok(stage_block(f.tail, 1, make_block(f.alloc, 5, LONG), &left, &err), &err);
    mem_free(f.alloc, left);
    active_segment_drop_staged(f.tail, 0);
    size_t empty = alloc_tag_bytes(f.alloc, MEM_TAIL);
    assert_true(empty < (size_t)BLOCK_ROWS * LONG * sizeof(float) / 4);

    /* Twice, as a writer that is refused tries again. */
    for (int i = 0; i < 2; i++) {
        assert_ok(stage_block(f.tail, 1, make_block(f.alloc, 5, LONG), &left, &err), &err);
        mem_free(f.alloc, left);
        size_t first_alone = alloc_used_bytes(f.alloc);
        assert_ok(stage_block(f.tail, 2, make_block(f.alloc, 6, LONG), &left, &err), &err);
        assert_null(left);
        active_segment_drop_staged(f.tail, BLOCK_ROWS);
        /* What is bigger by now: the table of ids, once. */
        if (i > 0) assert_int_equal(alloc_used_bytes(f.alloc), first_alone);
        assert_vectors(&f, 0, 5, LONG);
        active_segment_drop_staged(f.tail, 0);
        assert_int_equal(alloc_tag_bytes(f.alloc, MEM_TAIL), empty);
    }
    test_tail_tear_down(&f);
}

static void a_refused_block_leaves_nothing_in_the_tail(void **state)
{
    (void)state;
    struct test_tail f;
    struct error err = {0};
    float *left;

    test_tail_set_up(&f, LONG, 4 * BLOCK_ROWS);
    assert_ok(stage_block(f.tail, 1, make_block(f.alloc, 5, LONG), &left, &err), &err);
    mem_free(f.alloc, left);
    size_t before = alloc_tag_bytes(f.alloc, MEM_TAIL);
    for (uint64_t n = 1;; n += 1 + n / 8) {
        float *block = make_block(f.alloc, 6, LONG);
        alloc_fail_after(f.alloc, n, true);
        int rc = stage_block(f.tail, 2, block, &left, &err);
        alloc_fail_after(f.alloc, 0, false);
        mem_free(f.alloc, left);
        if (rc == 0) break;
        assert_int_equal(active_segment_staged(f.tail), BLOCK_ROWS);
        assert_int_equal(alloc_tag_bytes(f.alloc, MEM_TAIL), before);
    }
    active_segment_commit(f.tail, 2 * BLOCK_ROWS);
    assert_vectors(&f, 0, 5, LONG);
    assert_vectors(&f, BLOCK_ROWS, 6, LONG);
    test_tail_tear_down(&f);
}

static void a_block_that_does_not_fit_is_copied(void **state)
{
    (void)state;
    struct test_tail f;
    struct error err = {0};
    float *left, vector[NARROW] = {1};
    struct record_id id = id_of_number(1);
    uint32_t row;

    test_tail_set_up(&f, NARROW,
                     2 * BLOCK_ROWS); /* a second row of five floats is aligned to nothing */
    assert_ok(active_segment_stage(f.tail, &id, 1, vector, slice_of(NULL, 0), &row, &err), &err);
    assert_ok(stage_block(f.tail, 2, make_block(f.alloc, 5, NARROW), &left, &err), &err);
    assert_non_null(left);
    memset(left, 0, sizeof(float) * NARROW * BLOCK_ROWS);
    mem_free(f.alloc, left);
    active_segment_commit(f.tail, 1 + BLOCK_ROWS);
    assert_vectors(&f, 1, 5, NARROW);
    test_tail_tear_down(&f);
}

static int create_and_keep_block(void *ctx, struct error *err)
{
    struct alloc *a = (struct alloc *)ctx;
    struct active_segment *t = NULL;
    float *left = make_block(a, 5, WIDE);
    int rc = -1;

    if (!left) return error_no_memory(err, sizeof(float) * WIDE * BLOCK_ROWS);
    if (active_segment_create(a, WIDE, BLOCK_ROWS, &t, err) != 0) goto out;
    rc = stage_block(t, 1, left, &left, err);
    if (rc != 0) assert_int_equal(active_segment_staged(t), 0);
out:
    if (t) segment_release(active_segment_base(t));
    mem_free(a, left);
    return rc;
}

static void running_out_of_memory_keeps_or_returns_the_block(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    assert_non_null(a);
    oom_sweep(a, create_and_keep_block, a);
    alloc_destroy(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_block_is_kept_where_its_rows_fill_chunks),
    cmocka_unit_test(dropped_rows_give_their_block_back),
    cmocka_unit_test(a_refused_block_leaves_nothing_in_the_tail),
    cmocka_unit_test(a_block_that_does_not_fit_is_copied),
    cmocka_unit_test(running_out_of_memory_keeps_or_returns_the_block),
};
TEST_MAIN(tests)
