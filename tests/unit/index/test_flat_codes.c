/* SPDX-License-Identifier: Apache-2.0 */
/* A flat index with a quantizer finds what a scan finds, with the same distances, and never what is
 * shut; its bytes do not depend on who built it, and damaged ones are refused. */
#include <float.h>
#include <math.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/rng.h"
#include "index/index_build.h"
#include "support/oom_sweep.h"
#include "support/test.h"

enum { ROWS = 2500, DIM = 96, QUERIES = 20, K = 10, PARTS_MAX = 4, ROOM = 1 << 17 };

static const struct quantizer_spec specs[] = {
    {QUANTIZER_SQ8, 0},    {QUANTIZER_SQ4, 0},    {QUANTIZER_RABITQ, 0},
    {QUANTIZER_RABITQ, 3}, {QUANTIZER_RABITQ, 8}, {QUANTIZER_POLARVEC, 0},
    {QUANTIZER_SIGN, 0},   {QUANTIZER_PQ, 0},     {QUANTIZER_PQFS, 33},
};
enum { SPEC_COUNT = sizeof specs / sizeof *specs };
static const enum metric metrics[] = {METRIC_IP, METRIC_L2, METRIC_COSINE};

/* An image in memory, and its writer. */
struct memory_image {
    struct index_writer writer; /* first */
    struct index_image image;
    struct index_section sections[PARTS_MAX];
    struct buf bytes[PARTS_MAX];
    void *aligned[PARTS_MAX];
};

static int begin_section(struct index_writer *w, uint32_t kind, uint32_t element_bytes,
                         uint64_t number, struct error *err)
{
    struct memory_image *m = (struct memory_image *)w;
    (void)err;
    assert_in_range(m->image.section_count, 0, PARTS_MAX - 1);
    m->sections[m->image.section_count] =
        (struct index_section){.kind = kind, .element_bytes = element_bytes, .number = number};
    return 0;
}

static int write_section(struct index_writer *w, const void *data, size_t bytes, struct error *err)
{
    struct memory_image *m = (struct memory_image *)w;
    (void)err;
    buf_append(&m->bytes[m->image.section_count], data, bytes);
    return 0;
}

static int end_section(struct index_writer *w, struct error *err)
{
    struct memory_image *m = (struct memory_image *)w;
    size_t i = m->image.section_count++;
    struct index_section *s = &m->sections[i];
    (void)err;
    s->bytes = m->bytes[i].size;
    m->aligned[i] = aligned_alloc(64, (m->bytes[i].size + 127) / 64 * 64);
    assert_non_null(m->aligned[i]);
    memcpy(m->aligned[i], m->bytes[i].data, m->bytes[i].size);
    s->data = m->aligned[i];
    return 0;
}

static void image_init(struct memory_image *m)
{
    *m = (struct memory_image){.writer = {begin_section, write_section, end_section}};
    m->image.sections = m->sections;
    for (size_t i = 0; i < PARTS_MAX; i++) buf_init(&m->bytes[i], alloc_libc(), MEM_GENERAL);
}

static void image_deinit(struct memory_image *m)
{
    for (size_t i = 0; i < PARTS_MAX; i++) {
        buf_deinit(&m->bytes[i]);
        free(m->aligned[i]);
    }
}

struct fixture {
    struct vector_source vectors; /* first */
    struct simd_kernels kernels;
    enum metric metric;
    struct quantizer_spec spec;
    struct memory_image image;
    struct index *index;
    float values[ROWS * DIM], norms[ROWS], queries[QUERIES * DIM];
    uint64_t shut[ROWS / 64 + 1];
};

static struct fixture *fixture;

static int vectors_of(const struct vector_source *s, uint32_t row, uint32_t row_max,
                      struct vector_run *out, struct error *err)
{
    const struct fixture *t = (const struct fixture *)s;
    (void)err;
    *out = (struct vector_run){t->values + (size_t)row * DIM, t->norms + row, row_max};
    return 0;
}

