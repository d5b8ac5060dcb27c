/* SPDX-License-Identifier: Apache-2.0 */
/* The tail against a naive list of rows, and its promises when memory runs out. */
#include "base/limits.h"
#include "base/rng.h"
#include "segment/active_segment.h"
#include "simd/kernels.h"
#include "support/oom_sweep.h"
#include "support/tail.h"
#include "support/test.h"

enum { DIM = 5, MODEL_ROWS = 3000, DOC_MAX = 300 };

/* ---- A row by its number: everything about it can be computed again ---- */

struct model_row {
    uint64_t id_number;
    uint64_t lsn;
    uint64_t seed; /* of vector and document */
};

/* Every second id is text; 7 and "7" are two ids. */
static struct record_id make_id(uint64_t number, char text[24])
{
    if (number % 2 != 0) return id_of_number(number / 2);
    snprintf(text, 24, "%llu", (unsigned long long)number / 2);
    return id_of_text(slice_of_text(text));
}

static void make_vector(uint64_t seed, float out[DIM])
{
    for (int i = 0; i < DIM; i++) out[i] = (float)((seed * 31 + (uint64_t)i * 7) % 1000) - 500;
}

static struct slice make_document(uint64_t seed, uint8_t bytes[DOC_MAX])
{
    size_t size = seed % 4 == 0 ? 0 : (size_t)(seed % DOC_MAX);
    for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(seed + i);
    return slice_of(bytes, size);
}

static void stage_row(struct test_tail *f, const struct model_row *row, uint32_t expected_row)
{
    struct error err = {0};
    char text[24];
    float vector[DIM];
    uint8_t bytes[DOC_MAX];
    struct record_id id = make_id(row->id_number, text);
    uint32_t at = 0;
    make_vector(row->seed, vector);
    assert_ok(active_segment_stage(f->tail, &id, row->lsn, vector, make_document(row->seed, bytes),
                                   &at, &err),
              &err);
    assert_int_equal(at, expected_row);
}

static int stage_many(struct active_segment *t, const struct record_id *ids, size_t count,
                      uint64_t lsn, const float *vectors, const struct slice *documents,
                      uint32_t *out_first_row, struct error *err)
{
    struct tail_rows rows = {
        .ids = ids, .count = count, .lsn = lsn, .vectors = vectors, .documents = documents};
    return active_segment_stage_many(t, &rows, out_first_row, err);
}

static void assert_row(struct test_tail *f, const struct model_row *row, uint32_t at)
{
    char text[24];
    float vector[DIM];
    uint8_t bytes[DOC_MAX];
    struct record_id expected = make_id(row->id_number, text), id = {0};
    struct doc_ref doc = {0};
    struct vector_run run = {0};
    uint64_t lsn = 0;

    assert_int_equal(segment_id(f->base, at, &id, NULL), 0);
    assert_true(id_equal(&id, &expected));
    assert_int_equal(segment_lsn(f->base, at, &lsn, NULL), 0);
    assert_int_equal(lsn, row->lsn);
    assert_int_equal(segment_document(f->base, at, &doc, NULL), 0);
    assert_true(slice_equal(doc.document, make_document(row->seed, bytes)));
    doc_ref_release(&doc);
    make_vector(row->seed, vector);
    assert_int_equal(f->base->vectors.run(&f->base->vectors, at, 1, &run, NULL), 0);
    assert_int_equal(run.row_count, 1);
    assert_memory_equal(run.vectors, vector, sizeof vector);
    assert_true(run.norms[0] == dense_norm_f32(kernels_active(), vector, DIM));
}

/* Search in the model and in the tail agree for this id and this many visible rows. */
static void assert_found(struct test_tail *f, const struct model_row *rows, uint32_t row_count,
                         uint64_t id_number)
{
    char text[24];
    struct record_id id = make_id(id_number, text);
    uint32_t at = 0;
    int found = segment_find(f->base, &id, row_count, &at, NULL);
    for (uint32_t row = row_count; row-- > 0;) {
        if (rows[row].id_number != id_number) continue;
        assert_int_equal(found, 1);
        assert_int_equal(at, row);
        found = segment_find_older(f->base, at, &at, NULL);
    }
    assert_int_equal(found, 0);
}

/* ---- Cases ---- */

