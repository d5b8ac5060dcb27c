/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs on the disk: found by reads, the same however they are read and cut, within their memory,
 * refused when damaged, whenever that is seen. */
#include <math.h>

#include "base/hash.h"
#include "base/limits.h"
#include "index/diskann.h"
#include "quant/narrow_rows.h"
#include "support/index_on_disk.h"
#include "support/oom_sweep.h"
#include "support/test.h"

/* Fewer in builds with tiny limits: there a sanitizer looks at each step. */
enum { MANY = SEAL_ROWS > 1000 ? 4000 : 1500 };

struct setting {
    uint32_t rows, dim, groups;
    double r, l;
    unsigned metric;
    struct quantizer_spec quantizer;
    double memory;
};

static struct index_build_desc desc_of(const struct setting *s, struct alloc *a,
                                       const struct test_vectors *v, struct index_params *params)
{
    index_params_init(&index_diskann, params);
    params->values[DISKANN_MEMORY] = s->memory;
    if (s->r > 0) params->values[DISKANN_R] = s->r;
    if (s->l > 0) params->values[DISKANN_L] = s->l;
    return (struct index_build_desc){.alloc = a,
                                     .kernels = kernels_active(),
                                     .vectors = &v->source,
                                     .params = params,
                                     .quantizer = s->quantizer,
                                     .metric = (enum metric)s->metric,
                                     .row_count = v->row_count,
                                     .seed = 9};
}

static void build(const struct setting *s, const struct test_vectors *v, enum piece_order order,
                  struct built_index *out)
{
    struct index_params params;
    struct error err = {0};
    struct index_build_desc desc = desc_of(s, alloc_libc(), v, &params);
    assert_ok(built_index_make(out, &index_diskann, &desc, order, &err), &err);
}

/* Rows and an index of them. */
static void set_up(const struct setting *s, uint64_t seed, struct test_vectors *v,
                   struct built_index *b)
{
    struct rng r;
    rng_init(&r, seed);
    test_vectors_make(v, &r, s->rows, s->dim, s->groups);
    build(s, v, PIECES_FORWARDS, b);
}

static void tear_down(struct test_vectors *v, struct built_index *b)
{
    built_index_drop(b);
    test_vectors_drop(v);
}

enum { QUERIES = 50, K = 10 };

static uint8_t *bytes_of(struct built_index *b, uint32_t kind)
{
    return (uint8_t *)(uintptr_t)built_index_section(b, kind)->data;
}

static void most_of_the_nearest_are_found(void **state)
{
    (void)state;
    const struct setting settings[] = {
        {MANY, 96, 40, 0, 0, METRIC_L2, {0}, 0},
        {MANY, 96, 40, 0, 0, METRIC_IP, {0}, 0},
        {MANY, 65, 40, 0, 0, METRIC_COSINE, {0}, 0},
        {MANY, 3, 40, 9, 40, METRIC_L2, {0}, 0},
        {MANY, 96, 40, 64, 40, METRIC_L2, {0}, 1},
        {MANY, 96, 40, 0, 0, METRIC_L2, {QUANTIZER_SQ8, 0}, 0},
        {MANY, 100, 40, 0, 0, METRIC_COSINE, {QUANTIZER_RABITQ, 1}, 0},
        {2100, 4200, 40, 0, 0, METRIC_L2, {QUANTIZER_RABITQ, 2}, 0}, /* pages of one node */
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct test_vectors v;
        struct built_index b;
        struct error err = {0};
        if (settings[i].dim > 1000 && SEAL_ROWS < 1000) continue;
        set_up(&settings[i], test_seed(i + 1), &v, &b);
        double recall = built_index_recall(&b, 80);
        if (recall < 0.95) fail_msg("setting %zu: recall %.3f", i, recall);
        assert_ok(index_diskann.check(b.index, &v.source, &err), &err);
        tear_down(&v, &b);
    }
}