/* Of few dimensions that matter, lifted to many, and off the origin; queries likewise. */
static void draw_vectors(struct fixture *t, uint64_t seed)
{
    enum { LATENT = 16 };
    static float lift[LATENT * DIM];
    struct rng r;
    rng_init(&r, seed);
    for (size_t i = 0; i < LATENT * DIM; i++) lift[i] = rng_normal(&r);
    for (size_t row = 0; row < ROWS + QUERIES; row++) {
        float *to = row < ROWS ? t->values + row * DIM : t->queries + (row - ROWS) * DIM;
        float latent[LATENT];
        for (size_t j = 0; j < LATENT; j++) latent[j] = rng_normal(&r);
        for (size_t i = 0; i < DIM; i++) {
            to[i] = 1 + 0.3f * rng_normal(&r);
            for (size_t j = 0; j < LATENT; j++) to[i] += latent[j] * lift[j * DIM + i];
        }
    }
    for (size_t i = 0; i < DIM; i++) {
        t->values[7 * DIM + i] = 0;
        t->values[8 * DIM + i] = 1e18f * (i % 2 ? 1.0f : -0.3f);
    }
    for (size_t row = 0; row < ROWS; row++)
        t->norms[row] = dense_norm_f32(&t->kernels, t->values + row * DIM, DIM);
    t->vectors = (struct vector_source){.run = vectors_of, .dim = DIM};
}

/* Pieces in an order drawn from a seed; 0: their own. */
static int build(struct fixture *t, struct alloc *a, uint64_t order, struct memory_image *image,
                 struct error *err)
{
    const struct index_build_ops *ops = index_flat.build;
    struct index_params params;
    struct index_build *b = NULL;
    struct rng r;
    struct index_build_desc desc = {
        .alloc = a,
        .kernels = &t->kernels,
        .vectors = &t->vectors,
        .params = &params,
        .quantizer = t->spec,
        .metric = t->metric,
        .row_count = ROWS,
        .seed = 99,
    };
    index_params_init(&index_flat, &params);
    rng_init(&r, order);
    int rc = ops->create(&desc, &b, err);
    while (rc == 0 && ops->piece_count(b) > 0) {
        uint32_t count = ops->piece_count(b), first = order ? (uint32_t)rng_below(&r, count) : 0;
        for (uint32_t i = 0; rc == 0 && i < count; i++) rc = ops->run(b, (first + i) % count, err);
        if (rc == 0) rc = ops->turn(b, err);
    }
    if (rc == 0) assert_true(ops->progress(b) == 1);
    if (rc == 0) rc = ops->save(b, &image->writer, err);
    ops->destroy(b);
    return rc;
}

static int open_index(struct fixture *t, struct alloc *a, struct error *err)
{
    struct index_params params;
    struct index_open_desc desc = {
        .alloc = a,
        .kernels = &t->kernels,
        .image = &t->image.image,
        .params = &params,
        .metric = t->metric,
        .dim = DIM,
        .row_count = ROWS,
    };
    index_params_init(&index_flat, &params);
    t->index = NULL;
    return index_flat.open(&desc, &t->index, err);
}

static void set_up(struct fixture *t, struct quantizer_spec spec, enum metric metric)
{
    struct error err = {0};
    t->spec = spec;
    t->metric = metric;
    image_init(&t->image);
    assert_ok(build(t, alloc_libc(), 0, &t->image, &err), &err);
    assert_ok(open_index(t, alloc_libc(), &err), &err);
}

static void tear_down(struct fixture *t)
{
    index_flat.close(t->index);
    image_deinit(&t->image);
}

static uint64_t shut_word(void *ctx, uint32_t row)
{
    return ((const uint64_t *)ctx)[row / 64];
}

/* What is found of rows [first, end), by codes or by a scan of everything. */
static void search(struct fixture *t, bool by_codes, size_t query, const struct index_gate *gate,
                   uint32_t first, uint32_t end, struct topk *best)
{
    static _Alignas(64) uint8_t memory[ROOM], object[ROOM];
    struct index_options options = {0};
    struct error err = {0};
    const float *vector = t->queries + query * DIM;
    struct oracle_desc desc = {
        .kernels = &t->kernels,
        .query = {vector, dense_norm_f32(&t->kernels, vector, DIM)},
        .vectors = &t->vectors,
        .metric = t->metric,
    };
    assert_true(index_flat.oracle_bytes(t->index, DIM) <= ROOM);
    assert_true(index_flat.search_bytes(t->index, &options, K, 1) <= ROOM);
    struct oracle *o = by_codes ? index_flat.oracle_init(t->index, memory, &desc)
                                : quantizer_raw.oracle_init(memory, &desc);
    struct index_query q = {o, o, best, INFINITY};
    struct index_search_desc search_desc = {
        .index = t->index,
        .queries = &q,
        .query_count = 1,
        .gate = *gate,
        .row_first = first,
        .row_end = end,
    };
    enum index_state state = INDEX_MORE;
    index_flat.begin(object, &search_desc);
    while (state == INDEX_MORE) state = index_flat.advance(object, 100, &err);
    assert_int_equal(state, INDEX_DONE);
    topk_sort(best);
}