static void staged_rows_are_found_once_committed(void **state)
{
    (void)state;
    struct test_tail f;
    test_tail_set_up(&f, DIM, 1000);
    struct model_row row = {.id_number = 1, .lsn = 9, .seed = 77};
    struct record_id id = id_of_number(0);
    uint32_t at = 99;

    assert_int_equal(f.base->first_lsn, 0);
    stage_row(&f, &row, 0);
    assert_int_equal(active_segment_staged(f.tail), 1);
    assert_int_equal(active_segment_bytes(f.tail), 0);
    assert_int_equal(segment_find(f.base, &id, 1000, &at, NULL), 0);
    active_segment_commit(f.tail, 1);
    assert_int_equal(f.base->first_lsn, 9);
    assert_int_equal(segment_find(f.base, &id, 1, &at, NULL), 1);
    assert_int_equal(at, 0);
    assert_int_equal(segment_find(f.base, &id, 0, &at, NULL), 0);
    assert_int_equal(active_segment_bytes(f.tail), DIM * sizeof(float));
    test_tail_tear_down(&f);
}

static void random_batches_agree_with_a_list(void **state)
{
    (void)state;
    struct test_tail f;
    struct rng rng;
    struct model_row *rows = (struct model_row *)calloc(MODEL_ROWS, sizeof *rows);
    uint32_t committed = 0, staged = 0;
    uint64_t lsn = 0;

    assert_non_null(rows);
    rng_init(&rng, test_seed(1));
    test_tail_set_up(&f, DIM, MODEL_ROWS);
    while (committed < MODEL_ROWS) {
        uint32_t more = 1 + (uint32_t)rng_below(&rng, rng_chance(&rng, 0.1) ? 300 : 5);
        if (more > MODEL_ROWS - staged) more = MODEL_ROWS - staged;
        lsn += rng_below(&rng, 3);
        for (; more > 0; more--, staged++) {
            rows[staged] = (struct model_row){rng_below(&rng, 500), lsn, rng_u64(&rng)};
            stage_row(&f, &rows[staged], staged);
        }
        uint32_t keep = committed + (uint32_t)rng_below(&rng, staged - committed + 1);
        if (rng_chance(&rng, 0.3)) {
            active_segment_drop_staged(f.tail, keep);
            staged = keep;
        } else {
            active_segment_commit(f.tail, keep);
            committed = keep;
        }
        for (int i = 0; i < 5; i++) {
            uint32_t seen = (uint32_t)rng_below(&rng, committed + 1);
            assert_found(&f, rows, seen, rng_below(&rng, 500));
        }
    }
    for (uint64_t id = 0; id < 500; id++) assert_found(&f, rows, MODEL_ROWS, id);
    for (uint32_t row = 0; row < MODEL_ROWS; row++) assert_row(&f, &rows[row], row);
    test_tail_tear_down(&f);
    free(rows);
}

static void many_rows_at_once_equal_one_by_one(void **state)
{
    (void)state;
    struct test_tail f;
    struct error err = {0};
    enum { COUNT = 700 };
    static struct record_id ids[COUNT];
    static char texts[COUNT][24];
    static float vectors[COUNT][DIM];
    static struct slice documents[COUNT];
    static uint8_t bytes[COUNT][DOC_MAX];
    uint32_t first = 99;

    test_tail_set_up(&f, DIM, 2 * COUNT);
    for (uint64_t i = 0; i < COUNT; i++) {
        ids[i] = make_id(i, texts[i]);
        make_vector(i, vectors[i]);
        documents[i] = make_document(i, bytes[i]);
    }
    assert_ok(stage_many(f.tail, ids, COUNT, 4, vectors[0], documents, &first, &err), &err);
    assert_int_equal(first, 0);
    assert_ok(stage_many(f.tail, ids, COUNT, 5, vectors[0], NULL, &first, &err), &err);
    assert_int_equal(first, COUNT);
    active_segment_commit(f.tail, 2 * COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct model_row row = {.id_number = i, .lsn = 4, .seed = i};
        struct doc_ref doc = {0};
        uint32_t at = 0;
        assert_row(&f, &row, i);
        assert_int_equal(segment_find(f.base, &ids[i], 2 * COUNT, &at, NULL), 1);
        assert_int_equal(at, COUNT + i);
        assert_int_equal(segment_find(f.base, &ids[i], COUNT + i, &at, NULL), 1);
        assert_int_equal(at, i);
        assert_int_equal(segment_document(f.base, COUNT + i, &doc, NULL), 0);
        assert_int_equal(doc.document.size, 0);
    }
    assert_ok(stage_many(f.tail, ids, 0, 5, vectors[0], NULL, &first, &err), &err);
    assert_int_equal(active_segment_staged(f.tail), 2 * COUNT);
    test_tail_tear_down(&f);
}