/* Found and exact distances of the same row are the same bits. */
static void assert_same_distances(const struct built_index *b)
{
    struct topk *found = built_lists_make(QUERIES, K), *truth = built_lists_make(QUERIES, K);
    struct error err = {0};
    size_t compared = 0;
    float *queries = test_queries_make(b->vectors, QUERIES);
    struct built_search search = {
        .queries = queries, .query_count = QUERIES, .k = K, .distance_max = INFINITY};
    assert_int_equal(built_index_search(b, &search, found, &err), INDEX_DONE);
    search.is_exact = true;
    assert_int_equal(built_index_search(b, &search, truth, &err), INDEX_DONE);
    for (size_t i = 0; i < (size_t)QUERIES * K * K; i++) {
        const struct candidate *a = &found[i / (K * K)].heap[i / K % K];
        const struct candidate *exact = &truth[i / (K * K)].heap[i % K];
        if (a->row != exact->row) continue;
        assert_memory_equal(&a->distance, &exact->distance, sizeof a->distance);
        compared++;
    }
    assert_in_range(compared, QUERIES * K * 3 / 4, QUERIES * K);
    mem_free(alloc_libc(), found);
    mem_free(alloc_libc(), truth);
    free(queries);
}

/* What was numbers of fewer bits before is kept as such, and one that was not makes all floats. */
static void pages_hold_the_narrowest_numbers(void **state)
{
    (void)state;
    const struct {
        unsigned metric, storage;
        float factor;
    } cases[] = {
        {METRIC_L2, STORAGE_U8, 60},
        {METRIC_IP, STORAGE_I8, 60},
        {METRIC_COSINE, STORAGE_F16, 1},
        {METRIC_L2, STORAGE_BF16, 1e9f},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct setting s = {1100, 67, 10, 16, 40, cases[i].metric, {0}, 0};
        struct test_vectors v;
        struct built_index b;
        struct error err = {0};
        struct rng r;
        size_t count = (size_t)s.rows * s.dim;
        rng_init(&r, i);
        test_vectors_make(&v, &r, s.rows, s.dim, s.groups);
        for (size_t j = 0; j < count; j++) {
            float value = v.vectors[j] * cases[i].factor;
            if (cases[i].storage == STORAGE_U8) value = fminf(fabsf(value), 255);
            if (cases[i].storage == STORAGE_I8) value = fmaxf(fminf(value, 127), -128);
            v.vectors[j] = value;
        }
        assert_ok(storage_round(kernels_active(), cases[i].storage, v.vectors, s.rows, s.dim, &err),
                  &err);
        test_vectors_measure(&v);
        for (unsigned is_mixed = 0; is_mixed < 2; is_mixed++) {
            if (is_mixed) v.vectors[count - 1] = 0.1f;
            test_vectors_measure(&v);
            build(&s, &v, PIECES_FORWARDS, &b);
            const struct diskann *d = (const struct diskann *)b.index;
            assert_int_equal(d->layout.storage, is_mixed ? STORAGE_F32 : cases[i].storage);
            assert_ok(index_diskann.check(b.index, &v.source, &err), &err);
            assert_same_distances(&b);
            built_index_drop(&b);
        }
        test_vectors_drop(&v);
    }
}

/* Pieces in any order, vectors at one place or in runs. */
static void a_build_has_one_result(void **state)
{
    (void)state;
    const struct setting settings[] = {
        {3000, 70, 10, 8, 40, METRIC_COSINE, {0}, 0},
        {1000, 8, 10, 8, 40, METRIC_IP, {QUANTIZER_SQ8, 0}, 0},
    };
    for (size_t i = 0; i < 2; i++) {
        struct test_vectors v;
        struct index_params params;
        struct rng r;
        rng_init(&r, 4);
        test_vectors_make(&v, &r, settings[i].rows, settings[i].dim, settings[i].groups);
        struct index_build_desc desc = desc_of(&settings[i], alloc_libc(), &v, &params);
        assert_one_result(&index_diskann, &desc, &v);
        test_vectors_drop(&v);
    }
}