/* How many of what a scan finds codes find too; their distances are the same bits. */
static size_t compare(struct fixture *t, size_t query, const struct index_gate *gate,
                      uint32_t first, uint32_t end)
{
    struct candidate found_memory[K], all_memory[K];
    struct topk found, all;
    size_t same = 0;
    topk_init_at(&found, found_memory, K, topk_lower_row, NULL);
    topk_init_at(&all, all_memory, K, topk_lower_row, NULL);
    search(t, true, query, gate, first, end, &found);
    search(t, false, query, gate, first, end, &all);
    assert_int_equal(found.count, all.count);
    for (size_t i = 0; i < found.count; i++) {
        assert_in_range(found.heap[i].row, first, end - 1);
        if (gate->shut_word) {
            uint32_t row = found.heap[i].row;
            assert_false(t->shut[row / 64] >> (row % 64) & 1);
        }
        for (size_t j = 0; j < all.count; j++) {
            if (found.heap[i].row != all.heap[j].row) continue;
            same++;
            assert_memory_equal(&found.heap[i].distance, &all.heap[j].distance, sizeof(float));
        }
    }
    return same;
}

static void it_finds_what_a_scan_finds(void **state)
{
    struct fixture *t = fixture;
    struct index_gate open = {0};
    (void)state;
    for (size_t i = 0; i < SPEC_COUNT * 3; i++) {
        size_t same = 0;
        set_up(t, specs[i / 3], metrics[i % 3]);
        for (size_t q = 0; q < QUERIES; q++) same += compare(t, q, &open, 0, ROWS);
        if (same < QUERIES * K * 99 / 100)
            fail_msg("%s, metric %d: %zu of %d", quantizer_find(specs[i / 3].kind)->mode_word,
                     (int)metrics[i % 3], same, QUERIES * K);
        tear_down(t);
    }
}

static void parts_of_the_rows_and_gates_are_kept_to(void **state)
{
    struct fixture *t = fixture;
    struct rng r;
    (void)state;
    rng_init(&r, test_seed(31));
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        size_t same = 0, wanted = 0;
        set_up(t, specs[i], metrics[i % 3]);
        for (size_t q = 0; q < QUERIES; q++) {
            for (size_t w = 0; w < ROWS / 64 + 1; w++)
                t->shut[w] = q % 2 ? rng_u64(&r) : rng_u64(&r) | rng_u64(&r) | rng_u64(&r);
            struct index_gate gate = {
                .shut_word = shut_word, .ctx = t->shut, .comes_first = q % 3 == 0};
            uint32_t first = (uint32_t)rng_below(&r, 1000);
            uint32_t end = first + 500 + (uint32_t)rng_below(&r, ROWS - first - 500);
            same += compare(t, q, &gate, first, end);
            wanted += K;
        }
        assert_true(same >= wanted * 98 / 100);
        tear_down(t);
    }
}

static void any_order_of_pieces_gives_the_same_bytes(void **state)
{
    struct fixture *t = fixture;
    struct error err = {0};
    (void)state;
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        struct memory_image other;
        set_up(t, specs[i], metrics[i % 3]);
        image_init(&other);
        assert_ok(build(t, alloc_libc(), 5 + i, &other, &err), &err);
        assert_int_equal(other.image.section_count, t->image.image.section_count);
        for (size_t s = 0; s < other.image.section_count; s++) {
            assert_int_equal(other.sections[s].bytes, t->image.sections[s].bytes);
            assert_memory_equal(other.aligned[s], t->image.aligned[s], other.sections[s].bytes);
        }
        image_deinit(&other);
        tear_down(t);
    }
}

static void damaged_images_are_refused(void **state)
{
    struct fixture *t = fixture;
    struct error err = {0};
    (void)state;
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        set_up(t, specs[i], metrics[i % 3]);
        index_flat.close(t->index);
        for (size_t s = 0; s < t->image.image.section_count; s++) {
            struct index_section *section = &t->image.sections[s], kept = *section;
            section->kind = 70;
            assert_fails(open_index(t, alloc_libc(), &err), &err, LYNSE_CORRUPT);
            *section = kept;
            section->data = NULL;
            assert_fails(open_index(t, alloc_libc(), &err), &err, LYNSE_CORRUPT);
            *section = kept;
            section->bytes -= 1;
            assert_fails(open_index(t, alloc_libc(), &err), &err, LYNSE_CORRUPT);
            *section = kept;
        }
        static const uint64_t numbers[] = {QUANTIZER_RAW, QUANTIZER_SHADOWED, QUANTIZER_COUNT,
                                           UINT64_MAX};
        uint64_t kept = t->image.sections[0].number;
        for (size_t j = 0; j < 4; j++) {
            t->image.sections[0].number = numbers[j];
            assert_fails(open_index(t, alloc_libc(), &err), &err, LYNSE_CORRUPT);
        }
        t->image.sections[0].number = kept;
        assert_ok(open_index(t, alloc_libc(), &err), &err);
        tear_down(t);
    }
}