static void runs_are_long_aligned_and_without_gaps(void **state)
{
    (void)state;
    static const uint32_t dims[] = {1, 3, 128, 1000, 32768};
    for (size_t d = 0; d < sizeof dims / sizeof dims[0]; d++) {
        struct test_tail f;
        struct error err = {0};
        uint32_t dim = dims[d], row_count = dim > 1000 ? 100 : 20000;
        float *vector = (float *)calloc(dim, sizeof *vector);
        assert_non_null(vector);
        test_tail_set_up(&f, dim, row_count);
        for (uint32_t i = 0; i < row_count; i++) {
            struct record_id id = id_of_number(i);
            uint32_t row;
            vector[0] = (float)i;
            assert_ok(active_segment_stage(f.tail, &id, 1, vector, slice_of(NULL, 0), &row, &err),
                      &err);
        }
        active_segment_commit(f.tail, row_count);
        uint32_t runs = 0;
        for (uint32_t row = 0; row < row_count; runs++) {
            struct vector_run run;
            assert_int_equal(
                f.base->vectors.run(&f.base->vectors, row, row_count - row, &run, NULL), 0);
            assert_in_range(run.row_count, 1, row_count - row);
            assert_int_equal((uintptr_t)run.vectors % ALIGN_VECTOR, 0);
            for (uint32_t i = 0; i < run.row_count; i++) {
                assert_true(run.vectors[(size_t)i * dim] == (float)(row + i));
                assert_true(run.norms[i] == (float)(row + i));
            }
            row += run.row_count;
        }
        if (TAIL_CHUNK_ROWS >= 4096 && dim == 128) assert_in_range(runs, 1, 12);
        free(vector);
        test_tail_tear_down(&f);
    }
}

static void what_was_borrowed_never_moves(void **state)
{
    (void)state;
    struct test_tail f;
    test_tail_set_up(&f, DIM, 10000);
    struct model_row row = {.id_number = 0, .lsn = 1, .seed = 7};
    stage_row(&f, &row, 0);
    active_segment_commit(f.tail, 1);
    struct record_id id = {0};
    struct vector_run run = {0};
    struct doc_ref doc = {0};
    segment_id(f.base, 0, &id, NULL);
    segment_document(f.base, 0, &doc, NULL);
    f.base->vectors.run(&f.base->vectors, 0, 1, &run, NULL);
    for (uint32_t i = 1; i < 10000; i++) {
        struct model_row next = {.id_number = i, .lsn = 1, .seed = i};
        stage_row(&f, &next, i);
    }
    active_segment_commit(f.tail, 10000);
    float vector[DIM];
    uint8_t bytes[DOC_MAX];
    make_vector(7, vector);
    assert_memory_equal(run.vectors, vector, sizeof vector);
    assert_true(slice_equal(doc.document, make_document(7, bytes)));
    assert_true(slice_equal(id.text, slice_of_text("0")));
    test_tail_tear_down(&f);
}

static void a_full_tail_refuses_and_keeps_what_it_has(void **state)
{
    (void)state;
    struct test_tail f;
    struct error err = {0};
    struct record_id ids[3] = {id_of_number(1), id_of_number(2), id_of_number(3)};
    float vectors[3][DIM] = {{0}};
    uint32_t row = 99;
    test_tail_set_up(&f, DIM, 2);
    assert_fails(stage_many(f.tail, ids, 3, 1, vectors[0], NULL, &row, &err), &err, LYNSE_LIMIT);
    assert_int_equal(active_segment_staged(f.tail), 0);
    assert_ok(stage_many(f.tail, ids, 2, 1, vectors[0], NULL, &row, &err), &err);
    assert_fails(
        active_segment_stage(f.tail, &ids[2], 1, vectors[0], slice_of(NULL, 0), &row, &err), &err,
        LYNSE_LIMIT);
    active_segment_commit(f.tail, 2);
    assert_int_equal(segment_find(f.base, &ids[1], 2, &row, NULL), 1);
    test_tail_tear_down(&f);
}

static void it_is_full_at_its_rows_or_its_bytes(void **state)
{
    (void)state;
    static const uint32_t dims[] = {1, LIMIT_DIM};
    for (int d = 0; d < 2; d++) {
        struct test_tail f;
        struct error err = {0};
        float *vector = (float *)calloc(dims[d], sizeof *vector);
        uint64_t by_bytes = ((uint64_t)SEAL_BYTES + dims[d] * 4 - 1) / (dims[d] * 4);
        uint32_t limit = by_bytes < SEAL_ROWS ? (uint32_t)by_bytes : SEAL_ROWS;
        test_tail_set_up(&f, dims[d], SEAL_ROWS + 10);
        for (uint32_t i = 0; i < limit; i++) {
            struct record_id id = id_of_number(i);
            uint32_t row;
            assert_false(active_segment_is_full(f.tail));
            assert_ok(active_segment_stage(f.tail, &id, 1, vector, slice_of(NULL, 0), &row, &err),
                      &err);
            active_segment_commit(f.tail, i + 1);
        }
        assert_true(active_segment_is_full(f.tail));
        free(vector);
        test_tail_tear_down(&f);
    }
}