/* From a row alone, over sizes at which a level or a page comes, to rows that are all alike. */
static void graphs_of_any_size_are_whole(void **state)
{
    (void)state;
    const uint32_t sizes[] = {1, 2, 3, 5, 16, 17, 127, 128, 129, 300, 1500};
    for (size_t i = 0; i < 3 * sizeof sizes / sizeof *sizes; i++) {
        struct setting s = {sizes[i / 3], i % 2 ? 64 : 4, 0, i % 3 ? 4 : 32, 16, METRIC_L2, {0}, 0};
        struct test_vectors v;
        struct built_index b;
        struct error err = {0};
        struct rng r;
        rng_init(&r, i);
        test_vectors_make(&v, &r, s.rows, s.dim, 0);
        if (i % 3 == 2)
            for (size_t j = 0; j < (size_t)s.rows * s.dim; j++) v.vectors[j] = 0.25f;
        test_vectors_measure(&v);
        build(&s, &v, PIECES_FORWARDS, &b);
        assert_ok(index_diskann.check(b.index, &v.source, &err), &err);
        tear_down(&v, &b);
    }
}

/* Values at the ends of what a float can be. */
static void extreme_vectors_are_rows_too(void **state)
{
    (void)state;
    const float sizes[] = {0, 1e-30f, 1e-20f, 1, 1e18f, 3e38f};
    for (unsigned metric = METRIC_IP; metric <= METRIC_COSINE; metric++) {
        struct setting s = {600, 64, 0, 8, 20, metric, {0}, 0};
        struct test_vectors v;
        struct built_index b;
        struct error err = {0};
        struct rng r;
        rng_init(&r, metric);
        test_vectors_make(&v, &r, s.rows, s.dim, 0);
        for (size_t j = 0; j < (size_t)s.rows * s.dim; j++) {
            float value = v.vectors[j] * sizes[j / s.dim % 6];
            v.vectors[j] = isfinite(value) ? value : 3e38f;
        }
        test_vectors_measure(&v);
        build(&s, &v, PIECES_FORWARDS, &b);
        struct topk *list = built_lists_make(1, 600);
        for (size_t k = 100; k <= 600; k += 250) {
            list->capacity = k;
            struct built_search search = {
                .queries = v.vectors + 64, .query_count = 1, .k = k, .distance_max = INFINITY};
            assert_int_equal(built_index_search(&b, &search, list, &err), INDEX_DONE);
            assert_int_equal(list[0].count, k);
        }
        mem_free(alloc_libc(), list);
        tear_down(&v, &b);
    }
}

/* ---- Memory ---- */

static void running_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    const struct setting setting = {200, 64, 0, 8, 16, METRIC_COSINE, {0}, 0};
    struct alloc *a = alloc_create(NULL, 0);
    struct test_vectors v;
    struct index_params params;
    struct rng r;
    rng_init(&r, 2);
    test_vectors_make(&v, &r, setting.rows, setting.dim, 0);
    struct built_sweep s = {&index_diskann, desc_of(&setting, a, &v, &params)};
    oom_sweep(a, build_and_check, &s);
    test_vectors_scatter(&v);
    oom_sweep(a, build_and_check, &s);
    test_vectors_drop(&v);
    alloc_destroy(a);
}

