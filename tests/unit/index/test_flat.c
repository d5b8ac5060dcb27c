/* SPDX-License-Identifier: Apache-2.0 */
/* The flat scan over an oracle of invented distances: ranges, gates, steps and failures. */
#include <math.h>

#include "base/rng.h"
#include "index/index.h"
#include "support/test.h"

enum { ROWS = 5000, QUERIES = 6, QUERIES_MANY = 40, K = 40 };

struct test_oracle {
    struct oracle base; /* first */
    const float *distances;
    size_t scanned; /* rows asked for */
    size_t gathered;
    size_t gathers; /* calls */
    bool is_broken;
    float slack;         /* most that a bound is below its distance */
    uint32_t ready_rows; /* rows that can be told of, of every thousand */
    size_t nominated;
};

static int scan(struct oracle *base, uint32_t row, uint32_t row_count, float *out,
                struct error *err)
{
    struct test_oracle *o = (struct test_oracle *)base;
    if (o->is_broken) return error_set(err, LYNSE_IO, "cannot read");
    memcpy(out, o->distances + row, row_count * sizeof *out);
    o->scanned += row_count;
    return 0;
}

static int scan_block(struct oracle *const *oracles, size_t count, uint32_t row, uint32_t row_count,
                      float *const *out, struct error *err)
{
    assert_in_range(count, 1, ORACLE_BLOCK_MAX);
    for (size_t i = 0; i < count; i++)
        if (scan(oracles[i], row, row_count, out[i], err) != 0) return -1;
    return 0;
}

static int gather(struct oracle *base, const uint32_t *row_index, size_t index_count, float *out,
                  struct error *err)
{
    struct test_oracle *o = (struct test_oracle *)base;
    if (o->is_broken) return error_set(err, LYNSE_IO, "cannot read");
    for (size_t i = 0; i < index_count; i++) out[i] = o->distances[row_index[i]];
    o->gathered += index_count;
    o->gathers++;
    return 0;
}

static uint32_t ready(struct oracle *base, uint32_t row, uint32_t row_count)
{
    const struct test_oracle *o = (const struct test_oracle *)base;
    uint32_t left = row % 1000 < o->ready_rows ? o->ready_rows - row % 1000 : 0;
    return left < row_count ? left : row_count;
}

/* Now and then nothing is known. */
static void nominate(struct oracle *base, uint32_t row, uint32_t row_count, float *out)
{
    struct test_oracle *o = (struct test_oracle *)base;
    for (uint32_t i = 0; i < row_count; i++)
        out[i] = (row + i) % 97 == 5
                     ? -INFINITY
                     : o->distances[row + i] - o->slack * (float)((row + i) % 7) / 6;
    o->nominated += row_count;
}

enum { PACKED_ROWS = 333 };

/* What is packed is who it was packed by. */
static uint32_t pack(struct oracle *base, uint32_t row, uint32_t row_count, void *packed,
                     size_t bytes)
{
    uint32_t count = row_count < PACKED_ROWS ? row_count : PACKED_ROWS;
    uint32_t what[] = {row, count};
    assert_true(bytes >= 1024);
    assert_int_equal((uintptr_t)packed % 64, 0);
    assert_in_range(row_count, 1, ready(base, row, row_count));
    memset(packed, 0xee, bytes);
    memcpy(packed, what, sizeof what);
    return count;
}

static void nominate_packed(struct oracle *const *oracles, size_t count, const void *packed,
                            uint32_t row, uint32_t row_count, float *const *out)
{
    const uint32_t what[] = {row, row_count};
    assert_in_range(count, 1, ORACLE_BLOCK_MAX);
    assert_memory_equal(packed, what, sizeof what);
    for (size_t i = 0; i < count; i++) nominate(oracles[i], row, row_count, out[i]);
}

static int by_row(void *ctx, const struct candidate *a, const struct candidate *b)
{
    (void)ctx;
    return a->row < b->row ? -1 : a->row > b->row;
}

struct fixture {
    float distances[QUERIES_MANY][ROWS];
    uint64_t shut[ROWS / 64 + 1];
    struct test_oracle oracles[QUERIES_MANY];
    struct topk best[QUERIES_MANY];
    struct index_query queries[QUERIES_MANY];
    struct index_search_desc desc;
    void *search;
};

static uint64_t shut_word(void *ctx, uint32_t row)
{
    assert_int_equal(row % 64, 0);
    return ((const uint64_t *)ctx)[row / 64];
}