static void dropped_batches_leave_no_memory_behind(void **state)
{
    (void)state;
    struct test_tail f;
    test_tail_set_up(&f, DIM, 10000);
    size_t used = 0;
    for (int round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < 2000; i++) {
            struct model_row row = {.id_number = i * 3, .lsn = 1, .seed = i + 1};
            stage_row(&f, &row, i);
        }
        active_segment_drop_staged(f.tail, 0);
        if (round == 0) used = alloc_used_bytes(f.alloc);
        assert_int_equal(alloc_used_bytes(f.alloc), used);
    }
    test_tail_tear_down(&f);
}

/* ---- Out of memory ---- */

static int create_and_fill(void *ctx, struct error *err)
{
    struct active_segment *t = NULL;
    char texts[300][24];
    static struct record_id ids[300];
    static float vectors[300 * DIM];
    static struct slice documents[300];
    static uint8_t bytes[300][DOC_MAX];
    uint32_t row;
    int rc = -1;

    for (uint64_t i = 0; i < 300; i++) {
        ids[i] = make_id(i, texts[i]);
        documents[i] = make_document(i, bytes[i]);
    }
    if (active_segment_create((struct alloc *)ctx, DIM, 1000, &t, err) != 0) return -1;
    if (active_segment_stage(t, &ids[0], 1, vectors, documents[5], &row, err) != 0) goto out;
    active_segment_commit(t, 1);
    if (stage_many(t, ids, 300, 2, vectors, documents, &row, err) != 0) {
        assert_int_equal(active_segment_staged(t), 1);
        goto out;
    }
    active_segment_commit(t, 301);
    rc = 0;
out:
    for (uint32_t i = 0; i < 300; i++) {
        int expected = i < (rc == 0 ? 300u : active_segment_staged(t));
        assert_int_equal(segment_find(active_segment_base(t), &ids[i], 301, &row, NULL), expected);
    }
    segment_release(active_segment_base(t));
    return rc;
}

static void running_out_of_memory_stages_nothing(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    assert_non_null(a);
    oom_sweep(a, create_and_fill, a);
    alloc_destroy(a);
}

/* After a refusal the same call works, and nothing of the refused one is left. */
static void a_refused_batch_can_be_tried_again(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct test_tail f;
        struct error err = {0};
        struct model_row row = {.id_number = 0, .lsn = 1, .seed = 7};
        struct record_id ids[200];
        char texts[200][24];
        static float vectors[200 * DIM];
        struct slice documents[200];
        uint8_t bytes[DOC_MAX];
        uint32_t first = 0;
        test_tail_set_up(&f, DIM, 1000);
        stage_row(&f, &row, 0);
        for (uint64_t i = 0; i < 200; i++) {
            ids[i] = make_id(i, texts[i]);
            documents[i] = make_document(299, bytes);
        }
        alloc_fail_after(f.alloc, n, false);
        int rc = stage_many(f.tail, ids, 200, 2, vectors, documents, &first, &err);
        alloc_fail_after(f.alloc, 0, false);
        if (rc != 0) {
            assert_int_equal(err.code, LYNSE_NO_MEMORY);
            assert_int_equal(active_segment_staged(f.tail), 1);
            assert_ok(stage_many(f.tail, ids, 200, 2, vectors, documents, &first, &err), &err);
        }
        active_segment_commit(f.tail, 201);
        assert_row(&f, &row, 0);
        for (uint32_t i = 0; i < 200; i++) {
            uint32_t at = 0;
            struct doc_ref doc = {0};
            assert_int_equal(segment_find(f.base, &ids[i], 201, &at, NULL), 1);
            assert_int_equal(at, 1 + i);
            segment_document(f.base, at, &doc, NULL);
            assert_true(slice_equal(doc.document, slice_of(bytes, 299)));
        }
        test_tail_tear_down(&f);
        if (rc == 0) break;
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(staged_rows_are_found_once_committed),
    cmocka_unit_test(random_batches_agree_with_a_list),
    cmocka_unit_test(many_rows_at_once_equal_one_by_one),
    cmocka_unit_test(runs_are_long_aligned_and_without_gaps),
    cmocka_unit_test(what_was_borrowed_never_moves),
    cmocka_unit_test(a_full_tail_refuses_and_keeps_what_it_has),
    cmocka_unit_test(it_is_full_at_its_rows_or_its_bytes),
    cmocka_unit_test(dropped_batches_leave_no_memory_behind),
    cmocka_unit_test(running_out_of_memory_stages_nothing),
    cmocka_unit_test(a_refused_batch_can_be_tried_again),
};
TEST_MAIN(tests)