/* Whatever blocks hold, a search ends, and finds rows of the segment. */
static void nonsense_in_blocks_is_survived(void **state)
{
    struct fixture *t = fixture;
    struct index_gate open = {0};
    struct rng r;
    (void)state;
    rng_init(&r, test_seed(32));
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        set_up(t, specs[i], metrics[i % 3]);
        rng_bytes(&r, t->image.aligned[1], t->image.sections[1].bytes);
        for (size_t q = 0; q < 4; q++) {
            struct candidate memory[K];
            struct topk found;
            topk_init_at(&found, memory, K, topk_lower_row, NULL);
            search(t, true, q, &open, 0, ROWS, &found);
            for (size_t j = 0; j < found.count; j++) assert_true(found.heap[j].row < ROWS);
        }
        tear_down(t);
    }
}

/* Two queries from `query` on, ranked by codes, or scanned. */
static void search_two(struct fixture *t, bool by_codes, size_t query, float oversample,
                       uint64_t step, struct topk best[2])
{
    static _Alignas(64) uint8_t memory[2][2][ROOM], object[ROOM * 4];
    struct index_options options = {.oversample = oversample};
    struct index_query queries[2];
    struct error err = {0};
    enum index_state state = INDEX_MORE;

    for (size_t j = 0; j < 2; j++) {
        const float *vector = t->queries + (query + j) * DIM;
        struct oracle_desc desc = {
            .kernels = &t->kernels,
            .query = {vector, dense_norm_f32(&t->kernels, vector, DIM)},
            .vectors = &t->vectors,
            .metric = t->metric,
        };
        struct oracle *exact = quantizer_raw.oracle_init(memory[j][0], &desc);
        queries[j] = (struct index_query){exact, exact, &best[j], INFINITY};
        if (by_codes) queries[j].oracle = index_flat.oracle_init(t->index, memory[j][1], &desc);
    }
    struct index_search_desc desc = {.index = by_codes ? t->index : NULL,
                                     .queries = queries,
                                     .query_count = 2,
                                     .gate = {shut_word, t->shut, false},
                                     .options = options,
                                     .row_end = ROWS};
    assert_true(index_flat.search_bytes(t->index, &options, K, 2) <= sizeof object);
    index_flat.begin(object, &desc);
    while (state == INDEX_MORE) state = index_flat.advance(object, step, &err);
    assert_int_equal(state, INDEX_DONE);
    for (size_t j = 0; j < 2; j++) topk_sort(&best[j]);
}

/* How many of what a scan finds are found; in small steps the same as at once, and none that is
 * shut. */
static size_t compare_two(struct fixture *t, size_t query, float oversample)
{
    struct candidate kept[3][2][K];
    struct topk best[3][2]; /* in steps, at once, by a scan */
    size_t same = 0;

    for (size_t i = 0; i < 6; i++)
        topk_init_at(&best[i / 2][i % 2], kept[i / 2][i % 2], K, topk_lower_row, NULL);
    search_two(t, true, query, oversample, 1, best[0]);
    search_two(t, true, query, oversample, UINT64_MAX, best[1]);
    search_two(t, false, query, oversample, UINT64_MAX, best[2]);
    assert_memory_equal(kept[0], kept[1], sizeof kept[0]);
    for (size_t i = 0; i < 2 * K; i++) {
        const struct candidate *found = &kept[0][i / K][i % K];
        assert_int_not_equal(found->row / 64, 1);
        for (size_t j = 0; j < K; j++)
            same += memcmp(found, &kept[2][i / K][j], sizeof *found) == 0;
    }
    return same;
}

/* The more of the rows that codes rank, the more of the nearest; each by its exact distance. */
static void the_caller_may_say_how_many_are_measured(void **state)
{
    static const float oversamples[] = {1, 2.5f, 1000};
    struct fixture *t = fixture;
    (void)state;
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        size_t same[3] = {0};
        set_up(t, specs[i], metrics[i % 3]);
        memset(t->shut, 0, sizeof t->shut);
        t->shut[1] = UINT64_MAX;
        for (size_t o = 0; o < 3; o++)
            for (size_t q = 0; q < QUERIES; q += 2) same[o] += compare_two(t, q, oversamples[o]);
        assert_true(same[0] > QUERIES * K / 4 && same[0] <= same[1]);
        assert_int_equal(same[2], QUERIES * K); /* that is all rows */
        tear_down(t);
    }
}