/* Distances 0 to 999, each several times; a row in five is shut. */
static void set_up(struct fixture *f, uint64_t seed, size_t query_count, uint32_t row_bytes)
{
    static const struct oracle_ops ops = {.scan = scan, .scan_block = scan_block, .gather = gather};
    struct rng r;
    rng_init(&r, seed);
    memset(f, 0, sizeof *f);
    for (size_t i = 0; i < ROWS; i++)
        if (rng_chance(&r, 0.2)) f->shut[i / 64] |= 1ull << (i % 64);
    for (size_t q = 0; q < query_count; q++) {
        for (size_t i = 0; i < ROWS; i++) f->distances[q][i] = (float)rng_below(&r, 1000);
        f->oracles[q] =
            (struct test_oracle){.base = {&ops, row_bytes}, .distances = f->distances[q]};
        assert_int_equal(topk_init(&f->best[q], alloc_libc(), K, by_row, NULL), 0);
        f->queries[q] = (struct index_query){.oracle = &f->oracles[q].base,
                                             .exact = &f->oracles[q].base,
                                             .best = &f->best[q],
                                             .distance_max = INFINITY};
    }
    f->desc = (struct index_search_desc){
        .queries = f->queries,
        .query_count = query_count,
        .gate = {shut_word, f->shut, false},
        .part = 3,
        .row_end = ROWS,
    };
    for (size_t q = 0; q < query_count; q++) f->oracles[q].ready_rows = 1000;
    static const struct index_options none = {0};
    size_t bytes = index_flat.search_bytes(NULL, &none, 0, query_count);
    f->search = mem_alloc_aligned(alloc_libc(), MEM_SEARCH, bytes, 64);
    assert_non_null(f->search);
}

static void tear_down(struct fixture *f)
{
    for (size_t q = 0; q < f->desc.query_count; q++) topk_deinit(&f->best[q]);
    mem_free(alloc_libc(), f->search);
}

static void check_lists(struct fixture *f)
{
    struct topk expected;
    assert_int_equal(topk_init(&expected, alloc_libc(), K, by_row, NULL), 0);
    for (size_t q = 0; q < f->desc.query_count; q++) {
        for (uint32_t row = f->desc.row_first; row < f->desc.row_end; row++) {
            bool is_shut = f->desc.gate.shut_word && (f->shut[row / 64] >> (row % 64) & 1);
            if (!is_shut && f->distances[q][row] <= f->queries[q].distance_max)
                topk_push(&expected, f->distances[q][row], 3, row);
        }
        topk_sort(&expected);
        topk_sort(&f->best[q]);
        assert_int_equal(f->best[q].count, expected.count);
        assert_memory_equal(f->best[q].heap, expected.heap,
                            expected.count * sizeof(struct candidate));
        topk_clear(&expected);
    }
    topk_deinit(&expected);
}

static void run_to_the_end(struct fixture *f)
{
    struct error err = {0};
    index_flat.begin(f->search, &f->desc);
    assert_int_equal(index_flat.advance(f->search, UINT64_MAX, &err), INDEX_DONE);
    check_lists(f);
}

static void every_open_row_is_considered(void **state)
{
    (void)state;
    static struct fixture f;
    for (size_t query_count = 1; query_count <= QUERIES; query_count++) {
        set_up(&f, 1, query_count, 512);
        run_to_the_end(&f);
        for (size_t q = 0; q < query_count; q++) assert_int_equal(f.oracles[q].scanned, ROWS);
        tear_down(&f);
    }
    set_up(&f, 2, 1, 512);
    f.desc.gate = (struct index_gate){0};
    run_to_the_end(&f);
    tear_down(&f);
}

/* A gate that comes first: few open rows are read alone, shut blocks not at all. */
static void a_gate_that_comes_first_saves_reading(void **state)
{
    (void)state;
    static struct fixture f;
    const double shut[] = {0, 0.5, 0.9, 0.999, 1};
    for (size_t i = 0; i < 5; i++) {
        struct rng r;
        size_t open_count = 0;
        set_up(&f, 20 + i, 2, 512);
        rng_init(&r, i);
        memset(f.shut, 0, sizeof f.shut);
        for (size_t row = 0; row < ROWS; row++) {
            if (rng_chance(&r, shut[i]) || (row < 1024 && i > 0))
                f.shut[row / 64] |= 1ull << (row % 64);
            else if (row >= 77 && row < 4998) open_count++;
        }
        f.desc.gate.comes_first = true;
        f.desc.row_first = 77;
        f.desc.row_end = 4998;
        run_to_the_end(&f);
        /* No block lies across row 1,024, before which all are shut. */
        assert_int_equal(f.oracles[1].scanned, i == 0 ? 4998 - 77 : i == 1 ? 4998 - 1024 : 0);
        if (i < 2) assert_int_equal(f.oracles[1].gathered, 0);
        if (i > 1) assert_int_equal(f.oracles[1].gathered, open_count);
        tear_down(&f);
    }
}