/* All that an index has in memory, and two searches with it. */
static void memory_is_bounded(void **state)
{
    (void)state;
    const struct index_options none = {0};
    struct setting s = {700, 1024, 20, 16, 20, METRIC_L2, {0}, 0};
    struct alloc *a = alloc_create(NULL, 0);
    struct test_vectors v;
    struct built_index b;
    struct error err = {0};
    s.memory = 1 + DISKANN_MEMORY_MIN / s.rows;
    set_up(&s, 5, &v, &b);
    index_diskann.close(b.index);
    b.index = NULL;
    assert_ok(built_index_open(&b, a, &err), &err);
    size_t bytes = alloc_used_bytes(a);
    assert_in_range(b.index->memory_bytes, bytes / 2, bytes * 2); /* it tells the truth, about */
    for (size_t i = 0; i < b.image.section_count; i++)
        if (b.sections[i].kind != DISKANN_SECTION_PAGES) bytes += b.sections[i].bytes;
    bytes += 2 * index_diskann.search_bytes(b.index, &none, 1, 1);
    assert_in_range(bytes, (size_t)(s.memory * s.rows * 0.8), (size_t)(s.memory * s.rows));
    tear_down(&v, &b);
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

static void codes_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct setting s = {1200, 2048, 20, 16, 20, METRIC_L2, {QUANTIZER_SQ8, 0}, 100};
    struct test_vectors v;
    struct index_params params;
    struct index_build *out;
    struct error err = {0};
    struct rng r;
    rng_init(&r, 1);
    test_vectors_make(&v, &r, s.rows, s.dim, s.groups);
    struct index_build_desc desc = desc_of(&s, alloc_libc(), &v, &params);
    assert_fails(index_diskann.build->create(&desc, &out, &err), &err, LYNSE_LIMIT);
    assert_non_null(strstr(err.text, "memory: 100 "));
    desc.quantizer = (struct quantizer_spec){QUANTIZER_RAW, 0}; /* then fewer bits do */
    assert_ok(index_diskann.build->create(&desc, &out, &err), &err);
    index_diskann.build->destroy(out);
    test_vectors_drop(&v);
}

/* ---- Damage ---- */

static void damaged_numbers_are_refused(void **state)
{
    (void)state;
    struct setting s = {500, 8, 0, 8, 10, METRIC_L2, {0}, 0};
    struct test_vectors v;
    struct built_index b;
    struct error err = {0};
    set_up(&s, 8, &v, &b);
    index_diskann.close(b.index);
    b.index = NULL;
    for (size_t i = 0; i < b.image.section_count; i++) {
        uint32_t *words = (uint32_t *)b.memory[i], kind = b.sections[i].kind;
        for (size_t j = 0; j < b.sections[i].bytes / 4; j += 11 * test_stride()) {
            uint32_t old = words[j];
            if (kind == DISKANN_SECTION_PAGES || kind == INDEX_SECTION_CODES) break;
            if (kind == DISKANN_SECTION_HEAD && j > 0) break;
            words[j] = kind == DISKANN_SECTION_ROWS ? words[(j + 1) % 500] : 0xfffffffe;
            assert_fails(built_index_open(&b, alloc_libc(), &err), &err, LYNSE_CORRUPT);
            words[j] = old;
        }
        b.sections[i].bytes -= 4;
        assert_fails(built_index_open(&b, alloc_libc(), &err), &err, LYNSE_CORRUPT);
        b.sections[i].bytes += 4;
    }
    assert_ok(built_index_open(&b, alloc_libc(), &err), &err);
    tear_down(&v, &b);
}

static void repair_page(struct built_index *b, uint32_t page)
{
    uint32_t page_bytes = (uint32_t)built_index_section(b, DISKANN_SECTION_PAGES)->number;
    uint8_t *at = bytes_of(b, DISKANN_SECTION_PAGES) + (size_t)page * page_bytes;
    struct diskann_page *head = (struct diskann_page *)(void *)at;
    head->hash = hash_xxh3_64(at + sizeof head->hash, page_bytes - sizeof head->hash);
}

static enum index_state search_all(const struct built_index *b, struct error *err)
{
    struct topk *found = built_lists_make(QUERIES, K);
    float *queries = test_queries_make(b->vectors, QUERIES);
    struct built_search search = {
        .queries = queries, .query_count = QUERIES, .k = K, .distance_max = INFINITY};
    enum index_state state = built_index_search(b, &search, found, err);
    mem_free(alloc_libc(), found);
    free(queries);
    return state;
}