/* So many lists of all rows at once would take 12 MB; each finds what it finds alone. */
static void many_queries_take_no_more_memory(void **state)
{
    enum { MANY = 401, ALL = 1000 };
    static _Alignas(64) uint8_t memory[QUERIES][2][ROOM];
    const struct index_options options = {.oversample = ALL};
    struct fixture *t = fixture;
    struct index_query queries[MANY];
    struct topk best[MANY];
    struct error err = {0};
    (void)state;
    set_up(t, specs[0], METRIC_L2);
    struct candidate *kept = malloc(sizeof *kept * MANY * K);
    size_t bytes = index_flat.search_bytes(t->index, &options, K, MANY);
    void *object = aligned_alloc(64, align_up(bytes, 64));
    assert_true(kept && object && bytes < 9 << 20);
    assert_true(index_flat.search_bytes(t->index, &options, K, 1000000) < 9 << 20);
    for (size_t i = 0; i < MANY; i++) {
        const float *vector = t->queries + i % QUERIES * DIM;
        struct oracle_desc desc = {
            .kernels = &t->kernels,
            .query = {vector, dense_norm_f32(&t->kernels, vector, DIM)},
            .vectors = &t->vectors,
            .metric = t->metric,
        };
        topk_init_at(&best[i], kept + i * K, K, topk_lower_row, NULL);
        queries[i] = (struct index_query){
            .oracle = index_flat.oracle_init(t->index, memory[i % QUERIES][0], &desc),
            .exact = quantizer_raw.oracle_init(memory[i % QUERIES][1], &desc),
            .best = &best[i],
            .distance_max = INFINITY,
        };
    }
    struct index_search_desc desc = {.index = t->index,
                                     .queries = queries,
                                     .query_count = MANY,
                                     .options = options,
                                     .row_end = ROWS};
    enum index_state found = INDEX_MORE;
    index_flat.begin(object, &desc);
    while (found == INDEX_MORE) found = index_flat.advance(object, 100000, &err);
    assert_int_equal(found, INDEX_DONE);
    for (size_t i = 0; i < MANY; i++) {
        topk_sort(&best[i]);
        assert_int_equal(best[i].count, K);
        assert_memory_equal(kept + i * K, kept + i % QUERIES * K, K * sizeof *kept);
    }
    free(object);
    free(kept);
    tear_down(t);
}

static int build_and_open(void *ctx, struct error *err)
{
    struct fixture *t = fixture;
    struct alloc *a = (struct alloc *)ctx;
    image_init(&t->image);
    int rc = build(t, a, 0, &t->image, err);
    if (rc == 0) rc = open_index(t, a, err);
    if (rc == 0) index_flat.close(t->index);
    image_deinit(&t->image);
    return rc;
}

static void without_memory_nothing_is_left(void **state)
{
    struct alloc *a = alloc_create(NULL, 0);
    (void)state;
    fixture->spec = specs[2];
    fixture->metric = METRIC_L2;
    oom_sweep(a, build_and_open, a);
    alloc_destroy(a);
}

static void it_says_what_it_can_be_built_with(void **state)
{
    (void)state;
    for (size_t m = 0; m < 3; m++) {
        const struct metric_info *metric = metric_find(metrics[m]);
        assert_true(index_flat.takes(metric, QUANTIZER_RAW));
        assert_false(index_flat.takes(metric, QUANTIZER_SHADOWED));
        for (size_t i = 0; i < SPEC_COUNT; i++)
            assert_true(index_flat.takes(metric, specs[i].kind));
    }
}

static int make_fixture(void **state)
{
    (void)state;
    fixture = calloc(1, sizeof *fixture);
    if (!fixture) return -1;
    fixture->kernels = *kernels_active();
    draw_vectors(fixture, 30);
    return 0;
}

static int drop_fixture(void **state)
{
    (void)state;
    free(fixture);
    return 0;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(it_finds_what_a_scan_finds),
    cmocka_unit_test(parts_of_the_rows_and_gates_are_kept_to),
    cmocka_unit_test(any_order_of_pieces_gives_the_same_bytes),
    cmocka_unit_test(damaged_images_are_refused),
    cmocka_unit_test(nonsense_in_blocks_is_survived),
    cmocka_unit_test(the_caller_may_say_how_many_are_measured),
    cmocka_unit_test(many_queries_take_no_more_memory),
    cmocka_unit_test(without_memory_nothing_is_left),
    cmocka_unit_test(it_says_what_it_can_be_built_with),
};

int main(void)
{
    return cmocka_run_group_tests_name(__FILE__, tests, make_fixture, drop_fixture);
}