/* Few rows that somebody has counted are read together, wherever they are. */
static void few_open_rows_share_a_block(void **state)
{
    (void)state;
    static struct fixture f;
    for (int has_bits = 0; has_bits < 2; has_bits++) {
        uint64_t open[ROWS / 64 + 1] = {0};
        set_up(&f, 40, 2, 512);
        memset(f.shut, 0xff, sizeof f.shut);
        for (uint32_t row = 40; row < 4998; row += 71) {
            f.shut[row / 64] &= ~(1ull << (row % 64));
            open[row / 64] |= 1ull << (row % 64);
            f.desc.gate.open_count++;
        }
        f.desc.gate.comes_first = true;
        f.desc.gate.open_bits = has_bits ? open : NULL;
        f.desc.row_first = 41;
        run_to_the_end(&f);
        assert_int_equal(f.oracles[1].gathered, f.desc.gate.open_count - 1);
        assert_int_equal(f.oracles[1].gathers, 1);
        assert_int_equal(f.oracles[1].scanned, 0);
        tear_down(&f);
    }
}

static void only_the_range_is_looked_at(void **state)
{
    (void)state;
    static struct fixture f;
    const uint32_t ranges[][2] = {{0, 0}, {0, 1}, {63, 65}, {1000, 1031}, {77, 4999}, {5000, 5000}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        set_up(&f, 3, 2, 512);
        f.desc.row_first = ranges[i][0];
        f.desc.row_end = ranges[i][1];
        run_to_the_end(&f);
        assert_int_equal(f.oracles[1].scanned, ranges[i][1] - ranges[i][0]);
        tear_down(&f);
    }
}

static void what_is_too_far_is_left_out(void **state)
{
    (void)state;
    static struct fixture f;
    set_up(&f, 4, 2, 512);
    f.queries[0].distance_max = 5; /* some 20 rows */
    f.queries[1].distance_max = -1;
    run_to_the_end(&f);
    assert_in_range(f.best[0].count, 1, K);
    assert_int_equal(f.best[1].count, 0);
    tear_down(&f);
}

static void steps_are_short_and_add_up(void **state)
{
    (void)state;
    static struct fixture f;
    const uint32_t row_bytes[] = {4, 3072, 131072};
    for (size_t i = 0; i < 3; i++) {
        struct error err = {0};
        enum index_state found;
        size_t before = 0;
        set_up(&f, 5, QUERIES, row_bytes[i]);
        index_flat.begin(f.search, &f.desc);
        do {
            found = index_flat.advance(f.search, 1, &err);
            size_t scanned = 0;
            for (size_t q = 0; q < QUERIES; q++) scanned += f.oracles[q].scanned;
            /* One block of one query. */
            assert_in_range(scanned - before, 1, 1024);
            assert_true((scanned - before) * row_bytes[i] <= 1 << 20);
            before = scanned;
        } while (found == INDEX_MORE);
        assert_int_equal(found, INDEX_DONE);
        assert_int_equal(before, QUERIES * ROWS);
        check_lists(&f);
        tear_down(&f);
    }
}

static void a_failing_oracle_fails_the_search(void **state)
{
    (void)state;
    static struct fixture f;
    struct error err = {0};
    set_up(&f, 6, 2, 512);
    f.oracles[1].is_broken = true;
    index_flat.begin(f.search, &f.desc);
    assert_int_equal(index_flat.advance(f.search, UINT64_MAX, &err), INDEX_FAILED);
    assert_fails(-1, &err, LYNSE_IO);
    tear_down(&f);
}

/* ---- Oracles that nominate ---- */

static void let_nominate(struct fixture *f, float slack)
{
    static const struct oracle_ops ops = {.scan = scan,
                                          .scan_block = scan_block,
                                          .gather = gather,
                                          .ready = ready,
                                          .nominate = nominate};
    for (size_t q = 0; q < f->desc.query_count; q++) {
        f->oracles[q].base.ops = &ops;
        f->oracles[q].slack = slack;
    }
}