/* What open does not look at: a search says so, and so does a check. */
static void a_damaged_page_is_told_of(void **state)
{
    (void)state;
    struct setting s = {2500, 64, 0, 16, 40, METRIC_L2, {0}, 0};
    struct test_vectors v;
    struct built_index b;
    struct error err = {0};
    set_up(&s, 8, &v, &b);
    const struct diskann *d = (const struct diskann *)b.index;
    const struct diskann_layout *l = &d->layout;
    for (uint32_t way = 0; way < 3; way++) {
        uint32_t page = l->page_count / 2;
        uint8_t *at = bytes_of(&b, DISKANN_SECTION_PAGES) + (size_t)page * l->page_bytes;
        uint32_t *link = (uint32_t *)(uintptr_t)diskann_links(l, at, 3), old = *link;
        struct diskann_page *head = (struct diskann_page *)(void *)at;
        if (way < 2) *link = way ? s.rows : 1 - old;
        else head->number++;
        if (way > 0) repair_page(&b, page);
        assert_int_equal(search_all(&b, &err), INDEX_DAMAGED);
        assert_int_equal(err.code, LYNSE_CORRUPT);
        assert_non_null(strstr(err.text, "page"));
        assert_fails(index_diskann.check(b.index, &v.source, &err), &err, LYNSE_CORRUPT);
        *link = old;
        head->number = page;
        repair_page(&b, page);
    }
    assert_int_equal(search_all(&b, &err), INDEX_DONE);
    assert_ok(index_diskann.check(b.index, &v.source, &err), &err);
    tear_down(&v, &b);
}

/* What a page may say and be one: no search goes astray by it. */
static void a_check_finds_what_is_lost(void **state)
{
    (void)state;
    struct setting s = {500, 8, 0, 8, 16, METRIC_L2, {0}, 0};
    struct test_vectors v;
    struct built_index b;
    struct error err = {0};
    set_up(&s, 8, &v, &b);
    const struct diskann_layout *l = &((const struct diskann *)b.index)->layout;
    uint8_t *pages = bytes_of(&b, DISKANN_SECTION_PAGES);
    uint32_t *links = (uint32_t *)(uintptr_t)diskann_links(l, pages, 7), old = *links;

    *links = 7;
    repair_page(&b, 0);
    assert_fails(index_diskann.check(b.index, &v.source, &err), &err, LYNSE_CORRUPT);
    *links = links[1];
    repair_page(&b, 0);
    assert_fails(index_diskann.check(b.index, &v.source, &err), &err, LYNSE_CORRUPT);
    *links = old;
    float *vector = (float *)(uintptr_t)diskann_vector(l, pages, 11);
    vector[3] += 1;
    repair_page(&b, 0);
    assert_fails(index_diskann.check(b.index, &v.source, &err), &err, LYNSE_CORRUPT);
    vector[3] = v.vectors[((const struct diskann *)b.index)->rows[11] * s.dim + 3];
    repair_page(&b, 0);
    assert_ok(index_diskann.check(b.index, &v.source, &err), &err);
    for (uint32_t node = 0; node < s.rows; node++) { /* nothing leads to node 9 */
        uint8_t *page = pages + (size_t)(node / l->page_nodes) * l->page_bytes;
        uint32_t *list = (uint32_t *)(uintptr_t)diskann_links(l, page, node % l->page_nodes);
        uint32_t last = 0;
        while (last < l->degree && list[last] != HNSW_NONE) last++;
        for (uint32_t i = 0; i < last; i++)
            if (list[i] == 9) {
                list[i] = list[--last];
                list[last] = HNSW_NONE;
            }
        repair_page(&b, node / l->page_nodes);
    }
    assert_fails(index_diskann.check(b.index, &v.source, &err), &err, LYNSE_CORRUPT);
    assert_non_null(strstr(err.text, "reached"));
    tear_down(&v, &b);
}

/* ---- On a disk ---- */

/* Reads in flight, reads one by one, and pages in memory find the same, however they are cut. */
static void what_is_found_does_not_depend_on_the_disk(void **state)
{
    (void)state;
    struct setting s = {3000, 64, 30, 16, 40, METRIC_COSINE, {0}, 0};
    struct test_vectors v;
    struct built_index b;
    struct index_on_disk d;
    set_up(&s, 3, &v, &b);
    assert_same_from_disk(&d, &b, DISKANN_SECTION_PAGES);
    index_on_disk_drop(&d);
    tear_down(&v, &b);
}

/* A walk whose results stay the same ends before all that it keeps was read, and finds most of
 * them. */
static void slack_reads_fewer_pages(void **state)
{
    (void)state;
    const struct setting s = {.rows = MANY, .dim = 32, .groups = 40, .metric = METRIC_L2};
    struct test_vectors v;
    struct built_index b;
    struct index_on_disk d;
    struct error err = {0};
    unsigned reads[2];
    double recalls[2];
    set_up(&s, 5, &v, &b);
    float *queries = test_queries_make(&v, QUERIES);
    index_on_disk_put(&d, &b, DISKANN_SECTION_PAGES);
    d.is_read_through = true;
    for (int i = 0; i < 2; i++) {
        struct topk *found = built_lists_make(QUERIES, K), *truth = built_lists_make(QUERIES, K);
        struct built_search search = {.queries = queries,
                                      .query_count = QUERIES,
                                      .k = K,
                                      .options = {.effort = 200, .slack = 1e-3f * (float)i},
                                      .distance_max = INFINITY};
        index_on_disk_open(&d);
        unsigned before = d.reads;
        assert_int_equal(built_index_search(&b, &search, found, &err), INDEX_DONE);
        reads[i] = d.reads - before;
        search.is_exact = true;
        assert_int_equal(built_index_search(&b, &search, truth, &err), INDEX_DONE);
        recalls[i] = built_lists_recall(found, truth, QUERIES);
        index_diskann.close(b.index);
        mem_free(alloc_libc(), found);
        mem_free(alloc_libc(), truth);
    }
    b.index = NULL;
    assert_in_range(reads[1], 1, reads[0] * 3 / 4);
    if (recalls[1] < recalls[0] - 0.05) fail_msg("recall %.3f, then %.3f", recalls[0], recalls[1]);
    free(queries);
    index_on_disk_drop(&d);
    tear_down(&v, &b);
}

static void a_file_that_ends_early_is_told_of(void **state)
{
    (void)state;
    struct setting s = {2500, 64, 0, 16, 40, METRIC_L2, {0}, 0};
    struct test_vectors v;
    struct built_index b;
    struct error err = {0};
    struct index_on_disk d;
    set_up(&s, 3, &v, &b);
    index_on_disk_put(&d, &b, DISKANN_SECTION_PAGES);
    index_on_disk_open(&d);
    index_on_disk_cut(&d, 3);
    assert_int_equal(search_all(&b, &err), INDEX_DAMAGED);
    assert_int_equal(err.code, LYNSE_CORRUPT);
    index_on_disk_drop(&d);
    tear_down(&v, &b);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(most_of_the_nearest_are_found),
    cmocka_unit_test(pages_hold_the_narrowest_numbers),
    cmocka_unit_test(a_build_has_one_result),
    cmocka_unit_test(graphs_of_any_size_are_whole),
    cmocka_unit_test(extreme_vectors_are_rows_too),
    cmocka_unit_test(running_out_of_memory_leaves_nothing),
    cmocka_unit_test(memory_is_bounded),
    cmocka_unit_test(codes_that_do_not_fit_are_refused),
    cmocka_unit_test(damaged_numbers_are_refused),
    cmocka_unit_test(a_damaged_page_is_told_of),
    cmocka_unit_test(a_check_finds_what_is_lost),
    cmocka_unit_test(what_is_found_does_not_depend_on_the_disk),
    cmocka_unit_test(slack_reads_fewer_pages),
    cmocka_unit_test(a_file_that_ends_early_is_told_of),
};
TEST_MAIN(tests)