/* Whatever the bounds say, the lists are the same; exact bounds spare nearly all distances. */
static void bounds_spare_distances(void **state)
{
    (void)state;
    static struct fixture f;
    const float slacks[] = {0, 3, 50, 2000, INFINITY};
    for (size_t i = 0; i < 5 * QUERIES; i++) {
        size_t query_count = i / 5 + 1;
        set_up(&f, 40 + i, query_count, 1024);
        let_nominate(&f, slacks[i % 5]);
        run_to_the_end(&f);
        for (size_t q = 0; q < query_count; q++) {
            const struct test_oracle *o = &f.oracles[q];
            if (i % 5 > 2) continue;
            assert_int_equal(o->nominated, ROWS);
            assert_int_equal(o->scanned, 0);
            assert_true(o->gathered <= (i % 5 < 2 ? 450 : 1300));
        }
        tear_down(&f);
    }
}

/* Bounds that spare nothing are soon no longer asked for. */
static void useless_bounds_are_left_alone(void **state)
{
    (void)state;
    static struct fixture f;
    set_up(&f, 60, 2, 4096);
    let_nominate(&f, INFINITY);
    run_to_the_end(&f);
    assert_true(f.oracles[0].nominated < ROWS / 2);
    assert_true(f.oracles[0].scanned >= ROWS);
    tear_down(&f);
}

static void rows_that_cannot_be_told_of_are_scanned(void **state)
{
    (void)state;
    static struct fixture f;
    const uint32_t ready_rows[] = {0, 1, 100, 333, 999};
    for (size_t i = 0; i < 5; i++) {
        for (size_t query_count = 1; query_count <= QUERIES; query_count += 2) {
            set_up(&f, 70 + i, query_count, 1024);
            let_nominate(&f, 3);
            for (size_t q = 0; q < query_count; q++) f.oracles[q].ready_rows = ready_rows[i];
            f.desc.row_first = 50;
            run_to_the_end(&f);
            assert_true(f.oracles[0].scanned + f.oracles[0].nominated >= ROWS - 50);
            if (ready_rows[i] == 0) assert_int_equal(f.oracles[0].nominated, 0);
            tear_down(&f);
        }
    }
}

static void bounds_serve_gates_and_ranges(void **state)
{
    (void)state;
    static struct fixture f;
    for (int i = 0; i < 6; i++) {
        set_up(&f, 80 + (uint64_t)i, 3, 1024);
        let_nominate(&f, 3);
        f.desc.gate.comes_first = i % 2 != 0;
        if (i >= 2) f.queries[0].distance_max = 5;
        if (i >= 4) f.desc.gate = (struct index_gate){0};
        f.queries[1].distance_max = -1;
        run_to_the_end(&f);
        assert_int_equal(f.oracles[2].scanned, 0);
        tear_down(&f);
    }
}

/* Many queries have their block packed, where that can be done, and find the same. */
static void a_block_is_packed_for_many_queries(void **state)
{
    (void)state;
    static struct fixture f;
    static const struct oracle_ops ops = {.scan = scan,
                                          .scan_block = scan_block,
                                          .gather = gather,
                                          .ready = ready,
                                          .nominate = nominate,
                                          .pack = pack,
                                          .nominate_packed = nominate_packed};
    for (int i = 0; i < 8; i++) {
        size_t query_count = i % 2 ? QUERIES_MANY : QUERIES_MANY - 3;
        set_up(&f, 110 + (uint64_t)i, query_count, 1024);
        let_nominate(&f, i < 6 ? 3 : INFINITY);
        for (size_t q = 0; q < query_count; q++) {
            f.oracles[q].base.ops = &ops;
            if (i == 5) f.oracles[q].ready_rows = 400;
        }
        f.desc.gate.comes_first = i == 3;
        if (i == 4) f.queries[2].distance_max = 5;
        run_to_the_end(&f);
        if (i < 5) assert_int_equal(f.oracles[query_count - 1].nominated, ROWS);
        if (i < 5) assert_int_equal(f.oracles[query_count - 1].scanned, 0);
        tear_down(&f);
    }
}

/* The other way round than rows are met, so that a tie has to be looked at. */
static int by_row_backwards(void *ctx, const struct candidate *a, const struct candidate *b)
{
    return by_row(ctx, b, a);
}

/* Lists longer than a block, and as short as can be. */
static void bounds_serve_lists_of_any_length(void **state)
{
    (void)state;
    static struct fixture f;
    static struct candidate heap[6000];
    const size_t ks[] = {1, 2, 128, 129, 700, 6000};
    for (size_t i = 0; i < 12; i++) {
        struct topk expected;
        set_up(&f, 90 + i, 1, 1024);
        let_nominate(&f, i % 2 ? 20 : 0);
        topk_deinit(&f.best[0]);
        assert_int_equal(topk_init(&f.best[0], alloc_libc(), ks[i / 2], by_row_backwards, NULL), 0);
        topk_init_at(&expected, heap, ks[i / 2], by_row_backwards, NULL);
        for (uint32_t row = 0; row < ROWS; row++)
            if (!(f.shut[row / 64] >> (row % 64) & 1))
                topk_push(&expected, f.distances[0][row], 3, row);
        struct error err = {0};
        index_flat.begin(f.search, &f.desc);
        assert_int_equal(index_flat.advance(f.search, UINT64_MAX, &err), INDEX_DONE);
        topk_sort(&expected);
        topk_sort(&f.best[0]);
        assert_int_equal(f.best[0].count, expected.count);
        assert_memory_equal(f.best[0].heap, expected.heap,
                            expected.count * sizeof(struct candidate));
        tear_down(&f);
    }
}

static void sifting_goes_in_steps_and_may_fail(void **state)
{
    (void)state;
    static struct fixture f;
    struct error err = {0};
    enum index_state found;
    set_up(&f, 100, QUERIES, 3072);
    let_nominate(&f, 3);
    index_flat.begin(f.search, &f.desc);
    do {
        size_t before = 0, after = 0;
        for (size_t q = 0; q < QUERIES; q++) before += f.oracles[q].nominated;
        found = index_flat.advance(f.search, 1, &err);
        for (size_t q = 0; q < QUERIES; q++) after += f.oracles[q].nominated;
        assert_true(after - before <= (1 << 20) / 3072); /* one query's block */
    } while (found == INDEX_MORE);
    assert_int_equal(found, INDEX_DONE);
    check_lists(&f);
    tear_down(&f);
    set_up(&f, 101, 1, 512);
    let_nominate(&f, 3);
    f.oracles[0].is_broken = true;
    index_flat.begin(f.search, &f.desc);
    assert_int_equal(index_flat.advance(f.search, UINT64_MAX, &err), INDEX_FAILED);
    assert_fails(-1, &err, LYNSE_IO);
    tear_down(&f);
}

static void kinds_are_found_by_number_and_name(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= INDEX_KIND_MAX; i++) {
        const struct index_vtab *v = index_find(i);
        if (v) assert_int_equal(index_find_name(v->name, strlen(v->name)), i);
    }
    assert_ptr_equal(index_find(INDEX_FLAT), &index_flat);
    assert_int_equal(INDEX_FLAT, 1); /* docs/FORMAT.md */
    assert_int_equal(index_find_name("FLAT-IP", 4), INDEX_FLAT);
    assert_null(index_find(INDEX_NONE));
    assert_null(index_find(INDEX_KIND_MAX + 1));
    assert_int_equal(index_find_name("", 0), INDEX_NONE);
    assert_int_equal(index_find_name("flatter", 7), INDEX_NONE);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_open_row_is_considered),
    cmocka_unit_test(a_gate_that_comes_first_saves_reading),
    cmocka_unit_test(few_open_rows_share_a_block),
    cmocka_unit_test(only_the_range_is_looked_at),
    cmocka_unit_test(what_is_too_far_is_left_out),
    cmocka_unit_test(steps_are_short_and_add_up),
    cmocka_unit_test(a_failing_oracle_fails_the_search),
    cmocka_unit_test(bounds_spare_distances),
    cmocka_unit_test(useless_bounds_are_left_alone),
    cmocka_unit_test(rows_that_cannot_be_told_of_are_scanned),
    cmocka_unit_test(bounds_serve_gates_and_ranges),
    cmocka_unit_test(a_block_is_packed_for_many_queries),
    cmocka_unit_test(bounds_serve_lists_of_any_length),
    cmocka_unit_test(sifting_goes_in_steps_and_may_fail),
    cmocka_unit_test(kinds_are_found_by_number_and_name),
};
TEST_MAIN(tests)
